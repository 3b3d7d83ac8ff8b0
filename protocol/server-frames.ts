/**
 * The registry of server frames: one entry a type, its schema is its definition. Invariant: a frame has the
 * fields of its schema and no other, so that nothing secret leaves by accident (`serverFrameFault` says so in
 * tests and in the simulator); public events are the same bytes for everybody. How values become bytes:
 * `encode.ts`. Source: docs/protocol.md, "WebSocket", spec WIRE10 to WIRE19.
 */
import { z } from 'zod'
import { auctionView, reserveStatus, standing } from './auction-view.ts'
import type { FrameId } from './client-frames.ts'
import { amount, auctionId, firstFault, instantMs, integer, requestId, subjectId } from './fields.ts'
import { type FrameErrorCode, frameErrors } from './frame-errors.ts'
import { type RejectionCode, rejections } from './rejection-codes.ts'

export const protocolVersion = 1

export const roles = ['bidder', 'seller', 'operator'] as const
export type Role = (typeof roles)[number]

const count = integer(0, Number.MAX_SAFE_INTEGER, '')
const replyTo: z.ZodType<FrameId> = z.union([z.string(), z.int()])
const rejectionCode = z.enum(Object.keys(rejections) as [RejectionCode, ...RejectionCode[]])
const frameErrorCode = z.enum(Object.keys(frameErrors) as [FrameErrorCode, ...FrameErrorCode[]])

/** Every event of an auction: `serverTime` in epoch ms, `seq` 1, 2, 3 … without a gap over its public events. */
const event = { auctionId, seq: count, epoch: count, serverTime: instantMs }

/** For one bidder; `seq` is that of the public event that caused it, so these leave no gap in the public ones. */
const privateEvent = { ...event, price: amount, askingBid: amount.exactOptional(), you: standing }

export const serverFrames = {
  /** The first frame of every session. `you` is there when a token was taken. */
  hello: z.strictObject({
    type: z.literal('hello'),
    version: z.literal(protocolVersion),
    sessionId: z.string(),
    serverTime: instantMs,
    heartbeatMs: count,
    you: z.strictObject({ id: subjectId, roles: z.array(z.enum(roles)) }).exactOptional(),
  }),
  /** A snapshot: events from `seq + 1` on follow. */
  subscribed: z.strictObject({
    type: z.literal('subscribed'),
    replyTo,
    auction: auctionView,
    epoch: count,
    seq: count,
  }),
  /** `since` is honoured: `epoch` and `seq` repeat it, and as after a snapshot the events from `seq + 1` on follow. */
  resumed: z.strictObject({ type: z.literal('resumed'), replyTo, auctionId, epoch: count, seq: count }),
  unsubscribed: z.strictObject({ type: z.literal('unsubscribed'), replyTo, auctionId }),
  bid_accepted: z.strictObject({
    type: z.literal('bid_accepted'),
    replyTo,
    requestId,
    auctionId,
    seq: count,
    price: amount,
    askingBid: amount,
    you: standing,
  }),
  bid_rejected: z.strictObject({
    type: z.literal('bid_rejected'),
    replyTo,
    requestId,
    auctionId,
    code: rejectionCode,
    askingBid: amount.exactOptional(),
    closesAt: instantMs.exactOptional(),
  }),
  /** `t0` of the question; `t1` when it came in, `t2` when this left, by the server's clock (epoch ms). */
  time: z.strictObject({ type: z.literal('time'), replyTo, t0: z.number(), t1: z.number(), t2: z.number() }),
  error: z.strictObject({
    type: z.literal('error'),
    replyTo: replyTo.exactOptional(),
    code: frameErrorCode,
    message: z.string(),
    /** Pause before the same can succeed, where that is known. */
    retryAfterMs: count.exactOptional(),
    /** The same frame, sent again, gets the same answer. */
    final: z.literal(true).exactOptional(),
  }),

  /** `highBidder` leads after this bid; `bidder` is who made it (another one, when outbid at once). */
  bid_placed: z.strictObject({
    type: z.literal('bid_placed'),
    ...event,
    price: amount,
    askingBid: amount,
    bidCount: count,
    highBidder: z.string(),
    bidder: z.string(),
    reserve: reserveStatus,
  }),
  auction_opened: z.strictObject({ type: z.literal('auction_opened'), ...event, closesAt: instantMs }),
  auction_extended: z.strictObject({
    type: z.literal('auction_extended'),
    ...event,
    closesAt: instantMs,
    reason: z.enum(['soft_close', 'outage', 'operator']),
  }),
  auction_paused: z.strictObject({ type: z.literal('auction_paused'), ...event }),
  auction_resumed: z.strictObject({ type: z.literal('auction_resumed'), ...event, closesAt: instantMs }),
  auction_sold: z.strictObject({
    type: z.literal('auction_sold'),
    ...event,
    hammerPrice: amount,
    winner: z.string(),
  }),
  auction_passed: z.strictObject({ type: z.literal('auction_passed'), ...event }),
  auction_cancelled: z.strictObject({ type: z.literal('auction_cancelled'), ...event }),

  /** Events `expected` to `current` will not come: subscribe again. `seq` equals `current`. */
  resync: z.strictObject({ type: z.literal('resync'), ...event, expected: count, current: count }),

  outbid: z.strictObject({ type: z.literal('outbid'), ...privateEvent }),
  won: z.strictObject({ type: z.literal('won'), ...privateEvent }),
  lost: z.strictObject({ type: z.literal('lost'), ...privateEvent }),

  /** The server stops after `graceMs`; close 1012 follows. */
  drain: z.strictObject({ type: z.literal('drain'), graceMs: count }),
} as const

export type ServerFrameType = keyof typeof serverFrames
export type ServerFrameOf<Type extends ServerFrameType> = z.infer<(typeof serverFrames)[Type]>
export type ServerFrame = { [Type in ServerFrameType]: ServerFrameOf<Type> }[ServerFrameType]

/** Public events: they count in `seq`, each is one more than the one before. */
export type PublicEventType =
  | 'bid_placed'
  | 'auction_opened'
  | 'auction_extended'
  | 'auction_paused'
  | 'auction_resumed'
  | 'auction_sold'
  | 'auction_passed'
  | 'auction_cancelled'
export type PublicEventFrame = ServerFrameOf<PublicEventType>

export type PrivateEventType = 'outbid' | 'won' | 'lost'
export type PrivateEventFrame = ServerFrameOf<PrivateEventType>

/** Why a value is not a server frame of this version (a field too many is a fault too), or `undefined`. */
export function serverFrameFault(value: unknown): string | undefined {
  const type = (value as { readonly type?: unknown } | null)?.type
  if (typeof type !== 'string' || !Object.hasOwn(serverFrames, type))
    return 'type is not that of a server frame'
  const read = serverFrames[type as ServerFrameType].safeParse(value)
  return read.success ? undefined : `${type}: ${firstFault(read.error).message}`
}
