/**
 * The notifier's metrics.
 * Invariant: each series is there, at zero, before anything happened, and its labels are a closed list.
 * Source: docs/spec.md METRIC1, METRIC2.
 */
import type { Metrics } from '../runtime/metrics.ts'
import type { Outcome } from './delivery.ts'
import type { PostFailure } from './webhook.ts'

const outcomes: readonly Outcome[] = ['delivered', 'repeated', 'without_endpoint', 'dead_lettered']
const results: readonly ('ok' | PostFailure)[] = [
  'ok',
  'endpoint_invalid',
  'address_refused',
  'gone',
  'status',
  'timeout',
  'network',
  'stopped',
]

export type Counters = ReturnType<typeof notifierCounters>

export function notifierCounters(metrics: Metrics) {
  return {
    sent: metrics.counter({
      name: 'martillo_notifications_sent_total',
      help: 'Notifications that the queue took, or delivery in the same process.',
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
      help: 'Posts to webhooks, by their result.',
      labels: { result: results },
    }),
  }
}
