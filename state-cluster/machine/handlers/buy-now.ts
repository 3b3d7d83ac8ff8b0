/**
 * buy_now: takes the auction at once at the seller's fixed price, while that is offered.
 * Replies: bid · auction_not_found · own_auction · auction_not_open · auction_closed · buy_now_gone ·
 * limit_exceeded, checked in this order. Events: bid_placed at the fixed price, then auction_sold, private won
 * and lost. Notices: those of a sale. Rules BUYNOW1–BUYNOW4.
 */
import type { BuyNow } from '../commands.ts'
import type { Reply } from '../events.ts'
import { sell } from '../lifecycle.ts'
import type { Turn } from '../turn.ts'
import { acceptedReply, recordBid, refuseUnlessBiddable } from './place-bid.ts'
import { refuse, refuseBid } from './refuse.ts'

export function buyNow(turn: Turn, command: BuyNow): Reply {
  const auction = turn.state.auctions.get(command.auctionId)
  if (auction === undefined) return refuse('auction_not_found')
  const shut = refuseUnlessBiddable(turn, auction, command.subject)
  if (shut !== undefined) return shut
  const price = auction.terms.buyNow
  if (price === undefined || !auction.format.offersBuyNow(auction))
    return refuseBid('buy_now_gone', auction, turn.atMs)
  if (
    auction.bidderOf(command.subject) === undefined &&
    auction.bidders.length >= turn.state.limits.biddersMax
  )
    return refuse('limit_exceeded')

  const outcome = { leads: true, price, maxBid: price }
  const placed = recordBid(turn, auction, command, price, 'exact', outcome)
  sell(turn, auction, { winner: placed.bidder, price })
  return acceptedReply(auction, placed)
}
