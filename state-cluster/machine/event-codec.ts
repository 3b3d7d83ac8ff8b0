/**
 * Encodes events as compact tuples with stable codes.
 *
 * An auction's history is stored in them, and the feed sends them between processes. Leaves the bytes to storage and
 * wire. Data that does not fit throws `CodecError`.
 *
 * Invariant: a decoded event equals the one that was encoded; codes are never reused.
 * Source: docs/spec.md AUCTION3; events.ts.
 */
import type { AuctionId } from '../../protocol/ids.ts'
import { aliasFrom, aliasNumberOf } from './auction.ts'
import {
  type AuctionExtended,
  isPublic,
  type PrivateEvent,
  type PublicEvent,
  type ReserveStatus,
} from './events.ts'
import type { Plain } from './plain.ts'
import { corrupt, orNull, TupleReader } from './plain-reader.ts'

/*
 * history  [code, seq, epoch, atMs, …]; the key of the row names the auction
 * event    [auction id, history]   (also private events)
 * 1 bid_placed        [price, askingBid, bidCount, high bidder's alias, bidder's alias, reserve, bidder id,
 *                      amount, 0 max | 1 exact, request id]        aliases as numbers
 * 2 auction_opened    [closesAt]              6 auction_sold       [hammer price, winner's alias]
 * 3 auction_extended  [closesAt, reason]      7 auction_passed     []
 * 4 auction_paused    []                      8 auction_cancelled  []
 * 5 auction_resumed   [closesAt]              9 outbid, 10 won, 11 lost  [bidder id, price, askingBid | null]
 */

type AnyEvent = PublicEvent | PrivateEvent

/** Stable codes. Never reuse a number. */
const eventCodes = {
  bid_placed: 1,
  auction_opened: 2,
  auction_extended: 3,
  auction_paused: 4,
  auction_resumed: 5,
  auction_sold: 6,
  auction_passed: 7,
  auction_cancelled: 8,
  outbid: 9,
  won: 10,
  lost: 11,
} as const satisfies Record<AnyEvent['type'], number>

const reserveCodes = { none: 0, not_met: 1, met: 2 } as const satisfies Record<ReserveStatus, number>

const reasonCodes = { soft_close: 1, outage: 2, operator: 3 } as const satisfies Record<
  AuctionExtended['reason'],
  number
>

/** A public event for the history of its auction, with its `secret`. */
export function encodeHistory(event: PublicEvent): readonly Plain[] {
  return [eventCodes[event.type], event.seq, event.epoch, event.atMs, ...detailsOf(event)]
}

/** Throws `CodecError`. */
export function decodeHistory(auctionId: AuctionId, value: unknown): PublicEvent {
  const event = decodeAny(auctionId, value)
  return isPublic(event) ? event : corrupt('history: it has no private events')
}

/** Any event, public or private, for a link between processes of the house. */
export function encodeEvent(event: AnyEvent): readonly Plain[] {
  return [event.auctionId, [eventCodes[event.type], event.seq, event.epoch, event.atMs, ...detailsOf(event)]]
}

/** Throws `CodecError`. */
export function decodeEvent(value: unknown): AnyEvent {
  const fields = new TupleReader('event', value, 2)
  return decodeAny(fields.id(), fields.raw())
}

function detailsOf(event: AnyEvent): readonly Plain[] {
  switch (event.type) {
    case 'bid_placed': {
      const { secret } = event
      return [
        event.price,
        event.askingBid,
        event.bidCount,
        event.highBidder === '' ? 0 : aliasNumberOf(event.highBidder),
        aliasNumberOf(event.bidder),
        reserveCodes[event.reserve],
        secret.bidderId,
        secret.amount,
        secret.kind === 'max' ? 0 : 1,
        secret.requestId,
      ]
    }
    case 'auction_opened':
    case 'auction_resumed':
      return [event.closesAt]
    case 'auction_extended':
      return [event.closesAt, reasonCodes[event.reason]]
    case 'auction_sold':
      return [event.hammerPrice, aliasNumberOf(event.winner)]
    case 'auction_paused':
    case 'auction_passed':
    case 'auction_cancelled':
      return []
    case 'outbid':
    case 'won':
    case 'lost':
      return [event.bidderId, event.price, orNull(event.askingBid)]
  }
}

/** 0 stands for no name: bids are sealed. */
function highBidderFrom(alias: number): string {
  return alias === 0 ? '' : aliasFrom(alias)
}

function decodeAny(auctionId: AuctionId, value: unknown): AnyEvent {
  const fields = new TupleReader('event', value)
  const type = fields.coded<AnyEvent['type']>(eventCodes)
  const base = { auctionId, seq: fields.count(), epoch: fields.count(), atMs: fields.count() }
  const event = eventOf(type, base, fields)
  fields.end()
  return event
}

interface EventBase {
  readonly auctionId: AuctionId
  readonly seq: number
  readonly epoch: number
  readonly atMs: number
}

function eventOf(type: AnyEvent['type'], base: EventBase, fields: TupleReader): AnyEvent {
  switch (type) {
    case 'bid_placed':
      return {
        type,
        ...base,
        price: fields.count(),
        askingBid: fields.count(),
        bidCount: fields.count(),
        highBidder: highBidderFrom(fields.count()),
        bidder: aliasFrom(fields.count()),
        reserve: fields.coded<ReserveStatus>(reserveCodes),
        secret: {
          bidderId: fields.id(),
          amount: fields.count(),
          kind: fields.count() === 0 ? 'max' : 'exact',
          requestId: fields.id(),
        },
      }
    case 'auction_opened':
    case 'auction_resumed':
      return { type, ...base, closesAt: fields.count() }
    case 'auction_extended': {
      const closesAt = fields.count()
      return { type, ...base, closesAt, reason: fields.coded<AuctionExtended['reason']>(reasonCodes) }
    }
    case 'auction_sold':
      return { type, ...base, hammerPrice: fields.count(), winner: aliasFrom(fields.count()) }
    case 'auction_paused':
    case 'auction_passed':
    case 'auction_cancelled':
      return { type, ...base }
    case 'outbid':
    case 'won':
    case 'lost': {
      const result = { type, ...base, bidderId: fields.id<never>(), price: fields.count() }
      const askingBid = fields.optionalCount()
      return askingBid === undefined ? result : { ...result, askingBid }
    }
  }
}
