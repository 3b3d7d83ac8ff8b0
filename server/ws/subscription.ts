/**
 * A session's subscription to an auction, and what an auction's subscriptions share.
 *
 * The session is a type parameter, so that sessions can hold their subscriptions and fan-out.ts can use sessions.
 * Invariant: only fan-out.ts changes what is here. Source: docs/spec.md FLOW.
 */
import type { AuctionId } from '../../protocol/ids.ts'
import type { EventTail } from './event-tail.ts'

type Stage = 'reading' | 'replaying' | 'blocked' | 'waiting' | 'live' | 'lagging' | 'ended'

export interface SubscriptionOf<Session> {
  readonly session: Session
  readonly topic: TopicOf<Session>
  stage: Stage
  /** The last event that this subscriber has, or was promised to do without. */
  fromSeq: number
  /** The last event that the feed brought while this was not live. */
  seenSeq: number
}

/** An auction that at least one session is subscribed to. */
export interface TopicOf<Session> {
  readonly auctionId: AuctionId
  readonly subscriptions: Set<SubscriptionOf<Session>>
  /** Those that the feed must be shown to: all that are neither live nor lagging. */
  readonly joiners: Set<SubscriptionOf<Session>>
  liveJson: number
  liveMsgpack: number
  /** 0 before the first event since the topic began. */
  lastSeq: number
  lastEpoch: number
  readonly tail: EventTail
  /** A read that will give the tail the newest event. */
  reading: Promise<unknown> | undefined
}
