/**
 * `martillo server`: one gateway, with the state in other processes. Invariant: it serves once a state node has
 * answered; where no queue is named, notifications stay in the outbox, and the log says so.
 * All servers need one secret for tokens: MARTILLO_JWT_SECRET, or one data folder's jwt.secret copied to each.
 * What buyers verify their webhooks with is told where it is known: see notifier.ts beside this.
 * Environment, signals and exits are main.ts's. Source: docs/design.md, "Processes".
 */
import { randomBytes } from 'node:crypto'
import { type Heart, startHeart } from '../monitor/index.ts'
import {
  notifierConfig,
  type OpenSink,
  openSink,
  sharedWebhookKey,
  webhookSecretOf,
} from '../notifier/index.ts'
import type { ServerId } from '../protocol/ids.ts'
import type { Clock } from '../runtime/clock.ts'
import { ConfigError, type LoadedConfig } from '../runtime/config.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Metrics } from '../runtime/metrics.ts'
import { startServices } from '../runtime/services.ts'
import { type RunningServer, serverSection, startServer } from '../server/index.ts'
import {
  type Address,
  connectCluster,
  type RemoteCluster,
  systemTiming,
  tcpDial,
} from '../state-cluster/index.ts'
import {
  addressOf,
  monitorsSection,
  roleSection,
  stateNodesSection,
  tcpOptionsOf,
  tlsSection,
} from './settings.ts'
import type { RunningRole } from './state.ts'

export const serverSections = {
  process: roleSection,
  server: serverSection,
  link: stateNodesSection,
  watch: monitorsSection,
  notifier: notifierConfig,
  tls: tlsSection,
}

export interface ServerRoleOptions {
  readonly config: LoadedConfig<typeof serverSections>
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly webDir: string
}

const startDeadlineMs = 60_000
const stopDeadlineMs = 30_000

export async function startServerRole(options: ServerRoleOptions): Promise<RunningRole> {
  const { config, clock, logger, metrics } = options
  const nodes = config.link.stateNodes.map((entry) => addressOf(entry) as Address)
  if (nodes.length === 0) throw new ConfigError(['state nodes are missing: give --state host:port,host:port'])
  const tcp = await tcpOptionsOf(config.tls)
  let cluster: RemoteCluster
  let sink: OpenSink | undefined
  let server: RunningServer
  let heart: Heart | undefined
  const instance = `${config.server.serverId}.${randomBytes(4).toString('hex')}`
  const services = await startServices(
    [
      {
        name: 'link',
        startDeadlineMs,
        stopDeadlineMs,
        async start() {
          cluster = await connectCluster({
            nodes,
            dial: tcpDial(tcp),
            timing: { ...systemTiming, clock },
            instance,
            limits: { startTimeoutMs: startDeadlineMs / 2 },
            fault: (node, cause) =>
              logger.warn('state_node_fault', {
                node: `${node.host}:${node.port}`,
                code: cause.code,
                reason: cause.message,
              }),
          })
        },
        stop: async () => await cluster?.close(),
      },
      {
        name: 'queue',
        startDeadlineMs,
        stopDeadlineMs,
        async start() {
          if (config.notifier.sqsQueueUrl === undefined) {
            logger.warn('notifications_kept', { reason: 'SQS_QUEUE_URL is not set: they stay in the outbox' })
          } else
            sink = await openSink({ config: config.notifier, clock, logger, metrics, random: Math.random })
        },
        stop: async () => await sink?.close(),
      },
      {
        name: 'server',
        startDeadlineMs,
        stopDeadlineMs: stopDeadlineMs + config.server.drainGraceMs,
        async start() {
          const { webDir } = options
          const key = sharedWebhookKey(config.notifier, config.server.jwtSecret)
          server = await startServer({
            config: config.server,
            cluster,
            clock,
            logger,
            metrics,
            webDir,
            ...(sink === undefined ? {} : { sink }),
            ...(key === undefined ? {} : { webhookSecretOf: (buyerId) => webhookSecretOf(key, buyerId) }),
          })
          const { load } = server
          heart = startHeart({
            monitors: config.watch.monitors.map((entry) => addressOf(entry) as Address),
            serverId: config.server.serverId as ServerId,
            instance,
            dial: tcpDial(tcp),
            clock,
            random: Math.random,
            load,
          })
        },
        async stop() {
          heart?.leave()
          await server?.drain()
          await server?.close()
          heart?.close()
        },
      },
    ],
    { clock, logger },
  )
  const { serverId, dataDir } = config.server
  return {
    // biome-ignore lint/style/noNonNullAssertion: every service has started
    facts: { url: server!.url, serverId, dataDir },
    stop: () => services.stop(),
  }
}
