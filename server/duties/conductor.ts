/**
 * The clock hand of the auctions that this server owns in one group: it proposes a pulse when one falls due, and
 * now and then even if none does, so that the machine can tell an outage from a quiet hour.
 * Invariant: it decides nothing. What a pulse opens, closes or extends is decided in `apply` by the leader's
 * stamp; a pulse too early, too late or too often changes no outcome. One proposal is under way at a time.
 * Source: docs/design.md, "Owners, the monitor, and fencing"; spec OWNER, OUTAGE.
 */
import type { GroupId, ServerId } from '../../protocol/ids.ts'
import { assert } from '../../runtime/assert.ts'
import type { CancelTimer, Clock } from '../../runtime/clock.ts'
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
  /** What was not foreseen, to be told to whoever runs the process. */
  readonly fault: (error: unknown, where: string) => void
}

/** Pulses at least this often; and this often while a deadline is near. */
const pulseMs = 1000
const nearPulseMs = 250
const nearMs = 5000
/** Between tries while the cluster does not answer. */
const retryMs = 100
/** Before it registers again when another has registered under its name. */
const fencedMs = 1000
/** For handing everything over before a planned stop; what is left then is found by the monitor. */
const releaseMs = 10_000

export class Conductor {
  readonly #context: ConductorContext
  #epoch: number | undefined
  #nextDueMs = Number.POSITIVE_INFINITY
  #cancel: CancelTimer | undefined
  #working: Promise<void> | undefined
  #isStopped = false
  /** The last pulse's stamp, and when it was answered by the monotonic clock. */
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

  /** No further pulse; resolves when the last one is decided. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#cancel?.()
    await this.#working
  }

  /**
   * Before a planned stop: no further pulse, and what this server owns goes to live ones, as far as there are any.
   * Resolves when that is decided, or when the cluster did not answer for too long.
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
        await new Promise<void>((resolve) => {
          clock.setTimer(retryMs, resolve)
        })
      }
    }
    logger.info('conductor_released', { serverId, groupId, auctions })
  }

  /** Something of this server's falls due at `atMs`, maybe sooner than it knows. */
  dueAt(atMs: number): void {
    if (atMs >= this.#nextDueMs) return
    this.#nextDueMs = atMs
    if (this.#working === undefined) this.#arm(this.#untilNext())
  }

  /** Something changed that only a pulse can tell. */
  pulseNow(): void {
    this.dueAt(this.#houseNowMs())
  }

  /** Looks through the feed for deadlines that are sooner than the next one known. */
  observe(batch: FeedBatch): void {
    // Auctions came from another server: the next pulse tells when they fall due.
    if (batch.gained?.includes(this.#context.serverId) === true) this.pulseNow()
    for (const { serverId, atMs } of batch.deadlines ?? []) {
      if (serverId === this.#context.serverId) this.dueAt(atMs)
    }
  }

  /** What the leader's clock shows, as far as it is known: deadlines are stamps. */
  #houseNowMs(): number {
    const { clock } = this.#context
    if (this.#stamp === undefined) return clock.nowMs()
    return this.#stamp.atMs + clock.monotonicMs() - this.#stamp.heardMs
  }

  /** `spentMs`: of the pause, how much has passed already. */
  #untilNext(spentMs = 0): number {
    const untilDueMs = this.#nextDueMs - this.#houseNowMs()
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
    assert(reply.type === 'server', 'a server is registered by an epoch')
    this.#epoch = reply.epoch
    logger.info('conductor_registered', { serverId, groupId, epoch: reply.epoch })
    return 0
  }

  /** Fenced by a monitor, which took this server for dead: it may be back at once. Else another has its name. */
  async #wasFoundDead(): Promise<boolean> {
    const { cluster, serverId, groupId } = this.#context
    const { servers } = await cluster.owners(groupId)
    return servers.find((server) => server.serverId === serverId)?.standing === 'dead'
  }

  async #pulse(epoch: number): Promise<number> {
    const { cluster, clock, logger, metrics, serverId, groupId } = this.#context
    const sentMs = clock.monotonicMs()
    const lateMs = this.#houseNowMs() - this.#nextDueMs
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
      assert(reply.type === 'conducted', 'a pulse is answered by what falls due next')
      metrics.conducted.add(1)
      if (lateMs >= 0) metrics.conductLateSeconds.observe(lateMs / 1000)
      this.#nextDueMs = Math.min(this.#nextDueMs, reply.nextDueMs ?? Number.POSITIVE_INFINITY)
      const heardMs = clock.monotonicMs()
      this.#stamp = { atMs: reply.atMs, heardMs }
      return reply.more ? 0 : this.#untilNext(heardMs - sentMs)
    } catch (error) {
      this.#nextDueMs = Math.min(this.#nextDueMs, dueMs)
      throw error
    }
  }
}
