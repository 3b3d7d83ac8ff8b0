/**
 * The door of the roles: the verbs of `martillo` that run a house.
 * Invariant: registering the verbs loads no role; its code is loaded when its verb runs.
 * Source: docs/protocol.md, "Command line".
 */
import { type Command, Option } from 'commander'
import { type RoleName, roles, singleRoles } from './table.ts'
import { asFailures, type Shell } from './verbs/shell.ts'
import { registerStateVerbs } from './verbs/state-verbs.ts'

export { roleNames } from './table.ts'
export type { Shell } from './verbs/shell.ts'

interface JsonOption {
  readonly json?: true
}

export function registerRoleVerbs(program: Command, shell: Shell): void {
  program.commandsGroup('The house:')
  registerRole(program, 'start', shell)
  registerCheckConfig(program, shell)
  program.enablePositionalOptions()
  program.commandsGroup('The house in several processes:')
  for (const name of singleRoles) {
    const verb = registerRole(program, name, shell)
    if (name === 'state') registerStateVerbs(verb, shell)
    if (name === 'monitor') registerMonitorStatus(verb, shell)
  }
  registerSecretVerbs(program, shell)
}

function registerRole(program: Command, name: RoleName, shell: Shell): Command {
  const { description, options } = roles[name]
  const check = name === 'start' ? 'martillo check-config' : `martillo check-config --role ${name}`
  const verb = program
    .command(name)
    .description(description)
    .addHelpText('after', `\nAll other settings are variables: ${check} lists them.`)
  /** The setting of each option, by commander's name for the option. */
  const settings = new Map<string, string>()
  for (const { flags, doc, setting } of options) {
    const option = new Option(flags, doc)
    verb.addOption(option)
    if (setting !== undefined) settings.set(option.attributeName(), setting)
  }
  return verb.action((given: JsonOption & Readonly<Record<string, unknown>>) =>
    asFailures(async () => {
      const overrides = Object.fromEntries(
        Object.entries(given).flatMap(([option, value]) => {
          const setting = settings.get(option)
          return setting === undefined ? [] : [[setting, value]]
        }),
      )
      const { runRole } = await import('./verbs/run-role.ts')
      await runRole(name, overrides, given.json === true, shell)
    }),
  )
}

function registerCheckConfig(program: Command, shell: Shell): void {
  program
    .command('check-config')
    .description('check the MARTILLO_… variables, and print every setting with its meaning and value')
    .addOption(new Option('--role <role>', 'of one role; default: of martillo start').choices(singleRoles))
    .option('--json', 'print machine-readable lines')
    .action(({ role = 'start', ...options }: JsonOption & { readonly role?: RoleName }) =>
      asFailures(async () => {
        const { checkConfig } = await import('./verbs/check-config.ts')
        await checkConfig(role, options, shell)
      }),
    )
}

function registerMonitorStatus(monitor: Command, shell: Shell): void {
  monitor
    .command('status')
    .description('servers, owners and recent reassignments, as a monitor sees them')
    .requiredOption('--page <url>', "address of the monitor's page, as http://127.0.0.1:8090")
    .option('--json', 'print machine-readable lines')
    .action(({ page }: { readonly page: string }, verb: Command) =>
      asFailures(async () => {
        const { showMonitorStatus } = await import('./verbs/monitor-status.ts')
        // `--json` is an option of the parent verb too, which takes it first.
        await showMonitorStatus(page, verb.optsWithGlobals<JsonOption>(), shell)
      }),
    )
}

function registerSecretVerbs(program: Command, shell: Shell): void {
  program
    .command('cluster-secret')
    .description('make a secret by which the processes of a cluster know each other')
    .option('--file <path>', 'write it there, for its owner alone; default: print it')
    .option('--json', 'print machine-readable lines')
    .action((options: JsonOption & { readonly file?: string }) =>
      asFailures(async () => {
        const { makeSecret } = await import('./verbs/secrets.ts')
        await makeSecret(options, shell)
      }),
    )
  program
    .command('health-token')
    .description('print the token that /status, /backup and the page of a monitor ask for')
    .option('--json', 'print machine-readable lines')
    .action((options: JsonOption) =>
      asFailures(async () => {
        const { showHealthToken } = await import('./verbs/secrets.ts')
        await showHealthToken(options, shell)
      }),
    )
}
