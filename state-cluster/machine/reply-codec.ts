/**
 * Encodes replies as plain tuples with stable codes.
 *
 * The memory of requests stores them, and links send them between processes. Leaves the bytes to storage and wire.
 *
 * Invariant: `decodeReply(encodeReply(reply))` equals `reply`; codes are never reused.
 * Source: docs/spec.md REQUEST1; events.ts.
 */
import {
  type BidderStatus,
  bidderStatusCodes,
  type RejectionCode,
  type Reply,
  rejectionCodes,
} from './events.ts'
import type { Plain } from './plain.ts'
import { corrupt, orNull, TupleReader } from './plain-reader.ts'

/*
 * [0, code, askingBid, closesAt, seq]  refused        [3, buyer id]          [5, nextDueMs, more, stamp]
 * [1, auction id, seq, price, askingBid, status, maxBid]  bid                [6]  done
 * [2, auction id, seq]  auction                       [4, server epoch]
 * [7, monitor, token, untilMs]  lease                 [8, auctions, outbox entries, more]  reassigned
 */

export function encodeReply(reply: Reply): readonly Plain[] {
  if (!reply.ok)
    return [0, rejectionCodes[reply.code], orNull(reply.askingBid), orNull(reply.closesAt), orNull(reply.seq)]
  switch (reply.type) {
    case 'bid':
      return [
        1,
        reply.auctionId,
        reply.seq,
        reply.price,
        reply.askingBid,
        bidderStatusCodes[reply.you.status],
        orNull(reply.you.maxBid),
      ]
    case 'auction':
      return [2, reply.auctionId, reply.seq]
    case 'buyer':
      return [3, reply.buyerId]
    case 'server':
      return [4, reply.epoch]
    case 'conducted':
      return [5, orNull(reply.nextDueMs), reply.more, reply.atMs]
    case 'done':
      return [6]
    case 'lease':
      return [7, reply.monitorId, reply.token, reply.untilMs]
    case 'reassigned':
      return [8, reply.auctions, reply.outboxEntries, reply.more]
  }
}

/** Throws `CodecError`. */
export function decodeReply(value: unknown): Reply {
  const fields = new TupleReader('reply', value)
  const reply = replyOf(fields)
  fields.end()
  return reply
}

function replyOf(fields: TupleReader): Reply {
  const kind = fields.count()
  switch (kind) {
    case 0: {
      const code = fields.coded<RejectionCode>(rejectionCodes)
      const askingBid = fields.optionalCount()
      const closesAt = fields.optionalCount()
      const seq = fields.optionalCount()
      return {
        ok: false,
        code,
        ...(askingBid === undefined ? {} : { askingBid }),
        ...(closesAt === undefined ? {} : { closesAt }),
        ...(seq === undefined ? {} : { seq }),
      }
    }
    case 1: {
      const auctionId = fields.id<Extract<Reply, { type: 'bid' }>['auctionId']>()
      const [seq, price, askingBid] = [fields.count(), fields.count(), fields.count()]
      const status = fields.coded<BidderStatus>(bidderStatusCodes)
      const maxBid = fields.optionalCount()
      const you = maxBid === undefined ? { status } : { status, maxBid }
      return { ok: true, type: 'bid', auctionId, seq, price, askingBid, you }
    }
    case 2:
      return { ok: true, type: 'auction', auctionId: fields.id(), seq: fields.count() }
    case 3:
      return { ok: true, type: 'buyer', buyerId: fields.id() }
    case 4:
      return { ok: true, type: 'server', epoch: fields.count() }
    case 5: {
      const nextDueMs = fields.optionalCount()
      const more = fields.flag()
      const conducted = { ok: true, type: 'conducted', more, atMs: fields.count() } as const
      return nextDueMs === undefined ? conducted : { ...conducted, nextDueMs }
    }
    case 6:
      return { ok: true, type: 'done' }
    case 7:
      return {
        ok: true,
        type: 'lease',
        monitorId: fields.id<string>(),
        token: fields.count(),
        untilMs: fields.count(),
      }
    case 8:
      return {
        ok: true,
        type: 'reassigned',
        auctions: fields.count(),
        outboxEntries: fields.count(),
        more: fields.flag(),
      }
    default:
      return corrupt(`reply: kind ${kind} is not known`)
  }
}
