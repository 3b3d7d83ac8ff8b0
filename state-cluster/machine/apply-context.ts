/**
 * What one entry brings while it is applied: its stamp, its events, its outbox entries. Invariant: public events leave
 * only through `publish`, which gives the auction's next `seq`; whatever a public field may not show is in
 * `secret` or in a private event. Source: events.ts.
 */
import type { AuctionId, ServerId, SubjectId } from '../../protocol/ids.ts'
import type { Amount } from '../../protocol/money.ts'
import type { Auction, Bidder } from './auction.ts'
import type { OutboxKind, PrivateEvent, PublicEvent } from './events.ts'
import type { State } from './state.ts'

/** Where an event stands: the fields that all events of an auction share. */
export interface Stamp {
  readonly auctionId: AuctionId
  readonly seq: number
  readonly epoch: number
  readonly atMs: number
}

const nobody: readonly ServerId[] = []

export class ApplyContext {
  readonly state: State
  readonly atMs: number
  readonly events: (PublicEvent | PrivateEvent)[] = []
  outboxCount = 0
  /** Shared by all entries by which nobody gains anything: nearly all. */
  gained: readonly ServerId[] = nobody

  constructor(state: State, atMs: number) {
    this.state = state
    this.atMs = atMs
  }

  /** The next place in an auction's order of events; exactly one public event takes it. */
  stamp(auction: Auction): Stamp {
    auction.seq++
    this.state.changes.touch(auction)
    return { auctionId: auction.id, seq: auction.seq, epoch: auction.epoch, atMs: this.atMs }
  }

  publish(event: PublicEvent): void {
    this.events.push(event)
  }

  /** Tells one bidder, under the seq of the auction's last public event. */
  tell(type: PrivateEvent['type'], bidder: Bidder, price: Amount, askingBid?: Amount): void {
    const { auction, id: bidderId } = bidder
    const { epoch, id: auctionId, seq } = auction
    const { atMs } = this
    if (askingBid === undefined) this.events.push({ type, auctionId, seq, epoch, atMs, bidderId, price })
    else this.events.push({ type, auctionId, seq, epoch, atMs, bidderId, price, askingBid })
  }

  /** The server owns more than before. */
  gain(serverId: ServerId): void {
    if (!this.gained.includes(serverId)) this.gained = [...this.gained, serverId]
  }

  /** An outbox entry about an auction, for its owner to publish. */
  notify(kind: OutboxKind, auction: Auction, recipient?: SubjectId, price?: Amount): void {
    const { id: auctionId, owner, seq } = auction
    this.queue({ owner: owner.id, kind, atMs: this.atMs, auctionId, seq, recipient, price })
  }

  /** An outbox entry to a new buyer, for the server that registered it to publish, or for a live one if it is not live. */
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
