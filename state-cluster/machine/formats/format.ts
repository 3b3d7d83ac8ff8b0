/**
 * What a format of auction decides; all else (de-duplication, status, deadlines, events, outbox entries, standings) is
 * the trunk's. Invariant: a format reads an auction and never changes it: it answers with a decision, and
 * `lifecycle.ts` and `place-bid.ts` carry it out. A price that moves by the clock is a function of `atMs`.
 * Every format passes `formats/contract.ts`; that the seam carries falling, sealed, second-price and clock
 * auctions is shown by `formats/trial.test.ts`.
 */
import type { Amount } from '../../../protocol/money.ts'
import type { Auction, Bidder } from '../auction.ts'
import type { AuctionTerms, BidKind } from '../commands.ts'
import type { RejectionCode, ReserveStatus } from '../events.ts'

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
  readonly winner: Bidder
  readonly price: Amount
}

/** What a format may do with an open auction that fell due. */
export interface DueTurn {
  readonly atMs: number
  /** Ends the auction by `hammer`: sold or passed. */
  close(auction: Auction): void
}

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
  askingBid(auction: Auction, atMs: number): Amount
  /**
   * Decides a bid of a valid amount on an open auction before its deadline. `bidder` is the bidder's standing
   * so far, if any. Of a sealed auction the price stays what everybody may know.
   */
  decideBid(
    auction: Auction,
    bidder: Bidder | undefined,
    amount: Amount,
    kind: BidKind,
    atMs: number,
  ): BidDecision
  /** Of an auction at any time: whether its reserve would be met if the hammer fell now. */
  reserveStatus(auction: Auction): ReserveStatus
  /** Whether `buyNow`, where the terms have one, may still be taken. */
  offersBuyNow(auction: Auction): boolean
  /** What a close would bring now; `undefined`: it passes. */
  hammer(auction: Auction): Hammer | undefined
  /** When an open auction falls due (epoch ms): its deadline, unless the format wants to be asked earlier. */
  dueMs(auction: Auction): number
  /** The open auction is due at `context.atMs`. */
  fallDue(auction: Auction, context: DueTurn): void
}
