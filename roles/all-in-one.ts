/**
 * The house on one machine: replica, notifier and server in this process, started in that order and stopped in
 * the reverse one. Invariant: nobody is served before the state is loaded, and the state outlives whoever uses
 * it; a start that fails leaves nothing running and nothing locked. Environment, signals and exits are main.ts's.
 * Source: docs/design.md, "Processes".
 */
import { fileURLToPath } from 'node:url'
import {
  type NotifierConfig,
  notifierConfig,
  type RunningNotifier,
  startNotifier,
} from '../notifier/index.ts'
import type { Clock } from '../runtime/clock.ts'
import { configSection } from '../runtime/config.ts'
import { type Logger, logLevels } from '../runtime/logger.ts'
import type { Metrics } from '../runtime/metrics.ts'
import { startServices } from '../runtime/services.ts'
import { type RunningServer, type ServerConfig, serverSection, startServer } from '../server/index.ts'
import { type LocalCluster, openLocalCluster, type StartProgress } from '../state-cluster/index.ts'

const processSection = configSection('process', {
  logLevel: {
    kind: 'choice',
    choices: logLevels,
    doc: 'Least important log line written; not set: warn for `martillo start`',
  },
})

const stateSection = configSection('state', {
  groupCount: {
    kind: 'integer',
    min: 1,
    max: 1024,
    default: 1,
    doc: 'Raft groups of a new data folder; an existing one keeps its number',
  },
})

/** The settings of every role that the house runs. */
export const houseSections = {
  process: processSection,
  server: serverSection,
  state: stateSection,
  notifier: notifierConfig,
}

export interface HouseOptions {
  readonly config: {
    readonly server: ServerConfig
    readonly state: { readonly groupCount: number }
    readonly notifier: NotifierConfig
  }
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly onProgress: (progress: StartProgress) => void
  /** Nothing is answered any more: end the process. */
  readonly onFatal: (error: Error) => void
}

export interface RunningHouse {
  readonly url: string
  /** Tells bidders, lets them finish, stops everything. Resolves with the faults of what would not stop. */
  stop(): Promise<readonly Error[]>
}

/** Loading a state of millions of auctions takes minutes; the other starts are bounded by their own retries. */
const loadDeadlineMs = 60 * 60_000
const startDeadlineMs = 60_000
const stopDeadlineMs = 30_000

const loopback = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/

/** The built page: beside the compiled `house.js`, or in dist/ when run from source. */
function webDir(): string {
  return fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? '../dist/web' : '../web', import.meta.url))
}

/** Rejects with the error of whatever could not be started, everything else stopped. */
export async function startHouse(options: HouseOptions): Promise<RunningHouse> {
  const { config, clock, logger, metrics } = options
  const { dataDir, host } = config.server
  let cluster: LocalCluster
  let notifier: RunningNotifier
  let server: RunningServer
  const services = await startServices(
    [
      {
        name: 'state',
        startDeadlineMs: loadDeadlineMs,
        stopDeadlineMs,
        async start() {
          const { groupCount } = config.state
          const { onProgress, onFatal } = options
          cluster = await openLocalCluster({ dataDir, clock, groupCount, onProgress, onFatal })
        },
        stop: async () => await cluster?.close(),
      },
      {
        name: 'notifier',
        startDeadlineMs,
        stopDeadlineMs,
        async start() {
          notifier = await startNotifier({
            config: config.notifier,
            dataFolder: dataDir,
            clock,
            logger: logger.child({ role: 'notifier' }),
            metrics,
            random: Math.random,
            exposed: !loopback.test(host),
          })
        },
        stop: async () => await notifier?.stop(),
      },
      {
        name: 'server',
        startDeadlineMs,
        stopDeadlineMs: stopDeadlineMs + config.server.drainGraceMs,
        async start() {
          server = await startServer({
            config: config.server,
            cluster,
            clock,
            logger: logger.child({ role: 'server' }),
            metrics,
            sink: notifier.sink,
            webhookSecretOf: (buyerId) => notifier.webhookSecretOf(buyerId),
            webDir: webDir(),
          })
        },
        async stop() {
          await server?.drain()
          await server?.close()
        },
      },
    ],
    { clock, logger },
  )
  // biome-ignore lint/style/noNonNullAssertion: every service has started
  return { url: server!.url, stop: () => services.stop() }
}
