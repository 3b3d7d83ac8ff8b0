/**
 * The outputs of the machine: replies, public and private events, outbox entries.
 *
 * History stores `secret` fields for the audit; frames of the protocol have no field for them. Leaves the encoding to
 * event-codec.ts and reply-codec.ts.
 *
 * Invariant: public events of one auction have `seq` 1, 2, 3 … without a gap, and no reserve, maximum or bidder id
 * outside `secret`.
 * Source: docs/spec.md AUCTION3, AUCTION4, ENTRY3; docs/design.md "What must never happen".
 */
import type { AuctionId, RequestId, ServerId, SubjectId } from '../../protocol/ids.ts'
import type { Amount } from '../../protocol/money.ts'
import type { BidKind } from './commands.ts'

export type AuctionStatus = 'scheduled' | 'open' | 'paused' | 'sold' | 'passed' | 'cancelled'
export type ReserveStatus = 'none' | 'not_met' | 'met'

/** Stable codes of rows and replies. Never reuse a number. */
export const bidderStatusCodes = { winning: 1, outbid: 2, won: 3, lost: 4, none: 5 } as const

export type BidderStatus = keyof typeof bidderStatusCodes

/** A bidder's standing in one auction. `maxBid` is its own hidden maximum, for this bidder alone. */
export interface Standing {
  readonly status: BidderStatus
  readonly maxBid?: Amount
}

/** Every rejection with its stable code; stored replies contain the numbers. Never reuse a number. */
export const rejectionCodes = {
  bid_too_low: 1,
  auction_not_open: 2,
  auction_closed: 3,
  auction_not_found: 4,
  own_auction: 5,
  already_leading: 6,
  buy_now_gone: 7,
  amount_invalid: 8,
  not_a_bidder: 9,
  duplicate_request_differs: 10,
  limit_exceeded: 11,
  not_the_seller: 12,
  not_paused: 13,
  terms_invalid: 14,
  auction_exists: 15,
  stale_epoch: 16,
  /** A repeat of which the first sending may have been accepted: it was not carried out again. */
  outcome_unknown: 17,
  state_changed: 18,
} as const

export type RejectionCode = keyof typeof rejectionCodes

export interface Rejected {
  readonly ok: false
  readonly code: RejectionCode
  /** Facts that the caller needs, where they apply. */
  readonly askingBid?: Amount
  readonly closesAt?: number
  readonly seq?: number
}

export interface BidAccepted {
  readonly ok: true
  readonly type: 'bid'
  readonly auctionId: AuctionId
  readonly seq: number
  readonly price: Amount
  readonly askingBid: Amount
  readonly you: Standing
}

/** An auction was created or managed; `seq` is that of its last event. The view has the rest. */
export interface AuctionChanged {
  readonly ok: true
  readonly type: 'auction'
  readonly auctionId: AuctionId
  readonly seq: number
}

export interface BuyerRegistered {
  readonly ok: true
  readonly type: 'buyer'
  readonly buyerId: SubjectId
}

export interface ServerRegistered {
  readonly ok: true
  readonly type: 'server'
  readonly epoch: number
}

export interface Conducted {
  readonly ok: true
  readonly type: 'conducted'
  /** When the next auction of this server falls due; absent: none is scheduled or open. */
  readonly nextDueMs?: number
  /** More auctions are due: propose again at once. */
  readonly more: boolean
  /** The pulse's stamp, so that a conductor needs no wall clock. */
  readonly atMs: number
}

export interface Done {
  readonly ok: true
  readonly type: 'done'
}

/** The acting monitor until `untilMs` (epoch ms, by stamps); it may be another one than asked. */
export interface LeaseReply {
  readonly ok: true
  readonly type: 'lease'
  readonly monitorId: string
  /** Rises with each new holder; commands of an acting monitor contain it. */
  readonly token: number
  readonly untilMs: number
}

/** How much moved to other servers. */
export interface Reassigned {
  readonly ok: true
  readonly type: 'reassigned'
  readonly auctions: number
  readonly outboxEntries: number
  /** There is more to hand over, and a live server to take it: propose again at once. */
  readonly more: boolean
}

export type Reply =
  | Rejected
  | BidAccepted
  | AuctionChanged
  | BuyerRegistered
  | ServerRegistered
  | Conducted
  | Done
  | LeaseReply
  | Reassigned

interface EventBase {
  readonly auctionId: AuctionId
  readonly seq: number
  /** Ownership epoch of the auction when this happened. */
  readonly epoch: number
  /** The entry's stamp: the event's `serverTime`. */
  readonly atMs: number
}

export interface BidPlaced extends EventBase {
  readonly type: 'bid_placed'
  readonly price: Amount
  readonly askingBid: Amount
  readonly bidCount: number
  /** Alias of the high bidder after this bid; empty while bids are sealed. */
  readonly highBidder: string
  /** Alias of this bid's bidder (the high bidder, or one that was outbid at once). */
  readonly bidder: string
  readonly reserve: ReserveStatus
  /** For the audit and for the bidder itself; never in a public frame. */
  readonly secret: {
    readonly bidderId: SubjectId
    readonly amount: Amount
    readonly kind: BidKind
    readonly requestId: RequestId
  }
}

export interface AuctionOpened extends EventBase {
  readonly type: 'auction_opened'
  readonly closesAt: number
}

export interface AuctionExtended extends EventBase {
  readonly type: 'auction_extended'
  readonly closesAt: number
  readonly reason: 'soft_close' | 'outage' | 'operator'
}

export interface AuctionPaused extends EventBase {
  readonly type: 'auction_paused'
}

export interface AuctionResumed extends EventBase {
  readonly type: 'auction_resumed'
  readonly closesAt: number
}

export interface AuctionSold extends EventBase {
  readonly type: 'auction_sold'
  readonly hammerPrice: Amount
  /** Alias. */
  readonly winner: string
}

export interface AuctionPassed extends EventBase {
  readonly type: 'auction_passed'
}

export interface AuctionCancelled extends EventBase {
  readonly type: 'auction_cancelled'
}

/** All who watch the auction see these, in order of `seq`. */
export type PublicEvent =
  | BidPlaced
  | AuctionOpened
  | AuctionExtended
  | AuctionPaused
  | AuctionResumed
  | AuctionSold
  | AuctionPassed
  | AuctionCancelled

/** For one bidder, on any of its sockets. `seq` is that of the public event that caused it. */
export interface PrivateEvent extends EventBase {
  readonly type: 'outbid' | 'won' | 'lost'
  readonly bidderId: SubjectId
  readonly price: Amount
  /** Present while the auction is open. */
  readonly askingBid?: Amount
}

/** Whether all may see an event; otherwise it is for one bidder. Nothing else decides this. */
export function isPublic(event: PublicEvent | PrivateEvent): event is PublicEvent {
  return event.type !== 'outbid' && event.type !== 'won' && event.type !== 'lost'
}

export type OutboxKind =
  | 'NEW_AUCTION'
  | 'MATCHING_AUCTIONS'
  | 'NEW_BID'
  | 'CANCELED_AUCTION'
  | 'END_OF_AUCTION'
  | 'WON_AUCTION'
  | 'OUTBID'

/**
 * One thing to publish. The owner expands it to recipients:
 * NEW_AUCTION → buyers interested in its tags · CANCELED_AUCTION and END_OF_AUCTION → its bidders (END: those
 * that did not win) · NEW_BID, OUTBID, WON_AUCTION → `recipient` · MATCHING_AUCTIONS → `recipient`, a new buyer.
 */
export interface OutboxEntry {
  /** Outbox position: 1, 2, 3 … in a group. */
  readonly position: number
  readonly kind: OutboxKind
  readonly atMs: number
  readonly auctionId?: AuctionId
  /** The event that caused it, where there is an auction (0 before its first event). */
  readonly seq?: number
  readonly recipient?: SubjectId
  readonly price?: Amount
}

/** The result of applying one entry. */
export interface Applied {
  /** One for each command, in order. */
  readonly replies: readonly Reply[]
  readonly events: readonly (PublicEvent | PrivateEvent)[]
  /** How many outbox entries this entry put in the outbox, or moved to another server's part of it. */
  readonly outboxCount: number
  /** Servers that own more auctions or outbox entries after this entry; mostly none. */
  readonly gained: readonly ServerId[]
}
