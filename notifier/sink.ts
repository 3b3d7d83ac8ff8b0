/**
 * Where the owner's publisher puts notifications: into the queue.
 * Invariant: `publish` resolves only when no message of it can be lost any more. A durable queue has that when it
 * took the message. A queue in this process's memory has it only when the message has ended (delivered,
 * dead-lettered, or nobody to post it to), so a kill before that makes the publisher send it again, under the same
 * id. A buyer's messages are sent one after the other, never two in one request: SQS may take the second of a
 * batch and refuse the first.
 * Left to others: what becomes of a message (delivery.ts). Source: DESIGN "Notifications".
 */
import type { NotificationMessage } from '../protocol/notifications.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import { bytesOf, outgoingMessage } from './message.ts'
import { batchBytesMax, batchEntriesMax, type OutgoingMessage, type Queue, QueueError } from './queue.ts'

/** Requests under way at once for one `publish`. */
const requestsMax = 8
const retryBaseMs = 200
const retryMaxMs = 10_000

export interface NotificationSink {
  /** Takes messages in order; see the invariant above. Rejects with `QueueError` only when the sink is closed. */
  publish(messages: readonly NotificationMessage[]): Promise<void>
}

export interface Sink extends NotificationSink {
  /** Tells the sink that a message has ended. Ids that nobody waits for are ignored. */
  settled(id: string): void
  /** What is still being published is rejected: the publisher keeps it. */
  close(): void
}

export interface SinkParts {
  readonly queue: Queue
  readonly clock: Clock
  readonly logger: Logger
  /** 0 to below 1, for jitter. */
  readonly random: () => number
  /** For a queue in memory: whether an id has ended already. Absent: the queue is durable. */
  readonly isSettled?: (id: string) => boolean
  readonly onSent: (messages: number) => void
  readonly onRefused: (messages: number) => void
}

export function createSink(parts: SinkParts): Sink {
  const { isSettled } = parts
  const closing = new AbortController()
  const waiting = new Map<string, Waiting>()

  const end = (id: string): void => {
    waiting.get(id)?.resolve()
    waiting.delete(id)
  }

  const endOf = (id: string): Promise<void> => {
    const known = waiting.get(id) ?? waitingEntry()
    waiting.set(id, known)
    return known.ended
  }

  async function sendWave(wave: readonly OutgoingMessage[]): Promise<void> {
    const batches = batchesOf(wave)
    const lane = async (): Promise<void> => {
      for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) await sendBatch(batch)
    }
    await Promise.all(Array.from({ length: Math.min(requestsMax, batches.length) }, lane))
  }

  /** Sends until all of it is in the queue. */
  async function sendBatch(batch: readonly OutgoingMessage[]): Promise<void> {
    let left = batch
    for (let failures = 0; left.length > 0; failures += 1) {
      if (failures > 0) await pause(failures)
      if (closing.signal.aborted) throw closedError()
      left = await sendOnce(left, failures)
    }
  }

  /** Resolves with what is to be sent again. */
  async function sendOnce(
    batch: readonly OutgoingMessage[],
    failures: number,
  ): Promise<readonly OutgoingMessage[]> {
    try {
      const faults = await parts.queue.send(batch)
      parts.onSent(batch.length - faults.length)
      return faults.flatMap((fault) => {
        const message = batch[fault.index]
        if (message === undefined) return []
        if (!fault.permanent) return [message]
        // No retry can help, and behind it the whole outbox would wait for ever.
        parts.onRefused(1)
        parts.logger.error('notification_refused', { id: message.deduplicationId, code: fault.code })
        end(message.deduplicationId)
        return []
      })
    } catch (error) {
      // Wrong settings are retried too: an operator may mend them, and the outbox is durable meanwhile.
      if (failures === 0) parts.logger.warn('notification_queue_failed', { error })
      return batch
    }
  }

  function pause(failures: number): Promise<void> {
    const full = Math.min(retryMaxMs, retryBaseMs * 2 ** Math.min(failures - 1, 10))
    return new Promise((resolve) => {
      const cancel = parts.clock.setTimer(full * (0.5 + parts.random() / 2), done)
      function done(): void {
        cancel()
        closing.signal.removeEventListener('abort', done)
        resolve()
      }
      closing.signal.addEventListener('abort', done)
    })
  }

  async function publish(messages: readonly NotificationMessage[]): Promise<void> {
    const due = isSettled
      ? messages.filter(({ endpoint, id }) => endpoint !== undefined && !isSettled(id))
      : messages
    const ended = Promise.all(isSettled ? due.map(({ id }) => endOf(id)) : [])
    // Looked at below; until then a rejection is not an unhandled one.
    ended.catch(() => undefined)
    for (const wave of wavesOf(due)) await sendWave(wave.map(outgoingMessage))
    await ended
  }

  return {
    publish,
    settled: end,
    close() {
      closing.abort()
      for (const { reject } of waiting.values()) reject(closedError())
      waiting.clear()
    },
  }
}

function closedError(): QueueError {
  return new QueueError('stopped', 'the notification sink is closed', false)
}

/** A promise for the end of one message. */
interface Waiting {
  readonly ended: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: QueueError) => void
}

function waitingEntry(): Waiting {
  let resolve = (): void => undefined
  let reject = (_: QueueError): void => undefined
  const ended = new Promise<void>((onEnd, onFailure) => {
    resolve = onEnd
    reject = onFailure
  })
  return { ended, resolve, reject }
}

/** The n-th wave holds each recipient's n-th message, so that none has two in a wave. */
function wavesOf(messages: readonly NotificationMessage[]): readonly (readonly NotificationMessage[])[] {
  const waves: NotificationMessage[][] = []
  const counts = new Map<string, number>()
  for (const message of messages) {
    const at = counts.get(message.recipient) ?? 0
    counts.set(message.recipient, at + 1)
    const wave = waves[at]
    if (wave === undefined) waves.push([message])
    else wave.push(message)
  }
  return waves
}

/** Runs of at most 10 messages and 256 KiB, in order. */
function batchesOf(messages: readonly OutgoingMessage[]): OutgoingMessage[][] {
  const batches: OutgoingMessage[][] = []
  let batch: OutgoingMessage[] = []
  let bytes = 0
  for (const message of messages) {
    const size = bytesOf(message)
    if (batch.length === batchEntriesMax || (batch.length > 0 && bytes + size > batchBytesMax)) {
      batches.push(batch)
      batch = []
      bytes = 0
    }
    batch.push(message)
    bytes += size
  }
  if (batch.length > 0) batches.push(batch)
  return batches
}
