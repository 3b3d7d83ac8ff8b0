/**
 * The sink of a house on one machine: notifications go to delivery in this process.
 *
 *   publish ──► a line for each buyer ──► deliver, a bounded number at once ──► ended
 *                 ▲                          │ not delivered
 *                 └──── after a wait ◄───────┘
 *
 * Invariant: a message counts as published only when it has ended (delivered, dead-lettered, or its buyer has no
 * webhook), because these lines are in memory alone. A buyer's messages are delivered in order, one at a time; a
 * message that waits for its next attempt occupies no other buyer. The publisher's window bounds how much waits here.
 * Left to others: one attempt and what follows from it (delivery.ts).
 * Source: docs/design.md, "Notifications"; docs/spec.md NOTE2, NOTE3, NOTE12.
 */
import type { NotificationMessage } from '../protocol/notifications.ts'
import type { CancelTimer, Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Delivery } from './delivery.ts'
import { outgoingMessage } from './message.ts'
import type { OutgoingMessage } from './queue.ts'
import { closedError, type NotificationSink, type Waiting, waiting } from './sink.ts'

/** The wait after an attempt that failed in this process: a dead letter that could not be written. */
const faultRetryMs = 15_000

export interface DirectSinkParts {
  readonly delivery: Delivery
  readonly clock: Clock
  readonly logger: Logger
  /** Attempts at the same time. */
  readonly deliveriesMax: number
  readonly onTaken: (messages: number) => void
}

/** A message that has not ended. */
interface Unended extends Waiting {
  readonly message: OutgoingMessage
  /** Attempts so far, the one under way included. */
  attempts: number
}

export class DirectSink implements NotificationSink {
  readonly #parts: DirectSinkParts
  /** Each buyer's messages, in the order of `publish`; the first one is attempted or waits for its next attempt. */
  readonly #lines = new Map<string, Unended[]>()
  /** All messages of the lines, by id. */
  readonly #unended = new Map<string, Unended>()
  /** Buyers whose first message may be attempted now, in this order. */
  readonly #ready: string[] = []
  readonly #waits = new Set<CancelTimer>()
  readonly #stopping = new AbortController()
  #underWay = 0
  #isClosed = false
  #onIdle: () => void = () => undefined

  constructor(parts: DirectSinkParts) {
    this.#parts = parts
  }

  async publish(messages: readonly NotificationMessage[]): Promise<void> {
    if (this.#isClosed) throw closedError()
    const { delivery, onTaken } = this.#parts
    const before = this.#unended.size
    const ends = messages
      .filter(({ endpoint, id }) => endpoint !== undefined && !delivery.isSettled(id))
      .map((message) => (this.#unended.get(message.id) ?? this.#add(message)).done)
    onTaken(this.#unended.size - before)
    this.#startWhatFits()
    await Promise.all(ends)
  }

  /**
   * Starts no further attempt, and waits at most `graceMs` for those under way; then they are broken off. Messages
   * that have not ended are rejected: the publisher keeps them.
   */
  async stop(graceMs: number): Promise<void> {
    this.#isClosed = true
    for (const cancel of this.#waits) cancel()
    this.#waits.clear()
    const cancel = this.#parts.clock.setTimer(graceMs, () => this.#stopping.abort())
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve
      })
    }
    cancel()
    for (const entry of this.#unended.values()) entry.reject(closedError())
    this.#unended.clear()
    this.#lines.clear()
  }

  #add(message: NotificationMessage): Unended {
    const entry: Unended = { message: outgoingMessage(message), attempts: 0, ...waiting() }
    const { deduplicationId, groupId } = entry.message
    this.#unended.set(deduplicationId, entry)
    const line = this.#lines.get(groupId)
    if (line !== undefined) line.push(entry)
    else {
      this.#lines.set(groupId, [entry])
      this.#ready.push(groupId)
    }
    return entry
  }

  #startWhatFits(): void {
    while (!this.#isClosed && this.#underWay < this.#parts.deliveriesMax) {
      const buyer = this.#ready.shift()
      if (buyer === undefined) return
      this.#underWay += 1
      void this.#attemptFirst(buyer)
    }
  }

  async #attemptFirst(buyer: string): Promise<void> {
    const line = this.#lines.get(buyer) as Unended[]
    const entry = line[0] as Unended
    entry.attempts += 1
    const retryInMs = await this.#attempt(entry)
    this.#underWay -= 1
    if (retryInMs === undefined) this.#end(buyer, line)
    else if (!this.#isClosed) this.#retryLater(buyer, retryInMs)
    this.#startWhatFits()
    if (this.#underWay === 0) this.#onIdle()
  }

  /** Resolves with the wait before the next attempt, or `undefined` when the message has ended. */
  async #attempt({ message, attempts }: Unended): Promise<number | undefined> {
    const { delivery, logger } = this.#parts
    try {
      const verdict = await delivery.deliver({ ...message, receives: attempts }, this.#stopping.signal)
      return verdict.settled ? undefined : verdict.retryInMs
    } catch (error) {
      logger.error('notification_handling_failed', { error })
      return faultRetryMs
    }
  }

  #end(buyer: string, line: Unended[]): void {
    const ended = line.shift() as Unended
    this.#unended.delete(ended.message.deduplicationId)
    if (line.length > 0) this.#ready.push(buyer)
    else this.#lines.delete(buyer)
    ended.resolve()
  }

  #retryLater(buyer: string, ms: number): void {
    const cancel = this.#parts.clock.setTimer(ms, () => {
      this.#waits.delete(cancel)
      this.#ready.push(buyer)
      this.#startWhatFits()
    })
    this.#waits.add(cancel)
  }
}
