/**
 * Frames and views as a house would send them, for tests of the client.
 * Invariant: a frame has every field of its schema, with fixed values unless a test changes them.
 */
import type { AuctionView } from '../../../protocol/auction-view.ts'
import type { AuctionId, SubjectId } from '../../../protocol/ids.ts'
import type { ServerFrameOf } from '../../../protocol/server-frames.ts'

export const auctionId = 'a1' as AuctionId

export function view(changes: Partial<AuctionView> = {}): AuctionView {
  return {
    id: auctionId,
    title: 'Vase',
    tags: [],
    item: null,
    format: 'english',
    currency: 'EUR',
    status: 'open',
    openingBid: 100,
    price: null,
    askingBid: 100,
    bidCount: 0,
    highBidder: null,
    reserve: 'none',
    buyNow: null,
    opensAt: 1_700_000_000_000,
    closesAt: 1_700_000_600_000,
    extensions: 0,
    seq: 1,
    epoch: 1,
    owner: 'server-1',
    sellerId: 'seller' as SubjectId,
    ...changes,
  }
}

export function subscribed(replyTo: number | string, seq = 1, epoch = 1): ServerFrameOf<'subscribed'> {
  return { type: 'subscribed', replyTo, auction: view({ seq, epoch }), epoch, seq }
}

export function bidPlaced(seq: number, epoch = 1): ServerFrameOf<'bid_placed'> {
  return {
    type: 'bid_placed',
    auctionId,
    seq,
    epoch,
    serverTime: 1_700_000_000_000 + seq,
    price: 100 * seq,
    askingBid: 100 * seq + 5,
    bidCount: seq,
    highBidder: 'bidder-1',
    bidder: 'bidder-1',
    reserve: 'none',
  }
}
