/**
 * Notifications by a queue: the sink of the servers, and the pollers of the notifiers.
 * index.ts loads this file only where a queue is configured, so that a house on one machine needs no AWS SDK.
 * Invariant: a message leaves the queue only after it has ended. Source: docs/design.md, "Notifications".
 */
import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import type { NotifierConfig } from './config.ts'
import { startConsumer } from './consumer.ts'
import type { Counters } from './counters.ts'
import type { Delivery } from './delivery.ts'
import type { Queue } from './queue.ts'
import { QueueSink } from './queue-sink.ts'
import { openQueue, type SqsQueue } from './sqs.ts'

/** Crashes of notifiers count as receives too; beyond attempts and these SQS itself dead-letters. */
const crashesAllowed = 10
const pollWaitS = 20

/** `NotifierConfig` with a queue. */
export type QueueConfig = NotifierConfig & { readonly sqsQueueUrl: string }

/** Rejects with `QueueError`. */
export async function openConfiguredQueue(config: QueueConfig): Promise<SqsQueue> {
  const { sqsQueueUrl, sqsEndpointUrl, sqsCreateQueues, notifierPollers: pollers } = config
  const mayCreate = sqsCreateQueues === 'auto' ? sqsEndpointUrl !== undefined : sqsCreateQueues === 'always'
  const create = {
    visibilityTimeoutS: config.notifierVisibilityTimeoutS,
    receivesMax: config.webhookAttemptsMax + crashesAllowed,
  }
  return await openQueue({
    queueUrl: sqsQueueUrl,
    pollers,
    ...(sqsEndpointUrl === undefined ? {} : { endpoint: sqsEndpointUrl }),
    ...(mayCreate ? { create } : {}),
  })
}

interface Parts {
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
}

export function sinkOver(queue: Queue, counters: Counters, parts: Parts): QueueSink {
  return new QueueSink({
    ...parts,
    queue,
    onSent: (messages) => counters.sent.add(messages),
    onRefused: (messages) => counters.refused.add(messages),
  })
}

/** Delivers from the queue, until `stop`. */
export function consume(
  queue: SqsQueue,
  delivery: Delivery,
  config: NotifierConfig,
  parts: Parts,
): { stop(): Promise<void> } {
  const { notifierVisibilityTimeoutS: visibilityTimeoutS, notifierPollers: pollers } = config
  if (queue.deadLetterUrl === undefined)
    parts.logger.warn('dead_letter_queue_missing', { queueUrl: queue.url })
  const heartbeatS = Math.floor(visibilityTimeoutS / 3)
  const settings = { pollers, visibilityTimeoutS, heartbeatS, pollWaitS }
  const consumer = startConsumer({ ...parts, queue, delivery, settings })
  return { stop: () => consumer.stop(config.notifierStopGraceMs) }
}
