/**
 * The options, states, outcomes and events of a session. Invariant: every change of state has a
 * reason from a closed list, so that a page or a log can say why. Behaviour: `session.ts`.
 */
import type { FrameId } from '../../protocol/client-frames.ts'
import type { BidKind } from '../../protocol/fields.ts'
import type { FrameErrorCode } from '../../protocol/frame-errors.ts'
import type { AuctionId, RequestId } from '../../protocol/ids.ts'
import type { Amount } from '../../protocol/money.ts'
import type { PrivateEventFrame, ServerFrameOf } from '../../protocol/server-frames.ts'
import type { BackoffOptions } from './backoff.ts'
import type { Codec } from './codec.ts'
import type { Clock, NewId, Random, Transport } from './ports.ts'

export interface SessionOptions {
  /** The house, as `http://127.0.0.1:8080` (or ws, https, wss); the session adds the path. */
  readonly url: string
  /** Further servers of the same house: after each lost connection the next one is tried. */
  readonly otherUrls?: readonly string[]
  /** Asked at every connection, so that a renewed token is used; absent: a session that only watches. */
  readonly token?: () => string | undefined
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  readonly newId: NewId
  /** JSON unless given. */
  readonly codec?: Codec
  readonly backoff?: BackoffOptions
  /** Attempts in a row without a `hello` before the session closes as `unreachable`. Default: never. */
  readonly attemptsMax?: number
  /** The same before the very first `hello`. Default: `attemptsMax`. */
  readonly firstAttemptsMax?: number
  /** An attempt without a `hello` for this long has failed. Default 10,000, with `otherUrls` 2,000. */
  readonly helloTimeoutMs?: number
  /** A bid that is not answered for this long, over all sockets, is given up. Default 60,000. */
  readonly bidPatienceMs?: number
}

export type SessionReason =
  /** The first connection is being made. */
  | 'first'
  /** `hello` came. */
  | 'hello'
  /** The network broke, or the house ended without a close. */
  | 'connection_lost'
  /** Nothing was received for longer than the heartbeat. */
  | 'heartbeat'
  | 'drain'
  | 'going_away'
  | 'restart'
  | 'overloaded'
  | 'internal'
  | 'policy'
  | 'frame_too_large'
  | 'slow_reader'
  | 'rate'
  /** The token is not valid, or no longer. */
  | 'token'
  /** Given up after `attemptsMax`. */
  | 'unreachable'
  /** What answered does not speak the protocol. */
  | 'not_a_house'
  /** `close()` was called. */
  | 'owner'

export interface SessionState {
  readonly name: 'connecting' | 'open' | 'reconnecting' | 'closed'
  readonly reason: SessionReason
  /** While reconnecting: the pause before the next attempt. */
  readonly retryInMs?: number
}

export interface BidRequest {
  readonly auctionId: AuctionId
  readonly amount: Amount
  /** `max` unless given. */
  readonly kind?: BidKind
  /** To repeat an earlier request whose outcome is not known. A new one unless given. */
  readonly requestId?: RequestId
}

export interface BuyNowRequest {
  readonly auctionId: AuctionId
  readonly requestId?: RequestId
}

/** Accepted or lawfully refused, by `type`. */
export type BidOutcome = ServerFrameOf<'bid_accepted'> | ServerFrameOf<'bid_rejected'>

/** The events of a session, by name. */
export interface SessionEvents {
  state: SessionState
  hello: ServerFrameOf<'hello'>
  /** Whether the house is heard: false soon after it falls silent, long before the connection counts as lost. */
  live: boolean
  /** Outbid, won, lost: for this bidder, whatever it watches. */
  private: PrivateEventFrame
  /** An error that answers none of the session's requests. */
  error: { readonly code: FrameErrorCode; readonly message: string; readonly replyTo?: FrameId }
}
