/**
 * A session's subscription to an auction, and what an auction's subscriptions share.
 *
 * The session is a type parameter, so that sessions can hold their subscriptions and fan-out.ts can use sessions.
 * Invariant: only fan-out.ts changes what is here. Source: docs/spec.md FLOW.
 */
import type { AuctionId } from '../../protocol/ids.ts'
import type { EventTail } from './event-tail.ts'

/**
 * ```
 *   reading ──► replaying ⇄ blocked            reading: the snapshot or the history is being read
 *                   │          (client slow)   replaying: missed events are sent page by page
 *                   ▼                          waiting: up to date; the next event makes it live
 *     lagging ◄── waiting ──► live             live: the carrier publishes to it, one sweep a turn
 *        │  ▲                   │              lagging: did not read; gets the latest when it does
 *        │  └───────────────────┘ dropped
 *        └──────────────────────► live
 * ```
 */
type Stage = 'reading' | 'replaying' | 'blocked' | 'waiting' | 'live' | 'lagging' | 'ended'

export interface SubscriptionOf<Session> {
  readonly session: Session
  readonly topic: TopicOf<Session>
  stage: Stage
  /** The last event that this subscriber has, or that a `resync` replaced. */
  fromSeq: number
  /** The last event of the feed while this was not live. */
  seenSeq: number
}

/** An auction that at least one session is subscribed to. */
export interface TopicOf<Session> {
  readonly auctionId: AuctionId
  readonly subscriptions: Set<SubscriptionOf<Session>>
  /** The subscriptions that are neither live nor lagging, and follow the feed here. */
  readonly joiners: Set<SubscriptionOf<Session>>
  liveJson: number
  liveMsgpack: number
  /** 0 before the first event since the topic began. */
  lastSeq: number
  lastEpoch: number
  readonly tail: EventTail
  /** A read in progress that will fill the tail. */
  reading: Promise<unknown> | undefined
}
