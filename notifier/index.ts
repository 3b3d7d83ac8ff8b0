/**
 * The notifier's door: the queue of notifications, from the publisher's sink to the buyers' webhooks.
 * Invariant: a notification that was published reaches its webhook at least once, in its buyer's order, under one
 * id, or lies with the dead letters; no failure of a webhook stops anybody but its own buyer.
 * Left to others: what is told to whom (the owner's publisher). Source: docs/design.md, "Notifications".
 */
import { join } from 'node:path'
import type { SubjectId } from '../protocol/ids.ts'
import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Metrics } from '../runtime/metrics.ts'
import type { NotifierConfig } from './config.ts'
import { startConsumer } from './consumer.ts'
import { deadLetterFile } from './dead-letter-file.ts'
import { createDelivery, type Delivery, type Outcome } from './delivery.ts'
import { localQueueUrl, startLocalQueue } from './local-queue.ts'
import { openQueue, type Queue, QueueError } from './queue.ts'
import { loadWebhookKey, type WebhookKey, webhookKeyFromTokens, webhookSecretOf } from './secret.ts'
import { createSink, type NotificationSink, type Sink } from './sink.ts'
import { webhookPoster } from './webhook.ts'

export { type NotifierConfig, notifierConfig } from './config.ts'
export { webhookSecretOf } from './secret.ts'

/** The queue's name where none is given. */
const defaultQueueName = 'notification-events.fifo'

/** Crashes of notifiers count as receives too; beyond attempts and these SQS itself dead-letters. */
const crashesAllowed = 10
const pollWaitS = 20
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
  /** Whether others than this machine can reach the house: decides `webhookPrivateAddresses: auto`. */
  readonly exposed: boolean
}

export interface RunningNotifier {
  /** For the publisher of the same process. */
  readonly sink: NotificationSink
  /** What a buyer needs to verify its webhooks: `whsec_…`. */
  webhookSecretOf(buyerId: SubjectId): string
  /** Lets deliveries under way end, within `notifierStopGraceMs`, then closes everything. Never rejects. */
  stop(): Promise<void>
}

/**
 * The webhook key of a house in several processes, by what all of them are told: the file `webhookKeyFile`, or else
 * the key for tokens. `undefined` where they are told neither.
 */
export function sharedWebhookKey(
  { webhookKeyFile }: NotifierConfig,
  jwtSecret: string | undefined,
): WebhookKey | undefined {
  if (webhookKeyFile !== undefined) return loadWebhookKey(webhookKeyFile)
  return jwtSecret === undefined ? undefined : webhookKeyFromTokens(jwtSecret)
}

/**
 * Starts consuming, on SQS where `sqsQueueUrl` says so and otherwise on a queue in this process, whose sink then
 * counts a message as published only when it has ended. Rejects with `QueueError`, or with the file's error when
 * the key cannot be read or made.
 */
export async function startNotifier(parts: NotifierParts): Promise<RunningNotifier> {
  const { config, clock, logger } = parts
  const key = parts.key ?? loadWebhookKey(config.webhookKeyFile ?? join(parts.dataFolder, 'webhook.key'))
  const counters = notifierCounters(parts.metrics)
  const { queue, isDurable, close } = await openConfiguredQueue(config)
  if (isDurable && queue.deadLetterUrl === undefined)
    logger.warn('dead_letter_queue_missing', { queueUrl: queue.url })
  const privateAllowed =
    config.webhookPrivateAddresses === 'auto' ? !parts.exposed : config.webhookPrivateAddresses === 'allow'
  const poster = webhookPoster({
    timeoutMs: config.webhookTimeoutMs,
    privateAllowed,
    now: () => clock.nowMs(),
    socketsMax: webhookSocketsMax,
  })
  let sink: Sink | undefined
  const delivery: Delivery = createDelivery({
    policy: {
      attemptsMax: config.webhookAttemptsMax,
      backoffBaseMs: config.webhookBackoffBaseMs,
      backoffMaxMs: config.webhookBackoffMaxMs,
    },
    post: (post, buyerId, stop) => poster.post({ ...post, secret: webhookSecretOf(key, buyerId) }, stop),
    deadLetter: isDurable
      ? (message, reason) => queue.deadLetter(message, reason)
      : deadLetterFile(join(parts.dataFolder, 'dead-letters.jsonl'), () => clock.nowMs()),
    random: parts.random,
    onAttempt: (result) => counters.attempts.add(1, { result: result.ok ? 'ok' : result.failure }),
    onSettled(id, outcome, reason) {
      counters.settled.add(1, { outcome })
      if (outcome === 'dead_lettered') logger.warn('notification_dead_lettered', { id, reason })
      sink?.settled(id)
    },
  })
  const isSettled = isDurable ? undefined : (id: string) => delivery.isSettled(id)
  sink = sinkOver(parts, queue, counters, isSettled)
  const consumer = startConsumer({
    queue,
    delivery,
    clock,
    logger,
    settings: {
      pollers: config.notifierPollers,
      visibilityTimeoutS: config.notifierVisibilityTimeoutS,
      heartbeatS: Math.floor(config.notifierVisibilityTimeoutS / 3),
      pollWaitS,
    },
  })
  logger.info('notifier_started', { queueUrl: queue.url, inProcess: !isDurable, privateAllowed })
  const running = sink
  return {
    sink: running,
    webhookSecretOf: (buyerId) => webhookSecretOf(key, buyerId),
    async stop() {
      await consumer.stop(config.notifierStopGraceMs)
      running.close()
      poster.close()
      await close()
    },
  }
}

export interface OpenSink extends NotificationSink {
  close(): Promise<void>
}

/**
 * The sink alone, for a server whose notifiers are other processes. `sqsQueueUrl` must be set: rejects with
 * `QueueError` (`queue_url_missing`) where it is not, because nobody would consume a queue in this process.
 */
export async function openSink(
  parts: Pick<NotifierParts, 'config' | 'clock' | 'logger' | 'metrics' | 'random'>,
): Promise<OpenSink> {
  const { queue, close } = await openConfiguredQueue(parts.config, true)
  const sink = sinkOver(parts, queue, notifierCounters(parts.metrics), undefined)
  return {
    publish: (messages) => sink.publish(messages),
    async close() {
      sink.close()
      await close()
    },
  }
}

interface ConfiguredQueue {
  readonly queue: Queue
  readonly isDurable: boolean
  close(): Promise<void>
}

async function openConfiguredQueue(config: NotifierConfig, mustBeDurable = false): Promise<ConfiguredQueue> {
  const { sqsQueueUrl, sqsEndpointUrl, notifierPollers: pollers } = config
  const create = {
    visibilityTimeoutS: config.notifierVisibilityTimeoutS,
    receivesMax: config.webhookAttemptsMax + crashesAllowed,
  }
  if (sqsQueueUrl !== undefined) {
    const mayCreate =
      config.sqsCreateQueues === 'auto' ? sqsEndpointUrl !== undefined : config.sqsCreateQueues === 'always'
    const queue = await openQueue({
      queueUrl: sqsQueueUrl,
      pollers,
      ...(sqsEndpointUrl === undefined ? {} : { endpoint: sqsEndpointUrl }),
      ...(mayCreate ? { create } : {}),
    })
    return { queue, isDurable: true, close: async () => queue.close() }
  }
  if (mustBeDurable)
    throw new QueueError('queue_url_missing', 'SQS_QUEUE_URL names no queue for the notifications', false)
  const local = await startLocalQueue()
  try {
    const { endpoint, region, credentials } = local
    const queueUrl = localQueueUrl(local, defaultQueueName)
    const queue = await openQueue({ queueUrl, endpoint, region, credentials, create, pollers })
    return {
      queue,
      isDurable: false,
      async close() {
        queue.close()
        await local.stop()
      },
    }
  } catch (error) {
    await local.stop()
    throw error
  }
}

type Counters = ReturnType<typeof notifierCounters>

function notifierCounters(metrics: Metrics) {
  const outcomes: readonly Outcome[] = ['delivered', 'repeated', 'without_endpoint', 'dead_lettered']
  return {
    sent: metrics.counter({
      name: 'martillo_notifications_sent_total',
      help: 'Notifications that the queue took.',
    }),
    refused: metrics.counter({
      name: 'martillo_notifications_refused_total',
      help: 'Notifications that the queue will never take.',
    }),
    settled: metrics.counter({
      name: 'martillo_notifications_settled_total',
      help: 'Notifications that ended, by how.',
      labels: { outcome: outcomes },
    }),
    attempts: metrics.counter({
      name: 'martillo_webhook_attempts_total',
      help: 'Posts to webhooks, by what came of them.',
      labels: {
        result: [
          'ok',
          'endpoint_invalid',
          'address_refused',
          'gone',
          'status',
          'timeout',
          'network',
          'stopped',
        ],
      },
    }),
  }
}

function sinkOver(
  parts: Pick<NotifierParts, 'clock' | 'logger' | 'random'>,
  queue: Queue,
  counters: Counters,
  isSettled: ((id: string) => boolean) | undefined,
): Sink {
  return createSink({
    queue,
    clock: parts.clock,
    logger: parts.logger,
    random: parts.random,
    ...(isSettled === undefined ? {} : { isSettled }),
    onSent: (messages) => counters.sent.add(messages),
    onRefused: (messages) => counters.refused.add(messages),
  })
}
