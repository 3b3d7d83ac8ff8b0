#!/usr/bin/env node
/**
 * `martillo`: the one command. Client verbs come from clients/cli, the role verbs are here. The only file of this
 * process that reads the environment, handles signals and exits. Invariant: whatever a user can get wrong or a
 * machine can refuse ends in one line that says what to do, and in the exit code of the contract: 1 refused or
 * failed, 2 wrong usage, 3 no house answers; a stack trace means a bug of ours. Source: CONTRACT "Command line".
 */
import { constants } from 'node:os'
import type { Command } from 'commander'
import { CliFailure, exitCodes, type Io, run } from './clients/cli/index.ts'
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

Everything is kept in ${dataDir}. Ctrl-C stops the house in good order.

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
  ] = await Promise.all([
    import('./house.ts'),
    import('./runtime/config.ts'),
    import('./runtime/clock.ts'),
    import('./runtime/logger.ts'),
    import('./runtime/metrics.ts'),
  ])
  try {
    const config = loadConfig(houseSections, {
      env: process.env,
      known: clientVariables,
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
    await new Promise<void>((resolve) => {
      if (stopping.signal.aborted) resolve()
      stopping.signal.addEventListener('abort', () => resolve(), { once: true })
    })
    if (process.stdout.isTTY)
      process.stderr.write('martillo: telling bidders and stopping; Ctrl-C again to stop at once\n')
    const faults = await house.stop()
    if (faults.length > 0)
      throw new CliFailure(exitCodes.refused, faults.map((fault) => fault.message).join('; '))
  } catch (error) {
    throw startFailure(error)
  }
}

/** `martillo check-config`: every setting with its meaning and value, or what is wrong with it. */
async function checkConfig(options: { readonly json?: true }): Promise<void> {
  const [{ houseSections }, { describeConfig, loadConfig }] = await Promise.all([
    import('./house.ts'),
    import('./runtime/config.ts'),
  ])
  let loaded: ReturnType<typeof loadConfig<typeof houseSections>>
  try {
    loaded = loadConfig(houseSections, { env: process.env, known: clientVariables })
  } catch (error) {
    throw startFailure(error)
  }
  for (const line of describeConfig(houseSections, loaded)) {
    if (options.json === true) process.stdout.write(`${JSON.stringify(line)}\n`)
    else {
      const given = line.value === line.default ? '' : ` (default ${line.default ?? 'none'})`
      process.stdout.write(`${line.variable}=${line.value ?? ''}${given}\n    ${line.doc} [${line.kind}]\n`)
    }
  }
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
    .option('--json', 'print machine-readable lines')
    .action(checkConfig)
}

const argv = process.argv.slice(2)
const isClientVerb = argv[0] !== 'start'
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

process.exit(await run(argv, io, registerRoleVerbs))
