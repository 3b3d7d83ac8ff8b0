/**
 * Takes notifications out of the queue and passes each to delivery.
 * Then it deletes the message, or sets when the queue shows it again.
 * Invariant: a message is deleted only after it has ended (delivered, dropped, dead-lettered). While it is being
 * delivered its visibility is extended, so that no other notifier gets it. Each poller takes one message at a time:
 * the FIFO queue then holds back the rest of that buyer's messages, which keeps them in order, and a slow receiver
 * occupies one poller and no more.
 * Left to others: what to do with a message (delivery.ts). This is the one file that names sqs-consumer.
 */
import { Consumer } from 'sqs-consumer'
import { Backoff } from '../runtime/backoff.ts'
import { type Clock, sleep } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Delivery, ReceivedMessage } from './delivery.ts'
import { endpointAttribute, queueError, type SqsQueue } from './sqs.ts'

interface ConsumerSettings {
  /** Messages that are delivered at the same time, 1 to 256. */
  readonly pollers: number
  readonly visibilityTimeoutS: number
  /** Less than `visibilityTimeoutS`, so that one lost heartbeat loses nothing. */
  readonly heartbeatS: number
  /** How long a poll waits for a message, 0 to 20. */
  readonly pollWaitS: number
}

export interface RunningConsumer {
  /**
   * Takes no more messages and waits, at most `graceMs`, for those under way; posts that have not ended then are
   * broken off, and their messages stay in the queue.
   */
  stop(graceMs: number): Promise<void>
}

interface ConsumerParts {
  readonly queue: SqsQueue
  readonly delivery: Delivery
  readonly settings: ConsumerSettings
  readonly clock: Clock
  readonly logger: Logger
  /** 0 to below 1, for jitter. */
  readonly random: () => number
}

/** How long a poller waits after its first, second … failed poll in a row. */
const pollBackoff = { baseMs: 250, maxMs: 15_000 }
/** After the grace: for the queue to take back the messages of posts that were broken off. */
const breakOffMs = 2_000

type Message = Parameters<NonNullable<Parameters<typeof Consumer.create>[0]['handleMessage']>>[0]

/** Not a fault: by throwing it a handler makes sqs-consumer keep the message and show it again later. */
class LaterAgain extends Error {}

export function startConsumer(parts: ConsumerParts): RunningConsumer {
  const stopping = new AbortController()
  const pollers = Array.from({ length: parts.settings.pollers }, () => startPoller(parts, stopping.signal))
  return {
    async stop(graceMs) {
      const cancels = [
        parts.clock.setTimer(graceMs, () => stopping.abort()),
        // A queue that does not answer must not keep the process from ending.
        parts.clock.setTimer(graceMs + breakOffMs, () => {
          for (const poller of pollers) poller.breakOff()
        }),
      ]
      await Promise.all(pollers.map((poller) => poller.stop()))
      for (const cancel of cancels) cancel()
      stopping.abort()
    },
  }
}

interface Poller {
  stop(): Promise<void>
  breakOff(): void
}

/** Pauses after failed polls; `end` cuts the current one short. */
class PollPauses {
  readonly #parts: ConsumerParts
  readonly #backoff: Backoff
  readonly #ending = new AbortController()
  #hasFailed = false

  constructor(parts: ConsumerParts) {
    this.#parts = parts
    this.#backoff = new Backoff(pollBackoff, parts.random)
  }

  failed(error: Error): void {
    if (!this.#hasFailed)
      this.#parts.logger.warn('notification_queue_failed', { error: queueError(error.cause ?? error) })
    this.#hasFailed = true
  }

  succeeded(): void {
    this.#hasFailed = false
    this.#backoff.reset()
  }

  async beforePoll(): Promise<void> {
    if (this.#hasFailed) await sleep(this.#parts.clock, this.#backoff.nextMs(), this.#ending.signal)
  }

  end(): void {
    this.#ending.abort()
  }
}

function startPoller(parts: ConsumerParts, stopping: AbortSignal): Poller {
  const { logger } = parts
  let isBusy = false
  let onIdle: (() => void) | undefined
  const pauses = new PollPauses(parts)
  const consumer = createConsumer(parts, pauses, stopping)
  consumer.on('message_received', () => {
    isBusy = true
  })
  consumer.on('response_processed', () => {
    isBusy = false
    onIdle?.()
  })
  consumer.on('processing_error', (error) => {
    if (!(error.cause instanceof LaterAgain)) logger.error('notification_handling_failed', { error })
  })
  consumer.on('error', (error) => {
    if (consumer.status.isRunning) pauses.failed(error)
  })
  consumer.start()
  return {
    async stop() {
      // An idle poll is broken off. One with a message is left to finish: breaking it off would stop its deletion.
      if (isBusy)
        await new Promise<void>((resolve) => {
          onIdle = resolve
        })
      consumer.stop({ abort: true })
      pauses.end()
    },
    breakOff() {
      consumer.stop({ abort: true })
      onIdle?.()
    },
  }
}

function createConsumer(
  { queue, delivery, settings }: ConsumerParts,
  pauses: PollPauses,
  stopping: AbortSignal,
): Consumer {
  let retryInMs = 0
  return Consumer.create({
    queueUrl: queue.url,
    sqs: queue.client,
    batchSize: 1,
    waitTimeSeconds: settings.pollWaitS,
    visibilityTimeout: settings.visibilityTimeoutS,
    heartbeatInterval: settings.heartbeatS,
    messageSystemAttributeNames: ['ApproximateReceiveCount', 'MessageGroupId', 'MessageDeduplicationId'],
    messageAttributeNames: [endpointAttribute],
    suppressFifoWarning: true,
    strictReturn: true,
    preReceiveMessageCallback: () => pauses.beforePoll(),
    postReceiveMessageCallback: async () => pauses.succeeded(),
    terminateVisibilityTimeout: () => Math.min(43_200, Math.ceil(retryInMs / 1_000)),
    async handleMessage(message) {
      // When delivery itself fails, the message is shown again after the longest pause of a poller.
      retryInMs = pollBackoff.maxMs
      const verdict = await delivery.deliver(receivedMessage(message), stopping)
      if (verdict.settled) return message
      retryInMs = verdict.retryInMs
      throw new LaterAgain(verdict.detail)
    },
  })
}

function receivedMessage(message: Message): ReceivedMessage {
  const endpoint = message.MessageAttributes?.[endpointAttribute]?.StringValue
  return {
    deduplicationId: message.Attributes?.MessageDeduplicationId ?? message.MessageId ?? '',
    groupId: message.Attributes?.MessageGroupId ?? '',
    body: message.Body ?? '',
    receives: Number(message.Attributes?.ApproximateReceiveCount ?? 1),
    ...(endpoint === undefined ? {} : { endpoint }),
  }
}
