/**
 * Where the publisher of a server puts notifications.
 * There are two sinks: a queue for other processes (queue-sink.ts), and delivery in this process (direct-sink.ts).
 * Invariant: `publish` resolves only when no message of it can be lost any more. Until then the publisher keeps the
 * messages in the outbox, and sends them again after a crash under the same ids.
 * Source: docs/design.md, "Notifications"; docs/spec.md NOTE3.
 */
import type { NotificationMessage } from '../protocol/notifications.ts'
import { QueueError } from './queue.ts'

export interface NotificationSink {
  /** Takes messages in order; see the invariant above. Rejects with `QueueError` only when the sink is closed. */
  publish(messages: readonly NotificationMessage[]): Promise<void>
}

/** A promise, and how it ends. */
export interface Waiting {
  readonly done: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: QueueError) => void
}

export function waiting(): Waiting {
  let resolve = (): void => undefined
  let reject = (_: QueueError): void => undefined
  const done = new Promise<void>((onDone, onFailure) => {
    resolve = onDone
    reject = onFailure
  })
  return { done, resolve, reject }
}

export function closedError(): QueueError {
  return new QueueError('stopped', 'the notification sink is closed', false)
}
