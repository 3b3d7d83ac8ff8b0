/**
 * Tells buyers what the outbox of one group holds for this server: reads outbox entries, expands each to its recipients,
 * hands the messages to the queue, and commits how far it has come.
 * Invariant: an outbox entry is acknowledged only when each of its messages is safe with the queue; a recipient's messages
 * are handed over one after the other, in order of position; ids derive from position and recipient, so what is
 * handed over twice after a crash can be told as the same. At most `windowMax` messages are under way. Delivery is the notifier's. Source: docs/design.md, "Notifications"; spec NOTE.
 */
import type { AuctionView as WireView } from '../../protocol/auction-view.ts'
import type { AuctionId, GroupId, ServerId, SubjectId } from '../../protocol/ids.ts'
import {
  matchingAuctionsMax,
  type NotificationMessage,
  notificationMessage,
} from '../../protocol/notifications.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { Logger } from '../../runtime/logger.ts'
import { type BuyerView, type Cluster, ClusterError, type OutboxEntry } from '../../state-cluster/index.ts'
import { wireView } from '../frames.ts'
import type { ServerMetrics } from '../metrics.ts'
import { OutboxFacts } from './outbox-facts.ts'

/** Where notifications go. */
export interface NotificationSink {
  /**
   * Resolves when none of these messages can be lost any more. Rejects when it cannot be told: they come again.
   * Called for many messages at once, never for two of one recipient.
   */
  publish(messages: readonly NotificationMessage[]): Promise<void>
}

export interface PublisherContext {
  readonly cluster: Cluster
  readonly clock: Clock
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
const retryBaseMs = 100
const retryMaxMs = 10_000
/** Outbox entries read ahead of the oldest unfinished one, as a multiple of the window: one slow recipient holds up no more. */
const readAheadFactor = 10

/** One command acknowledges at most so many. */
const acknowledgedPerCommandMax = 1000

/** An outbox entry that was read and is not acknowledged yet. */
interface Tracked {
  /** Messages that are not handed over yet. */
  pendingCount: number
}

/** Somebody to tell. */
type Recipient = Pick<BuyerView, 'id' | 'endpoint'>

export class Publisher {
  readonly #context: PublisherContext
  /** By position, in the order in which they were read. */
  readonly #tracked = new Map<number, Tracked>()
  /** The end of the last message of each recipient that has one under way: whether it was handed over. */
  readonly #lastOf = new Map<SubjectId, Promise<boolean>>()
  /** Ends of pauses, for `stop` to bring forward. */
  readonly #pauses = new Set<() => void>()
  #readPosition = 0
  #hasGained = false
  #underWay = 0
  #isStopped = false
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

  /** Outbox entries came from another server, with positions that may lie before those that were read. */
  gained(): void {
    this.#hasGained = true
    this.wake()
  }

  /** Reads and hands over no more. What is under way stays unacknowledged and comes again after the next start. */
  async stop(): Promise<void> {
    this.#isStopped = true
    for (const end of this.#pauses) end()
    this.wake()
    await this.#running
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#isStopped; ) {
      this.#isWoken = false
      try {
        const isActive = this.#context.epoch() !== undefined
        const hasRead = isActive && (await this.#readPage())
        const hasAcknowledged = isActive && (await this.#acknowledge())
        failures = 0
        if (!isActive) await this.#pause(retryBaseMs)
        else if (!hasRead && !hasAcknowledged) await this.#untilWoken()
      } catch (error) {
        failures += 1
        if (!(error instanceof ClusterError)) this.#context.fault(error, 'publisher')
        await this.#pause(backOffMs(failures))
      }
    }
  }

  /** Hands over one page of outbox entries; whether there were any, and room for them. */
  async #readPage(): Promise<boolean> {
    const { cluster, groupId, serverId, windowMax } = this.#context
    if (this.#tracked.size >= readAheadFactor * windowMax) return false
    if (this.#tracked.size === 0 || this.#hasGained) this.#readPosition = 0
    this.#hasGained = false
    const outboxEntries = await cluster.outbox(groupId, serverId, this.#readPosition, outboxPageMax)
    const untold = outboxEntries.filter(({ position }) => !this.#tracked.has(position))
    const facts = new OutboxFacts(cluster, untold)
    for (const outboxEntry of outboxEntries) {
      if (!this.#tracked.has(outboxEntry.position)) {
        const tracked: Tracked = { pendingCount: 0 }
        await this.#expand(outboxEntry, tracked, facts)
        if (this.#isStopped) return false
        this.#tracked.set(outboxEntry.position, tracked)
      }
      // Another server's outbox entries came while this was told: they may lie before it.
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
      const told = {
        ...(auction === undefined ? {} : { auction }),
        ...(auctions === undefined ? {} : { auctions }),
      }
      return this.#hand(outboxEntry, tracked, buyer ?? { id: recipient }, told)
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

  /** Waits for room, then sends the message off, behind the recipient's previous one. */
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

  /** Tries until the queue has it; false when stopped before. */
  async #deliver(message: NotificationMessage, before: Promise<boolean> | undefined): Promise<boolean> {
    const { sink, metrics, logger } = this.#context
    if (before !== undefined && !(await before)) return false
    for (let failures = 0; !this.#isStopped; ) {
      try {
        await sink.publish([message])
        metrics.notifications.add(1)
        return true
      } catch (error) {
        if (this.#isStopped) break
        failures += 1
        metrics.notificationFailures.add(1)
        if (failures === 1) logger.warn('notification_not_taken', { id: message.id, error })
        await this.#pause(backOffMs(failures))
      }
    }
    return false
  }

  /** Commits what is handed over; whether there was any. */
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
      await this.#pause(retryMaxMs / 10)
      return false
    }
    for (const position of positions) this.#tracked.delete(position)
    return true
  }

  /** Open auctions of any of the interests, each once. */
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

  /** Everybody who bid, but the one with this alias: aliases count bidders in order of their first bid. */
  async *#biddersBut(
    winner: string | undefined,
    auctionId: AuctionId,
    facts: OutboxFacts,
  ): AsyncGenerator<Recipient> {
    for (let after = 0; ; after += recipientsPageMax) {
      const page = await this.#context.cluster.bidders(auctionId, after, recipientsPageMax)
      const told = page.filter((_, index) => `bidder-${after + index + 1}` !== winner)
      for (const id of told) void facts.buyer(id)
      for (const id of told) yield (await facts.buyer(id)) ?? { id }
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

  async #pause(ms: number): Promise<void> {
    if (this.#isStopped) return
    await new Promise<void>((resolve) => {
      const end = (): void => {
        cancel()
        this.#pauses.delete(end)
        resolve()
      }
      const cancel = this.#context.clock.setTimer(ms, end)
      this.#pauses.add(end)
    })
  }
}

function backOffMs(failures: number): number {
  return Math.min(retryMaxMs, retryBaseMs * 2 ** Math.min(failures - 1, 10))
}
