/**
 * Publishes the outbox entries that this server owns in one group.
 *
 * It reads the entries, expands each into one message for each recipient, hands the messages to the sink, and
 * acknowledges the entries. Delivery to webhooks is left to the notifier. Invariant: an entry is acknowledged only
 * after the sink has all its messages. The messages of one recipient are handed over one at a time, in order of
 * position. Their ids derive from position and recipient, so the repeats of a crash can be de-duplicated. At most
 * `windowMax` messages are in progress. Source: docs/design.md, "Notifications"; docs/spec.md PUBLISH.
 */
import type { AuctionView as WireView } from '../../protocol/auction-view.ts'
import type { AuctionId, GroupId, ServerId, SubjectId } from '../../protocol/ids.ts'
import {
  matchingAuctionsMax,
  type NotificationMessage,
  notificationMessage,
} from '../../protocol/notifications.ts'
import { Backoff } from '../../runtime/backoff.ts'
import { type Clock, sleep } from '../../runtime/clock.ts'
import type { Logger } from '../../runtime/logger.ts'
import { type BuyerView, type Cluster, ClusterError, type OutboxEntry } from '../../state-cluster/index.ts'
import { wireView } from '../frames.ts'
import type { ServerMetrics } from '../metrics.ts'
import { OutboxFacts } from './outbox-facts.ts'

/** Receives notifications: the queue, or the notifier in the same process. */
export interface NotificationSink {
  /**
   * Resolves when none of these messages can be lost. Rejects when that is not certain; they are then published again.
   * Many calls may be in progress, but never two for one recipient.
   */
  publish(messages: readonly NotificationMessage[]): Promise<void>
}

export interface PublisherContext {
  readonly cluster: Cluster
  readonly clock: Clock
  /** 0 to below 1, for jitter. */
  readonly random: () => number
  readonly logger: Logger
  readonly metrics: Pick<ServerMetrics, 'notifications' | 'notificationFailures'>
  readonly sink: NotificationSink
  readonly serverId: ServerId
  readonly groupId: GroupId
  readonly windowMax: number
  /** The epoch that this server acts under; `undefined` while it has none. */
  readonly epoch: () => number | undefined
  readonly fault: (error: unknown, where: string) => void
}

const outboxPageMax = 256
const recipientsPageMax = 256
const retryLimits = { baseMs: 100, maxMs: 10_000 }
/** Between looks for an epoch, while this server has none. */
const idleMs = 100
/** After a refused acknowledgement: the conductor enlists again meanwhile. */
const fencedMs = 1_000
/** Bound of unacknowledged entries, as a multiple of the window, so that one slow recipient does not stop the others. */
const readAheadFactor = 10

/** Positions that one command acknowledges at most. */
const acknowledgedPerCommandMax = 1000

/** An outbox entry that was read and not yet acknowledged. */
interface Tracked {
  /** Messages that are not yet handed over. */
  pendingCount: number
}

type Recipient = Pick<BuyerView, 'id' | 'endpoint'>

export class Publisher {
  readonly #context: PublisherContext
  /** By position, in the order of reading. */
  readonly #tracked = new Map<number, Tracked>()
  /** For each recipient with a message in progress: whether the last one was handed over in the end. */
  readonly #lastOf = new Map<SubjectId, Promise<boolean>>()
  readonly #stopping = new AbortController()
  #readPosition = 0
  #hasGained = false
  #underWay = 0
  #isWoken = false
  #wake: (() => void) | undefined
  #running: Promise<void> | undefined

  constructor(context: PublisherContext) {
    this.#context = context
  }

  start(): void {
    this.#running = this.#run()
  }

  /** The outbox grew, or a message has ended. */
  wake(): void {
    this.#isWoken = true
    this.#wake?.()
  }

  /** Entries came from another server; their positions may be before those already read. */
  gained(): void {
    this.#hasGained = true
    this.wake()
  }

  /** Stops reading and handing over. Unacknowledged entries are published again after the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.wake()
    await this.#running
  }

  async #run(): Promise<void> {
    const backoff = new Backoff(retryLimits, this.#context.random)
    while (!this.#isStopped) {
      this.#isWoken = false
      try {
        const isActive = this.#context.epoch() !== undefined
        const hasRead = isActive && (await this.#readPage())
        const hasAcknowledged = isActive && (await this.#acknowledge())
        backoff.reset()
        if (!isActive) await this.#pause(idleMs)
        else if (!hasRead && !hasAcknowledged) await this.#untilWoken()
      } catch (error) {
        if (!(error instanceof ClusterError)) this.#context.fault(error, 'publisher')
        await this.#pause(backoff.nextMs())
      }
    }
  }

  /** Reads one page of entries and hands its messages over. False: there was no entry, or no room. */
  async #readPage(): Promise<boolean> {
    const { cluster, groupId, serverId, windowMax } = this.#context
    if (this.#tracked.size >= readAheadFactor * windowMax) return false
    if (this.#tracked.size === 0 || this.#hasGained) this.#readPosition = 0
    this.#hasGained = false
    const outboxEntries = await cluster.outbox(groupId, serverId, this.#readPosition, outboxPageMax)
    const fresh = outboxEntries.filter(({ position }) => !this.#tracked.has(position))
    const facts = new OutboxFacts(cluster, fresh)
    for (const outboxEntry of outboxEntries) {
      if (!this.#tracked.has(outboxEntry.position)) {
        const tracked: Tracked = { pendingCount: 0 }
        await this.#expand(outboxEntry, tracked, facts)
        if (this.#isStopped) return false
        this.#tracked.set(outboxEntry.position, tracked)
      }
      // Entries came from another server in the meantime; their positions may be before this one.
      if (this.#hasGained) break
      this.#readPosition = outboxEntry.position
    }
    return outboxEntries.length > 0
  }

  async #expand(outboxEntry: OutboxEntry, tracked: Tracked, facts: OutboxFacts): Promise<void> {
    const { auctionId, recipient, kind } = outboxEntry
    if (recipient !== undefined) {
      const buyer = await facts.buyer(recipient)
      const auction = auctionId === undefined ? undefined : await facts.auction(auctionId)
      const auctions = kind === 'MATCHING_AUCTIONS' ? await this.#matching(buyer?.interests ?? []) : undefined
      if (auctions?.length === 0) return
      const data = {
        ...(auction === undefined ? {} : { auction }),
        ...(auctions === undefined ? {} : { auctions }),
      }
      return this.#hand(outboxEntry, tracked, buyer ?? { id: recipient }, data)
    }
    if (auctionId === undefined) return
    const auction = await facts.auction(auctionId)
    if (auction === undefined) return
    if (kind === 'NEW_AUCTION') {
      for await (const buyer of this.#interested(auction.tags))
        await this.#hand(outboxEntry, tracked, buyer, { auction })
      return
    }
    const winner = kind === 'END_OF_AUCTION' ? (auction.winner ?? undefined) : undefined
    for await (const buyer of this.#biddersBut(winner, auctionId, facts))
      await this.#hand(outboxEntry, tracked, buyer, { auction })
  }

  /** Waits for room, then starts to hand the message over, after the recipient's previous one. */
  async #hand(
    outboxEntry: OutboxEntry,
    tracked: Tracked,
    { id: recipient, endpoint }: Recipient,
    facts: { readonly auction?: WireView; readonly auctions?: readonly WireView[] },
  ): Promise<void> {
    while (this.#underWay >= this.#context.windowMax && !this.#isStopped) {
      this.#isWoken = false
      await this.#untilWoken()
    }
    if (this.#isStopped) return
    const message = notificationMessage({
      groupId: this.#context.groupId,
      position: outboxEntry.position,
      atMs: outboxEntry.atMs,
      ...(endpoint === undefined ? {} : { endpoint }),
      data: {
        kind: outboxEntry.kind,
        recipient,
        ...facts,
        ...(outboxEntry.seq === undefined ? {} : { seq: outboxEntry.seq }),
        ...(outboxEntry.price === undefined ? {} : { price: outboxEntry.price }),
      },
    })
    tracked.pendingCount += 1
    this.#underWay += 1
    const isHandedOver = this.#deliver(message, this.#lastOf.get(recipient))
    this.#lastOf.set(recipient, isHandedOver)
    void isHandedOver.then((isDone) => {
      this.#underWay -= 1
      if (isDone) tracked.pendingCount -= 1
      if (this.#lastOf.get(recipient) === isHandedOver) this.#lastOf.delete(recipient)
      this.wake()
    })
  }

  /** Retries until the sink has the message; false if stopped before. */
  async #deliver(message: NotificationMessage, before: Promise<boolean> | undefined): Promise<boolean> {
    const { sink, metrics, logger } = this.#context
    if (before !== undefined && !(await before)) return false
    const backoff = new Backoff(retryLimits, this.#context.random)
    for (let isFirst = true; !this.#isStopped; isFirst = false) {
      try {
        await sink.publish([message])
        metrics.notifications.add(1)
        return true
      } catch (error) {
        if (this.#isStopped) break
        metrics.notificationFailures.add(1)
        if (isFirst) logger.warn('notification_not_taken', { id: message.id, error })
        await this.#pause(backoff.nextMs())
      }
    }
    return false
  }

  /** Acknowledges the entries whose messages are all handed over; false if there are none. */
  async #acknowledge(): Promise<boolean> {
    const { cluster, groupId, serverId, logger } = this.#context
    const epoch = this.#context.epoch()
    const done: number[] = []
    for (const [position, { pendingCount }] of this.#tracked) {
      if (pendingCount === 0) done.push(position)
      if (done.length === acknowledgedPerCommandMax) break
    }
    if (done.length === 0 || epoch === undefined) return false
    const positions = done.sort((x, y) => x - y)
    const reply = await cluster.propose(groupId, {
      type: 'acknowledge_positions',
      serverId,
      epoch,
      positions,
    })
    if (!reply.ok) {
      logger.warn('publisher_fenced', { serverId, groupId, epoch, code: reply.code })
      await this.#pause(fencedMs)
      return false
    }
    for (const position of positions) this.#tracked.delete(position)
    return true
  }

  /** Open auctions with any of the tags, each once. */
  async #matching(interests: readonly string[]): Promise<readonly WireView[]> {
    const found = new Map<AuctionId, WireView>()
    for (const tag of interests) {
      const limit = matchingAuctionsMax - found.size
      if (limit === 0) break
      const page = await this.#context.cluster.auctions({ status: 'open', tag, limit: matchingAuctionsMax })
      for (const view of page.auctions.slice(0, limit)) found.set(view.id, wireView(view))
    }
    return [...found.values()]
  }

  async *#interested(tags: readonly string[]): AsyncGenerator<Recipient> {
    let after: SubjectId | undefined
    for (;;) {
      const page = await this.#context.cluster.interestedBuyers(tags, after, recipientsPageMax)
      yield* page
      after = page.at(-1)?.id
      if (page.length < recipientsPageMax) return
    }
  }

  /** All bidders except the winner, who is known by alias: aliases number bidders in order of their first bid. */
  async *#biddersBut(
    winner: string | undefined,
    auctionId: AuctionId,
    facts: OutboxFacts,
  ): AsyncGenerator<Recipient> {
    for (let after = 0; ; after += recipientsPageMax) {
      const page = await this.#context.cluster.bidders(auctionId, after, recipientsPageMax)
      const recipients = page.filter((_, index) => `bidder-${after + index + 1}` !== winner)
      for (const id of recipients) void facts.buyer(id)
      for (const id of recipients) yield (await facts.buyer(id)) ?? { id }
      if (page.length < recipientsPageMax) return
    }
  }

  async #untilWoken(): Promise<void> {
    if (this.#isWoken || this.#isStopped) return
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    this.#wake = undefined
  }

  get #isStopped(): boolean {
    return this.#stopping.signal.aborted
  }

  #pause(ms: number): Promise<void> {
    return sleep(this.#context.clock, ms, this.#stopping.signal)
  }
}
