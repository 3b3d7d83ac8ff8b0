/**
 * One gateway, put together from its parts, started, drained and closed.
 *
 * ```
 *   carrier ─► Gateway (sockets) ─► FanOut ◄─ feed ─► GroupDuties (conductor, publisher)
 *          └─► Http (routes)
 * ```
 *
 * Invariant: the port is open only while every part runs; a start that fails ends its subscriptions. Leaves what a
 * frame or a request does to ws/ and http/, and the rules to the machine. Source: docs/design.md, "Processes".
 */
import { join } from 'node:path'
import type { GroupId, ServerId, SubjectId } from '../protocol/ids.ts'
import { messageBytesMax } from '../protocol/limits.ts'
import { InvariantError } from '../runtime/assert.ts'
import type { CancelTimer, Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Metrics } from '../runtime/metrics.ts'
import { type Cluster, ClusterError } from '../state-cluster/index.ts'
import { Admission } from './access/admission.ts'
import type { Tokens } from './access/auth.ts'
import { keepOperatorToken } from './access/secrets.ts'
import { openEdge } from './carrier/open-edge.ts'
import type { Edge, EdgeHandlers } from './carrier/socket.ts'
import type { ServerConfig } from './config.ts'
import { GroupDuties } from './duties/group-duties.ts'
import { HouseTime } from './duties/house-time.ts'
import type { NotificationSink } from './duties/publisher.ts'
import { clusterFault } from './http/answers.ts'
import { Http } from './http/http.ts'
import { loadPages, type Pages } from './http/pages.ts'
import { routes } from './http/routes.ts'
import { type ServerMetrics, serverMetrics } from './metrics.ts'
import { Revocations } from './revocations.ts'
import { Tally } from './tally.ts'
import { openTokens } from './tokens.ts'
import { warmUp } from './warm-up.ts'
import { FanOut } from './ws/fan-out.ts'
import { frameHandlers, refuse } from './ws/frame-handlers.ts'
import { Gateway } from './ws/gateway.ts'
import type { SocketSession } from './ws/socket-session.ts'

/** Time for the last bytes to be sent before connections are dropped. */
const closeGraceMs = 5000
/** The shortest pause between two checks of the sockets; usually it is a quarter of a heartbeat. */
const tendMsMin = 25

export interface ServerOptions {
  readonly config: ServerConfig
  readonly cluster: Cluster
  readonly clock: Clock
  /** 0 to below 1, for jitter. */
  readonly random: () => number
  readonly logger: Logger
  readonly metrics: Metrics
  /** Absent: this server publishes no notifications; they stay in the outbox. */
  readonly sink?: NotificationSink
  /** The secret that signs a buyer's notifications. Absent: registration returns none. */
  readonly webhookSecretOf?: (buyerId: SubjectId) => string
  /** Folder of the built web page. Absent or missing: none is served. */
  readonly webDir?: string
}

export interface RunningServer {
  /** Where clients connect, as `http://127.0.0.1:8080`. */
  readonly url: string
  /**
   * Stops serving: the server is not ready, and `drain` goes to every socket. After the grace, or when no socket is
   * left, it accepts no new connections and closes the remaining sockets with 1012. Further calls await the first.
   */
  drain(): Promise<void>
  /** Stops everything, without grace unless drained before. */
  close(): Promise<void>
  /** The report to the monitors: number of sockets, and the epoch in each group. */
  load(): ServerLoad
}

export interface ServerLoad {
  readonly sockets: number
  readonly epochs: readonly { readonly groupId: GroupId; readonly epoch: number }[]
}

/** Rejects with `ListenError`, `EdgeUnavailableError` or `SecretFileError`; nothing runs then. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const tokens = await openTokens(options)
  const page: Pages = options.webDir === undefined ? () => undefined : await loadPages(options.webDir)
  const server = new Server(options, tokens, page)
  await server.open()
  // Bound methods, because callers pass them as functions.
  return {
    url: server.url,
    drain: () => server.drain(),
    close: () => server.close(),
    load: () => server.load(),
  }
}

class Server {
  readonly #options: ServerOptions
  readonly #tokens: Tokens
  readonly #admission: Admission
  readonly #metrics: ServerMetrics
  readonly #fanOut: FanOut
  readonly #gateway: Gateway
  readonly #http: Http
  readonly #groups: readonly GroupDuties[]
  /** For what clients hear of the time. */
  readonly #houseTime: HouseTime
  readonly #revocations: Revocations
  /** Bids in progress. */
  readonly #bids: Tally
  #endFeeds: readonly (() => void)[] = []
  #edge: Edge | undefined
  #cancelTending: CancelTimer = () => undefined
  #isDraining = false
  /** Whether new bids are refused. */
  #isEnding = false
  #hasReleased = false
  #draining: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor(options: ServerOptions, tokens: Tokens, page: Pages) {
    const { config, cluster, clock } = options
    this.#options = options
    this.#tokens = tokens
    this.#admission = new Admission(config)
    this.#bids = new Tally(clock)
    this.#houseTime = new HouseTime(clock)
    this.#metrics = serverMetrics(options.metrics, {
      sockets: () => this.#gateway.sessionCount,
      subscriptions: () => this.#fanOut.subscriptionCount,
      ready: () => !this.#isDraining && cluster.status().ready,
    })
    this.#fanOut = this.#newFanOut()
    this.#gateway = this.#newGateway()
    this.#groups = cluster.groups.map((groupId) => this.#newDuties(groupId))
    this.#revocations = this.#newRevocations()
    this.#http = this.#newHttp(page)
  }

  get url(): string {
    const { host, port } = this.#edge as Edge
    if (host === '0.0.0.0') return `http://127.0.0.1:${port}`
    if (host === '::') return `http://[::1]:${port}`
    return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
  }

  /** Follows the feeds, opens the port, and begins the duties. A failed start leaves nothing running. */
  async open(): Promise<void> {
    const { config, logger } = this.#options
    this.#endFeeds = this.#groups.map((group) => this.#follow(group))
    try {
      await this.#revocations.look()
      await warmUp(this.#tokens)
      this.#edge = await this.#openEdge()
    } catch (error) {
      for (const end of this.#endFeeds) end()
      throw error
    }
    for (const group of this.#groups) group.start()
    this.#tend()
    this.#revocations.start()
    logger.info('server_listening', {
      url: this.url,
      serverId: config.serverId,
      carrier: this.#edge.carrier,
    })
  }

  drain(): Promise<void> {
    return this.#drainOnce(this.#options.config.drainGraceMs)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  load(): ServerLoad {
    return {
      sockets: this.#gateway.sessionCount,
      epochs: this.#groups.flatMap(({ groupId, epoch }) => (epoch === undefined ? [] : [{ groupId, epoch }])),
    }
  }

  // ── Parts ──────────────────────────────────────────────────────────────────────────────────────────

  #newFanOut(): FanOut {
    const { cluster, config } = this.#options
    return new FanOut({
      cluster,
      clock: this.#houseTime,
      subscriptionsMax: config.subscriptionsMax,
      publish: (topic, message) => this.#edge?.publish(topic, message),
      // The carrier sweeps at the end of each turn, so after two more turns all earlier messages are handed over.
      afterSweep: (work) => setImmediate(() => setImmediate(work)),
      readFailed: (session, replyTo, error) => {
        const code = clusterFault(error)
        if (code === undefined) this.#fault(error, 'subscribe')
        if (replyTo === undefined) session.close(1011)
        else {
          const message = 'the auction could not be read; subscribe again'
          refuse(session, replyTo, { code: code ?? 'internal', message })
        }
      },
      resynced: () => this.#metrics.resyncs.add(1),
    })
  }

  #newGateway(): Gateway {
    const { config, cluster } = this.#options
    const shared = {
      clock: this.#houseTime,
      admission: this.#admission,
      fanOut: this.#fanOut,
      metrics: this.#metrics,
    }
    return new Gateway({
      ...shared,
      config,
      tokens: this.#tokens,
      fault: this.#fault,
      handlers: frameHandlers({
        ...shared,
        cluster,
        pending: this.#bids,
        isEnding: () => this.#isEnding,
        limits: config,
      }),
      bufferedBytesMax: config.bufferedBytesMax,
      queuedBytesMax: config.queuedBytesMax,
      defer: (work) => process.nextTick(work),
    })
  }

  #newDuties(groupId: GroupId): GroupDuties {
    const { config, cluster, clock, random, logger, sink } = this.#options
    return new GroupDuties({
      cluster,
      clock,
      random,
      logger,
      metrics: this.#metrics,
      serverId: config.serverId as ServerId,
      groupId,
      // The groups of a house keep the same time; one is enough.
      ...(groupId === cluster.groups[0] && {
        stamped: (stampMs: number, heardMs: number) => this.#houseTime.stamped(stampMs, heardMs),
      }),
      fault: this.#fault,
      sink,
      windowMax: config.publishWindow,
    })
  }

  #newRevocations(): Revocations {
    const { config, cluster, clock } = this.#options
    return new Revocations({
      cluster,
      clock,
      tokens: this.#tokens,
      changed: () => this.#gateway.tend(),
      keepOperatorToken: () =>
        keepOperatorToken(join(config.dataDir, 'operator.token'), this.#tokens, clock.nowMs()),
      fault: this.#fault,
    })
  }

  #newHttp(page: Pages): Http {
    const { config, cluster, clock, metrics: registry, webhookSecretOf } = this.#options
    const shared = {
      config,
      clock,
      tokens: this.#tokens,
      admission: this.#admission,
      metrics: this.#metrics,
    }
    return new Http({
      ...shared,
      page,
      routes: routes({
        ...shared,
        cluster,
        registry,
        isDraining: () => this.#isDraining,
        revoked: () => this.#revocations.look(),
        ...(webhookSecretOf === undefined ? {} : { webhookSecretOf }),
        dueAt: (auctionId, atMs) => {
          const groupId = cluster.groupOf(auctionId)
          this.#groups.find((group) => group.groupId === groupId)?.dueAt(atMs)
        },
      }),
    })
  }

  #openEdge(): Promise<Edge> {
    const { config, clock, logger } = this.#options
    const gateway = this.#gateway
    const handlers: EdgeHandlers<SocketSession> = {
      http: (exchange) => this.#http.answer(exchange),
      upgrade: (request) => gateway.upgrade(request),
      open: (session, socket) => gateway.open(session, socket),
      message: (session, bytes, isBinary) => gateway.message(session, bytes, isBinary),
      drain: (session) => gateway.drained(session),
      dropped: (session, bytes, isBinary) => gateway.dropped(session, bytes, isBinary),
      ping: (session) => gateway.control(session),
      pong: (session) => gateway.control(session),
      close: (session, code) => gateway.closed(session, code),
      fault: this.#fault,
    }
    return openEdge<SocketSession>(
      { carrier: config.carrier, warn: (cost) => logger.warn('slow_carrier', { ...cost }) },
      {
        host: config.host,
        port: config.port,
        socketPath: '/ws',
        messageBytesMax,
        bufferedBytesMax: config.bufferedBytesMax,
        messageTimeoutMs: config.bodyTimeoutMs,
        idleTimeoutSeconds: backstopSeconds(config.heartbeatMs),
        clock,
      },
      handlers,
    )
  }

  #follow(group: GroupDuties): () => void {
    const { cluster, logger } = this.#options
    return cluster.subscribe(
      group.groupId,
      (batch) => {
        this.#metrics.events.add(batch.events.length)
        this.#fanOut.deliver(batch)
        group.observe(batch)
      },
      // Events and private frames are missing, so all sockets are closed and their clients resume.
      (gap) => {
        logger.warn('feed_gap', { ...gap, sockets: this.#gateway.sessionCount })
        this.#gateway.closeAll(1012)
        group.missed()
      },
    )
  }

  #tend(): void {
    const { clock, config } = this.#options
    this.#gateway.tend()
    this.#cancelTending = clock.setTimer(Math.max(tendMsMin, config.heartbeatMs / 4), () => this.#tend())
  }

  /** Logs and counts an unexpected error. A broken invariant ends the process. */
  readonly #fault = (error: unknown, where: string): void => {
    this.#metrics.faults.add(1)
    this.#options.logger.error('handler_failed', { where, error })
    if (error instanceof InvariantError)
      setImmediate(() => {
        throw error
      })
  }

  // ── The end ────────────────────────────────────────────────────────────────────────────────────────

  #drainOnce(graceMs: number): Promise<void> {
    this.#draining ??= this.#drain(graceMs)
    return this.#draining
  }

  async #drain(graceMs: number): Promise<void> {
    const gateway = this.#gateway
    this.#isDraining = true
    this.#http.isDraining = true
    this.#options.logger.info('server_draining', { graceMs, sockets: gateway.sessionCount })
    gateway.announceDrain(graceMs)
    const released = this.#hasSuccessor().then((isThere) => (isThere ? this.#release() : undefined))
    await gateway.untilEmpty(graceMs)
    await released
    this.#edge?.stopListening()
    this.#isEnding = true
    await Promise.all([this.#bids.untilZero(closeGraceMs), this.#http.untilIdle(closeGraceMs)])
    gateway.closeAll(1012)
    await gateway.untilEmpty(closeGraceMs)
  }

  async #close(): Promise<void> {
    const { url } = this
    await this.#drainOnce(0)
    if (!this.#hasReleased) await this.#release()
    for (const end of this.#endFeeds) end()
    this.#cancelTending()
    this.#revocations.close()
    this.#edge?.close()
    this.#options.logger.info('server_closed', { url })
  }

  async #release(): Promise<void> {
    this.#hasReleased = true
    await Promise.all(this.#groups.map((group) => group.release()))
  }

  /** Whether another live server can take over this server's auctions. */
  async #hasSuccessor(): Promise<boolean> {
    const { cluster, config } = this.#options
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
}

/** The carrier's own timeout: three heartbeats, within its range, so that ours, which sends a close code, is earlier. */
function backstopSeconds(heartbeatMs: number): number {
  return Math.min(960, Math.max(8, Math.ceil((3 * heartbeatMs) / 1000)))
}
