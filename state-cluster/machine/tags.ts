/**
 * Who and what carries a tag: auctions by status, buyers by interest. Invariant: a tag is in the table exactly
 * while something carries it, and every set is in order, so that a page costs O(limit) whatever has ended.
 * Derived from terms, auctions and buyers; no rows of its own.
 */
import type { SubjectId } from '../../protocol/ids.ts'
import type { AuctionStatus } from './events.ts'
import { OrderedSet } from './ordered-set.ts'

/** Ordinals of auctions, one set per status; absent while empty and never needed. */
export type OrdinalsByStatus = Partial<Record<AuctionStatus, OrderedSet<number>>>

export interface Tag {
  readonly name: string
  readonly auctions: OrdinalsByStatus
  buyers: OrderedSet<SubjectId> | undefined
  /** Auctions and buyers that carry it. */
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
    const tag = this.obtain(name)
    addOrdinal(tag.auctions, status, ordinal)
    tag.uses++
  }

  moveAuction(name: string, from: AuctionStatus, to: AuctionStatus, ordinal: number): void {
    const tag = this.obtain(name)
    tag.auctions[from]?.delete(ordinal)
    addOrdinal(tag.auctions, to, ordinal)
  }

  addBuyer(name: string, buyer: SubjectId): void {
    const tag = this.obtain(name)
    tag.buyers ??= new OrderedSet()
    if (tag.buyers.add(buyer)) tag.uses++
  }

  removeBuyer(name: string, buyer: SubjectId): void {
    const tag = this.byName.get(name)
    if (tag?.buyers?.delete(buyer) !== true) return
    tag.uses--
    if (tag.uses === 0) this.byName.delete(name)
  }

  private obtain(name: string): Tag {
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
