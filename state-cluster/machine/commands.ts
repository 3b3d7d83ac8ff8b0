/**
 * The commands of the auction machine, each with its stable code in the log.
 *
 * Nothing else changes the replicated state. Shapes and ranges are checked at the edge (server, command line) before a
 * command is made. Leaves the rules to `apply`, and the encoding to codec.ts.
 *
 * Invariant: a released code keeps its meaning for ever, and a new command takes a new code.
 * Source: docs/design.md "Life of a bid"; docs/spec.md ENTRY1.
 */
import type { AuctionId, RequestId, ServerId, SubjectId } from '../../protocol/ids.ts'
import type { Amount, IncrementsByCurrency, IncrementTable } from '../../protocol/money.ts'

/** Stable codes of the log. Never reuse a number. */
export const commandCodes = {
  register_buyer: 1,
  create_auction: 2,
  place_bid: 3,
  buy_now: 4,
  close_auction: 5,
  cancel_auction: 6,
  pause_auction: 7,
  resume_auction: 8,
  extend_auction: 9,
  enlist_server: 10,
  conduct: 11,
  acknowledge_positions: 12,
  configure_house: 13,
  release_server: 14,
  acquire_monitor_lease: 15,
  reassign: 16,
  shift_clock: 17,
  revoke_tokens: 18,
} as const

export type CommandType = keyof typeof commandCodes

export type BidKind = 'max' | 'exact'

export interface SoftClose {
  readonly windowMs: number
  readonly extensionMs: number
  /** How many times soft close may extend; absent: no limit. */
  readonly limit?: number
}

/** The seller's terms of an auction; amounts in minor units of `currency`. */
export interface AuctionTerms {
  readonly title: string
  /** Sorted, unique. */
  readonly tags: readonly string[]
  readonly format: string
  /** ISO 4217, three capital letters. */
  readonly currency: string
  readonly openingBid: Amount
  readonly durationMs: number
  /** Epoch ms; absent or past: opens when the command is applied. */
  readonly opensAtMs?: number
  readonly reserve?: Amount
  readonly buyNow?: Amount
  /** The seller's table; where it named none, the default one. */
  readonly increments: IncrementTable
  /** The seller named no table: the house's own one for the currency counts, if it has one. */
  readonly usesHouseIncrements?: true
  readonly softClose?: SoftClose
  /** The seller's description of the thing, as JSON text; opaque to the machine. */
  readonly item?: string
}

/** The subject, and the id that makes a retry count once. */
interface Requested {
  readonly subject: SubjectId
  readonly requestId: RequestId
  /**
   * Present when the command was sent before: how long ago at least, by the sender's monotonic clock. So no clock is
   * compared with another one.
   */
  readonly ageMs?: number
}

/** The state in which a managing command is meant; in any other it is refused. */
export interface Expected {
  readonly seq?: number
  readonly closesAtMs?: number
}

/** A command that manages an auction; its seller and operators may send it. */
interface Managed extends Requested {
  readonly auctionId: AuctionId
  readonly operator: boolean
  readonly expected?: Expected
}

export interface RegisterBuyer extends Requested {
  readonly type: 'register_buyer'
  readonly buyerId: SubjectId
  readonly name: string
  /** Sorted, unique tags. */
  readonly interests: readonly string[]
  /** Webhook address; absent: no webhook. */
  readonly endpoint?: string
  /** The server that will publish MATCHING_AUCTIONS to it. */
  readonly serverId: ServerId
}

export interface CreateAuction extends Requested {
  readonly type: 'create_auction'
  /** Derived from subject and request id by the edge, so that a retry names the same auction (and group). */
  readonly auctionId: AuctionId
  /** The server where it was created: its first owner, unless another live one has a much lower load. */
  readonly serverId: ServerId
  readonly terms: AuctionTerms
}

export interface PlaceBid extends Requested {
  readonly type: 'place_bid'
  readonly auctionId: AuctionId
  readonly amount: Amount
  readonly kind: BidKind
}

export interface BuyNow extends Requested {
  readonly type: 'buy_now'
  readonly auctionId: AuctionId
}

/** Ends the auction now, by the rules of a close (sold or passed). */
export interface CloseAuction extends Managed {
  readonly type: 'close_auction'
}

export interface CancelAuction extends Managed {
  readonly type: 'cancel_auction'
}

export interface PauseAuction extends Managed {
  readonly type: 'pause_auction'
}

/** Starts the clock again, with the time that was left at the pause. */
export interface ResumeAuction extends Managed {
  readonly type: 'resume_auction'
}

export interface ExtendAuction extends Managed {
  readonly type: 'extend_auction'
  /** 1 ms to 366 days. */
  readonly byMs: number
}

/**
 * A server starts, for the first time or again. It gets a new epoch, and commands with an older one are refused. It is
 * live: auctions are assigned to it until it is released or found dead.
 */
export interface EnlistServer {
  readonly type: 'enlist_server'
  readonly serverId: ServerId
}

/**
 * The owner's pulse: its auctions that are due at the entry's `atMs` are opened, closed or extended.
 * At most `conductBatchMax` auctions per command; the reply says whether more are due.
 */
export interface Conduct {
  readonly type: 'conduct'
  readonly serverId: ServerId
  readonly epoch: number
}

/** A planned stop: the server's auctions and outbox entries go to live servers, a batch at a time. */
export interface ReleaseServer {
  readonly type: 'release_server'
  readonly serverId: ServerId
  readonly epoch: number
}

/**
 * Asks to be the group's one acting monitor for `ttlMs` (100 to 60,000) from the entry's stamp. The holder renews the
 * lease under the same token; a monitor that takes it over gets the next one.
 */
export interface AcquireMonitorLease {
  readonly type: 'acquire_monitor_lease'
  /** Names one start of one monitor process. */
  readonly monitorId: string
  readonly ttlMs: number
}

/**
 * The acting monitor found a server dead: it is fenced, and a batch of its auctions and outbox entries goes to live ones.
 * `epoch` is the server's as the monitor knew it: a server that enlisted since is not touched.
 */
export interface Reassign {
  readonly type: 'reassign'
  readonly monitorId: string
  readonly token: number
  readonly serverId: ServerId
  readonly epoch: number
}

/** The owner has published exactly these outbox entries of its own: rising positions, at most 1,000. */
export interface AcknowledgePositions {
  readonly type: 'acknowledge_positions'
  readonly serverId: ServerId
  readonly epoch: number
  readonly positions: readonly number[]
}

/** Settings of the house that `apply` depends on, so they are in the log. */
export interface HouseSettings {
  /** An affected auction is extended by at least this. Default 5000. */
  readonly outageExtensionMinMs: number
  /** A conductor's silence longer than this counts as an outage. Default 2000. */
  readonly outageThresholdMs: number
  /** Tables by currency, for new auctions that bring none; absent where there is none. */
  readonly increments?: IncrementsByCurrency
}

export interface ConfigureHouse {
  readonly type: 'configure_house'
  readonly settings: HouseSettings
  /** Numbers of features to switch on; those already on stay on. */
  readonly features: readonly number[]
}

/**
 * House time is another from this entry on: an operator's way out where stamps are far from true time. Only this command
 * lets stamps fall. `toMs` is the new house time (epoch ms), so that a repetition does not shift again.
 */
export interface ShiftClock {
  readonly type: 'shift_clock'
  readonly toMs: number
}

/** Repeated, it has the same effect, but for tokens that were issued in between. */
export interface RevokeTokens {
  readonly type: 'revoke_tokens'
  /** Absent: of every subject. */
  readonly subject?: SubjectId
  /** Epoch ms; absent or later: the stamp of the entry. Tokens issued until then count no more. */
  readonly untilMs?: number
}

export type Command =
  | RegisterBuyer
  | CreateAuction
  | PlaceBid
  | BuyNow
  | CloseAuction
  | CancelAuction
  | PauseAuction
  | ResumeAuction
  | ExtendAuction
  | Conduct
  | ConfigureHouse
  | EnlistServer
  | ReleaseServer
  | AcquireMonitorLease
  | Reassign
  | AcknowledgePositions
  | ShiftClock
  | RevokeTokens

/** One Raft entry: the commands of one turn, stamped by the leader. `atMs` never falls from entry to entry but after a `shift_clock`. */
export interface MachineEntry {
  /** Format of the entry's commands; this version writes 1. */
  readonly version: number
  readonly atMs: number
  readonly commands: readonly Command[]
}
