/**
 * The queue of notifications as a port, for publishers and notifiers.
 * It is FIFO with one group for each buyer, so that a buyer's messages stay in order and one is handed out at a time.
 * Invariant: a message is in the queue when `send` has not named it; a repeat of its de-duplication id adds nothing.
 * Left to others: SQS (sqs.ts), when to send again (queue-sink.ts), what a message means (message.ts).
 * Source: docs/protocol.md, "Notifications".
 */

/** Limits of SQS: entries and bytes of one request, and bytes of one message. */
export const batchEntriesMax = 10
export const batchBytesMax = 262_144

export interface OutgoingMessage {
  /** 1 to 128 characters; the same one within five minutes is stored once. */
  readonly deduplicationId: string
  /** The buyer's id, 1 to 128 characters. */
  readonly groupId: string
  /** ASCII text, at most `batchBytesMax` bytes with its attributes. */
  readonly body: string
  /** Where the notifier posts it; absent: the buyer has no webhook. */
  readonly endpoint?: string
}

/** One entry of a batch that the queue did not take. */
export interface SendFault {
  readonly index: number
  readonly code: string
  /** The message itself is at fault: sending it again cannot help. */
  readonly permanent: boolean
}

/** An operational failure of the queue. `retryable` is false where the settings are wrong. */
export class QueueError extends Error {
  override readonly name = 'QueueError'
  readonly code: string
  readonly retryable: boolean
  constructor(code: string, message: string, retryable: boolean, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.retryable = retryable
  }
}

export interface Queue {
  readonly url: string
  /** Absent where the queue has no redrive policy: dead letters are then logged only. */
  readonly deadLetterUrl: string | undefined
  /**
   * Sends 1 to 10 messages of at most 256 KiB together. Resolves with the entries that were not taken (an empty
   * list: all were); rejects with `QueueError` when the whole request failed.
   */
  send(batch: readonly OutgoingMessage[]): Promise<readonly SendFault[]>
  /** Puts a message that cannot be delivered on the dead-letter queue, with the reason as an attribute. */
  deadLetter(message: OutgoingMessage, reason: string): Promise<void>
  close(): void
}

/** The name of a queue: the last part of its address. Throws `QueueError` (`queue_url_invalid`) on others. */
export function queueNameOf(queueUrl: string): string {
  const name = URL.canParse(queueUrl) ? new URL(queueUrl).pathname.split('/').at(-1) : undefined
  if (name === undefined || !/^[A-Za-z0-9_-]{1,75}\.fifo$/.test(name))
    throw new QueueError(
      'queue_url_invalid',
      `SQS_QUEUE_URL is the address of a FIFO queue (its name ends in .fifo), not ${JSON.stringify(queueUrl)}`,
      false,
    )
  return name
}
