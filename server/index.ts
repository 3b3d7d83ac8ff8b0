/**
 * The server's door: everything of one gateway process, or of the server's role in the all-in-one, put together
 * and started. Invariant: once `startServer` resolves, the port is open and every part runs; once `close`
 * resolves, none does and the port is free; a start that fails leaves nothing behind. Reading the environment,
 * signals and exits are `main.ts`'s. Source: docs/design.md, "Processes".
 */
import { join } from 'node:path'
import type { GroupId, ServerId, SubjectId } from '../protocol/ids.ts'
import { messageBytesMax } from '../protocol/limits.ts'
import { InvariantError } from '../runtime/assert.ts'
import type { CancelTimer, Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Metrics } from '../runtime/metrics.ts'
import { type Cluster, ClusterError, type FeedBatch } from '../state-cluster/index.ts'
import { Admission } from './access/admission.ts'
import { jwksFromFile, Tokens } from './access/auth.ts'
import { keepOperatorToken, keepSecret } from './access/secrets.ts'
import type { Edge } from './carrier/socket.ts'
import { openEdge } from './carrier/uws.ts'
import type { ServerConfig } from './config.ts'
import { Conductor } from './duties/conductor.ts'
import { type NotificationSink, Publisher } from './duties/publisher.ts'
import { clusterFault } from './http/answers.ts'
import { Http } from './http/http.ts'
import { loadPages } from './http/pages.ts'
import { routes } from './http/routes.ts'
import { serverMetrics } from './metrics.ts'
import { Tally } from './tally.ts'
import { warmUp } from './warm-up.ts'
import { FanOut } from './ws/fan-out.ts'
import { frameHandlers, refuse } from './ws/frame-handlers.ts'
import { Gateway } from './ws/gateway.ts'
import type { Session } from './ws/session.ts'

export { SecretFileError } from './access/secrets.ts'
export { ListenError } from './carrier/socket.ts'
export { EdgeUnavailableError } from './carrier/uws.ts'
export { type ServerConfig, serverSection } from './config.ts'
export type { NotificationSink } from './duties/publisher.ts'

export interface ServerOptions {
  readonly config: ServerConfig
  readonly cluster: Cluster
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  /** Absent: this server publishes no notifications; they stay in the outbox. */
  readonly sink?: NotificationSink
  /** With what a buyer's notifications are signed; absent: buyers are not told. */
  readonly webhookSecretOf?: (buyerId: SubjectId) => string
  /** Folder of the built web page; absent or not there: none is served. */
  readonly webDir?: string
}

export interface RunningServer {
  /** Where clients connect, as `http://127.0.0.1:8080`. */
  readonly url: string
  /**
   * Ends the service in good order: not ready, `drain` to every socket, after the grace (or when all are gone) no
   * new connections and 1012 to whoever is left. Once only; further calls await the first.
   */
  drain(): Promise<void>
  /** Stops everything, without grace unless drained before. */
  close(): Promise<void>
  /** For whoever watches over it: what it has to do, and the epoch that it acts under in each group. */
  load(): ServerLoad
}

export interface ServerLoad {
  readonly sockets: number
  readonly epochs: readonly { readonly groupId: GroupId; readonly epoch: number }[]
}

/** Rejects with `ListenError`, `EdgeUnavailableError` or `SecretFileError`; nothing runs then. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { config, cluster, clock, logger } = options
  const tokens = await openTokens(options)
  const page = options.webDir === undefined ? () => undefined : await loadPages(options.webDir)

  let edge: Edge | undefined
  let isDraining = false
  let isEnding = false
  const admission = new Admission(config)
  const metrics = serverMetrics(options.metrics, {
    sockets: () => gateway.sessionCount,
    subscriptions: () => fanOut.subscriptionCount,
    ready: () => !isDraining && cluster.status().ready,
  })
  /** What no client can be blamed for. A broken invariant ends the process; the rest is logged and counted. */
  const fault = (error: unknown, where: string): void => {
    metrics.faults.add(1)
    logger.error('handler_failed', { where, error })
    if (error instanceof InvariantError)
      setImmediate(() => {
        throw error
      })
  }

  const fanOut: FanOut = new FanOut({
    cluster,
    clock,
    subscriptionsMax: config.subscriptionsMax,
    publish: (topic, message) => edge?.publish(topic, message),
    // The carrier sweeps at the end of each turn: after two more turns everything from before has gone out.
    afterSweep: (work) => setImmediate(() => setImmediate(work)),
    readFailed: (session, replyTo, error) => {
      const code = clusterFault(error)
      if (code === undefined) fault(error, 'subscribe')
      if (replyTo === undefined) session.close(1011)
      else refuse(session, replyTo, code ?? 'internal', 'the auction could not be read; ask again')
    },
    resynced: () => metrics.resyncs.add(1),
  })
  const bids = new Tally(clock)
  const gateway: Gateway = new Gateway({
    config,
    clock,
    tokens,
    admission,
    fanOut,
    metrics,
    fault,
    handlers: frameHandlers({
      cluster,
      clock,
      admission,
      fanOut,
      metrics,
      pending: bids,
      isEnding: () => isEnding,
      limits: config,
    }),
    bufferedBytesMax: config.bufferedBytesMax,
    queuedBytesMax: config.queuedBytesMax,
    defer: (work) => process.nextTick(work),
  })

  const parts = cluster.groups.map((groupId) => {
    const shared = { cluster, clock, logger, metrics, serverId: config.serverId as ServerId, groupId, fault }
    const conductor = new Conductor(shared)
    const { sink } = options
    const publisher =
      sink === undefined
        ? undefined
        : new Publisher({
            ...shared,
            sink,
            windowMax: config.publishWindow,
            epoch: () => conductor.epoch,
          })
    return { groupId, conductor, publisher }
  })

  const http = new Http({
    config,
    clock,
    tokens,
    admission,
    metrics,
    page,
    routes: routes({
      config,
      cluster,
      clock,
      tokens,
      admission,
      registry: options.metrics,
      metrics,
      isDraining: () => isDraining,
      ...(options.webhookSecretOf === undefined ? {} : { webhookSecretOf: options.webhookSecretOf }),
      dueAt: (auctionId, atMs) => {
        const groupId = cluster.groupOf(auctionId)
        for (const part of parts) if (part.groupId === groupId) part.conductor.dueAt(atMs)
      },
    }),
  })

  const ends = parts.map(({ groupId, conductor, publisher }) =>
    cluster.subscribe(
      groupId,
      (batch: FeedBatch) => {
        metrics.events.add(batch.events.length)
        fanOut.deliver(batch)
        conductor.observe(batch)
        if (batch.hasOutboxEntries) publisher?.wake()
        if (batch.gained?.includes(config.serverId as ServerId) === true) publisher?.gained()
      },
      // Events and private frames are gone that sockets were promised: their clients resume from where they are.
      (gap) => {
        logger.warn('feed_gap', { ...gap, sockets: gateway.sessionCount })
        gateway.closeAll(1012)
        conductor.pulseNow()
        publisher?.gained()
      },
    ),
  )

  try {
    await warmUp(tokens)
    edge = await openEdge<Session>(
      {
        host: config.host,
        port: config.port,
        socketPath: '/ws',
        messageBytesMax,
        bufferedBytesMax: config.bufferedBytesMax,
        idleTimeoutSeconds: backstopSeconds(config.heartbeatMs),
        clock,
      },
      {
        http: (exchange) => http.answer(exchange),
        upgrade: (request) => gateway.upgrade(request),
        open: (session, socket) => gateway.open(session, socket),
        message: (session, bytes, isBinary) => gateway.message(session, bytes, isBinary),
        drain: (session) => gateway.drained(session),
        dropped: (session, bytes, isBinary) => gateway.dropped(session, bytes, isBinary),
        pong: (session) => gateway.heard(session),
        close: (session, code) => gateway.closed(session, code),
        fault,
      },
    )
  } catch (error) {
    for (const end of ends) end()
    throw error
  }
  const open = edge
  for (const { conductor, publisher } of parts) {
    conductor.start()
    publisher?.start()
  }
  let cancelTending: CancelTimer = () => undefined
  const tend = (): void => {
    gateway.tend()
    cancelTending = clock.setTimer(Math.max(25, config.heartbeatMs / 4), tend)
  }
  tend()
  const url = urlOf(open)
  logger.info('server_listening', { url, serverId: config.serverId })

  const release = async (): Promise<void> => {
    hasReleased = true
    await Promise.all(
      parts.map(async ({ conductor, publisher }) => {
        await publisher?.stop()
        await conductor.release()
      }),
    )
  }
  /** Whether somebody else is there to go on with what this server owns. */
  const hasHeir = async (): Promise<boolean> => {
    try {
      const all = await Promise.all(cluster.groups.map((groupId) => cluster.owners(groupId)))
      return all.every(({ servers }) =>
        servers.some(({ serverId, standing }) => standing === 'live' && serverId !== config.serverId),
      )
    } catch (error) {
      if (error instanceof ClusterError) return false
      throw error
    }
  }
  const drain = async (graceMs: number): Promise<void> => {
    isDraining = true
    http.isDraining = true
    logger.info('server_draining', { graceMs, sockets: gateway.sessionCount })
    gateway.announceDrain(graceMs)
    const released = hasHeir().then((isThere) => (isThere ? release() : undefined))
    await gateway.untilEmpty(graceMs)
    await released
    open.stopListening()
    isEnding = true
    await Promise.all([bids.untilZero(closeGraceMs), http.untilIdle(closeGraceMs)])
    gateway.closeAll(1012)
    await gateway.untilEmpty(closeGraceMs)
  }
  let hasReleased = false
  let draining: Promise<void> | undefined
  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    draining ??= drain(0)
    await draining
    if (!hasReleased) await release()
    for (const end of ends) end()
    cancelTending()
    open.close()
    logger.info('server_closed', { url })
  }
  return {
    url,
    drain() {
      draining ??= drain(config.drainGraceMs)
      return draining
    },
    close() {
      closing ??= close()
      return closing
    },
    load: () => ({
      sockets: gateway.sessionCount,
      epochs: parts.flatMap(({ groupId, conductor: { epoch } }) =>
        epoch === undefined ? [] : [{ groupId, epoch }],
      ),
    }),
  }
}

/** For the last bytes to leave before connections are dropped. */
const closeGraceMs = 5000

/** The carrier's own timeout comes after ours, which sends a close code: three heartbeats, within its range. */
function backstopSeconds(heartbeatMs: number): number {
  return Math.min(960, Math.max(8, Math.ceil((3 * heartbeatMs) / 1000)))
}

function urlOf({ host, port }: Edge): string {
  if (host === '0.0.0.0') return `http://127.0.0.1:${port}`
  if (host === '::') return `http://[::1]:${port}`
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

async function openTokens({ config, clock, logger }: ServerOptions): Promise<Tokens> {
  const secret =
    config.jwtSecret === undefined
      ? await keepSecret(join(config.dataDir, 'jwt.secret'), logger)
      : Buffer.from(config.jwtSecret, 'base64url')
  const jwks =
    config.jwksUrl === undefined
      ? config.jwksFile === undefined
        ? undefined
        : await jwksFromFile(config.jwksFile)
      : { url: config.jwksUrl }
  const tokens = new Tokens({
    secret,
    audience: config.tokenAudience,
    ...(jwks === undefined ? {} : { jwks }),
    ...(config.tokenIssuer === undefined ? {} : { issuer: config.tokenIssuer }),
    toleranceSeconds: config.tokenToleranceSeconds,
    cacheMax: config.tokensCachedMax,
    clock,
  })
  await keepOperatorToken(join(config.dataDir, 'operator.token'), tokens, clock.nowMs())
  return tokens
}
