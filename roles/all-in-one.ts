/**
 * `martillo start`: the whole house on one machine, in this process.
 * State, notifier and server start in that order and stop in the reverse one.
 * Invariant: nobody is served before the state is loaded, and the state is closed after all that uses it. A start
 * that fails leaves nothing running and nothing locked. Source: docs/design.md, "Processes".
 */
import { notifierConfig, startNotifier } from '../notifier/index.ts'
import { choice, configSection, integer, type LoadedConfig } from '../runtime/config.ts'
import { logLevels } from '../runtime/logger.ts'
import { isLoopback } from '../runtime/networks.ts'
import { type StartService, startServices } from '../runtime/services.ts'
import { type RunningServer, serverSection, startServer } from '../server/index.ts'
import { openSingleNode } from '../state-cluster/index.ts'
import { rareEvents } from './rare-events.ts'
import { defineRole, type RoleOptions } from './role.ts'
import { acceptClockSetting, deadlines, webDir } from './settings.ts'

const processSection = configSection('process', {
  logLevel: {
    is: choice(logLevels).optional(),
    doc: 'Least important log line written; not set: warn for `martillo start`',
  },
})

const stateSection = configSection('state', {
  groupCount: {
    is: integer(1, 1024).default(1),
    doc: 'Raft groups of a new data folder; an existing one keeps its number',
  },
  acceptClock: acceptClockSetting,
})

const sections = {
  process: processSection,
  server: serverSection,
  state: stateSection,
  notifier: notifierConfig,
}

export const allInOne = defineRole({
  name: 'house',
  sections,
  logLevel: 'warn',
  async start(options) {
    const { clock, logger, config } = options
    const { started, stop } = await startServices({ clock, logger }, (start) => startHouse(start, options))
    return { facts: { url: started.url, dataDir: config.server.dataDir }, stop }
  },
  greeting: ({ url, dataDir }) => `
Martillo is open at ${url}

  look    open that address in a browser
  sell    npx martillo auction create --title "A ship's clock" --opening 10
  bid     npx martillo bid ID 12.50
  watch   npx martillo watch ID

Everything is kept in ${dataDir}. Ctrl-C stops the house.

`,
})

/** Loading a state of millions of auctions takes minutes; the other starts are bounded by their own retries. */
const loadDeadlineMs = 60 * 60_000

async function startHouse(
  start: StartService,
  options: RoleOptions<LoadedConfig<typeof sections>>,
): Promise<RunningServer> {
  const { config, clock, logger, metrics, onProgress, onFatal } = options
  const { dataDir, host, drainGraceMs } = config.server
  const { groupCount, acceptClock } = config.state
  const onRare = rareEvents(options)
  const cluster = await start({
    ...deadlines,
    name: 'state',
    startDeadlineMs: loadDeadlineMs,
    start: () =>
      openSingleNode({
        dataDir,
        clock,
        groupCount,
        settings: { acceptClock },
        onRare,
        onProgress,
        onClock: (event, facts) => logger.warn(event, facts),
        onFatal,
      }),
    stop: (cluster) => cluster.close(),
  })
  const notifier = await start({
    ...deadlines,
    name: 'notifier',
    start: () =>
      startNotifier({
        config: config.notifier,
        dataFolder: dataDir,
        clock,
        logger: logger.child({ role: 'notifier' }),
        metrics,
        random: Math.random,
        exposed: !isLoopback(host),
      }),
    stop: (notifier) => notifier.stop(),
  })
  return await start({
    name: 'server',
    startDeadlineMs: deadlines.startDeadlineMs,
    stopDeadlineMs: deadlines.stopDeadlineMs + drainGraceMs,
    start: () =>
      startServer({
        config: config.server,
        cluster,
        clock,
        random: Math.random,
        logger: logger.child({ role: 'server' }),
        metrics,
        sink: notifier.sink,
        webhookSecretOf: (buyerId) => notifier.webhookSecretOf(buyerId),
        webDir,
      }),
    async stop(server) {
      await server.drain()
      await server.close()
    },
  })
}
