/**
 * The verbs below `martillo state`: members, join, leave, replace, rebuild, backup, restore, recover, drop-entry.
 * Here are their options and their output; members.ts and copies.ts do the work and are loaded when a verb runs.
 * Invariant: each verb prints one line for each result; with `--json` it is one object with its `event`.
 * Source: docs/protocol.md, "Command line".
 */
import type { Command } from 'commander'
import { knownVariables } from '../table.ts'
import type { MemberVerb } from './members.ts'
import { asFailures, print, type Shell } from './shell.ts'

interface Json {
  readonly json?: true
}

interface MemberOptions extends Json {
  readonly state?: string
}

interface DropOptions extends Json {
  readonly data: string
  readonly index: string
  readonly term: string
  readonly group: string
  readonly acceptLoss?: true
}

interface BackupOptions extends Json {
  readonly health: string
}

interface RestoreOptions extends Json {
  readonly data: string
  readonly nodeId: string
  readonly cluster: string
  readonly members?: string
}

interface RecoverOptions extends Json {
  readonly data: string
  readonly cluster: string
  readonly acceptLoss?: true
}

export function registerStateVerbs(state: Command, shell: Shell): void {
  // Options belong to the verb that they follow: `state members --json` is not `state --json`.
  state.enablePositionalOptions()
  registerMemberVerbs(state, shell)
  registerCopyVerbs(state, shell)
  registerLastResorts(state, shell)
}

async function changeMembers(verb: MemberVerb, options: MemberOptions, shell: Shell): Promise<void> {
  const { io } = shell
  const [{ memberSections, runMemberVerb }, { loadConfig }, known] = await Promise.all([
    import('./members.ts'),
    import('../../runtime/config.ts'),
    knownVariables(),
  ])
  const overrides = options.state === undefined ? {} : { stateNodes: options.state }
  const config = loadConfig(memberSections, { env: io.env, known, overrides })
  const groups = await runMemberVerb(verb, config, (text) => {
    if (options.json !== true) io.stderr.write(`martillo: ${text}\n`)
  })
  for (const { groupId, members } of groups) {
    for (const { nodeId, role, isActive, matchIndex, address } of members) {
      const { host, port } = address
      const reach = isActive ? 'reachable' : 'silent'
      print(shell, options, {
        text: `group ${groupId}  node ${nodeId}  ${role}  ${reach}  ${host}:${port}`,
        facts: { event: 'member', groupId, nodeId, role, isActive, matchIndex, host, port },
      })
    }
  }
}

function registerMemberVerbs(state: Command, shell: Shell): void {
  const change = (verb: MemberVerb, options: MemberOptions): Promise<void> =>
    asFailures(() => changeMembers(verb, options, shell))
  const verb = (usage: string, description: string): Command =>
    state
      .command(usage)
      .description(description)
      .option('--state <list>', 'addresses of state nodes: host:port,host:port')
      .option('--json', 'print machine-readable lines')
  verb('members', 'who the members are').action((options: MemberOptions) =>
    change({ verb: 'members' }, options),
  )
  verb('join <member>', 'add a node that runs with --join: 4=host:port').action(
    (member: string, options: MemberOptions) => change({ verb: 'join', member }, options),
  )
  verb('leave <node>', 'take a node out; stop it afterwards').action(
    (nodeId: string, options: MemberOptions) => change({ verb: 'leave', nodeId }, options),
  )
  verb('replace <node> <member>', 'add 4=host:port and take the node out').action(
    (nodeId: string, member: string, options: MemberOptions) =>
      change({ verb: 'replace', nodeId, member }, options),
  )
  verb(
    'rebuild <node>',
    'give a stopped node that lost its data an empty folder; it comes back from the others',
  )
    .requiredOption('--data <folder>', "the node's data folder; its contents are set aside")
    .option('--at <address>', 'host:port of the node, where it is not a member any more')
    .action((nodeId: string, options: MemberOptions & { readonly data: string; readonly at?: string }) =>
      change({ verb: 'rebuild', nodeId, dataDir: options.data, at: options.at }, options),
    )
}

function registerCopyVerbs(state: Command, shell: Shell): void {
  state
    .command('backup <folder>')
    .description('copy all state and history of a running node into a file in the folder')
    .requiredOption('--health <url>', "the node's health address: http://127.0.0.1:9090")
    .option('--json', 'print machine-readable lines')
    .action((folder: string, options: BackupOptions) =>
      asFailures(async () => {
        const [{ backUp }, { healthTokenOf }] = await Promise.all([
          import('./copies.ts'),
          import('./secrets.ts'),
        ])
        const token = await healthTokenOf(shell)
        const made = await backUp({ folder, healthUrl: options.health, token })
        const text = `${made.path}  ${made.bytes} bytes`
        print(shell, options, { text, facts: { event: 'backed_up', ...made } })
      }),
    )
  state
    .command('restore <file>')
    .description('make a new folder from a backup, checked by its hash')
    .requiredOption('--data <folder>', 'the new folder')
    .requiredOption('--cluster <name>', 'name of the restored cluster, not the one that was copied')
    .option('--node-id <number>', 'number of the node that will use it', '1')
    .option('--members <list>', 'all members, each restored from the same file; none: for martillo start')
    .option('--json', 'print machine-readable lines')
    .action((file: string, options: RestoreOptions) =>
      asFailures(async () => {
        const { restore } = await import('./copies.ts')
        const { data: dataDir, nodeId, cluster, members } = options
        const { groups, takenAtMs } = await restore({ file, dataDir, nodeId, cluster, members })
        for (const group of groups) {
          const text = `group ${group.groupId}: entry ${group.index}, state ${group.stateHash}`
          print(shell, options, { text, facts: { event: 'restored', takenAtMs, ...group } })
        }
      }),
    )
}

function registerLastResorts(state: Command, shell: Shell): void {
  state
    .command('recover')
    .description('when the majority is lost permanently: continue with one folder that is left')
    .requiredOption('--data <folder>', 'the folder; its process must not run')
    .requiredOption('--cluster <name>', 'another name for the cluster from now on; restart all servers')
    .option('--accept-loss', 'yes: what only the other nodes had is lost, acknowledged or not')
    .option('--json', 'print machine-readable lines')
    .action((options: RecoverOptions) =>
      asFailures(async () => {
        const { recover } = await import('./copies.ts')
        const { data: dataDir, cluster, acceptLoss } = options
        const { nodeId, groups } = await recover({ dataDir, cluster, isLossAccepted: acceptLoss === true })
        for (const { groupId, lastIndex, lastTerm } of groups) {
          const text = `group ${groupId}: node ${nodeId} continues after entry ${lastIndex} of term ${lastTerm}; later entries are lost`
          print(shell, options, { text, facts: { event: 'recovered', nodeId, groupId, lastIndex, lastTerm } })
        }
      }),
    )
  state
    .command('drop-entry')
    .description('when every node stops at the same entry: replace it by an empty one, on each stopped node')
    .requiredOption('--data <folder>', 'the folder; its process must not run')
    .requiredOption('--index <number>', 'of the entry, from the error of the node')
    .requiredOption('--term <number>', 'of the entry, from the error of the node')
    .option('--group <number>', 'the group that it belongs to', '0')
    .option('--accept-loss', 'yes: the command of the entry has no effect')
    .option('--json', 'print machine-readable lines')
    .action((options: DropOptions) =>
      asFailures(async () => {
        const { drop } = await import('./copies.ts')
        const { nodeId, index, term, bytes } = await drop(options)
        const text = `node ${nodeId}: entry ${index} of term ${term} is empty now; do the same on every other node, then start them`
        print(shell, options, { text, facts: { event: 'dropped', nodeId, index, term, bytes } })
      }),
    )
}
