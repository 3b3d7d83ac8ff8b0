/**
 * place_bid: a bid on an open auction, decided by its format.
 *
 * Input: bidder, auction, amount, kind. Replies: bid · amount_invalid · auction_not_found · own_auction ·
 * auction_not_open or auction_closed · already_leading or bid_too_low · limit_exceeded, checked in this order.
 * Events: bid_placed; private outbid to the bidder who lost the lead, or whose bid did not take it; then
 * auction_extended by soft close, or the events of a close if the bid ends the auction.
 * Outbox entries: NEW_BID, OUTBID, and those of a close.
 *
 * Invariant: a bid at or after the deadline is never accepted, and one accepted bid makes one bid_placed.
 * Source: docs/spec.md BID1–BID13; docs/design.md "What must never happen".
 */
import type { SubjectId } from '../../../protocol/ids.ts'
import { type Amount, isAmount } from '../../../protocol/money.ts'
import type { ApplyContext } from '../apply-context.ts'
import { fail } from '../assert.ts'
import { type Auction, aliasOf, Bidder } from '../auction.ts'
import type { BidKind, BuyNow, PlaceBid } from '../commands.ts'
import type { BidAccepted, Rejected, Reply } from '../events.ts'
import { close, softClose } from '../lifecycle.ts'
import { isBeyond, standingIn, visibleBids } from '../visibility.ts'
import { refuse, refuseBid, refuseByTime } from './refuse.ts'

export function placeBid(context: ApplyContext, command: PlaceBid): Reply {
  const { amount, kind, subject } = command
  if (!isAmount(amount)) return refuse('amount_invalid')
  const auction = context.state.auctions.get(command.auctionId)
  if (auction === undefined) return refuse('auction_not_found')
  const refusal = refuseUnlessBiddable(context, auction, subject)
  if (refusal !== undefined) return refusal
  const known = auction.bidderOf(subject)
  const { format } = auction
  const decision = format.decideBid(auction, { bidder: known, amount, kind, atMs: context.atMs })
  if (!decision.isAccepted) return refuseBid(decision.code, auction, context.atMs)
  if (known === undefined && auction.bidders.length >= context.state.limits.biddersMax)
    return refuse('limit_exceeded')

  const before = auction.highBidder
  const { leads, price, maxBid } = decision
  // Spelled out, like the event below: a spread costs more than all that comes before it.
  const placed = recordBid(context, auction, command, { amount, kind, leads, price, maxBid })
  context.notify('NEW_BID', auction, placed.bidder.id, placed.price)
  const outbid = decision.leads ? before : placed.bidder
  if (outbid !== undefined && outbid !== auction.highBidder && !format.isSealed) {
    context.publishPrivate('outbid', outbid, placed.price, placed.askingBid)
    context.notify('OUTBID', auction, outbid.id, placed.price)
  }
  if (decision.ends) close(context, auction)
  else softClose(context, auction)
  return acceptedReply(auction, placed)
}

/** `undefined` when the subject may bid on the auction now. */
export function refuseUnlessBiddable(
  context: ApplyContext,
  auction: Auction,
  subject: SubjectId,
): Rejected | undefined {
  if (auction.terms.sellerId === subject) return refuse('own_auction')
  if (auction.status === 'open')
    return context.atMs < auction.closesAtMs ? undefined : refuseByTime('auction_closed', auction)
  return refuseByTime(auction.hasEnded ? 'auction_closed' : 'auction_not_open', auction)
}

/** What the bidder of an accepted bid may know about it. */
interface PlacedBid {
  readonly bidder: Bidder
  readonly seq: number
  /** While bids are sealed: the opening bid. */
  readonly price: Amount
  readonly askingBid: Amount
}

interface BidOutcome {
  readonly amount: Amount
  readonly kind: BidKind
  readonly leads: boolean
  readonly price: Amount
  readonly maxBid: Amount
}

/** Records an accepted bid: the bidder's maximum, the high bidder, the price, and the one `bid_placed`. */
export function recordBid(
  context: ApplyContext,
  auction: Auction,
  command: PlaceBid | BuyNow,
  outcome: BidOutcome,
): PlacedBid {
  const { amount, kind } = outcome
  assertPriceAndTime(context, auction, command.subject, outcome)
  const { seq } = context.stamp(auction)
  let bidder = auction.bidderOf(command.subject)
  if (bidder === undefined) {
    const id = context.state.interned.text(command.subject)
    bidder = new Bidder(auction, {
      id,
      alias: auction.bidders.length + 1,
      maxBid: outcome.maxBid,
      maxSeq: seq,
    })
    auction.addBidder(bidder)
  } else {
    if (isBeyond(auction, bidder.maxBid, outcome.maxBid))
      fail('a maximum is never taken back', { id: auction.id, seq })
    bidder.maxBid = outcome.maxBid
    bidder.maxSeq = seq
  }
  context.state.changes.touch(bidder)
  auction.bidCount++
  auction.price = outcome.price
  if (outcome.leads) auction.highBidder = bidder
  if (auction.highBidder === undefined || isBeyond(auction, outcome.price, auction.highBidder.maxBid))
    fail('the price is within the maximum of a high bidder', { id: auction.id, seq })

  const { askingBid, highBidder, price = auction.terms.openingBid } = visibleBids(auction, context.atMs)
  // All fields by name: spreading a stamp would cost more than the rest of the bid.
  context.publish({
    type: 'bid_placed',
    auctionId: auction.id,
    seq,
    epoch: auction.epoch,
    atMs: context.atMs,
    price,
    askingBid,
    bidCount: auction.bidCount,
    highBidder: highBidder === undefined ? '' : aliasOf(highBidder),
    bidder: aliasOf(bidder),
    reserve: auction.format.reserveStatus(auction),
    secret: { bidderId: bidder.id, amount, kind, requestId: command.requestId },
  })
  return { bidder, seq, price, askingBid }
}

/** Asserts what holds for every format: no late bid, and a price that only moves forward. */
function assertPriceAndTime(
  context: ApplyContext,
  auction: Auction,
  subject: SubjectId,
  { leads, price }: { readonly leads: boolean; readonly price: Amount },
): void {
  const { id, highBidder, price: before } = auction
  if (context.atMs >= auction.closesAtMs) fail('late is late: no bid at or after the deadline', { id })
  if (before === undefined || auction.format.isSealed) return
  const isOwnRaise = leads && highBidder?.id === subject
  const isMonotone = isBeyond(auction, price, before) || (isOwnRaise && price === before)
  if (!isMonotone) fail('price is monotone: a bid moves it forward', { id, seq: auction.seq })
}

/** The reply to the bidder; `you` is its standing after the bid and all that the bid caused. */
export function acceptedReply(auction: Auction, { bidder, seq, price, askingBid }: PlacedBid): BidAccepted {
  const you = standingIn(auction, bidder)
  return { ok: true, type: 'bid', auctionId: auction.id, seq, price, askingBid, you }
}
