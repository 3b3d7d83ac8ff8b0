/**
 * place_bid: a bid on an open auction, decided by its format.
 * Replies: bid · amount_invalid · auction_not_found · own_auction · auction_not_open · auction_closed ·
 * bid_too_low or already_leading · limit_exceeded, checked in this order (rule BID2).
 * Events: bid_placed, then auction_extended by soft close or auction_sold where the bid ends the auction;
 * private outbid to whoever lost the lead or never had it. Notices: NEW_BID, OUTBID.
 */
import type { SubjectId } from '../../../protocol/ids.ts'
import { type Amount, isAmount } from '../../../protocol/money.ts'
import { fail } from '../assert.ts'
import { type Auction, aliasOf, Bidder } from '../auction.ts'
import type { BidKind, BuyNow, PlaceBid } from '../commands.ts'
import type { BidAccepted, Rejected, Reply } from '../events.ts'
import { close, softClose } from '../lifecycle.ts'
import type { Turn } from '../turn.ts'
import { refuse, refuseBid, refuseByTime } from './refuse.ts'

export function placeBid(turn: Turn, command: PlaceBid): Reply {
  const { amount, kind, subject } = command
  if (!isAmount(amount) || amount === 0) return refuse('amount_invalid')
  const auction = turn.state.auctions.get(command.auctionId)
  if (auction === undefined) return refuse('auction_not_found')
  const shut = refuseUnlessBiddable(turn, auction, subject)
  if (shut !== undefined) return shut
  const known = auction.bidderOf(subject)
  const decision = auction.format.decideBid(auction, known, amount, kind)
  if (!decision.isAccepted) return refuseBid(decision.code, auction)
  if (known === undefined && auction.bidders.length >= turn.state.limits.biddersMax)
    return refuse('limit_exceeded')

  const before = auction.leader
  const bidder = recordBid(turn, auction, command, amount, kind, decision)
  const { seq } = auction
  const askingBid = auction.format.askingBid(auction)
  const { price } = decision
  turn.notify('NEW_BID', auction, bidder.id, price)
  const outbid = decision.leads ? before : bidder
  if (outbid !== undefined && outbid !== auction.leader) {
    turn.tell('outbid', outbid, price, askingBid)
    turn.notify('OUTBID', auction, outbid.id, price)
  }
  if (decision.ends) close(turn, auction)
  else softClose(turn, auction)
  return acceptedReply(auction, bidder, seq, askingBid)
}

/** `undefined` when the subject may bid on the auction now. */
export function refuseUnlessBiddable(turn: Turn, auction: Auction, subject: SubjectId): Rejected | undefined {
  if (auction.terms.sellerId === subject) return refuse('own_auction')
  if (auction.status === 'open')
    return turn.atMs < auction.closesAtMs ? undefined : refuseByTime('auction_closed', auction)
  return refuseByTime(auction.hasEnded ? 'auction_closed' : 'auction_not_open', auction)
}

/** Carries out an accepted bid: standing, leader, price, and the one `bid_placed`. */
export function recordBid(
  turn: Turn,
  auction: Auction,
  command: PlaceBid | BuyNow,
  amount: Amount,
  kind: BidKind,
  outcome: { readonly leads: boolean; readonly price: Amount; readonly maxBid: Amount },
): Bidder {
  const { changes } = turn.state
  if (turn.atMs >= auction.closesAtMs)
    fail('late is late: no bid at or after the deadline', { id: auction.id })
  const isRaise = outcome.leads && auction.leader?.id === command.subject
  const before = auction.price
  if (before !== undefined && (outcome.price < before || (outcome.price === before && !isRaise)))
    fail('price is monotone: an accepted bid raises it', { id: auction.id, seq: auction.seq })

  const stamp = turn.stamp(auction)
  let bidder = auction.bidderOf(command.subject)
  if (bidder === undefined) {
    bidder = new Bidder(auction, command.subject, auction.bidders.length + 1, outcome.maxBid, stamp.seq)
    auction.addBidder(bidder)
  } else {
    if (outcome.maxBid < bidder.maxBid) fail('a maximum never falls', { id: auction.id, seq: stamp.seq })
    bidder.maxBid = outcome.maxBid
    bidder.maxSeq = stamp.seq
  }
  changes.touch(bidder)
  auction.bidCount++
  auction.price = outcome.price
  if (outcome.leads) auction.leader = bidder
  const { leader } = auction
  if (leader === undefined || leader.maxBid < outcome.price)
    return fail('the price is within the maximum of a leader', { id: auction.id, seq: stamp.seq })
  // Spelled out: spreading the stamp would cost more than the rest of the bid.
  turn.publish({
    type: 'bid_placed',
    auctionId: stamp.auctionId,
    seq: stamp.seq,
    epoch: stamp.epoch,
    atMs: stamp.atMs,
    price: outcome.price,
    askingBid: auction.format.askingBid(auction),
    bidCount: auction.bidCount,
    highBidder: aliasOf(leader),
    bidder: aliasOf(bidder),
    reserve: auction.format.reserveStatus(auction),
    secret: { bidderId: bidder.id, amount, kind, requestId: command.requestId },
  })
  return bidder
}

/** The answer to the bidder, as things stand after the bid. */
export function acceptedReply(auction: Auction, bidder: Bidder, seq: number, askingBid: Amount): BidAccepted {
  const isLeading = auction.leader === bidder
  const hasWon = auction.winner === bidder
  const status = hasWon ? 'won' : auction.hasEnded ? 'lost' : isLeading ? 'winning' : 'outbid'
  return {
    ok: true,
    type: 'bid',
    auctionId: auction.id,
    seq,
    price: auction.price ?? 0,
    askingBid,
    you: { status, maxBid: bidder.maxBid },
  }
}
