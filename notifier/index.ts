/**
 * The notifier's door: notifications, from the publisher's sink to the buyers' webhooks.
 * With a queue configured they travel through it; otherwise they are delivered in this process.
 * Invariant: a notification that was published reaches its webhook at least once, in its buyer's order, under one
 * id, or is a dead letter. A webhook that fails delays its own buyer alone.
 * Left to others: who is notified of what (server/duties). Source: docs/design.md, "Notifications".
 */
import { join } from 'node:path'
import type { SubjectId } from '../protocol/ids.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Metrics } from '../runtime/metrics.ts'
import type { NotifierConfig } from './config.ts'
import { type Counters, notifierCounters } from './counters.ts'
import { type DeadLetterWriter, deadLetterFile } from './dead-letter-file.ts'
import { createDelivery, type Delivery } from './delivery.ts'
import { DirectSink } from './direct-sink.ts'
import type { QueueConfig } from './over-queue.ts'
import { QueueError } from './queue.ts'
import { loadWebhookKey, type WebhookKey, webhookKeyFromTokens, webhookSecretOf } from './secret.ts'
import type { NotificationSink } from './sink.ts'
import { type WebhookPoster, webhookPoster } from './webhook.ts'

export { type NotifierConfig, notifierConfig } from './config.ts'
export { webhookSecretOf } from './secret.ts'

const webhookSocketsMax = 512

export interface NotifierParts {
  readonly config: NotifierConfig
  readonly dataFolder: string
  /** Signs webhooks; absent: the key of `webhookKeyFile`, by default in the data folder, made where there is none. */
  readonly key?: WebhookKey
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  /** 0 to below 1, for jitter. */
  readonly random: () => number
  /** Whether other machines can reach the house: decides `webhookPrivateAddresses: auto`. */
  readonly exposed: boolean
}

export interface RunningNotifier {
  /** For the publisher of the same process. */
  readonly sink: NotificationSink
  /** What a buyer needs to verify its webhooks: `whsec_…`. */
  webhookSecretOf(buyerId: SubjectId): string
  /** Waits at most `notifierStopGraceMs` for deliveries under way, then closes everything. Never rejects. */
  stop(): Promise<void>
}

/**
 * The webhook key that all processes of a house derive alike: from the file `webhookKeyFile`, or else from the key
 * for tokens. `undefined` where they have neither.
 */
export function sharedWebhookKey(
  { webhookKeyFile }: NotifierConfig,
  jwtSecret: string | undefined,
): WebhookKey | undefined {
  if (webhookKeyFile !== undefined) return loadWebhookKey(webhookKeyFile)
  return jwtSecret === undefined ? undefined : webhookKeyFromTokens(jwtSecret)
}

/**
 * Starts delivering: from the queue `sqsQueueUrl`, or else what is published in this process. Rejects with
 * `QueueError`, or with the file's error when the key cannot be read or made.
 */
export async function startNotifier(parts: NotifierParts): Promise<RunningNotifier> {
  const { config } = parts
  const key = parts.key ?? loadWebhookKey(config.webhookKeyFile ?? join(parts.dataFolder, 'webhook.key'))
  const privateAllowed =
    config.webhookPrivateAddresses === 'auto' ? !parts.exposed : config.webhookPrivateAddresses === 'allow'
  const poster = webhookPoster({
    timeoutMs: config.webhookTimeoutMs,
    privateAllowed,
    now: () => parts.clock.nowMs(),
    socketsMax: webhookSocketsMax,
  })
  const started = hasQueue(config)
    ? await startOverQueue(config, { ...parts, key, poster })
    : startDirect({ ...parts, key, poster })
  const { sink, queueUrl } = started
  parts.logger.info('notifier_started', { ...(queueUrl && { queueUrl }), privateAllowed })
  return {
    sink,
    webhookSecretOf: (buyerId) => webhookSecretOf(key, buyerId),
    async stop() {
      await started.stop()
      poster.close()
    },
  }
}

interface DeliveringParts extends NotifierParts {
  readonly key: WebhookKey
  readonly poster: WebhookPoster
}

interface Started {
  readonly sink: NotificationSink
  readonly queueUrl?: string
  stop(): Promise<void>
}

function startDirect(parts: DeliveringParts): Started {
  const { config, clock, logger } = parts
  const counters = notifierCounters(parts.metrics)
  const deadLetter = deadLetterFile(join(parts.dataFolder, 'dead-letters.jsonl'), () => clock.nowMs())
  const sink = new DirectSink({
    delivery: deliveryTo(deadLetter, counters, parts),
    clock,
    logger,
    deliveriesMax: config.notifierPollers,
    onTaken: (messages) => counters.sent.add(messages),
  })
  return { sink, stop: () => sink.stop(config.notifierStopGraceMs) }
}

async function startOverQueue(config: QueueConfig, parts: DeliveringParts): Promise<Started> {
  const { openConfiguredQueue, sinkOver, consume } = await import('./over-queue.ts')
  const queue = await openConfiguredQueue(config)
  const counters = notifierCounters(parts.metrics)
  const delivery = deliveryTo((message, reason) => queue.deadLetter(message, reason), counters, parts)
  const sink = sinkOver(queue, counters, parts)
  const consumer = consume(queue, delivery, config, parts)
  return {
    sink,
    queueUrl: queue.url,
    async stop() {
      await consumer.stop()
      sink.close()
      queue.close()
    },
  }
}

function deliveryTo(
  deadLetter: DeadLetterWriter,
  counters: Counters,
  { config, key, poster, logger, random }: DeliveringParts,
): Delivery {
  return createDelivery({
    policy: {
      attemptsMax: config.webhookAttemptsMax,
      baseMs: config.webhookBackoffBaseMs,
      maxMs: config.webhookBackoffMaxMs,
    },
    post: (post, buyerId, stop) => poster.post({ ...post, secret: webhookSecretOf(key, buyerId) }, stop),
    deadLetter,
    random,
    onAttempt: (result) => counters.attempts.add(1, { result: result.ok ? 'ok' : result.failure }),
    onSettled(id, outcome, reason) {
      counters.settled.add(1, { outcome })
      if (outcome === 'dead_lettered') logger.warn('notification_dead_lettered', { id, reason })
    },
  })
}

export interface OpenSink extends NotificationSink {
  close(): Promise<void>
}

/**
 * The sink alone, for a server whose notifiers are other processes. Rejects with `QueueError`, `queue_url_missing`
 * where `sqsQueueUrl` is not set.
 */
export async function openSink(
  parts: Pick<NotifierParts, 'config' | 'clock' | 'logger' | 'metrics' | 'random'>,
): Promise<OpenSink> {
  const { config, metrics } = parts
  if (!hasQueue(config))
    throw new QueueError('queue_url_missing', 'SQS_QUEUE_URL names no queue for the notifications', false)
  const { openConfiguredQueue, sinkOver } = await import('./over-queue.ts')
  const queue = await openConfiguredQueue(config)
  const sink = sinkOver(queue, notifierCounters(metrics), parts)
  return {
    publish: (messages) => sink.publish(messages),
    async close() {
      sink.close()
      queue.close()
    },
  }
}

function hasQueue(config: NotifierConfig): config is QueueConfig {
  return config.sqsQueueUrl !== undefined
}
