/**
 * The monitor: hands the auctions of dead servers over to live ones.
 *
 * It holds each group's lease or waits for it. While it holds the lease, it proposes one hand-over after another.
 * Invariant: it decides nothing and keeps nothing. The machine judges by stamps what a server owns, whether the lease
 * is still held, and what becomes of an auction. Everything that it loses when it ends is in the
 * state, or comes again with the next heartbeat. Source: docs/design.md, "Owners, the monitor, and fencing"; rules WATCH7–WATCH10.
 */
import type { GroupId, ServerId } from '../protocol/ids.ts'
import type { CancelTimer, Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import { type Cluster, ClusterError, type OwnersView } from '../state-cluster/index.ts'
import { type Detector, tickMs, type Watched } from './detector.ts'

export interface MonitorContext {
  readonly cluster: Pick<Cluster, 'groups' | 'propose' | 'owners' | 'status'>
  readonly clock: Clock
  readonly logger: Logger
  readonly detector: Detector
  /** Names this start of this process. */
  readonly monitorId: string
  readonly leaseMs: number
  /** A server's auctions were handed over. */
  readonly reassigned?: ((what: Reassignment) => void) | undefined
  /** Reports an unforeseen error to the process. */
  readonly fault: (error: unknown, where: string) => void
}

/** How often owners are read, to find work that no server does. */
const sweepMs = 500
/** A live server without a connection here is dead when its last pulse is older than this, by stamps. */
const pulseLostMs = 2_500
/** After it became the acting one, a monitor gives servers this long to connect. */
const settleMs = 2_500
const recentMax = 100

export interface Reassignment {
  readonly atMs: number
  readonly groupId: GroupId
  readonly serverId: ServerId
  readonly reason: 'closed' | 'silent' | 'no_pulse' | 'left_behind'
  readonly auctions: number
  readonly outboxEntries: number
  /** From the decision to the last committed command. */
  readonly tookMs: number
}

interface Group {
  readonly groupId: GroupId
  token: number | undefined
  /** Monotonic: until then the lease is ours, as far as this process can know. */
  untilMs: number
  actingSinceMs: number
  /** Servers that are being handed over. */
  readonly busy: Set<ServerId>
  owners: OwnersView | undefined
}

export interface MonitorStatus {
  readonly monitorId: string
  /** Holds the lease of every group. */
  readonly isActing: boolean
  readonly watched: readonly Watched[]
  readonly groups: readonly {
    readonly groupId: GroupId
    readonly isActing: boolean
    readonly owners?: OwnersView
  }[]
  readonly cluster: ReturnType<Cluster['status']>
  /** Newest first. */
  readonly recent: readonly Reassignment[]
}

export class Monitor {
  readonly #context: MonitorContext
  readonly #groups: readonly Group[]
  readonly #recent: Reassignment[] = []
  readonly #timers = new Set<CancelTimer>()
  readonly #underWay = new Set<Promise<void>>()
  #lastTickMs: number
  #isStopped = false

  constructor(context: MonitorContext) {
    this.#context = context
    this.#lastTickMs = context.clock.monotonicMs()
    this.#groups = context.cluster.groups.map((groupId) => ({
      groupId,
      token: undefined,
      untilMs: 0,
      actingSinceMs: 0,
      busy: new Set(),
      owners: undefined,
    }))
  }

  start(): void {
    this.#lastTickMs = this.#context.clock.monotonicMs()
    this.#tickLater()
    for (const group of this.#groups) {
      this.#repeat(this.#context.leaseMs / 3, () => this.#lease(group))
      this.#repeat(sweepMs, () => this.#sweep(group))
    }
  }

  /** Resolves when nothing is under way any more. The lease runs out by itself. */
  async stop(): Promise<void> {
    this.#isStopped = true
    for (const cancel of this.#timers) cancel()
    await Promise.all(this.#underWay)
  }

  /** Something happened to a connection: judges now, not at the next tick. */
  look(): void {
    const nowMs = this.#context.clock.monotonicMs()
    for (const { serverId, epochs, reason } of this.#context.detector.suspects(nowMs)) {
      // Alone it keeps what it owns: to fence it would only add to the outage.
      if (!this.#context.detector.hasOther(serverId)) continue
      for (const group of this.#groups) {
        const known = epochs.get(group.groupId) ?? this.#epochOf(group, serverId)
        if (known !== undefined) this.#handOver(group, serverId, known, reason)
      }
    }
  }

  status(): MonitorStatus {
    const { cluster, clock, detector, monitorId } = this.#context
    const groups = this.#groups.map((group) => ({
      groupId: group.groupId,
      isActing: this.#isActing(group),
      ...(group.owners === undefined ? {} : { owners: group.owners }),
    }))
    return {
      monitorId,
      isActing: groups.every(({ isActing }) => isActing),
      watched: detector.watched(clock.monotonicMs()),
      groups,
      cluster: cluster.status(),
      recent: this.#recent,
    }
  }

  #epochOf(group: Group, serverId: ServerId): number | undefined {
    return group.owners?.servers.find((server) => server.serverId === serverId)?.epoch
  }

  #isActing({ token, untilMs }: Group): boolean {
    return token !== undefined && this.#context.clock.monotonicMs() < untilMs
  }

  #tickLater(): void {
    this.#timer(tickMs, () => {
      const nowMs = this.#context.clock.monotonicMs()
      this.#context.detector.tick(nowMs, nowMs - this.#lastTickMs)
      this.#lastTickMs = nowMs
      this.look()
      this.#tickLater()
    })
  }

  /** Does a piece of work now, and again after a pause each time it has ended. */
  #repeat(pauseMs: number, work: () => Promise<void>): void {
    this.#run(work).then(() => {
      this.#timer(pauseMs, () => this.#repeat(pauseMs, work))
    }, undefined)
  }

  #timer(delayMs: number, fire: () => void): void {
    if (this.#isStopped) return
    const cancel = this.#context.clock.setTimer(delayMs, () => {
      this.#timers.delete(cancel)
      fire()
    })
    this.#timers.add(cancel)
  }

  async #run(work: () => Promise<void>): Promise<void> {
    const done = work().catch((error: unknown) => {
      // The cluster does not answer: the same work comes again at the next turn.
      if (!(error instanceof ClusterError)) this.#context.fault(error, 'monitor')
    })
    this.#underWay.add(done)
    await done
    this.#underWay.delete(done)
  }

  async #lease(group: Group): Promise<void> {
    const { cluster, clock, logger, monitorId, leaseMs } = this.#context
    const askedMs = clock.monotonicMs()
    const reply = await cluster.propose(group.groupId, {
      type: 'acquire_monitor_lease',
      monitorId,
      ttlMs: leaseMs,
    })
    if (!reply.ok || reply.type !== 'lease') return
    if (reply.monitorId !== monitorId) {
      if (group.token !== undefined) logger.warn('monitor_replaced', { groupId: group.groupId })
      group.token = undefined
      return
    }
    if (group.token !== reply.token) {
      group.actingSinceMs = clock.monotonicMs()
      logger.info('monitor_acting', { groupId: group.groupId, lease: reply.token })
    }
    group.token = reply.token
    group.untilMs = askedMs + leaseMs
    this.look()
  }

  /** Finds work with servers that cannot do it, however it got there. */
  async #sweep(group: Group): Promise<void> {
    const { cluster, clock, detector } = this.#context
    const owners = await cluster.owners(group.groupId)
    group.owners = owners
    const nowMs = clock.monotonicMs()
    const hasSettled = this.#isActing(group) && nowMs - group.actingSinceMs >= settleMs
    const hasLive = owners.servers.some(({ standing }) => standing === 'live')
    for (const { serverId, standing, epoch, auctions, outboxEntries, lastConductedMs } of owners.servers) {
      if (standing === 'dead' || standing === 'left') detector.settled(serverId, nowMs)
      const hasWork = auctions + outboxEntries > 0
      const isQuiet = owners.atMs - lastConductedMs > pulseLostMs
      if (standing === 'live') {
        const hasOther = owners.servers.some(
          (other) =>
            other.serverId !== serverId &&
            other.standing === 'live' &&
            owners.atMs - other.lastConductedMs <= pulseLostMs,
        )
        if (hasSettled && isQuiet && hasOther && !detector.isUp(serverId))
          this.#handOver(group, serverId, epoch, 'no_pulse')
      } else if (hasWork && hasLive && (standing === 'dead' || (standing === 'left' && isQuiet)))
        this.#handOver(group, serverId, epoch, 'left_behind')
    }
  }

  #handOver(group: Group, serverId: ServerId, epoch: number, reason: Reassignment['reason']): void {
    if (this.#isStopped || group.busy.has(serverId) || !this.#isActing(group)) return
    group.busy.add(serverId)
    void this.#run(() => this.#reassign(group, serverId, epoch, reason)).then(() => {
      group.busy.delete(serverId)
    })
  }

  async #reassign(
    group: Group,
    serverId: ServerId,
    epoch: number,
    reason: Reassignment['reason'],
  ): Promise<void> {
    const { cluster, clock, detector, logger, monitorId } = this.#context
    const { groupId, token } = group
    const sinceMs = clock.monotonicMs()
    let auctions = 0
    let outboxEntries = 0
    for (let more = true; more && token !== undefined && !this.#isStopped; ) {
      const reply = await cluster.propose(groupId, { type: 'reassign', monitorId, token, serverId, epoch })
      if (!reply.ok || reply.type !== 'reassigned') {
        // Another monitor acts by now, or the server came back: the next sweep finds out which.
        logger.warn('reassign_refused', { groupId, serverId, epoch, lease: token })
        this.#settle(serverId)
        return
      }
      auctions += reply.auctions
      outboxEntries += reply.outboxEntries
      more = reply.more
    }
    const tookMs = Math.round(clock.monotonicMs() - sinceMs)
    logger.warn('server_reassigned', { groupId, serverId, epoch, reason, auctions, outboxEntries, tookMs })
    const what = { atMs: clock.nowMs(), groupId, serverId, reason, auctions, outboxEntries, tookMs }
    this.#recent.unshift(what)
    this.#context.reassigned?.(what)
    this.#recent.length = Math.min(this.#recent.length, recentMax)
    detector.settled(serverId, clock.monotonicMs())
  }

  #settle(serverId: ServerId): void {
    this.#context.detector.settled(serverId, this.#context.clock.monotonicMs())
  }
}
