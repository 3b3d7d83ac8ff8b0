/**
 * The index of tags: auctions by status, buyers by interest.
 *
 * It is derived from terms, auctions and buyers, and has no rows of its own. Leaves pages to views.ts.
 *
 * Invariant: a tag is in the table exactly while an auction or buyer has it. Every set is sorted, so a page costs
 * O(limit), however many auctions have ended.
 * Source: docs/spec.md AUCTION5, BUYER1, LIMIT1.
 */
import type { SubjectId } from '../../protocol/ids.ts'
import type { AuctionStatus } from './events.ts'
import { OrderedSet } from './ordered-set.ts'

/** Ordinals of auctions, one set per status; a set is made when it gets its first auction. */
export type OrdinalsByStatus = Partial<Record<AuctionStatus, OrderedSet<number>>>

export interface Tag {
  readonly name: string
  readonly auctions: OrdinalsByStatus
  buyers: OrderedSet<SubjectId> | undefined
  /** The number of auctions and buyers that have it. */
  uses: number
}

export class Tags {
  private readonly byName = new Map<string, Tag>()

  get size(): number {
    return this.byName.size
  }

  get(name: string): Tag | undefined {
    return this.byName.get(name)
  }

  /** How many of these are not in the table yet. */
  countNew(names: readonly string[]): number {
    let fresh = 0
    for (const name of names) if (!this.byName.has(name)) fresh++
    return fresh
  }

  addAuction(name: string, status: AuctionStatus, ordinal: number): void {
    const tag = this.getOrAdd(name)
    addOrdinal(tag.auctions, status, ordinal)
    tag.uses++
  }

  moveAuction(name: string, from: AuctionStatus, to: AuctionStatus, ordinal: number): void {
    const tag = this.getOrAdd(name)
    tag.auctions[from]?.delete(ordinal)
    addOrdinal(tag.auctions, to, ordinal)
  }

  addBuyer(name: string, buyer: SubjectId): void {
    const tag = this.getOrAdd(name)
    tag.buyers ??= new OrderedSet()
    if (tag.buyers.add(buyer)) tag.uses++
  }

  removeBuyer(name: string, buyer: SubjectId): void {
    const tag = this.byName.get(name)
    if (tag?.buyers?.delete(buyer) !== true) return
    tag.uses--
    if (tag.uses === 0) this.byName.delete(name)
  }

  private getOrAdd(name: string): Tag {
    let tag = this.byName.get(name)
    if (tag === undefined) {
      tag = { name, auctions: {}, buyers: undefined, uses: 0 }
      this.byName.set(name, tag)
    }
    return tag
  }
}

export function addOrdinal(sets: OrdinalsByStatus, status: AuctionStatus, ordinal: number): void {
  let set = sets[status]
  if (set === undefined) {
    set = new OrderedSet()
    sets[status] = set
  }
  set.add(ordinal)
}
