/**
 * An auction as everybody may see it, and how one bidder stands in it. Invariant: nothing here is secret: the
 * reserve is a status, bidders are aliases (`bidder-1`, the same throughout one auction); `you` is added for the
 * one bidder whose frame it is. Source: CONTRACT "Auction view".
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

/** Amounts in minor units of `currency`, times in epoch ms. */
export const auctionView = z.strictObject({
  id: auctionId,
  title: z.string(),
  tags: z.array(z.string()),
  /** The seller's description of the thing: any JSON value. */
  item: z.unknown().exactOptional(),
  format: z.string(),
  currency,
  status: auctionStatus,
  openingBid: amount,
  /** Absent before the first bid. */
  price: amount.exactOptional(),
  askingBid: amount,
  bidCount: count,
  /** Alias of the leader; absent before the first bid. */
  highBidder: z.string().exactOptional(),
  reserve: reserveStatus,
  /** Present while it is offered. */
  buyNow: amount.exactOptional(),
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
  /** Only once sold. */
  hammerPrice: amount.exactOptional(),
  /** Alias; only once sold. */
  winner: z.string().exactOptional(),
  you: standing.exactOptional(),
})
export type AuctionView = z.infer<typeof auctionView>
