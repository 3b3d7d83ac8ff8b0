/**
 * Settings of the notifier, and of the servers that publish to its queue.
 * The AWS SDK reads its own variables (AWS_REGION, AWS_ACCESS_KEY_ID, profiles, roles) itself.
 * Invariant: without SQS_QUEUE_URL there is no queue; only a house on one machine can deliver without one.
 * Source: docs/protocol.md, "Notifications".
 */
import { type ConfigOf, choice, configSection, integer, isHttpUrl, text } from '../runtime/config.ts'
import { QueueError, queueNameOf } from './queue.ts'

export const notifierConfig = configSection(
  'notifier',
  {
    sqsQueueUrl: {
      is: text()
        .refine(isQueueUrl, 'must be the address of a FIFO queue (its name ends in .fifo)')
        .optional(),
      env: 'SQS_QUEUE_URL',
      doc: 'Address of the FIFO queue of notifications. Not set: this process delivers them itself.',
    },
    sqsEndpointUrl: {
      is: text().refine(isHttpUrl, 'must be an http or https address').optional(),
      env: 'AWS_ENDPOINT_URL_SQS',
      doc: "Another SQS endpoint than Amazon's.",
    },
    sqsCreateQueues: {
      is: choice(['auto', 'always', 'never']).default('auto'),
      doc: 'Make the queue and its dead-letter queue where missing; auto: where AWS_ENDPOINT_URL_SQS is set.',
    },
    notifierPollers: {
      is: integer(1, 256).default(8),
      doc: 'Notifications that are delivered at the same time; a slow webhook occupies one.',
    },
    notifierVisibilityTimeoutS: {
      is: integer(3, 43_200).default(30),
      doc: 'After this long without a sign of life from a notifier another one takes its message (seconds).',
    },
    notifierStopGraceMs: {
      is: integer(0, 600_000).default(5_000),
      doc: 'How long deliveries under way may take when the process stops.',
    },
    webhookTimeoutMs: {
      is: integer(100, 120_000).default(10_000),
      doc: 'How long a webhook may take to answer.',
    },
    webhookAttemptsMax: {
      is: integer(1, 100).default(8),
      doc: 'Attempts before a notification goes to the dead-letter queue.',
    },
    webhookBackoffBaseMs: {
      is: integer(0, 3_600_000).default(1_000),
      doc: 'Wait before the second attempt; doubled before each later one. SQS counts whole seconds.',
    },
    webhookBackoffMaxMs: {
      is: integer(0, 3_600_000).default(60_000),
      doc: 'Longest wait between two attempts.',
    },
    webhookPrivateAddresses: {
      is: choice(['auto', 'allow', 'refuse']).default('auto'),
      doc: 'Whether webhooks may be on loopback and private networks; auto: only while the house itself, or the queue of a notifier of its own, listens on loopback alone.',
    },
    webhookKeyFile: {
      is: text().optional(),
      doc: 'File with the key that signs webhooks; the same for all notifiers and servers. Default: webhook.key in the data folder, made at the first start; in several processes what follows from MARTILLO_JWT_SECRET, where that is set.',
    },
  },
  [
    {
      reason:
        'webhookBackoffBaseMs is at most webhookBackoffMaxMs, or the first wait would exceed the longest',
      holds: (config) => config.webhookBackoffBaseMs <= config.webhookBackoffMaxMs,
    },
  ],
)

export type NotifierConfig = ConfigOf<(typeof notifierConfig)['settings']>

function isQueueUrl(value: string): boolean {
  try {
    queueNameOf(value)
    return true
  } catch (error) {
    if (error instanceof QueueError) return false
    throw error
  }
}
