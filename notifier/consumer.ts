/**
 * Takes notifications out of the queue and hands each to `delivery`, then deletes it or lets it appear again.
 * Invariant: a message is deleted only after it has ended (delivered, dropped, dead-lettered); while it is being
 * delivered its visibility is extended, so no other notifier gets it. Each poller asks for one message at a time:
 * a FIFO queue then holds the rest of that buyer's messages back, which is what keeps them in order, and a slow
 * receiver occupies one poller and no more.
 * Left to others: what to do with a message (delivery.ts). This is the one file that names sqs-consumer.
 */
import { Consumer } from 'sqs-consumer'
import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Delivery, ReceivedMessage } from './delivery.ts'
import { endpointAttribute, type Queue, queueError } from './queue.ts'

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
   * Stops asking for messages and waits, at most `graceMs`, for those under way; what is then still being posted
   * is broken off and stays in the queue.
   */
  stop(graceMs: number): Promise<void>
}

interface ConsumerParts {
  readonly queue: Queue
  readonly delivery: Delivery
  readonly settings: ConsumerSettings
  readonly clock: Clock
  readonly logger: Logger
}

/** How long a poller rests after its first, second … failed poll in a row. */
const pollBackoffBaseMs = 250
const pollBackoffMaxMs = 15_000
/** After the grace: for the queue to take back what was broken off. */
const breakOffMs = 2_000

type Message = Parameters<NonNullable<Parameters<typeof Consumer.create>[0]['handleMessage']>>[0]

/** Not an error of ours: how a handler tells sqs-consumer to keep the message and show it again later. */
class LaterAgain extends Error {
  readonly inMs: number
  constructor(inMs: number, detail: string) {
    super(detail)
    this.inMs = inMs
  }
}

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

function startPoller({ queue, delivery, settings, clock, logger }: ConsumerParts, stopping: AbortSignal) {
  let busy = false
  let failures = 0
  let retryInMs = 0
  let whenIdle: (() => void) | undefined
  let endPause: (() => void) | undefined

  const pause = (): Promise<void> => {
    if (failures === 0) return Promise.resolve()
    const ms = Math.min(pollBackoffMaxMs, pollBackoffBaseMs * 2 ** Math.min(failures - 1, 10))
    return new Promise((resolve) => {
      const cancel = clock.setTimer(ms, resolve)
      endPause = () => {
        cancel()
        resolve()
      }
    })
  }

  const consumer = Consumer.create({
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
    preReceiveMessageCallback: pause,
    postReceiveMessageCallback: async () => {
      failures = 0
    },
    terminateVisibilityTimeout: () => Math.min(43_200, Math.ceil(retryInMs / 1_000)),
    async handleMessage(message) {
      // Whatever goes wrong below, the message is not shown again before the pollers' own back-off.
      retryInMs = pollBackoffMaxMs
      const verdict = await delivery.deliver(receivedMessage(message), stopping)
      if (verdict.settled) return message
      retryInMs = verdict.retryInMs
      throw new LaterAgain(verdict.retryInMs, verdict.detail)
    },
  })

  consumer.on('message_received', () => {
    busy = true
  })
  consumer.on('response_processed', () => {
    busy = false
    whenIdle?.()
  })
  consumer.on('processing_error', (error) => {
    if (!(error.cause instanceof LaterAgain)) logger.error('notification_handling_failed', { error })
  })
  consumer.on('error', (error) => {
    if (consumer.status.isRunning === false) return
    failures += 1
    if (failures === 1) logger.warn('notification_queue_failed', { error: queueError(error.cause ?? error) })
  })
  consumer.start()

  return {
    async stop(): Promise<void> {
      // An idle poll is broken off; one with a message is left to finish, or its deletion would be broken off too.
      if (busy)
        await new Promise<void>((resolve) => {
          whenIdle = resolve
        })
      consumer.stop({ abort: true })
      endPause?.()
    },
    breakOff(): void {
      consumer.stop({ abort: true })
      whenIdle?.()
    },
  }
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
