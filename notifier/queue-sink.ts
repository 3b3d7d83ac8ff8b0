/**
 * The sink that puts notifications into a durable queue.
 * Invariant: a message counts as published when the queue took it. A buyer's messages are sent one after the other,
 * never two in one request: SQS may take the second of a batch and refuse the first. The publisher's own window
 * bounds how much waits here. Left to others: delivery. Source: docs/design.md, "Notifications"; docs/spec.md NOTE2,
 * NOTE4.
 */
import type { NotificationMessage } from '../protocol/notifications.ts'
import { Backoff } from '../runtime/backoff.ts'
import { type Clock, sleep } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import { bytesOf, outgoingMessage } from './message.ts'
import { batchBytesMax, batchEntriesMax, type OutgoingMessage, type Queue, type SendFault } from './queue.ts'
import { closedError, type NotificationSink, type Waiting, waiting } from './sink.ts'

/** Requests at once. Beyond that messages gather, so that the next requests are full ones. */
const requestsMax = 8
const retryLimits = { baseMs: 200, maxMs: 10_000 }

export interface QueueSinkParts {
  readonly queue: Pick<Queue, 'send'>
  readonly clock: Clock
  readonly logger: Logger
  /** 0 to below 1, for jitter. */
  readonly random: () => number
  readonly onSent: (messages: number) => void
  readonly onRefused: (messages: number) => void
}

/** A message that is not in the queue yet. */
interface Unsent extends Waiting {
  readonly message: OutgoingMessage
}

export class QueueSink implements NotificationSink {
  readonly #parts: QueueSinkParts
  /** In the order of `publish`. */
  #unsent: Unsent[] = []
  /** Buyers with a message in a request that is under way. */
  readonly #busy = new Set<string>()
  readonly #closing = new AbortController()
  #requests = 0

  constructor(parts: QueueSinkParts) {
    this.#parts = parts
  }

  async publish(messages: readonly NotificationMessage[]): Promise<void> {
    if (this.#isClosed) throw closedError()
    const taken = messages.map((message) => {
      const entry = { message: outgoingMessage(message), ...waiting() }
      this.#unsent.push(entry)
      return entry.done
    })
    // After this turn, so that messages that are published together are sent together.
    queueMicrotask(() => this.#sendWhatFits())
    await Promise.all(taken)
  }

  /** Messages that the queue has not taken are rejected: the publisher keeps them. */
  close(): void {
    this.#closing.abort()
    for (const entry of this.#unsent.splice(0)) entry.reject(closedError())
  }

  #sendWhatFits(): void {
    while (!this.#isClosed && this.#requests < requestsMax) {
      const batch = this.#takeBatch()
      if (batch.length === 0) return
      this.#requests += 1
      void this.#sendBatch(batch)
    }
  }

  /** The oldest messages that may be sent now: at most 10 and 256 KiB, one for each buyer that has none under way. */
  #takeBatch(): readonly Unsent[] {
    const batch: Unsent[] = []
    const kept: Unsent[] = []
    const passedBy = new Set<string>()
    let bytes = 0
    for (const entry of this.#unsent) {
      const { groupId } = entry.message
      const size = bytesOf(entry.message)
      const fits = batch.length < batchEntriesMax && (batch.length === 0 || bytes + size <= batchBytesMax)
      if (fits && !this.#busy.has(groupId) && !passedBy.has(groupId)) {
        this.#busy.add(groupId)
        batch.push(entry)
        bytes += size
      } else {
        passedBy.add(groupId)
        kept.push(entry)
      }
    }
    this.#unsent = kept
    return batch
  }

  /** Sends until all of it is in the queue. */
  async #sendBatch(batch: readonly Unsent[]): Promise<void> {
    const backoff = new Backoff(retryLimits, this.#parts.random)
    let left = batch
    for (let isFirst = true; left.length > 0 && !this.#isClosed; isFirst = false) {
      if (!isFirst) await sleep(this.#parts.clock, backoff.nextMs(), this.#closing.signal)
      if (!this.#isClosed) left = await this.#sendOnce(left, isFirst)
    }
    for (const entry of left) entry.reject(closedError())
    this.#requests -= 1
    this.#sendWhatFits()
  }

  /** Resolves with the entries to be sent again. */
  async #sendOnce(batch: readonly Unsent[], isFirst: boolean): Promise<readonly Unsent[]> {
    const { queue, logger, onSent } = this.#parts
    let faults: ReadonlyMap<number, SendFault>
    try {
      const refused = await queue.send(batch.map(({ message }) => message))
      faults = new Map(refused.map((fault) => [fault.index, fault]))
    } catch (error) {
      // Wrong settings are retried too: an operator may correct them, and the outbox is durable meanwhile.
      if (isFirst) logger.warn('notification_queue_failed', { error })
      return batch
    }
    onSent(batch.length - faults.size)
    return batch.filter((entry, index) => {
      const fault = faults.get(index)
      if (fault !== undefined && !fault.permanent) return true
      if (fault !== undefined) this.#refused(entry, fault)
      this.#busy.delete(entry.message.groupId)
      entry.resolve()
      return false
    })
  }

  /** No retry can help, and the whole outbox would wait for this message. */
  #refused({ message }: Unsent, { code }: SendFault): void {
    this.#parts.onRefused(1)
    this.#parts.logger.error('notification_refused', { id: message.deduplicationId, code })
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted
  }
}
