/**
 * One attempt to deliver a notification, and what follows from it.
 * It is dropped as a repeat, delivered, tried again later, or given up and dead-lettered.
 * Invariant: an id that this process delivered is not posted again, and every id ends in exactly one outcome. The
 * queue or the sink holds back a buyer's later messages until then.
 * Left to others: when to call it (consumer.ts, direct-sink.ts), the request itself (webhook.ts).
 * Source: docs/protocol.md, "Notifications"; Standard Webhooks, "Deliverability and reliability".
 */
import { type BackoffLimits, backoffMs } from '../runtime/backoff.ts'
import { BoundedSet } from './bounded-set.ts'
import type { OutgoingMessage } from './queue.ts'
import type { Post, PostResult } from './webhook.ts'

/** Ids remembered to drop repeats: more than a publisher or a queue can repeat. */
const settledIdsMax = 100_000
/** Buyers whose webhook is known to fail. At the bound the oldest is forgotten and gets its full retries again. */
const failingMax = 10_000

export interface RetryPolicy extends BackoffLimits {
  /** Attempts in all, at least 1. */
  readonly attemptsMax: number
}

/** A message for an attempt. `body` is the CloudEvent, `groupId` the buyer. */
export interface ReceivedMessage extends OutgoingMessage {
  /** How often it was handed out, this time included: 1, 2, 3 … */
  readonly receives: number
}

export type Outcome = 'delivered' | 'repeated' | 'without_endpoint' | 'dead_lettered'

type Verdict =
  /** It has ended. */
  | { readonly settled: true; readonly outcome: Outcome }
  /** Hand it out again after this time. */
  | { readonly settled: false; readonly retryInMs: number; readonly detail: string }

export interface DeliveryOptions {
  readonly policy: RetryPolicy
  readonly post: (post: Omit<Post, 'secret'>, buyerId: string, stop: AbortSignal) => Promise<PostResult>
  /** Rejects when the dead letter cannot be written: the message has not ended then. */
  readonly deadLetter: (message: OutgoingMessage, reason: string) => Promise<void>
  /** 0 to below 1. */
  readonly random: () => number
  readonly onAttempt: (result: PostResult) => void
  readonly onSettled: (id: string, outcome: Outcome, reason: string | undefined) => void
}

export interface Delivery {
  deliver(message: ReceivedMessage, stop: AbortSignal): Promise<Verdict>
  /** Whether this id has ended, as far as is remembered. */
  isSettled(id: string): boolean
}

export function createDelivery(options: DeliveryOptions): Delivery {
  const settled = new BoundedSet(settledIdsMax)
  const underway = new Set<string>()
  const failing = new BoundedSet(failingMax)

  const settle = (id: string, outcome: Outcome, reason?: string): Verdict => {
    settled.add(id)
    options.onSettled(id, outcome, reason)
    return { settled: true, outcome }
  }

  async function giveUp(message: ReceivedMessage, id: string, reason: string): Promise<Verdict> {
    await options.deadLetter(message, reason)
    failing.add(message.groupId)
    return settle(id, 'dead_lettered', reason)
  }

  async function attempt(message: ReceivedMessage, id: string, stop: AbortSignal): Promise<Verdict> {
    const { endpoint, body, groupId } = message
    if (endpoint === undefined) return settle(id, 'without_endpoint')
    const result = await options.post({ endpoint, id, body }, groupId, stop)
    options.onAttempt(result)
    if (result.ok) {
      failing.delete(groupId)
      return settle(id, 'delivered')
    }
    if (result.failure === 'stopped') return { settled: false, retryInMs: 0, detail: result.detail }
    // A webhook that has used up every attempt once gets one for each later message until it answers again:
    // otherwise a dead one would hold back its buyer's messages, and with them the publisher, for hours.
    const attempts = failing.has(groupId) ? 1 : options.policy.attemptsMax
    if (isFinal(result) || message.receives >= attempts) return giveUp(message, id, result.detail)
    // A receiver's Retry-After counts, up to the longest pause.
    const retryInMs = Math.max(
      backoffMs(options.policy, message.receives, options.random),
      Math.min(result.retryAfterMs ?? 0, options.policy.maxMs),
    )
    return { settled: false, retryInMs, detail: result.detail }
  }

  return {
    isSettled: (id) => settled.has(id),
    async deliver(message, stop) {
      const id = eventIdOf(message.body)
      if (id === undefined) return giveUp(message, message.deduplicationId, 'not a CloudEvent')
      if (settled.has(id)) {
        options.onSettled(id, 'repeated', undefined)
        return { settled: true, outcome: 'repeated' }
      }
      // The queue handed it out twice at once: the other attempt decides, this one comes again later.
      if (underway.has(id))
        return { settled: false, retryInMs: options.policy.baseMs, detail: 'already under way' }
      underway.add(id)
      try {
        return await attempt(message, id, stop)
      } finally {
        underway.delete(id)
      }
    },
  }
}

function isFinal(result: Extract<PostResult, { ok: false }>): boolean {
  return (
    result.failure === 'gone' || result.failure === 'endpoint_invalid' || result.failure === 'address_refused'
  )
}

function eventIdOf(body: string): string | undefined {
  try {
    const event: unknown = JSON.parse(body)
    if (typeof event !== 'object' || event === null || !('id' in event)) return undefined
    return typeof event.id === 'string' && event.id !== '' ? event.id : undefined
  } catch {
    return undefined
  }
}
