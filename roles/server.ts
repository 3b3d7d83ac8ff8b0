/**
 * `martillo server`: one server of a house in several processes.
 * All servers need one secret for tokens: MARTILLO_JWT_SECRET, or one data folder's jwt.secret copied to each.
 * Where it knows the webhook key (notifier.ts), it gives buyers the secret that verifies their webhooks.
 * Invariant: it serves after a state node has answered. Without a queue, notifications stay in the outbox, and the
 * log says so. Source: docs/design.md, "Processes".
 */
import { randomBytes } from 'node:crypto'
import { startHeartbeats } from '../monitor/index.ts'
import { notifierConfig, openSink, sharedWebhookKey, webhookSecretOf } from '../notifier/index.ts'
import type { ServerId } from '../protocol/ids.ts'
import type { LoadedConfig } from '../runtime/config.ts'
import type { Metrics } from '../runtime/metrics.ts'
import { type StartService, startServices } from '../runtime/services.ts'
import { type RunningServer, type ServerOptions, serverSection, startServer } from '../server/index.ts'
import { type CountLink, connectCluster } from '../state-cluster/index.ts'
import type { Address } from '../wire/stream.ts'
import { type TcpOptions, tcpDial } from '../wire/tcp.ts'
import { systemTiming } from '../wire/timing.ts'
import { defineRole, type RoleOptions } from './role.ts'
import {
  addressesOf,
  deadlines,
  linkFault,
  monitorsSection,
  roleSection,
  secretSection,
  stateNodesOf,
  stateNodesSection,
  tcpOptionsOf,
  tlsSection,
  warnIfOpen,
  webDir,
} from './settings.ts'

const sections = {
  process: roleSection,
  server: serverSection,
  link: stateNodesSection,
  watch: monitorsSection,
  notifier: notifierConfig,
  secret: secretSection,
  tls: tlsSection,
}

type Options = RoleOptions<LoadedConfig<typeof sections>>

export const serverRole = defineRole({
  name: 'server',
  sections,
  logLevel: 'info',
  async start(options) {
    const { config, clock, logger } = options
    const nodes = stateNodesOf(config.link)
    const tcp = await tcpOptionsOf(config)
    warnIfOpen(logger, tcp)
    const { started, stop } = await startServices({ clock, logger }, (start) =>
      startParts(start, options, { nodes, tcp }),
    )
    const { serverId, dataDir } = config.server
    return { facts: { url: started.url, serverId, dataDir }, stop }
  },
})

async function startParts(
  start: StartService,
  options: Options,
  { nodes, tcp }: { readonly nodes: readonly Address[]; readonly tcp: TcpOptions },
): Promise<RunningServer> {
  const { config, clock, logger, metrics } = options
  const instance = `${config.server.serverId}.${randomBytes(4).toString('hex')}`
  const cluster = await start({
    ...deadlines,
    name: 'link',
    start: () =>
      connectCluster({
        nodes,
        dial: tcpDial(tcp),
        timing: { ...systemTiming, clock },
        instance,
        principal: `server:${config.server.serverId}`,
        limits: { startTimeoutMs: deadlines.startDeadlineMs / 2 },
        fault: linkFault(logger, clock),
        count: linkCounter(metrics),
      }),
    stop: (cluster) => cluster.close(),
  })
  const sink = await start({
    ...deadlines,
    name: 'queue',
    async start() {
      if (config.notifier.sqsQueueUrl !== undefined)
        return await openSink({ ...options, config: config.notifier, random: Math.random })
      logger.warn('notifications_kept', { reason: 'SQS_QUEUE_URL is not set: they stay in the outbox' })
      return undefined
    },
    stop: async (sink) => await sink?.close(),
  })
  const { server } = await start({
    name: 'server',
    startDeadlineMs: deadlines.startDeadlineMs,
    stopDeadlineMs: deadlines.stopDeadlineMs + config.server.drainGraceMs,
    async start() {
      const server = await startServer(serverOptions(options, { cluster, sink }))
      const heartbeats = startHeartbeats({
        monitors: addressesOf(config.watch.monitors),
        serverId: config.server.serverId as ServerId,
        instance,
        dial: tcpDial(tcp),
        timing: { ...systemTiming, clock },
        load: server.load,
      })
      return { server, heartbeats }
    },
    async stop({ server, heartbeats }) {
      heartbeats.leave()
      await server.drain()
      await server.close()
      heartbeats.close()
    },
  })
  return server
}

/** Counts what the link to the state nodes sends again, and what it never hears of. */
function linkCounter(metrics: Metrics): CountLink {
  const repeats = metrics.counter({
    name: 'martillo_server_link_repeats_total',
    help: 'Commands that had to be sent to the state nodes again.',
  })
  const unknown = metrics.counter({
    name: 'martillo_server_link_unknown_outcomes_total',
    help: 'Commands of which it is not known whether they count.',
  })
  return (what, count) => (what === 'repeat' ? repeats : unknown).add(count)
}

function serverOptions(
  { config, clock, logger, metrics }: Options,
  { cluster, sink }: { cluster: ServerOptions['cluster']; sink: ServerOptions['sink'] },
): ServerOptions {
  const key = sharedWebhookKey(config.notifier, config.server.jwtSecret)
  return {
    config: config.server,
    cluster,
    clock,
    random: Math.random,
    logger,
    metrics,
    webDir,
    ...(sink === undefined ? {} : { sink }),
    ...(key === undefined ? {} : { webhookSecretOf: (buyerId) => webhookSecretOf(key, buyerId) }),
  }
}
