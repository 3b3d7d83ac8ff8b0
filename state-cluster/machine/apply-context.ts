/**
 * What one entry produces while it is applied: events, outbox entries, gains.
 *
 * Leaves the order of events to the handlers, and whether an outbox entry is queued to outbox.ts.
 *
 * Invariant: an event is public and takes the auction's next `seq`, or private and repeats the last one. A public event
 * has secret facts in its `secret` field only.
 * Source: docs/spec.md ENTRY3, AUCTION3, AUCTION4, OUTBOX1, OUTBOX2.
 */
import type { AuctionId, ServerId, SubjectId } from '../../protocol/ids.ts'
import type { Amount } from '../../protocol/money.ts'
import type { Auction, Bidder } from './auction.ts'
import type { OutboxKind, PrivateEvent, PublicEvent } from './events.ts'
import type { State } from './state.ts'

/** The fields that all events of an auction share. */
export interface Stamp {
  readonly auctionId: AuctionId
  readonly seq: number
  readonly epoch: number
  readonly atMs: number
}

const noServers: readonly ServerId[] = []

export class ApplyContext {
  readonly state: State
  /** The entry's stamp, or what a `shift_clock` made of it. */
  atMs: number
  readonly events: (PublicEvent | PrivateEvent)[] = []
  outboxCount = 0
  /** Shared by all entries by which no server gains anything: nearly all. */
  gained: readonly ServerId[] = noServers

  constructor(state: State, atMs: number) {
    this.state = state
    this.atMs = atMs
  }

  /** Takes the auction's next `seq`, for exactly one public event. */
  stamp(auction: Auction): Stamp {
    auction.seq++
    this.state.changes.touch(auction)
    return { auctionId: auction.id, seq: auction.seq, epoch: auction.epoch, atMs: this.atMs }
  }

  publish(event: PublicEvent): void {
    this.events.push(event)
  }

  /** A private event for one bidder, with the seq of the auction's last public event. */
  publishPrivate(type: PrivateEvent['type'], bidder: Bidder, price: Amount, askingBid?: Amount): void {
    const { auction, id: bidderId } = bidder
    const { epoch, id: auctionId, seq } = auction
    const { atMs } = this
    if (askingBid === undefined) this.events.push({ type, auctionId, seq, epoch, atMs, bidderId, price })
    else this.events.push({ type, auctionId, seq, epoch, atMs, bidderId, price, askingBid })
  }

  /** Notes that the server owns more than before. */
  gain(serverId: ServerId): void {
    if (!this.gained.includes(serverId)) this.gained = [...this.gained, serverId]
  }

  /** An outbox entry about an auction, for its owner to publish. */
  notify(kind: OutboxKind, auction: Auction, recipient?: SubjectId, price?: Amount): void {
    const { id: auctionId, owner, seq } = auction
    this.queue({ owner: owner.id, kind, atMs: this.atMs, auctionId, seq, recipient, price })
  }

  /** An outbox entry to a new buyer, for its server to publish, or a live one if that is not live. */
  notifyBuyer(through: ServerId, recipient: SubjectId): void {
    const { servers } = this.state
    const isLive = servers.get(through)?.standing === 'live'
    const owner = isLive ? through : (servers.leastLoaded()?.id ?? through)
    const none = { auctionId: undefined, seq: undefined, price: undefined }
    this.queue({ owner, kind: 'MATCHING_AUCTIONS', atMs: this.atMs, recipient, ...none })
  }

  private queue(facts: Parameters<State['outbox']['add']>[0]): void {
    if (this.state.outbox.add(facts)) this.outboxCount++
  }
}
