/**
 * What a format of auction decides; all else (de-duplication, status, deadlines, events, outbox entries, standings) is
 * the trunk's. Invariant: a format reads an auction and never changes it: it answers with a decision, and
 * `lifecycle.ts` and `place-bid.ts` carry it out. A price that moves by the clock is a function of `atMs`.
 * Every format passes `formats/contract.ts`; that the seam carries falling, sealed, second-price and clock
 * auctions is shown by `formats/trial.test.ts`.
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

/** What a format may know of an auction; nothing of it can be changed through this. */
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
      /** How far the bidder goes after this bid, hidden: its maximum, or its least in a falling auction. */
      readonly maxBid: Amount
      /** The bid ends the auction at once (an accepted Dutch price, a buy-out). */
      readonly ends: boolean
    }

/** What the hammer brings: the bidder that wins and what it pays, no worse than the reserve. */
export interface Hammer {
  /** One of the auction's bidders. */
  readonly winner: BidderFacts
  readonly price: Amount
}

/** What becomes of an open auction that fell due: it ends by `hammer`, or waits until its next `dueMs`. */
export type DueDecision = 'close' | 'wait'

export interface Format {
  /** As in `AuctionTerms.format`; stands in rows, so it never changes. */
  readonly name: string
  /** Which way bids move the price: up, or down (a reverse auction, where the seller of a service bids). */
  readonly direction: 'rising' | 'falling'
  /** Bids are secret until the end: no price, no high bidder, nobody is told of being outbid. */
  readonly isSealed: boolean
  /** Whether terms that are well formed in themselves make sense in this format. */
  accepts(terms: AuctionTerms): boolean
  /** What a bid must reach to be accepted, at `atMs`: a price that falls by the clock needs no event to fall. */
  askingBid(auction: AuctionFacts, atMs: number): Amount
  /**
   * Decides a bid on an open auction before its deadline. Of a sealed auction the price stays what everybody may
   * know.
   */
  decideBid(auction: AuctionFacts, bid: BidFacts): BidDecision
  /** Of an auction at any time: whether its reserve would be met if the hammer fell now. */
  reserveStatus(auction: AuctionFacts): ReserveStatus
  /** Whether `buyNow`, where the terms have one, may still be taken. */
  offersBuyNow(auction: AuctionFacts): boolean
  /** What a close would bring now; `undefined`: it passes. */
  hammer(auction: AuctionFacts): Hammer | undefined
  /** When an open auction falls due (epoch ms): its deadline, unless the format wants to be asked earlier. */
  dueMs(auction: AuctionFacts): number
  /** Decides an open auction that is due at `atMs`. After `wait`, `dueMs` must lie after `atMs`. */
  fallDue(auction: AuctionFacts, atMs: number): DueDecision
}
