#!/usr/bin/env node
/**
 * `martillo`: the one command. Client verbs come from clients/cli, the role verbs are here. The only file of this
 * process that reads the environment, handles signals and exits. Invariant: whatever a user can get wrong or a
 * machine can refuse ends in one line that says what to do, and in the exit code of the contract: 1 refused or
 * failed, 2 wrong usage, 3 no house answers; a stack trace means a bug of ours. Source: docs/protocol.md, "Command line".
 */
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { type Command, Option } from 'commander'
import { CliFailure, exitCodes, type Io, run } from './clients/cli/index.ts'
import type { MemberVerb } from './roles/verbs/members.ts'
import type { LogLevel } from './runtime/logger.ts'
import type { StartProgress } from './state-cluster/index.ts'

interface StartOptions {
  readonly host?: string
  readonly port?: string
  readonly data?: string
  readonly json?: true
}

/** Variables that client verbs read; a house must not take them for misspelt settings. */
const clientVariables = ['MARTILLO_URL', 'MARTILLO_TOKEN']

// Its warning about Node versions is for whoever updates dependencies, not for whoever runs a sale.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'

const stopping = new AbortController()
/** Whether there is something to stop in good order; before that, a signal ends the process at once. */
let isServing = false
const io: Io = {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signal: stopping.signal,
}

/** Failures of the machine or of what was asked, told in one line each. */
function startFailure(error: unknown): unknown {
  const { name, code, message } = error as { name?: string; code?: string; message?: string }
  if (name === 'ConfigError') return new CliFailure(exitCodes.usage, String(message).split('\n').join('; '))
  return typeof code === 'string' ? new CliFailure(exitCodes.refused, String(message), { code }) : error
}

function progressLine(): (progress: StartProgress) => void {
  let saidMs = performance.now()
  return ({ groupId, phase, done, total }) => {
    // A start within a second needs no words.
    if (performance.now() - saidMs < 1_000) return
    saidMs = performance.now()
    const of = total === undefined ? '' : ` of ${total.toLocaleString('en')}`
    const what = phase === 'rows' ? 'rows of the checkpoint' : 'log entries behind it'
    process.stderr.write(`martillo: loading group ${groupId}: ${done.toLocaleString('en')}${of} ${what}\n`)
  }
}

const welcome = (url: string, dataDir: string): string => `
Martillo is open at ${url}

  look    open that address in a browser
  sell    npx martillo auction create --title "A ship's clock" --opening 10
  bid     npx martillo bid ID 12.50
  watch   npx martillo watch ID

Everything is kept in ${dataDir}. Ctrl-C stops the house.

`

/** `martillo start`: runs until a signal, then drains. Resolves when everything has stopped. */
async function start(options: StartOptions): Promise<void> {
  // Roles are loaded when they are asked for, so that client verbs start fast and need no native package.
  const [
    { houseSections, startHouse },
    { loadConfig },
    { systemClock },
    { createLogger },
    { createMetrics },
    { variablesOfRoles },
  ] = await Promise.all([
    import('./roles/all-in-one.ts'),
    import('./runtime/config.ts'),
    import('./runtime/clock.ts'),
    import('./runtime/logger.ts'),
    import('./runtime/metrics.ts'),
    import('./roles/index.ts'),
  ])
  try {
    const config = loadConfig(houseSections, {
      env: process.env,
      known: [...clientVariables, ...variablesOfRoles()],
      overrides: {
        ...(options.host === undefined ? {} : { host: options.host }),
        ...(options.port === undefined ? {} : { port: options.port }),
        ...(options.data === undefined ? {} : { dataDir: options.data }),
      },
    })
    const level = (config.process.logLevel ?? 'warn') as LogLevel
    const logger = createLogger({ level, role: 'house' })
    const house = await startHouse({
      config,
      clock: systemClock,
      logger,
      metrics: createMetrics({ withProcess: true }),
      onProgress: progressLine(),
      onFatal(error) {
        // What is on the disk is no longer known: answering anything, or writing more, could only make it worse.
        process.stderr.write(`martillo: stopped: ${error.message}\n`)
        process.exit(exitCodes.refused)
      },
    })
    isServing = true
    const { url } = house
    const { dataDir } = config.server
    process.stdout.write(
      options.json === true
        ? `${JSON.stringify({ event: 'listening', url, dataDir })}\n`
        : welcome(url, dataDir),
    )
    await untilStopped()
    if (process.stdout.isTTY)
      process.stderr.write('martillo: telling bidders and stopping; Ctrl-C again to stop at once\n')
    const faults = await house.stop()
    if (faults.length > 0)
      throw new CliFailure(exitCodes.refused, faults.map((fault) => fault.message).join('; '))
  } catch (error) {
    throw startFailure(error)
  }
}

interface RoleOptions {
  readonly host?: string
  readonly port?: string
  readonly data?: string
  readonly nodeId?: string
  readonly members?: string
  readonly cluster?: string
  readonly join?: true
  readonly state?: string
  readonly monitors?: string
  readonly pagePort?: string
  readonly id?: string
  readonly json?: true
}

type Role = 'state' | 'server' | 'monitor' | 'notifier'

/** `martillo state | server | monitor | notifier`: one role, until a signal. */
async function startRole(role: Role, options: RoleOptions): Promise<void> {
  const [
    { roleRunners, variablesOfRoles },
    { loadConfig },
    { systemClock },
    { createLogger },
    { createMetrics },
  ] = await Promise.all([
    import('./roles/index.ts'),
    import('./runtime/config.ts'),
    import('./runtime/clock.ts'),
    import('./runtime/logger.ts'),
    import('./runtime/metrics.ts'),
  ])
  const given = {
    host: options.host,
    port: options.port,
    // A monitor keeps nothing.
    dataDir: role === 'monitor' ? undefined : options.data,
    nodeId: options.nodeId,
    members: options.members,
    cluster: options.cluster,
    join: options.join,
    stateNodes: options.state,
    monitors: options.monitors,
    healthPort: options.pagePort,
    [role === 'monitor' ? 'monitorId' : 'serverId']: options.id,
  }
  try {
    const overrides = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
    const load = <const All extends Readonly<Record<string, unknown>>>(sections: All) =>
      loadConfig(sections, {
        env: process.env,
        known: [...clientVariables, ...variablesOfRoles()],
        overrides,
      })
    const running = await roleRunners[role]({
      load,
      clock: systemClock,
      logger: (level) => createLogger({ level: (level ?? 'info') as LogLevel, role }),
      metrics: createMetrics({ withProcess: true }),
      onProgress: progressLine(),
      onFatal(error) {
        process.stderr.write(`martillo: stopped: ${error.message}\n`)
        process.exit(exitCodes.refused)
      },
    })
    isServing = true
    const { facts } = running
    process.stdout.write(
      options.json === true
        ? `${JSON.stringify({ event: 'listening', ...facts })}\n`
        : `martillo ${role}: ${Object.entries(facts)
            .map(([name, value]) => `${name} ${value}`)
            .join(', ')}\n`,
    )
    await untilStopped()
    const faults = await running.stop()
    if (faults.length > 0)
      throw new CliFailure(exitCodes.refused, faults.map((fault) => fault.message).join('; '))
  } catch (error) {
    throw startFailure(error)
  }
}

async function untilStopped(): Promise<void> {
  await new Promise<void>((resolve) => {
    if (stopping.signal.aborted) resolve()
    stopping.signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** `martillo check-config`: every setting with its meaning and value, or what is wrong with it. */
async function checkConfig(options: { readonly role?: Role; readonly json?: true }): Promise<void> {
  const [{ houseSections }, { sectionsOfRoles, variablesOfRoles }, { describeConfig, loadConfig }] =
    await Promise.all([
      import('./roles/all-in-one.ts'),
      import('./roles/index.ts'),
      import('./runtime/config.ts'),
    ])
  const sections: Readonly<Record<string, unknown>> =
    options.role === undefined ? houseSections : sectionsOfRoles[options.role]
  let loaded: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  try {
    const known = [...clientVariables, ...variablesOfRoles()]
    loaded = loadConfig(sections, { env: process.env, known }) as typeof loaded
  } catch (error) {
    throw startFailure(error)
  }
  for (const line of describeConfig(sections, loaded)) {
    if (options.json === true) process.stdout.write(`${JSON.stringify(line)}\n`)
    else {
      const given = line.value === line.default ? '' : ` (default ${line.default ?? 'none'})`
      process.stdout.write(`${line.variable}=${line.value ?? ''}${given}\n    ${line.doc} [${line.kind}]\n`)
    }
  }
}

/** `martillo monitor status`: what the page shows, as lines. */
async function monitorStatus(
  options: { readonly page: string; readonly json?: true },
  verb: Command,
): Promise<void> {
  const { monitorLines } = await import('./monitor/index.ts')
  let status: Awaited<Parameters<typeof monitorLines>[0]>
  try {
    const response = await fetch(new URL('/status', options.page), { signal: AbortSignal.timeout(5_000) })
    if (!response.ok) throw new Error(`it answered ${response.status}`)
    status = (await response.json()) as typeof status
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new CliFailure(exitCodes.unreachable, `no monitor answers at ${options.page}: ${why}`)
  }
  // `--json` is an option of the parent verb too, which takes it first.
  const isJson = verb.optsWithGlobals()['json'] === true
  process.stdout.write(isJson ? `${JSON.stringify(status)}\n` : `${monitorLines(status).join('\n')}\n`)
}

/** What every verb has that runs until it is stopped. */
function roleVerb(parent: Command, name: string, description: string): Command {
  return parent
    .command(name)
    .description(description)
    .option('--data <folder>', 'folder of everything that must survive (default: ./data)')
    .option('--json', 'print machine-readable lines; the first is {"event":"listening",…}')
    .addHelpText(
      'after',
      `\nAll other settings are variables: martillo check-config --role ${name} lists them.`,
    )
}

const listenOptions = (verb: Command): Command =>
  verb
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <port>', 'port to listen on, 0 for a free one (default: 8080)')

interface MemberOptions {
  readonly state?: string
  readonly json?: true
}

/** `martillo state members | join | leave | replace | rebuild`. */
async function changeMembers(verb: MemberVerb, options: MemberOptions): Promise<void> {
  const [{ memberSections, runMemberVerb }, { variablesOfRoles }, { loadConfig }] = await Promise.all([
    import('./roles/verbs/members.ts'),
    import('./roles/index.ts'),
    import('./runtime/config.ts'),
  ])
  try {
    const config = loadConfig(memberSections, {
      env: process.env,
      known: [...clientVariables, ...variablesOfRoles()],
      overrides: options.state === undefined ? {} : { stateNodes: options.state },
    })
    const groups = await runMemberVerb(verb, config, (text) => {
      if (options.json !== true) process.stderr.write(`martillo: ${text}\n`)
    })
    for (const { groupId, members } of groups) {
      for (const { nodeId, role, isActive, matchIndex, address } of members) {
        const facts = { groupId, nodeId, role, isActive, matchIndex, host: address.host, port: address.port }
        const text = `group ${groupId}  node ${nodeId}  ${role}  ${isActive ? 'reachable' : 'silent'}  ${address.host}:${address.port}`
        process.stdout.write(
          `${options.json === true ? JSON.stringify({ event: 'member', ...facts }) : text}\n`,
        )
      }
    }
  } catch (error) {
    throw startFailure(error)
  }
}

function registerMemberVerbs(state: Command): void {
  const verb = (usage: string, description: string): Command =>
    state
      .command(usage)
      .description(description)
      .option('--state <list>', 'addresses of state nodes: host:port,host:port')
      .option('--json', 'print machine-readable lines')
  verb('members', 'who the members are').action((options: MemberOptions) =>
    changeMembers({ verb: 'members' }, options),
  )
  verb('join <member>', 'let in a node that runs with --join: 4=host:port').action(
    (member: string, options: MemberOptions) => changeMembers({ verb: 'join', member }, options),
  )
  verb('leave <node>', 'take a node out; stop it afterwards').action(
    (nodeId: string, options: MemberOptions) => changeMembers({ verb: 'leave', nodeId }, options),
  )
  verb('replace <node> <member>', 'let in 4=host:port, then take out the node').action(
    (nodeId: string, member: string, options: MemberOptions) =>
      changeMembers({ verb: 'replace', nodeId, member }, options),
  )
  verb(
    'rebuild <node>',
    'give a stopped node that lost its data an empty folder; it comes back from the others',
  )
    .requiredOption('--data <folder>', "the node's data folder; what is in it is set aside")
    .option('--at <address>', 'host:port of the node, where the members do not say it any more')
    .action((nodeId: string, options: MemberOptions & { readonly data: string; readonly at?: string }) =>
      changeMembers({ verb: 'rebuild', nodeId, dataDir: options.data, at: options.at }, options),
    )
}

interface DropOptions {
  readonly data: string
  readonly index: string
  readonly term: string
  readonly group: string
  readonly acceptLoss?: true
  readonly json?: true
}

interface CopyOptions {
  readonly health?: string
  readonly data: string
  readonly nodeId: string
  readonly cluster: string
  readonly members?: string
  readonly acceptLoss?: true
  readonly json?: true
}

function tell(options: { readonly json?: true }, text: string, facts: object): void {
  process.stdout.write(`${options.json === true ? JSON.stringify(facts) : text}\n`)
}

function registerCopyVerbs(state: Command): void {
  state
    .command('backup <folder>')
    .description('copy all state and history of a running node into a file in the folder')
    .requiredOption('--health <url>', "the node's health address: http://127.0.0.1:9090")
    .option('--json', 'print machine-readable lines')
    .action(async (folder: string, options: CopyOptions) => {
      const { backUp } = await import('./roles/verbs/copies.ts')
      const secret = process.env['MARTILLO_CLUSTER_SECRET']
      const made = await backUp({ folder, healthUrl: String(options.health), secret }).catch(
        (error: unknown) => {
          throw startFailure(error)
        },
      )
      tell(options, `${made.path}  ${made.bytes} bytes`, { event: 'backed_up', ...made })
    })
  state
    .command('restore <file>')
    .description('make a new folder from a backup, checked by its hash')
    .requiredOption('--data <folder>', 'the new folder')
    .requiredOption('--cluster <name>', 'name of the restored cluster, not the one that was copied')
    .option('--node-id <number>', 'number of the node that will use it', '1')
    .option('--members <list>', 'all members, each restored from the same file; none: for martillo start')
    .option('--json', 'print machine-readable lines')
    .action(async (file: string, options: CopyOptions) => {
      const copies = await import('./roles/verbs/copies.ts')
      const { data: dataDir, nodeId, cluster, members } = options
      const restored = await copies
        .restore({ file, dataDir, nodeId, cluster, members })
        .catch((error: unknown) => {
          throw startFailure(error)
        })
      for (const group of restored.groups) {
        const text = `group ${group.groupId}: entry ${group.index}, state ${group.stateHash}`
        tell(options, text, { event: 'restored', takenAtMs: restored.takenAtMs, ...group })
      }
    })
  state
    .command('recover')
    .description('when the majority is gone for good: let one folder that is left go on alone')
    .requiredOption('--data <folder>', 'the folder; its process must not run')
    .requiredOption('--cluster <name>', 'another name for the cluster from now on; start all servers anew')
    .option('--accept-loss', 'yes: what only the other nodes had is lost, acknowledged or not')
    .option('--json', 'print machine-readable lines')
    .action(async (options: CopyOptions) => {
      const copies = await import('./roles/verbs/copies.ts')
      const { data: dataDir, cluster, acceptLoss } = options
      const isLossAccepted = acceptLoss === true
      const { nodeId, groups } = await copies
        .recover({ dataDir, cluster, isLossAccepted })
        .catch((error: unknown) => {
          throw startFailure(error)
        })
      for (const { groupId, lastIndex, lastTerm } of groups) {
        const text = `group ${groupId}: node ${nodeId} goes on behind entry ${lastIndex} of term ${lastTerm}; anything behind that is lost`
        tell(options, text, { event: 'recovered', nodeId, groupId, lastIndex, lastTerm })
      }
    })
  state
    .command('drop-entry')
    .description(
      'when every node stops at the same entry: put an empty one in its place, on each stopped node',
    )
    .requiredOption('--data <folder>', 'the folder; its process must not run')
    .requiredOption('--index <number>', 'of the entry, as the node said')
    .requiredOption('--term <number>', 'of the entry, as the node said')
    .option('--group <number>', 'the group that it belongs to', '0')
    .option('--accept-loss', 'yes: what the entry asks for does not happen')
    .option('--json', 'print machine-readable lines')
    .action(async (options: DropOptions) => {
      const copies = await import('./roles/verbs/copies.ts')
      const dropped = await copies.drop(options).catch((error: unknown) => {
        throw startFailure(error)
      })
      const { nodeId, index, term, bytes } = dropped
      const text = `node ${nodeId}: entry ${index} of term ${term} is empty now; do the same on every other node, then start them`
      tell(options, text, { event: 'dropped', nodeId, index, term, bytes })
    })
}

function registerSingleRoles(program: Command): void {
  // Options belong to the verb that they follow: `state members --json` is not `state --json`.
  program.enablePositionalOptions()
  program.commandsGroup('The house in several processes:')
  const state = listenOptions(roleVerb(program, 'state', 'run one node of the state cluster'))
    .option('--node-id <number>', 'number of this node, from 1; no two nodes ever have the same')
    .option('--members <list>', 'all members of the new cluster: 1=host:port,2=host:port,3=host:port')
    .option('--cluster <name>', 'name of the cluster, the same on all nodes (default: martillo)')
    .option('--join', 'enter a cluster that exists; --members then names those that are there')
    .action((options: RoleOptions) => startRole('state', options))
  registerMemberVerbs(state.enablePositionalOptions())
  registerCopyVerbs(state)
  listenOptions(roleVerb(program, 'server', 'run one server, with the state in other processes'))
    .option('--state <list>', 'addresses of state nodes: host:port,host:port')
    .option('--monitors <list>', 'addresses of all monitors: host:port,host:port')
    .option('--id <name>', 'name of this server; no two that run share one (default: server-1)')
    .action((options: RoleOptions) => startRole('server', options))
  const monitor = listenOptions(
    roleVerb(program, 'monitor', "watch servers, hand a dead one's auctions over"),
  )
    .option('--state <list>', 'addresses of state nodes: host:port,host:port')
    .option('--page-port <port>', 'port of the page for operators, 0 for a free one (default: none)')
    .option('--id <name>', 'name of this monitor (default: monitor)')
    .action((options: RoleOptions) => startRole('monitor', options))
  monitor
    .command('status')
    .description('servers, owners and recent reassignments, as a monitor sees them')
    .requiredOption('--page <url>', "address of the monitor's page, as http://127.0.0.1:8090")
    .option('--json', 'print machine-readable lines')
    .action(monitorStatus)
  roleVerb(program, 'notifier', 'post notifications from the queue SQS_QUEUE_URL to webhooks').action(
    (options: RoleOptions) => startRole('notifier', options),
  )
}

function registerRoleVerbs(program: Command): void {
  program.commandsGroup('The house:')
  program
    .command('start')
    .description('run everything on this machine: state, server, notifier and web page in one process')
    .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
    .option('--port <port>', 'port to listen on, 0 for a free one (default: 8080)')
    .option('--data <folder>', 'folder of everything that must survive (default: ./data)')
    .option('--json', 'print machine-readable lines; the first is {"event":"listening","url":…}')
    .addHelpText('after', '\nAll other settings are variables: martillo check-config lists them.')
    .action(start)
  program
    .command('check-config')
    .description('check the MARTILLO_… variables, and print every setting with its meaning and value')
    .addOption(
      new Option('--role <role>', 'of one role; default: of martillo start').choices([
        'state',
        'server',
        'monitor',
        'notifier',
      ]),
    )
    .option('--json', 'print machine-readable lines')
    .action(checkConfig)
  registerSingleRoles(program)
}

/** The package lies above the compiled `main.js`, or beside this file when run from source. */
function versionOfPackage(): string {
  const path = import.meta.url.endsWith('.ts') ? './package.json' : '../package.json'
  const read = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version: string }
  return read.version
}

const argv = process.argv.slice(2)
const isClientVerb = !['start', 'state', 'server', 'monitor', 'notifier'].includes(argv[0] ?? '')
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    const isPatient = isServing || isClientVerb
    if (stopping.signal.aborted || !isPatient) process.exit(128 + constants.signals[signal])
    stopping.abort()
  })
}
// A reader that went away (`| head`) is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.done)
  throw error
})

process.exit(await run(argv, io, versionOfPackage(), registerRoleVerbs))
