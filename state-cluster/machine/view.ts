/**
 * The types of what others read: auctions, buyers, owners, house, counts.
 *
 * Leaves the reading itself to views.ts.
 *
 * Invariant: no field has a reserve, a maximum bid or a bidder's id; bidders are aliases, a reserve is a status.
 * Source: docs/protocol.md "Auction view"; docs/spec.md AUCTION4, RESERVE3.
 */
import type { AuctionId, ServerId, SubjectId } from '../../protocol/ids.ts'
import type { Amount, IncrementTable } from '../../protocol/money.ts'
import type { HouseSettings, SoftClose } from './commands.ts'
import type { AuctionStatus, ReserveStatus } from './events.ts'

export interface AuctionView {
  readonly id: AuctionId
  readonly title: string
  readonly tags: readonly string[]
  /** JSON text as the seller gave it. */
  readonly item?: string
  readonly format: string
  readonly currency: string
  readonly status: AuctionStatus
  readonly openingBid: Amount
  /** Absent before the first bid. */
  readonly price?: Amount
  readonly askingBid: Amount
  readonly bidCount: number
  /** Alias; absent before the first bid. */
  readonly highBidder?: string
  readonly reserve: ReserveStatus
  /** Present while it is offered. */
  readonly buyNow?: Amount
  readonly increments: IncrementTable
  readonly softClose?: SoftClose
  readonly opensAt: number
  readonly closesAt: number
  readonly extensions: number
  readonly seq: number
  readonly epoch: number
  readonly owner: ServerId
  readonly sellerId: SubjectId
  readonly hammerPrice?: Amount
  readonly winner?: string
}

/** A page of auctions in order of creation. */
export interface AuctionQuery {
  readonly status?: AuctionStatus
  readonly tag?: string
  /** Cursor from the page before. */
  readonly after?: string
  /** 1 to 1000. */
  readonly limit: number
}

export interface AuctionPage {
  readonly auctions: readonly AuctionView[]
  /** Cursor of the next page; absent at the end. */
  readonly next?: string
}

export interface BuyerView {
  readonly id: SubjectId
  readonly name: string
  readonly interests: readonly string[]
  readonly endpoint?: string
}

/** A server as an owner of auctions of one group. */
export interface OwnerView {
  readonly serverId: ServerId
  readonly epoch: number
  readonly standing: 'live' | 'dead' | 'left'
  /** Stamp of its last pulse (epoch ms). */
  readonly lastConductedMs: number
  /** Auctions that have not ended. */
  readonly auctions: number
  /** Outbox entries that it has not published yet. */
  readonly outboxEntries: number
}

/** Who owns a group's auctions, and who acts as its monitor. */
export interface OwnersView {
  /** Stamp of the last applied entry. */
  readonly atMs: number
  /** In order of id. */
  readonly servers: readonly OwnerView[]
  /** Absent: no monitor has asked yet. */
  readonly lease?: { readonly monitorId: string; readonly token: number; readonly untilMs: number }
}

/** The operator's settings, as one group has them. */
export interface HouseView {
  readonly settings: HouseSettings
  /** Numbers of the features that are on, rising. */
  readonly features: readonly number[]
  /** Numbers that the answering build knows, rising. */
  readonly knownFeatures: readonly number[]
  /** Tokens that count no more, by the moment of their issue. */
  readonly revoked: RevokedTokens
}

export interface RevokedTokens {
  /** Of every subject, those issued until then (epoch ms); 0: none. */
  readonly allUntilMs: number
  readonly subjects: readonly (readonly [subject: SubjectId, untilMs: number])[]
}

/** Counts of one group's state. */
export interface MachineStats {
  /** Stamp of the last applied entry; 0 before the first. */
  readonly lastAtMs: number
  /** Of any status. */
  readonly auctions: number
  readonly scheduledAuctions: number
  readonly openAuctions: number
  readonly pausedAuctions: number
  readonly buyers: number
  readonly servers: number
  /** Distinct tags of auctions and interests. */
  readonly tags: number
  readonly requests: number
  readonly outboxLength: number
  /** NEW_BID and OUTBID that found the outbox full, since the beginning. */
  readonly outboxEntriesDropped: number
}
