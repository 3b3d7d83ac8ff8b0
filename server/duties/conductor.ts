/**
 * Proposes what falls due in the auctions that this server owns.
 *
 * It sends a pulse to its group when one falls due, and also regularly, so that the machine can tell an outage from a
 * quiet hour. What a pulse opens, closes or extends is left to the machine, which decides by the leader's stamp.
 * Invariant: a pulse that is early, late or repeated changes no outcome; at most one proposal is in progress. Source:
 * docs/design.md, "Owners, the monitor, and fencing"; docs/spec.md OWNER and OUTAGE.
 */
import type { GroupId, ServerId } from '../../protocol/ids.ts'
import { assert } from '../../runtime/assert.ts'
import { type CancelTimer, type Clock, sleep } from '../../runtime/clock.ts'
import type { Logger } from '../../runtime/logger.ts'
import { type Cluster, ClusterError, type FeedBatch } from '../../state-cluster/index.ts'
import type { ServerMetrics } from '../metrics.ts'

export interface ConductorContext {
  readonly cluster: Cluster
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Pick<ServerMetrics, 'conducted' | 'conductLateSeconds'>
  readonly serverId: ServerId
  readonly groupId: GroupId
  /** A pulse was answered with this stamp, at `heardMs` of the monotonic clock. */
  readonly stamped?: (stampMs: number, heardMs: number) => void
  /** Reports an unexpected error to the process. */
  readonly fault: (error: unknown, where: string) => void
}

/** The longest pause between pulses; the shorter one while a deadline is near. */
const pulseMs = 1000
const nearPulseMs = 250
const nearMs = 5000
/** Between attempts while the cluster does not answer. */
const retryMs = 100
/** Before it enlists again after another process enlisted under its id. */
const fencedMs = 1000
/** Time to hand over all auctions before a planned stop. The monitor finds the rest. */
const releaseMs = 10_000

export class Conductor {
  readonly #context: ConductorContext
  #epoch: number | undefined
  #nextDueMs = Number.POSITIVE_INFINITY
  #cancel: CancelTimer | undefined
  #working: Promise<void> | undefined
  #isStopped = false
  /** The stamp of the last pulse, and the monotonic time of its reply. */
  #stamp: { readonly atMs: number; readonly heardMs: number } | undefined

  constructor(context: ConductorContext) {
    this.#context = context
  }

  /** The ownership epoch that this server acts under; `undefined` until it has enlisted. */
  get epoch(): number | undefined {
    return this.#epoch
  }

  start(): void {
    this.#arm(0)
  }

  /** Sends no further pulse; resolves when the last one is decided. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancel?.()
    await this.#working
  }

  /**
   * Prepares a planned stop: sends no further pulse, and hands this server's auctions to live servers, if there are any.
   * Resolves when that is decided, or after `releaseMs` without an answer.
   */
  async release(): Promise<void> {
    await this.stop()
    const { cluster, clock, logger, serverId, groupId, fault } = this.#context
    const epoch = this.#epoch
    if (epoch === undefined) return
    const untilMs = clock.monotonicMs() + releaseMs
    let auctions = 0
    while (clock.monotonicMs() < untilMs) {
      try {
        const reply = await cluster.propose(groupId, { type: 'release_server', serverId, epoch })
        if (!reply.ok || reply.type !== 'reassigned') break
        auctions += reply.auctions
        if (!reply.more) break
      } catch (error) {
        if (!(error instanceof ClusterError)) return fault(error, 'conductor')
        if (!error.retryable) return
        await sleep(clock, retryMs)
      }
    }
    logger.info('conductor_released', { serverId, groupId, auctions })
  }

  /** A deadline of this server at `atMs`, which may be sooner than the known ones. */
  dueAt(atMs: number): void {
    if (atMs >= this.#nextDueMs) return
    this.#nextDueMs = atMs
    if (this.#working === undefined) this.#arm(this.#untilNext())
  }

  /** Sends the next pulse at once: its reply has the deadlines of auctions that are new here. */
  pulseNow(): void {
    this.dueAt(this.#leaderNowMs())
  }

  /** Takes sooner deadlines from the feed. */
  observe(batch: FeedBatch): void {
    // Auctions came from another server: the reply to the next pulse has their deadlines.
    if (batch.gained?.includes(this.#context.serverId) === true) this.pulseNow()
    for (const { serverId, atMs } of batch.deadlines ?? []) {
      if (serverId === this.#context.serverId) this.dueAt(atMs)
    }
  }

  /** An estimate of the leader's clock, because deadlines are compared with stamps. */
  #leaderNowMs(): number {
    const { clock } = this.#context
    if (this.#stamp === undefined) return clock.nowMs()
    return this.#stamp.atMs + clock.monotonicMs() - this.#stamp.heardMs
  }

  /** `spentMs`: the part of the pause that has passed. */
  #untilNext(spentMs = 0): number {
    const untilDueMs = this.#nextDueMs - this.#leaderNowMs()
    const pauseMs = untilDueMs <= nearMs ? nearPulseMs : pulseMs
    return Math.ceil(Math.max(0, Math.min(untilDueMs, pauseMs - spentMs)))
  }

  #arm(delayMs: number): void {
    this.#cancel?.()
    if (this.#isStopped) return
    this.#cancel = this.#context.clock.setTimer(delayMs, () => {
      this.#cancel = undefined
      this.#working = this.#work()
    })
  }

  async #work(): Promise<void> {
    let delayMs = retryMs
    try {
      delayMs = this.#epoch === undefined ? await this.#register() : await this.#pulse(this.#epoch)
    } catch (error) {
      if (error instanceof ClusterError) this.#context.logger.debug('conductor_waits', { reason: error.code })
      else this.#context.fault(error, 'conductor')
    }
    this.#working = undefined
    this.#arm(delayMs)
  }

  /** Returns the milliseconds until the next step. */
  async #register(): Promise<number> {
    const { cluster, logger, serverId, groupId } = this.#context
    const reply = await cluster.propose(groupId, { type: 'enlist_server', serverId })
    if (!reply.ok) {
      logger.error('conductor_refused', { serverId, code: reply.code })
      return fencedMs
    }
    assert(reply.type === 'server', 'the reply to enlist_server carries an epoch')
    this.#epoch = reply.epoch
    logger.info('conductor_registered', { serverId, groupId, epoch: reply.epoch })
    return 0
  }

  /** Whether a monitor fenced this server as dead, so it may enlist at once; otherwise another process has its id. */
  async #wasFoundDead(): Promise<boolean> {
    const { cluster, serverId, groupId } = this.#context
    const { servers } = await cluster.owners(groupId)
    const own = servers.find((server) => server.serverId === serverId)
    // A dead server without work has no row any more.
    return own === undefined || own.standing === 'dead'
  }

  async #pulse(epoch: number): Promise<number> {
    const { cluster, clock, logger, metrics, serverId, groupId } = this.#context
    const sentMs = clock.monotonicMs()
    const lateMs = this.#leaderNowMs() - this.#nextDueMs
    const dueMs = this.#nextDueMs
    this.#nextDueMs = Number.POSITIVE_INFINITY
    try {
      const reply = await cluster.propose(groupId, { type: 'conduct', serverId, epoch })
      if (!reply.ok) {
        logger.warn('conductor_fenced', { serverId, groupId, epoch, code: reply.code })
        this.#epoch = undefined
        this.#stamp = undefined
        return (await this.#wasFoundDead()) ? 0 : fencedMs
      }
      assert(reply.type === 'conducted', 'the reply to a pulse carries the next deadline')
      metrics.conducted.add(1)
      if (lateMs >= 0) metrics.conductLateSeconds.observe(lateMs / 1000)
      this.#nextDueMs = Math.min(this.#nextDueMs, reply.nextDueMs ?? Number.POSITIVE_INFINITY)
      const heardMs = clock.monotonicMs()
      this.#stamp = { atMs: reply.atMs, heardMs }
      this.#context.stamped?.(reply.atMs, heardMs)
      return reply.more ? 0 : this.#untilNext(heardMs - sentMs)
    } catch (error) {
      this.#nextDueMs = Math.min(this.#nextDueMs, dueMs)
      throw error
    }
  }
}
