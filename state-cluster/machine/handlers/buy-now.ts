/**
 * buy_now: sells an auction at once at its fixed price, while that is offered.
 *
 * Input: bidder and auction. Replies: bid · auction_not_found · own_auction · auction_not_open or auction_closed ·
 * buy_now_gone · limit_exceeded, checked in this order. Events: bid_placed at the fixed price, auction_sold, private
 * won and lost. Outbox entries: WON_AUCTION, END_OF_AUCTION. The format decides whether the price is still offered.
 *
 * Invariant: an accepted buy_now ends the auction, and its bidder is the winner at the fixed price.
 * Source: docs/spec.md BID2, BUYNOW1–BUYNOW3.
 */
import type { ApplyContext } from '../apply-context.ts'
import type { BuyNow } from '../commands.ts'
import type { Reply } from '../events.ts'
import { sell } from '../lifecycle.ts'
import { acceptedReply, recordBid, refuseUnlessBiddable } from './place-bid.ts'
import { refuse, refuseBid } from './refuse.ts'

export function buyNow(context: ApplyContext, command: BuyNow): Reply {
  const auction = context.state.auctions.get(command.auctionId)
  if (auction === undefined) return refuse('auction_not_found')
  const refusal = refuseUnlessBiddable(context, auction, command.subject)
  if (refusal !== undefined) return refusal
  const price = auction.terms.buyNow
  if (price === undefined || !auction.format.offersBuyNow(auction))
    return refuseBid('buy_now_gone', auction, context.atMs)
  if (
    auction.bidderOf(command.subject) === undefined &&
    auction.bidders.length >= context.state.limits.biddersMax
  )
    return refuse('limit_exceeded')

  const outcome = { amount: price, kind: 'exact', leads: true, price, maxBid: price } as const
  const placed = recordBid(context, auction, command, outcome)
  sell(context, auction, { winner: placed.bidder, price })
  return acceptedReply(auction, placed)
}
