/**
 * Posts one notification to one webhook, signed as Standard Webhooks require.
 * The headers are `webhook-id` (the event's id, the same at every attempt), `webhook-timestamp` (of this attempt) and
 * `webhook-signature` over id, timestamp and body.
 * Invariant: one call is one request of bounded time and memory; redirects are not followed, and at most
 * `responseBytesMax` of the answer is read. It never rejects: every outcome is a result.
 * Left to others: whether to try again (delivery.ts). Source: standardwebhooks.com; docs/protocol.md, "Notifications".
 */
import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { Webhook } from 'standardwebhooks'
import { endpointFault, guardedLookup } from './address-guard.ts'

export const responseBytesMax = 65_536

export type PostFailure =
  /** The address is malformed, or one that webhooks may not reach. No retry can help. */
  | 'endpoint_invalid'
  | 'address_refused'
  /** The receiver answered 410: it wants no more notifications. */
  | 'gone'
  /** The receiver answered, but not with 2xx. */
  | 'status'
  | 'timeout'
  | 'network'
  /** This process is stopping. */
  | 'stopped'

export type PostResult =
  | { readonly ok: true; readonly status: number }
  | {
      readonly ok: false
      readonly failure: PostFailure
      /** In words, for the log; never the body. */
      readonly detail: string
      readonly status?: number
      /** The receiver's Retry-After. */
      readonly retryAfterMs?: number
    }

export interface Post {
  readonly endpoint: string
  /** The event's id. */
  readonly id: string
  /** The CloudEvent, byte for byte as it is signed. */
  readonly body: string
  /** `whsec_…` of the buyer. */
  readonly secret: string
}

export interface WebhookOptions {
  /** From the first byte sent to the last one read. */
  readonly timeoutMs: number
  /** Whether loopback and private networks may be reached. */
  readonly privateAllowed: boolean
  readonly now: () => number
  /** Sockets to one receiver, and in all. */
  readonly socketsMax: number
}

export interface WebhookPoster {
  post(post: Post, stop: AbortSignal): Promise<PostResult>
  close(): void
}

/** A poster with its own connections, kept alive between posts. */
export function webhookPoster(options: WebhookOptions): WebhookPoster {
  const pool = { keepAlive: true, maxTotalSockets: options.socketsMax, maxFreeSockets: 16, timeout: 60_000 }
  const agents = { http: new HttpAgent(pool), https: new HttpsAgent(pool) }
  const guard = options.privateAllowed ? {} : { lookup: guardedLookup() }

  function start(post: Post): { url: URL; settings: RequestOptions } {
    const at = new Date(options.now())
    const url = new URL(post.endpoint)
    const settings: RequestOptions = {
      ...guard,
      method: 'POST',
      agent: url.protocol === 'https:' ? agents.https : agents.http,
      headers: {
        'content-type': 'application/cloudevents+json; charset=utf-8',
        'content-length': Buffer.byteLength(post.body),
        'user-agent': 'martillo-notifier/1',
        'webhook-id': post.id,
        'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
        'webhook-signature': new Webhook(post.secret).sign(post.id, at, post.body),
      },
    }
    return { url, settings }
  }

  /** One request. `stale`: the kept connection was closed already, so the receiver never had the post. */
  function once(post: Post, stop: AbortSignal): Promise<{ result: PostResult; stale: boolean }> {
    return new Promise((resolve) => {
      const { url, settings } = start(post)
      const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, settings)
      let status: number | undefined
      let settled = false
      const settle = (result: PostResult, stale = false): void => {
        if (settled) return
        settled = true
        clearTimeout(timer)
        stop.removeEventListener('abort', onStop)
        resolve({ result, stale })
      }
      const breakOff = (failure: 'timeout' | 'stopped', detail: string): void => {
        // A receiver that answered 2xx has taken it, however long its body is.
        settle(status !== undefined && taken(status) ? { ok: true, status } : { ok: false, failure, detail })
        request.destroy()
      }
      request.on('error', (error: NodeJS.ErrnoException) =>
        settle(
          networkFailure(error),
          request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE'),
        ),
      )
      request.on('response', (response) => {
        status = response.statusCode ?? 0
        drain(response, () => settle(resultOf(response, options.now())))
      })
      const timer = setTimeout(
        () => breakOff('timeout', `no answer within ${options.timeoutMs} ms`),
        options.timeoutMs,
      )
      const onStop = () => breakOff('stopped', 'the notifier is stopping')
      stop.addEventListener('abort', onStop, { once: true })
      if (stop.aborted) onStop()
      else request.end(post.body)
    })
  }

  return {
    async post(post, stop) {
      const fault = endpointFault(post.endpoint, options.privateAllowed)
      if (fault !== undefined) return { ok: false, failure: 'endpoint_invalid', detail: fault }
      const first = await once(post, stop)
      return first.stale ? (await once(post, stop)).result : first.result
    },
    close() {
      agents.http.destroy()
      agents.https.destroy()
    },
  }
}

/** Reads an answer to its end, or drops the connection once it is longer than the bound. */
function drain(response: IncomingMessage, done: () => void): void {
  let bytes = 0
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > responseBytesMax) response.destroy()
  })
  response.on('error', done)
  response.on('close', done)
}

function taken(status: number): boolean {
  return status >= 200 && status < 300
}

function resultOf(response: IncomingMessage, nowMs: number): PostResult {
  const status = response.statusCode ?? 0
  if (taken(status)) return { ok: true, status }
  if (status === 410) return { ok: false, failure: 'gone', detail: 'the receiver is gone (410)', status }
  const retryAfterMs = retryAfter(response.headers['retry-after'], nowMs)
  return {
    ok: false,
    failure: 'status',
    detail: `the receiver answered ${status}`,
    status,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}

/** RFC 9110 §10.2.3: seconds or a date. */
function retryAfter(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) return undefined
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1_000
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs)
}

function networkFailure(error: NodeJS.ErrnoException): PostResult {
  if (error.code === 'address_refused')
    return { ok: false, failure: 'address_refused', detail: error.message }
  return { ok: false, failure: 'network', detail: error.code ?? error.message }
}
