/**
 * Where the owner's publisher puts notifications: into the queue.
 * Invariant: `publish` resolves only when no message of it can be lost any more. A durable queue has that when it
 * took the message. A queue in this process's memory has it only when the message has ended (delivered,
 * dead-lettered, or nobody to post it to), so a kill before that makes the publisher send it again, under the same
 * id. A buyer's messages are sent one after the other, never two in one request: SQS may take the second of a
 * batch and refuse the first. How much waits here is bounded by the publisher's own window.
 * Left to others: what becomes of a message (delivery.ts). Source: docs/design.md, "Notifications".
 */
import type { NotificationMessage } from '../protocol/notifications.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import { bytesOf, outgoingMessage } from './message.ts'
import { batchBytesMax, batchEntriesMax, type OutgoingMessage, type Queue, QueueError } from './queue.ts'

/** Requests under way at once. Beyond that messages gather, so that the next requests are full ones. */
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
  readonly queue: Pick<Queue, 'send'>
  readonly clock: Clock
  readonly logger: Logger
  /** 0 to below 1, for jitter. */
  readonly random: () => number
  /** For a queue in memory: whether an id has ended already. Absent: the queue is durable. */
  readonly isSettled?: (id: string) => boolean
  readonly onSent: (messages: number) => void
  readonly onRefused: (messages: number) => void
}

interface Waiting {
  readonly done: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: QueueError) => void
}

/** A message that is not in the queue yet. */
interface Unsent extends Waiting {
  readonly message: OutgoingMessage
}

export function createSink(parts: SinkParts): Sink {
  const { isSettled } = parts
  /** In the order of `publish`. */
  let unsent: Unsent[] = []
  /** Buyers with a message in a request that is under way. */
  const busy = new Set<string>()
  /** For a queue in memory: messages that have not ended, by id. */
  const unended = new Map<string, Waiting>()
  const pauses = new Set<() => void>()
  let requests = 0
  let isClosed = false

  function publish(messages: readonly NotificationMessage[]): Promise<unknown> {
    if (isClosed) return Promise.reject(closedError())
    const due = isSettled
      ? messages.filter(({ endpoint, id }) => endpoint !== undefined && !isSettled(id))
      : messages
    const taken = due.map((message) => {
      const entry = { message: outgoingMessage(message), ...waiting() }
      unsent.push(entry)
      return entry.done
    })
    const ended = isSettled ? due.map(({ id }) => endOf(id)) : []
    // After this turn, so that what is published together is sent together.
    queueMicrotask(sendWhatFits)
    return Promise.all([...taken, ...ended])
  }

  function endOf(id: string): Promise<void> {
    const entry = unended.get(id) ?? waiting()
    unended.set(id, entry)
    return entry.done
  }

  function end(id: string): void {
    unended.get(id)?.resolve()
    unended.delete(id)
  }

  function sendWhatFits(): void {
    while (!isClosed && requests < requestsMax) {
      const batch = takeBatch()
      if (batch.length === 0) return
      requests += 1
      void sendBatch(batch)
    }
  }

  /** The oldest messages that may go now: at most 10 and 256 KiB, one for each buyer that has none under way. */
  function takeBatch(): readonly Unsent[] {
    const batch: Unsent[] = []
    const kept: Unsent[] = []
    const passedBy = new Set<string>()
    let bytes = 0
    for (const entry of unsent) {
      const { groupId } = entry.message
      const size = bytesOf(entry.message)
      const fits = batch.length < batchEntriesMax && (batch.length === 0 || bytes + size <= batchBytesMax)
      if (fits && !busy.has(groupId) && !passedBy.has(groupId)) {
        busy.add(groupId)
        batch.push(entry)
        bytes += size
      } else {
        passedBy.add(groupId)
        kept.push(entry)
      }
    }
    unsent = kept
    return batch
  }

  /** Sends until all of it is in the queue. */
  async function sendBatch(batch: readonly Unsent[]): Promise<void> {
    let left = batch
    for (let failures = 0; left.length > 0 && !isClosed; failures += 1) {
      if (failures > 0) await pause(failures)
      if (!isClosed) left = await sendOnce(left, failures === 0)
    }
    for (const entry of left) entry.reject(closedError())
    requests -= 1
    sendWhatFits()
  }

  /** Resolves with what is to be sent again. */
  async function sendOnce(batch: readonly Unsent[], isFirst: boolean): Promise<readonly Unsent[]> {
    try {
      const faults = new Map(
        (await parts.queue.send(batch.map(({ message }) => message))).map((fault) => [fault.index, fault]),
      )
      parts.onSent(batch.length - faults.size)
      return batch.filter((entry, index) => {
        const fault = faults.get(index)
        if (fault !== undefined && !fault.permanent) return true
        if (fault !== undefined) {
          // No retry can help, and behind it the whole outbox would wait for ever.
          parts.onRefused(1)
          parts.logger.error('notification_refused', { id: entry.message.deduplicationId, code: fault.code })
          end(entry.message.deduplicationId)
        }
        busy.delete(entry.message.groupId)
        entry.resolve()
        return false
      })
    } catch (error) {
      // Wrong settings are retried too: an operator may mend them, and the outbox is durable meanwhile.
      if (isFirst) parts.logger.warn('notification_queue_failed', { error })
      return batch
    }
  }

  function pause(failures: number): Promise<void> {
    const full = Math.min(retryMaxMs, retryBaseMs * 2 ** Math.min(failures - 1, 10))
    return new Promise((resolve) => {
      const over = (): void => {
        cancel()
        pauses.delete(over)
        resolve()
      }
      const cancel = parts.clock.setTimer(full * (0.5 + parts.random() / 2), over)
      pauses.add(over)
    })
  }

  return {
    publish: async (messages) => {
      await publish(messages)
    },
    settled: end,
    close() {
      isClosed = true
      for (const entry of [...unsent, ...unended.values()]) entry.reject(closedError())
      unsent = []
      unended.clear()
      for (const over of [...pauses]) over()
    },
  }
}

function closedError(): QueueError {
  return new QueueError('stopped', 'the notification sink is closed', false)
}

function waiting(): Waiting {
  let resolve = (): void => undefined
  let reject = (_: QueueError): void => undefined
  const done = new Promise<void>((onDone, onFailure) => {
    resolve = onDone
    reject = onFailure
  })
  return { done, resolve, reject }
}
