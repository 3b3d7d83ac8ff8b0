/**
 * The public view of an auction, and the standing of one bidder.
 * Invariant: nothing here is secret: the reserve is a status, bidders are aliases (`bidder-1`, the same throughout
 * one auction); `you` is added for the one bidder whose frame it is. Source: docs/protocol.md, "Auction view".
 */
import { z } from 'zod'
import {
  amount,
  auctionId,
  currency,
  increments,
  instantMs,
  integer,
  softClose,
  subjectId,
} from './fields.ts'

export const auctionStatuses = ['scheduled', 'open', 'paused', 'sold', 'passed', 'cancelled'] as const
const auctionStatus = z.enum(auctionStatuses, {
  error: `must be one of ${auctionStatuses.join(', ')}`,
})
export type AuctionStatus = z.infer<typeof auctionStatus>

export const reserveStatus = z.enum(['none', 'not_met', 'met'])
export type ReserveStatus = z.infer<typeof reserveStatus>

const count = integer(0, Number.MAX_SAFE_INTEGER, '')

/** `maxBid` is the bidder's own hidden maximum, in minor units: for its own eyes only. */
export const standing = z.strictObject({
  status: z.enum(['winning', 'outbid', 'won', 'lost', 'none']),
  maxBid: amount.exactOptional(),
})
export type Standing = z.infer<typeof standing>

/**
 * Amounts in minor units of `currency`, times in epoch ms. Every field is always there; what has no value is null,
 * so that a client may read any field that the contract names without asking first whether it came.
 */
export const auctionView = z.strictObject({
  id: auctionId,
  title: z.string(),
  tags: z.array(z.string()),
  /** The seller's description of the thing: any JSON value. */
  item: z.json(),
  format: z.string(),
  currency,
  status: auctionStatus,
  openingBid: amount,
  /** Null before the first bid. */
  price: amount.nullable(),
  askingBid: amount,
  bidCount: count,
  /** Alias of the high bidder; null before the first bid. */
  highBidder: z.string().nullable(),
  reserve: reserveStatus,
  /** Null where, or once, it is not offered. */
  buyNow: amount.nullable(),
  increments: increments.exactOptional(),
  softClose: softClose.exactOptional(),
  opensAt: instantMs,
  closesAt: instantMs,
  /** How often the close was put off so far. */
  extensions: count,
  /** Of the auction's last event; 0 before the first. */
  seq: count,
  /** Ownership epoch. */
  epoch: count,
  /** Server that conducts the auction. */
  owner: z.string(),
  sellerId: subjectId,
  /** Absent until the end; null where it was not sold. */
  hammerPrice: amount.nullable().exactOptional(),
  /** Alias; absent until the end; null where nobody won. */
  winner: z.string().nullable().exactOptional(),
  you: standing.exactOptional(),
})
export type AuctionView = z.infer<typeof auctionView>
