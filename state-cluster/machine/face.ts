/**
 * What may be seen of an auction's bids: by everybody, and by one bidder of itself. Invariant: while bids are
 * sealed, nobody learns a price, a high bidder or how it stands; of an open format, nothing but maxima is hidden.
 */
import type { Amount } from '../../protocol/money.ts'
import type { Auction, Bidder } from './auction.ts'
import type { Standing } from './events.ts'

export interface Face {
  /** Absent before the first bid, and while bids are sealed. */
  readonly price: Amount | undefined
  readonly askingBid: Amount
  readonly highBidder: Bidder | undefined
}

/** What everybody may see at `atMs`. */
export function faceOf(auction: Auction, atMs: number): Face {
  const { format, highBidder, price } = auction
  const askingBid = format.askingBid(auction, atMs)
  if (format.isSealed && !auction.hasEnded) return { price: undefined, askingBid, highBidder: undefined }
  return { price, askingBid, highBidder }
}

/** How a bidder stands, for its own eyes. Of a cancelled auction, and while bids are sealed: `none`. */
export function standingIn(auction: Auction, bidder: Bidder): Standing {
  const { maxBid } = bidder
  if (auction.status === 'cancelled') return { status: 'none', maxBid }
  if (auction.hasEnded) return { status: auction.winner === bidder ? 'won' : 'lost', maxBid }
  if (auction.format.isSealed) return { status: 'none', maxBid }
  return { status: auction.highBidder === bidder ? 'winning' : 'outbid', maxBid }
}

/** Whether `amount` is further along the way of the format's price than `than`: higher, or lower in a falling one. */
export function isBeyond(auction: Auction, amount: Amount, than: Amount): boolean {
  return auction.format.direction === 'rising' ? amount > than : amount < than
}
