/**
 * Events, views and replies of the machine as frames of the protocol.
 *
 * HTTP, WebSocket sessions and the publisher all show the replicated state through this file.
 *
 * Invariant: each frame is built field by field, so that nothing of an event's `secret` part, nor any field that the
 * protocol does not name, can slip into it. Source: docs/protocol.md, "WebSocket"; docs/design.md, "secrets stay
 * secret".
 */
import type { AuctionView as WireView } from '../protocol/auction-view.ts'
import type { FrameId } from '../protocol/client-frames.ts'
import type { BidEntry } from '../protocol/http-bodies.ts'
import type { AuctionId, RequestId, SubjectId } from '../protocol/ids.ts'
import type { PrivateEventFrame, PublicEventFrame, ServerFrame } from '../protocol/server-frames.ts'
import { assertNever } from '../runtime/assert.ts'
import type {
  AuctionView,
  BidAccepted,
  BidPlaced,
  PrivateEvent,
  PublicEvent,
  Rejected,
  Standing,
} from '../state-cluster/index.ts'

export function publicEventFrame(event: PublicEvent): PublicEventFrame {
  const base = { auctionId: event.auctionId, seq: event.seq, epoch: event.epoch, serverTime: event.atMs }
  switch (event.type) {
    case 'bid_placed':
      return {
        type: event.type,
        ...base,
        price: event.price,
        askingBid: event.askingBid,
        bidCount: event.bidCount,
        highBidder: event.highBidder,
        bidder: event.bidder,
        reserve: event.reserve,
      }
    case 'auction_opened':
    case 'auction_resumed':
      return { type: event.type, ...base, closesAt: event.closesAt }
    case 'auction_extended':
      return { type: event.type, ...base, closesAt: event.closesAt, reason: event.reason }
    case 'auction_sold':
      return { type: event.type, ...base, hammerPrice: event.hammerPrice, winner: event.winner }
    case 'auction_paused':
    case 'auction_passed':
    case 'auction_cancelled':
      return { type: event.type, ...base }
    default:
      return assertNever(event, 'an event of an unknown type')
  }
}

export function privateEventFrame(event: PrivateEvent): PrivateEventFrame {
  return {
    type: event.type,
    auctionId: event.auctionId,
    seq: event.seq,
    epoch: event.epoch,
    serverTime: event.atMs,
    price: event.price,
    ...(event.askingBid === undefined ? {} : { askingBid: event.askingBid }),
    you: { status: event.type },
  }
}

/** `you` is the standing of the bidder that gets this view. */
export function wireView(view: AuctionView, you?: Standing): WireView {
  const { item, ...rest } = view
  const hasEnded = rest.status === 'sold' || rest.status === 'passed' || rest.status === 'cancelled'
  return {
    id: rest.id,
    title: rest.title,
    tags: [...rest.tags],
    item: item === undefined ? null : (JSON.parse(item) as WireView['item']),
    format: rest.format,
    currency: rest.currency,
    status: rest.status,
    openingBid: rest.openingBid,
    price: rest.price ?? null,
    askingBid: rest.askingBid,
    bidCount: rest.bidCount,
    highBidder: rest.highBidder ?? null,
    reserve: rest.reserve,
    buyNow: rest.buyNow ?? null,
    increments: rest.increments,
    ...(rest.softClose === undefined ? {} : { softClose: rest.softClose }),
    opensAt: rest.opensAt,
    closesAt: rest.closesAt,
    extensions: rest.extensions,
    seq: rest.seq,
    epoch: rest.epoch,
    owner: rest.owner,
    sellerId: rest.sellerId,
    ...(hasEnded ? { hammerPrice: rest.hammerPrice ?? null, winner: rest.winner ?? null } : {}),
    ...(you === undefined ? {} : { you: wireStanding(you) }),
  }
}

export function wireStanding(standing: Standing): Standing {
  return { status: standing.status, ...(standing.maxBid === undefined ? {} : { maxBid: standing.maxBid }) }
}

export function acceptedFrame(replyTo: FrameId, requestId: RequestId, reply: BidAccepted): ServerFrame {
  return {
    type: 'bid_accepted',
    replyTo,
    requestId,
    auctionId: reply.auctionId,
    seq: reply.seq,
    price: reply.price,
    askingBid: reply.askingBid,
    you: wireStanding(reply.you),
  }
}

export function rejectedFrame(
  replyTo: FrameId,
  requestId: RequestId,
  auctionId: AuctionId,
  reply: Rejected,
): ServerFrame {
  return {
    type: 'bid_rejected',
    replyTo,
    requestId,
    auctionId,
    code: reply.code,
    ...(reply.askingBid === undefined ? {} : { askingBid: reply.askingBid }),
    ...(reply.closesAt === undefined ? {} : { closesAt: reply.closesAt }),
  }
}

/** One line of the public history; its own bidder also gets amount, kind and request id. */
export function bidEntry(event: BidPlaced, reader: SubjectId | undefined): BidEntry {
  return {
    seq: event.seq,
    epoch: event.epoch,
    serverTime: event.atMs,
    bidder: event.bidder,
    price: event.price,
    askingBid: event.askingBid,
    bidCount: event.bidCount,
    highBidder: event.highBidder,
    reserve: event.reserve,
    ...(reader !== undefined && reader === event.secret.bidderId
      ? {
          you: {
            amount: event.secret.amount,
            kind: event.secret.kind,
            requestId: event.secret.requestId,
          },
        }
      : {}),
  }
}
