/**
 * What a format of auction decides; all else (de-duplication, status, deadlines, events, notices, standings) is
 * the trunk's. Invariant: a format reads an auction and never changes it: it answers with a decision, and
 * `lifecycle.ts` and `place-bid.ts` carry it out. When an open auction falls due, its format says through the
 * `DueTurn` what happens: a format whose price moves by the clock falls due before its deadline.
 * Every format passes `formats/contract.ts`.
 */
import type { Amount } from '../../../protocol/money.ts'
import type { Auction, Bidder } from '../auction.ts'
import type { AuctionTerms, BidKind } from '../commands.ts'
import type { RejectionCode, ReserveStatus } from '../events.ts'

export type BidDecision =
  | { readonly isAccepted: false; readonly code: RejectionCode }
  | {
      readonly isAccepted: true
      /** Whether the bidder leads after this bid; otherwise the leader stays. */
      readonly leads: boolean
      /** The price after this bid. */
      readonly price: Amount
      /** The bidder's maximum after this bid, hidden. */
      readonly maxBid: Amount
      /** The bid ends the auction at once (an accepted Dutch price, a buy-out). */
      readonly ends: boolean
    }

/** What the hammer brings: the bidder that wins and what it pays, at least the reserve. */
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
  /** Whether terms that are well formed in themselves make sense in this format. */
  accepts(terms: AuctionTerms): boolean
  /** The least amount that a bid must offer now. */
  askingBid(auction: Auction): Amount
  /**
   * Decides a bid of a valid amount on an open auction before its deadline. `bidder` is the bidder's standing
   * so far, if any.
   */
  decideBid(auction: Auction, bidder: Bidder | undefined, amount: Amount, kind: BidKind): BidDecision
  /** Of an auction at any time: whether its reserve would be met if the hammer fell now. */
  reserveStatus(auction: Auction): ReserveStatus
  /** Whether `buyNow`, where the terms have one, may still be taken. */
  offersBuyNow(auction: Auction): boolean
  /** What a close would bring now; `undefined`: it passes. */
  hammer(auction: Auction): Hammer | undefined
  /** When an open auction falls due (epoch ms): at its close, or earlier where its price moves by the clock. */
  dueMs(auction: Auction): number
  /** The open auction is due at `turn.atMs`. */
  fallDue(auction: Auction, turn: DueTurn): void
}
