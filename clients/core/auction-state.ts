/**
 * An auction's public view, kept up to date from its events. Invariant: the view after a snapshot and the events
 * after it is the view that a new snapshot would show, in every field that events carry (a test compares them
 * with the house's own). It trusts its caller that events come in order; `Watch` sees to that.
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import type { PublicEventFrame } from '../../protocol/server-frames.ts'

const unsold = { buyNow: null, hammerPrice: null, winner: null } as const

/** The view after one more event. The buy-now price goes with the first bid, or when the reserve is met. */
export function applyEvent(view: AuctionView, event: PublicEventFrame): AuctionView {
  const moved: AuctionView = { ...view, seq: event.seq, epoch: event.epoch }
  switch (event.type) {
    case 'bid_placed': {
      const { price, askingBid, bidCount, highBidder, reserve } = event
      const bid = { ...moved, price, askingBid, bidCount, highBidder, reserve }
      return reserve === 'not_met' ? bid : { ...bid, buyNow: null }
    }
    case 'auction_opened':
      return { ...moved, status: 'open', closesAt: event.closesAt }
    case 'auction_extended':
      return { ...moved, closesAt: event.closesAt, extensions: view.extensions + 1 }
    case 'auction_paused':
      return { ...moved, status: 'paused' }
    case 'auction_resumed':
      return { ...moved, status: 'open', closesAt: event.closesAt }
    case 'auction_sold': {
      const { hammerPrice, winner } = event
      return { ...moved, status: 'sold', price: hammerPrice, buyNow: null, hammerPrice, winner }
    }
    case 'auction_passed':
      return { ...moved, status: 'passed', ...unsold }
    case 'auction_cancelled':
      return { ...moved, status: 'cancelled', ...unsold }
  }
}

/** Whether an auction has ended: sold, passed or cancelled. */
export function isEnded(view: AuctionView): boolean {
  return view.status === 'sold' || view.status === 'passed' || view.status === 'cancelled'
}
