/**
 * The English auction: the price rises, and Martillo bids up to hidden maximum bids.
 *
 * Leaves status, deadlines, events and de-duplication to the trunk.
 *
 * Invariant: the price never exceeds the high bidder's maximum; an accepted bid of another bidder raises the price; at
 * equal maxima the earlier one leads.
 * Source: docs/spec.md BID3–BID10, RESERVE1–RESERVE3, BUYNOW2; docs/protocol.md "English auction rules".
 */
import { type Amount, addCapped, incrementAt } from '../../../protocol/money.ts'
import type { AuctionTerms } from '../commands.ts'
import type { ReserveStatus } from '../events.ts'
import type { AuctionFacts, BidDecision, BidFacts, Format, Hammer } from './format.ts'

const tooLow: BidDecision = { isAccepted: false, code: 'bid_too_low' }
const alreadyLeading: BidDecision = { isAccepted: false, code: 'already_leading' }

function plusIncrement(auction: AuctionFacts, amount: Amount): Amount {
  return addCapped(amount, incrementAt(auction.terms.increments, amount))
}

function askingBid(auction: AuctionFacts): Amount {
  return auction.price === undefined ? auction.terms.openingBid : plusIncrement(auction, auction.price)
}

/** A high bidder whose maximum reaches the reserve pays at least the reserve. */
function withReserve(auction: AuctionFacts, maxBid: Amount, price: Amount): Amount {
  const { reserve } = auction.terms
  return reserve !== undefined && maxBid >= reserve && price < reserve ? reserve : price
}

function lead(auction: AuctionFacts, maxBid: Amount, price: Amount): BidDecision {
  return { isAccepted: true, leads: true, price: withReserve(auction, maxBid, price), maxBid, ends: false }
}

function decideBid(auction: AuctionFacts, { amount, bidder, kind }: BidFacts): BidDecision {
  const { highBidder, price } = auction
  const asking = askingBid(auction)
  if (highBidder === undefined || price === undefined) {
    if (amount < asking) return tooLow
    return lead(auction, amount, kind === 'exact' ? amount : asking)
  }
  if (bidder === highBidder) {
    if (amount <= highBidder.maxBid) return alreadyLeading
    if (kind === 'max') return lead(auction, amount, price)
    return amount < asking ? tooLow : lead(auction, amount, amount)
  }
  // At the top of the range the asking bid is the price itself; an equal price is no higher bid.
  if (amount < asking || amount <= price) return tooLow
  if (amount > highBidder.maxBid) {
    const next = kind === 'exact' ? amount : Math.min(amount, plusIncrement(auction, highBidder.maxBid))
    return lead(auction, amount, next)
  }
  const next = Math.min(highBidder.maxBid, plusIncrement(auction, amount))
  return { isAccepted: true, leads: false, price: next, maxBid: amount, ends: false }
}

function reserveStatus(auction: AuctionFacts): ReserveStatus {
  const { reserve } = auction.terms
  if (reserve === undefined) return 'none'
  return auction.price !== undefined && auction.price >= reserve ? 'met' : 'not_met'
}

function hammer(auction: AuctionFacts): Hammer | undefined {
  const { highBidder, price } = auction
  if (highBidder === undefined || price === undefined || reserveStatus(auction) === 'not_met')
    return undefined
  return { winner: highBidder, price }
}

function termsFault({ buyNow, openingBid, reserve = 0 }: AuctionTerms): string | undefined {
  if (buyNow === undefined) return undefined
  if (buyNow < openingBid) return `buyNow must be at least openingBid (${openingBid})`
  return buyNow < reserve ? `buyNow must be at least reserve (${reserve})` : undefined
}

export const english: Format = {
  name: 'english',
  direction: 'rising',
  isSealed: false,
  termsFault,
  askingBid,
  decideBid,
  reserveStatus,
  offersBuyNow: (auction) =>
    auction.terms.reserve === undefined
      ? auction.highBidder === undefined
      : auction.highBidder === undefined || reserveStatus(auction) === 'not_met',
  hammer,
  dueMs: (auction) => auction.closesAtMs,
  fallDue: () => 'close',
}
