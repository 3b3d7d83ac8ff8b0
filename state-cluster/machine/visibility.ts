/**
 * Decides what may be seen of an auction's bids.
 *
 * There is one answer for everybody, and one for a bidder about itself. Leaves the shapes of events and views to
 * events.ts and view.ts.
 *
 * Invariant: while bids are sealed, nobody learns a price, a high bidder or a standing. In an open format only maxima
 * are hidden.
 * Source: docs/spec.md AUCTION4, RESERVE3; formats/format.ts.
 */
import type { Amount } from '../../protocol/money.ts'
import type { Auction, Bidder } from './auction.ts'
import type { Standing } from './events.ts'

export interface VisibleBids {
  /** Absent before the first bid, and while bids are sealed. */
  readonly price: Amount | undefined
  readonly askingBid: Amount
  readonly highBidder: Bidder | undefined
}

/** What all may see at `atMs`. */
export function visibleBids(auction: Auction, atMs: number): VisibleBids {
  const { format, highBidder, price } = auction
  const askingBid = format.askingBid(auction, atMs)
  if (format.isSealed && !auction.hasEnded) return { price: undefined, askingBid, highBidder: undefined }
  return { price, askingBid, highBidder }
}

/** A bidder's standing, for this bidder alone. In a cancelled auction, and while bids are sealed: `none`. */
export function standingIn(auction: Auction, bidder: Bidder): Standing {
  const { maxBid } = bidder
  if (auction.status === 'cancelled') return { status: 'none', maxBid }
  if (auction.hasEnded) return { status: auction.winner === bidder ? 'won' : 'lost', maxBid }
  if (auction.format.isSealed) return { status: 'none', maxBid }
  return { status: auction.highBidder === bidder ? 'winning' : 'outbid', maxBid }
}

/** Whether a price that moves on from `than` can reach `amount`: it is higher, or lower where prices fall. */
export function isBeyond(auction: Auction, amount: Amount, than: Amount): boolean {
  return auction.format.direction === 'rising' ? amount > than : amount < than
}
