/**
 * The port to the replicated state, for servers, the monitor and tools.
 *
 * It is the same whether the replicas are in this process (node/) or in others (link/). Invariant: a reply means that
 * the command is durable on a quorum and applied once. `index.ts` exports it, with the functions that open one.
 * Source: docs/design.md.
 */
import type { AuctionId, GroupId, ServerId, SubjectId } from '../protocol/ids.ts'
import type { Command } from './machine/commands.ts'
import type { Deadline } from './machine/deadlines.ts'
import type { OutboxEntry, PrivateEvent, PublicEvent, Reply, Standing } from './machine/events.ts'
import type {
  AuctionPage,
  AuctionQuery,
  AuctionView,
  BuyerView,
  HouseView,
  OwnersView,
} from './machine/view.ts'

export type ClusterErrorCode =
  /** No leader is reachable: nothing was proposed. Retry later. */
  | 'unavailable'
  /** The outcome is not known: retry with the same request id. */
  | 'unknown'
  /** Queues are full: nothing was proposed. Retry later. */
  | 'overloaded'
  /** This process is stopping. */
  | 'stopped'

export class ClusterError extends Error {
  readonly code: ClusterErrorCode
  readonly retryable: boolean
  constructor(code: ClusterErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ClusterError'
    this.code = code
    this.retryable = code !== 'stopped'
  }
}

/** What one applied entry brought, in order. Delivered to every subscriber exactly once, in index order. */
export interface FeedBatch {
  readonly groupId: GroupId
  readonly index: number
  readonly atMs: number
  readonly events: readonly (PublicEvent | PrivateEvent)[]
  /** The outbox grew: the publisher has something to fetch. */
  readonly hasOutboxEntries: boolean
  /** Servers that own more than before; absent: none. */
  readonly gained?: readonly ServerId[]
  /** Servers whose auctions close at a new time, each with the earliest; absent: none. */
  readonly deadlines?: readonly Deadline[]
}

/** Batches with `afterIndex` < index ≤ `toIndex` were not delivered and will not be. */
export interface FeedGap {
  readonly groupId: GroupId
  readonly afterIndex: number
  readonly toIndex: number
}

/** How far a reader of one auction has read. */
export interface Position {
  readonly epoch: number
  readonly seq: number
}

export interface Cluster {
  /** Groups of this cluster, fixed at its creation. Buyers live in the first. */
  readonly groups: readonly GroupId[]
  groupOf(auctionId: AuctionId): GroupId

  /**
   * Proposes a command; commands of one event-loop turn travel as one batch. Resolves when it is durable on a
   * quorum and applied. Rejects with `ClusterError`.
   */
  propose(groupId: GroupId, command: Command): Promise<Reply>

  /**
   * Calls the listener for every applied entry that has events or outbox entries or moved auctions, from now on, in order. Returns an end.
   * Where the feed lost its place (a replica that no longer has what was missed), `onGap` is called instead of the
   * batches that are lost, before the next one: read again what is watched, by `eventsSince`.
   */
  subscribe(
    groupId: GroupId,
    listener: (batch: FeedBatch) => void,
    onGap?: (gap: FeedGap) => void,
  ): () => void

  /** Reads from the local applied state (never older than a reply this link has given). */
  auction(auctionId: AuctionId): Promise<AuctionView | undefined>
  auctions(query: AuctionQuery): Promise<AuctionPage>
  standing(auctionId: AuctionId, bidderId: SubjectId): Promise<Standing>
  /** Public events after `seq`, in order, at most `limit` (1 to 10000). Never beyond what the feed delivered. */
  events(auctionId: AuctionId, afterSeq: number, limit: number): Promise<readonly PublicEvent[]>
  /**
   * Events after `since`, or `undefined` where it cannot be honoured (unknown auction, another epoch's history,
   * a position beyond the end, or more than `limit` events missed): the reader then takes a snapshot.
   */
  eventsSince(
    auctionId: AuctionId,
    since: Position,
    limit: number,
  ): Promise<readonly PublicEvent[] | undefined>
  /** Bidders of an auction in order of their first bid; pages by alias number. */
  bidders(auctionId: AuctionId, after: number, limit: number): Promise<readonly SubjectId[]>
  /** Buyers interested in any of the tags, in order of id, after an id. */
  interestedBuyers(
    tags: readonly string[],
    after: SubjectId | undefined,
    limit: number,
  ): Promise<readonly BuyerView[]>
  buyer(buyerId: SubjectId): Promise<BuyerView | undefined>
  /** Unpublished outbox entries of auctions (or registrations) that this server owns, in order of position. */
  outbox(groupId: GroupId, serverId: ServerId, after: number, limit: number): Promise<readonly OutboxEntry[]>
  /** Who owns the group's auctions, and who acts as its monitor. */
  owners(groupId: GroupId): Promise<OwnersView>
  /** Settings and features that the operator decides, as this group has them. */
  house(groupId: GroupId): Promise<HouseView>
  /** Features that the builds of all nodes in reach know; nothing can be said of those that are down. */
  knownFeatures(): Promise<readonly number[]>
  status(): ClusterStatus
  close(): Promise<void>
}

export interface GroupStatus {
  readonly groupId: GroupId
  /** Whether a leader is reachable, so that proposals can succeed. */
  readonly ready: boolean
  readonly term: number
  readonly commitIndex: number
  readonly appliedIndex: number
  readonly firstIndex: number
  readonly checkpointIndex: number
  readonly stateHash: string
  readonly openAuctions: number
  readonly auctions: number
  readonly buyers: number
  readonly outboxLength: number
}

export interface ClusterStatus {
  readonly ready: boolean
  readonly groups: readonly GroupStatus[]
}
