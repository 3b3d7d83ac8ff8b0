/**
 * Settings of the notifier and of whoever publishes to its queue. The AWS SDK reads its own variables
 * (AWS_REGION, AWS_ACCESS_KEY_ID, profiles, roles) itself.
 * Invariant: without SQS_QUEUE_URL the queue is in this process, which is only right for the house on one machine.
 * Source: docs/protocol.md, "Notifications".
 */
import { type ConfigOf, configSection } from '../runtime/config.ts'
import { QueueError, queueNameOf } from './queue.ts'

export const notifierConfig = configSection(
  'notifier',
  {
    sqsQueueUrl: {
      kind: 'text',
      env: 'SQS_QUEUE_URL',
      doc: 'Address of the FIFO queue of notifications. Absent: a queue inside this process.',
      fault: queueUrlFault,
    },
    sqsEndpointUrl: {
      kind: 'text',
      env: 'AWS_ENDPOINT_URL_SQS',
      doc: "Another SQS endpoint than Amazon's.",
      fault: (value) =>
        /^https?:\/\//.test(value) && URL.canParse(value) ? undefined : 'must be an address',
    },
    sqsCreateQueues: {
      kind: 'choice',
      choices: ['auto', 'always', 'never'],
      default: 'auto',
      doc: 'Make the queue and its dead-letter queue where missing; auto: where AWS_ENDPOINT_URL_SQS is set.',
    },
    notifierPollers: {
      kind: 'integer',
      min: 1,
      max: 256,
      default: 8,
      doc: 'Notifications that are delivered at the same time; a slow webhook occupies one.',
    },
    notifierVisibilityTimeoutS: {
      kind: 'integer',
      min: 3,
      max: 43_200,
      default: 30,
      doc: 'After this long without a sign of life from a notifier another one takes its message (seconds).',
    },
    notifierStopGraceMs: {
      kind: 'integer',
      min: 0,
      max: 600_000,
      default: 5_000,
      doc: 'How long deliveries under way may take when the process stops.',
    },
    webhookTimeoutMs: {
      kind: 'integer',
      min: 100,
      max: 120_000,
      default: 10_000,
      doc: 'How long a webhook may take to answer.',
    },
    webhookAttemptsMax: {
      kind: 'integer',
      min: 1,
      max: 100,
      default: 8,
      doc: 'Attempts before a notification goes to the dead-letter queue.',
    },
    webhookBackoffBaseMs: {
      kind: 'integer',
      min: 0,
      max: 3_600_000,
      default: 1_000,
      doc: 'Wait before the second attempt; doubled before each later one. SQS counts whole seconds.',
    },
    webhookBackoffMaxMs: {
      kind: 'integer',
      min: 0,
      max: 3_600_000,
      default: 60_000,
      doc: 'Longest wait between two attempts.',
    },
    webhookPrivateAddresses: {
      kind: 'choice',
      choices: ['auto', 'allow', 'refuse'],
      default: 'auto',
      doc: 'Whether webhooks may be on loopback and private networks; auto: only while the house itself, or the queue of a notifier of its own, listens on loopback alone.',
    },
    webhookKeyFile: {
      kind: 'text',
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

function queueUrlFault(value: string): string | undefined {
  try {
    queueNameOf(value)
    return undefined
  } catch (error) {
    if (error instanceof QueueError) return 'must be the address of a FIFO queue (its name ends in .fifo)'
    throw error
  }
}
