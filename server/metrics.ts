/**
 * The metrics of a server.
 *
 * They are counted where the work is done. Invariant: the values of a label are a closed list of the contract's codes;
 * no id, amount or address is ever a label. Source: docs/style.md, "Configuration, logs, metrics".
 */
import { closeCodes } from '../protocol/close-codes.ts'
import { frameErrors } from '../protocol/frame-errors.ts'
import { rejections } from '../protocol/rejection-codes.ts'
import type { Metrics } from '../runtime/metrics.ts'

export type ServerMetrics = ReturnType<typeof serverMetrics>

export function serverMetrics(
  metrics: Metrics,
  read: {
    readonly sockets: () => number
    readonly subscriptions: () => number
    readonly ready: () => boolean
  },
) {
  metrics.gauge({
    name: 'martillo_server_open_sockets',
    help: 'WebSockets that are open',
    read: read.sockets,
  })
  metrics.gauge({
    name: 'martillo_server_subscriptions',
    help: 'Auctions watched, summed over all sockets',
    read: read.subscriptions,
  })
  metrics.gauge({
    name: 'martillo_server_ready_ratio',
    help: '1 while a leader is reachable and the server is not draining, else 0',
    read: () => (read.ready() ? 1 : 0),
  })
  return {
    requests: metrics.counter({
      name: 'martillo_server_http_requests_total',
      help: 'HTTP requests answered, by class of status',
      labels: { status: ['2xx', '3xx', '4xx', '5xx'] },
    }),
    requestSeconds: metrics.histogram({
      name: 'martillo_server_http_request_seconds',
      help: 'Time from an HTTP request to its answer',
    }),
    frames: metrics.counter({ name: 'martillo_server_frames_total', help: 'Frames received' }),
    frameErrors: metrics.counter({
      name: 'martillo_server_frame_errors_total',
      help: 'Frames answered with an error, by its code',
      labels: { code: Object.keys(frameErrors) },
    }),
    bids: metrics.counter({
      name: 'martillo_server_bids_total',
      help: 'Bids answered, by what became of them',
      labels: {
        outcome: ['accepted', ...Object.keys(rejections), 'unavailable', 'overloaded', 'draining'],
      },
    }),
    bidSeconds: metrics.histogram({
      name: 'martillo_server_bid_seconds',
      help: 'Time from a bid to the answer, by which it is durable',
    }),
    events: metrics.counter({
      name: 'martillo_server_events_total',
      help: 'Events taken from the feed',
    }),
    resyncs: metrics.counter({
      name: 'martillo_server_resyncs_total',
      help: 'Times that a slow reader got the latest price instead of every price',
    }),
    rateLimited: metrics.counter({
      name: 'martillo_server_rate_limited_total',
      help: 'What was held back by a rate, by kind',
      labels: { what: ['request', 'registration', 'frame', 'bid'] },
    }),
    closes: metrics.counter({
      name: 'martillo_server_closes_total',
      help: 'WebSockets closed, by close code',
      labels: { code: [...Object.keys(closeCodes), '1000', '1005', '1006'] },
    }),
    faults: metrics.counter({
      name: 'martillo_server_faults_total',
      help: 'Handlers that failed; each is logged with its error',
    }),
    conducted: metrics.counter({
      name: 'martillo_server_conducts_total',
      help: 'Pulses of the conductor that were committed',
    }),
    conductLateSeconds: metrics.histogram({
      name: 'martillo_server_conduct_late_seconds',
      help: 'How long after its due time a deadline was proposed',
    }),
    notifications: metrics.counter({
      name: 'martillo_server_notifications_total',
      help: 'Notifications handed to the queue and taken by it',
    }),
    notificationFailures: metrics.counter({
      name: 'martillo_server_notification_failures_total',
      help: 'Times that the queue did not take notifications; they are tried again',
    }),
  }
}
