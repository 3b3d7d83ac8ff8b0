/**
 * The handlers of client frames, one for each type.
 *
 * The rules of an auction are left to the machine; the gateway decodes frames and limits their rate. Invariant: each
 * frame with an `id` gets exactly one answer with that `replyTo`, while its socket lives; a bid is made by the token's
 * subject, never by a field. Source: docs/protocol.md, "WebSocket".
 */
import type { ClientFrameHandlers, FrameId } from '../../protocol/client-frames.ts'
import { encodeServerFrame } from '../../protocol/encode.ts'
import { type FrameErrorCode, frameErrors } from '../../protocol/frame-errors.ts'
import type { AuctionId, RequestId, SubjectId } from '../../protocol/ids.ts'
import { assert } from '../../runtime/assert.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { Cluster, Command, Rejected } from '../../state-cluster/index.ts'
import type { Admission } from '../access/admission.ts'
import { hasRole } from '../access/auth.ts'
import { acceptedFrame, rejectedFrame } from '../frames.ts'
import { clusterFault, forgotten } from '../http/answers.ts'
import type { ServerMetrics } from '../metrics.ts'
import type { Tally } from '../tally.ts'
import type { FanOut } from './fan-out.ts'
import type { SocketSession } from './socket-session.ts'

export interface FrameContext {
  readonly cluster: Cluster
  readonly clock: Clock
  readonly admission: Admission
  readonly fanOut: FanOut
  readonly metrics: ServerMetrics
  /** Bids in progress. */
  readonly pending: Tally
  /** Whether new bids are refused, because the sockets are about to be closed. */
  readonly isEnding: () => boolean
  readonly limits: { readonly subscriptionsPerSocketMax: number; readonly commandsPerSocketMax: number }
}

export function frameHandlers(
  context: FrameContext,
): ClientFrameHandlers<SocketSession, void | Promise<void>> {
  const { clock, fanOut, limits } = context
  return {
    subscribe(session, frame) {
      const isNew = !session.subscriptions.has(frame.auctionId)
      if (isNew && session.subscriptions.size >= limits.subscriptionsPerSocketMax) {
        const message = `a socket watches at most ${limits.subscriptionsPerSocketMax} auctions`
        return refuse(session, frame.id, { code: 'limit_exceeded', message })
      }
      if (isNew && fanOut.isFull)
        return refuse(session, frame.id, {
          code: 'overloaded',
          message: 'this server has all the subscriptions it can take',
        })
      return inTurn(session, frame.auctionId, () =>
        fanOut.subscribe(session, frame.id, frame.auctionId, frame.since),
      )
    },

    unsubscribe(session, frame) {
      const { id, auctionId } = frame
      return inTurn(session, auctionId, () => {
        if (!fanOut.unsubscribe(session, auctionId))
          return refuse(session, id, {
            code: 'not_subscribed',
            message: 'this session does not watch that auction',
          })
        session.send(encodeServerFrame({ type: 'unsubscribed', replyTo: id, auctionId }))
      })
    },

    place_bid(session, frame) {
      const { auctionId, amount } = frame
      const kind = frame.kind ?? 'max'
      return bid(context, session, frame, (subject) => ({
        type: 'place_bid',
        subject,
        ...requestOf(frame),
        auctionId,
        amount,
        kind,
      }))
    },

    buy_now(session, frame) {
      const { auctionId } = frame
      return bid(context, session, frame, (subject) => ({
        type: 'buy_now',
        subject,
        ...requestOf(frame),
        auctionId,
      }))
    },

    sync_time(session, frame) {
      const t1 = session.receivedAtMs
      const t2 = clock.nowMs()
      session.send(encodeServerFrame({ type: 'time', replyTo: frame.id, t0: frame.t0, t1, t2 }))
    },
  }
}

/**
 * Handles a session's `subscribe` and `unsubscribe` frames for one auction one at a time. Otherwise a second
 * `subscribe` of a client that does not wait would replace the first one before its answer.
 */
function inTurn(
  session: SocketSession,
  auctionId: AuctionId,
  work: () => void | Promise<void>,
): void | Promise<void> {
  const before = session.turns.get(auctionId)
  const outcome = before === undefined ? work() : before.then(() => (session.isOpen ? work() : undefined))
  if (!(outcome instanceof Promise)) return
  const done = outcome
    .catch(() => undefined)
    .then(() => {
      if (session.turns.get(auctionId) === done) session.turns.delete(auctionId)
    })
  session.turns.set(auctionId, done)
  return outcome
}

interface BidFrame {
  readonly id: FrameId
  readonly auctionId: AuctionId
  readonly requestId: RequestId
  readonly ageMs?: number
}

/** What makes a retry count once; an age of 0 is a first sending. */
function requestOf({ requestId, ageMs = 0 }: BidFrame): { requestId: RequestId; ageMs?: number } {
  return ageMs === 0 ? { requestId } : { requestId, ageMs }
}

/** Proposes a bid of the token's subject, and answers with the machine's reply. */
async function bid(
  context: FrameContext,
  session: SocketSession,
  frame: BidFrame,
  commandOf: (subject: SubjectId) => Command,
): Promise<void> {
  const { cluster, clock, admission, limits, metrics } = context
  const { identity } = session
  if (identity === undefined || !hasRole(identity, 'bidder')) {
    metrics.bids.add(1, { outcome: 'not_a_bidder' })
    const reply: Rejected = { ok: false, code: 'not_a_bidder' }
    session.send(encodeServerFrame(rejectedFrame(frame.id, frame.requestId, frame.auctionId, reply)))
    return
  }
  const decline = (error: FrameError): void => refuse(session, frame.id, error)
  if (context.isEnding()) return decline({ code: 'draining', message: frameErrors.draining.title })
  const waitMs = admission.bid(identity, clock.monotonicMs())
  if (waitMs > 0) {
    metrics.rateLimited.add(1, { what: 'bid' })
    const message = 'too many bids of this bidder'
    return decline({ code: 'rate_limited', message, retryAfterMs: waitMs })
  }
  if (session.commandCount >= limits.commandsPerSocketMax) {
    const message = `at most ${limits.commandsPerSocketMax} bids wait for answers`
    return decline({ code: 'overloaded', message })
  }
  const sinceMs = clock.monotonicMs()
  session.commandCount += 1
  context.pending.add()
  try {
    const reply = await cluster.propose(cluster.groupOf(frame.auctionId), commandOf(identity.subject))
    if (reply.ok) {
      assert(reply.type === 'bid', 'the reply to a bid is a bid')
      session.send(encodeServerFrame(acceptedFrame(frame.id, frame.requestId, reply)))
    } else if (reply.code === 'outcome_unknown') {
      decline({ code: reply.code, message: forgotten, final: true })
    } else session.send(encodeServerFrame(rejectedFrame(frame.id, frame.requestId, frame.auctionId, reply)))
    metrics.bids.add(1, { outcome: reply.ok ? 'accepted' : reply.code })
    metrics.bidSeconds.observe((clock.monotonicMs() - sinceMs) / 1000)
  } catch (error) {
    const fault = clusterFault(error)
    if (fault === undefined) throw error
    metrics.bids.add(1, { outcome: fault })
    decline({ code: fault, message: frameErrors[fault].title })
  } finally {
    session.commandCount -= 1
    context.pending.remove()
  }
}

export interface FrameError {
  readonly code: FrameErrorCode
  readonly message: string
  readonly retryAfterMs?: number
  readonly final?: true
}

export function refuse(session: SocketSession, replyTo: FrameId | undefined, error: FrameError): void {
  session.send(encodeServerFrame({ type: 'error', ...(replyTo === undefined ? {} : { replyTo }), ...error }))
}
