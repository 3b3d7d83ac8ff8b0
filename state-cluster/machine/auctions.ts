/**
 * All auctions of a group: by id, by order of creation, by status, by tag.
 *
 * Leaves the set per tag to tags.ts, and what falls due to the owner (servers.ts).
 *
 * Invariant: the indexes agree with every auction's status, because `setStatus` alone changes one.
 * Source: docs/spec.md AUCTION5.
 */
import type { AuctionId } from '../../protocol/ids.ts'
import type { Auction } from './auction.ts'
import type { Changes } from './changes.ts'
import type { AuctionStatus } from './events.ts'
import { addOrdinal, type OrdinalsByStatus, type Tags } from './tags.ts'

export class Auctions {
  private readonly byId = new Map<AuctionId, Auction>()
  /** Index = ordinal − 1. */
  private readonly byOrdinal: Auction[] = []
  readonly byStatus: OrdinalsByStatus = {}
  private readonly changes: Changes
  private readonly tags: Tags

  constructor(changes: Changes, tags: Tags) {
    this.changes = changes
    this.tags = tags
  }

  get size(): number {
    return this.byOrdinal.length
  }

  get(id: AuctionId): Auction | undefined {
    return this.byId.get(id)
  }

  at(ordinal: number): Auction | undefined {
    return this.byOrdinal[ordinal - 1]
  }

  /** In order of creation. */
  all(): readonly Auction[] {
    return this.byOrdinal
  }

  /** Adds the auction with the next ordinal. */
  add(auction: Auction): void {
    this.index(auction)
    this.changes.touch(auction.terms)
    this.changes.touch(auction)
    auction.owner.schedule(auction)
  }

  /** Adds a saved auction; the caller keeps the order of ordinals, and has loaded its bidders. */
  load(auction: Auction): void {
    this.index(auction)
    this.changes.load(auction.terms)
    this.changes.load(auction)
    auction.owner.schedule(auction)
  }

  setStatus(auction: Auction, status: AuctionStatus): void {
    const from = auction.status
    const { ordinal } = auction
    this.byStatus[from]?.delete(ordinal)
    addOrdinal(this.byStatus, status, ordinal)
    for (const tag of auction.terms.tags) this.tags.moveAuction(tag, from, status, ordinal)
    auction.status = status
    auction.owner.schedule(auction)
    this.changes.touch(auction)
  }

  countOf(status: AuctionStatus): number {
    return this.byStatus[status]?.size ?? 0
  }

  private index(auction: Auction): void {
    const { ordinal, status } = auction
    this.byId.set(auction.id, auction)
    this.byOrdinal[ordinal - 1] = auction
    addOrdinal(this.byStatus, status, ordinal)
    for (const tag of auction.terms.tags) this.tags.addAuction(tag, status, ordinal)
  }
}
