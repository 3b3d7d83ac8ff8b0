/**
 * The interface of an auction format: the decisions that differ from format to format.
 *
 * Leaves all else to the trunk: de-duplication, status, deadlines, events, outbox entries, standings. `lifecycle.ts`
 * and `place-bid.ts` carry a decision out. formats/trial.test.ts shows that falling, sealed, second-price and clock
 * auctions fit this interface.
 *
 * Invariant: a format reads an auction and never changes it; a price that moves by the clock is a function of `atMs`.
 * Source: docs/style.md "Adding things"; formats/contract.ts, which every format passes.
 */
import type { SubjectId } from '../../../protocol/ids.ts'
import type { Amount, IncrementTable } from '../../../protocol/money.ts'
import type { AuctionTerms, BidKind } from '../commands.ts'
import type { RejectionCode, ReserveStatus } from '../events.ts'

/** What a format may know of a bidder. */
export interface BidderFacts {
  readonly id: SubjectId
  /** Hidden maximum; of a plain bid, its amount. */
  readonly maxBid: Amount
}

/** What a format may know of an auction; all of it is read-only. */
export interface AuctionFacts {
  readonly terms: {
    readonly openingBid: Amount
    readonly reserve: Amount | undefined
    readonly increments: IncrementTable
  }
  readonly opensAtMs: number
  readonly closesAtMs: number
  readonly price: Amount | undefined
  readonly highBidder: BidderFacts | undefined
  readonly bidders: readonly BidderFacts[]
}

/** A bid of a valid amount. */
export interface BidFacts {
  /** The bidder's standing so far; absent at its first bid. */
  readonly bidder: BidderFacts | undefined
  readonly amount: Amount
  readonly kind: BidKind
  readonly atMs: number
}

export type BidDecision =
  | { readonly isAccepted: false; readonly code: RejectionCode }
  | {
      readonly isAccepted: true
      /** Whether the bidder leads after this bid; otherwise the high bidder stays. */
      readonly leads: boolean
      /** The price after this bid. */
      readonly price: Amount
      /** The bidder's hidden limit after this bid: its maximum, or its minimum in a falling auction. */
      readonly maxBid: Amount
      /** The bid ends the auction at once (an accepted Dutch price, a buy-out). */
      readonly ends: boolean
    }

/** The result of a sale: the winner and the price, no worse than the reserve. */
export interface Hammer {
  /** One of the auction's bidders. */
  readonly winner: BidderFacts
  readonly price: Amount
}

/** The decision on an open auction that is due: it ends by `hammer`, or waits until its next `dueMs`. */
export type DueDecision = 'close' | 'wait'

export interface Format {
  /** As in `AuctionTerms.format`. Rows contain it, so it never changes. */
  readonly name: string
  /** Which way bids move the price: up, or down (a reverse auction, where the seller of a service bids). */
  readonly direction: 'rising' | 'falling'
  /** Bids are secret until the end: no price, no high bidder, no private `outbid`. */
  readonly isSealed: boolean
  /** Why terms, each of them valid, make no sense in this format: field and what it must be; or `undefined`. */
  termsFault(terms: AuctionTerms): string | undefined
  /** The amount that a bid must reach at `atMs`. A price that falls by the clock falls without an event. */
  askingBid(auction: AuctionFacts, atMs: number): Amount
  /**
   * Decides a bid on an open auction before its deadline. In a sealed auction the price must be one that all may know.
   */
  decideBid(auction: AuctionFacts, bid: BidFacts): BidDecision
  /** At any time: whether the reserve would be met if the auction closed now. */
  reserveStatus(auction: AuctionFacts): ReserveStatus
  /** Whether `buyNow`, where the terms have one, may still be taken. */
  offersBuyNow(auction: AuctionFacts): boolean
  /** The result of a close now; `undefined`: it passes. */
  hammer(auction: AuctionFacts): Hammer | undefined
  /** When an open auction falls due (epoch ms): its deadline, unless the format sets an earlier time. */
  dueMs(auction: AuctionFacts): number
  /** Decides an open auction that is due at `atMs`. After `wait`, `dueMs` must lie after `atMs`. */
  fallDue(auction: AuctionFacts, atMs: number): DueDecision
}
