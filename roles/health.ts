/**
 * The health port of a role that serves no other HTTP.
 *
 * It answers /livez and /readyz to everybody, /metrics to those that name it rightly, and /status, the page and
 * /backup to those that show a token too: as `Bearer`, or, for browsers, as the password of `Basic`.
 * Invariant: it changes nothing; /readyz is 200 exactly while the role reports that it can do its work; nothing of
 * the house is said without a token. Source: docs/protocol.md, "HTTP"; docs/spec.md HEALTH1 to HEALTH3.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, isIP } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Metrics } from '../runtime/metrics.ts'

/** The settings of the port. */
export interface HealthConfig {
  readonly healthHost: string
  /** 0: any free one; undefined: none. */
  readonly healthPort: number | undefined
  /** Names under which it is reached, besides `healthHost`, localhost and addresses. */
  readonly healthNames: readonly string[]
}

export interface HealthOptions {
  readonly metrics: Metrics
  /** Each opens what needs a token. None: nothing does. */
  readonly tokens: readonly string[]
  readonly isReady: () => boolean
  /** Facts for an operator; JSON. */
  readonly status: () => unknown
  /** The same for a browser, as HTML, at `/`. Absent: there is no page. */
  readonly page?: () => string
  /** A copy of everything that this role keeps; undefined while there is nothing to copy. Absent: no such role. */
  readonly backup?: () => AsyncIterable<Uint8Array> | undefined
}

export interface Health {
  readonly url: string
  close(): void
}

/** The health port could not be listened on. */
export class HealthPortError extends Error {
  readonly code = 'health_port'
  readonly retryable = false
}

/** Resolves with undefined where no port is configured. Rejects with HealthPortError. */
export async function openHealth(
  { healthHost: host, healthPort, healthNames }: HealthConfig,
  options: HealthOptions,
): Promise<Health | undefined> {
  if (healthPort === undefined) return undefined
  const names = new Set([host, 'localhost', ...healthNames].map((name) => name.toLowerCase()))
  const server = createServer(
    { headersTimeout: headersMsMax, requestTimeout: headersMsMax },
    (request, response) => serve({ ...options, names }, request, response),
  )
  server.maxConnections = connectionsMax
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new HealthPortError(`cannot listen on ${host}:${healthPort}: ${cause.message}`, { cause })),
    )
    server.listen(healthPort, host, resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

/** Probes, scrapes and a few people. */
const connectionsMax = 256
const headersMsMax = 5_000

/** As the pages of a server have them (server/http/pages.ts). */
const securityHeaders = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
} as const

interface Answer {
  readonly status: number
  readonly type?: string
  readonly body: string | AsyncIterable<Uint8Array>
  readonly headers?: Readonly<Record<string, string>>
}

type Serving = HealthOptions & { readonly names: ReadonlySet<string> }

const json = (status: number, body: object): Answer => ({ status, body: JSON.stringify(body) })

function serve(options: Serving, request: IncomingMessage, response: ServerResponse): void {
  answerTo(options, request).then(
    (answer) => send(answer, response),
    () => send(json(500, { code: 'internal' }), response),
  )
}

async function answerTo(options: Serving, request: IncomingMessage): Promise<Answer> {
  const { metrics, isReady, status, page, backup } = options
  const { method, url: path = '' } = request
  if (method !== 'GET') return json(405, { code: 'method_not_allowed' })
  if (path === '/up' || path === '/livez') return json(200, { status: 'alive' })
  if (path === '/readyz')
    return isReady() ? json(200, { status: 'ready' }) : json(503, { code: 'unavailable' })
  if (!isNamed(options.names, request.headers.host)) {
    const detail = 'this is not the name of this port: reach it by its address, or set MARTILLO_HEALTH_NAMES'
    return json(421, { code: 'host_unknown', detail })
  }
  if (path === '/metrics') return { status: 200, type: metrics.contentType, body: await metrics.text() }
  const refusal = refusalOf(options.tokens, request.headers.authorization)
  if (refusal !== undefined) return refusal
  if (path === '/status') return json(200, status() as object)
  if (path === '/' && page !== undefined) return pageAnswer(page())
  if (path === '/backup' && backup !== undefined) {
    const copy = backup()
    if (copy === undefined) return json(503, { code: 'unavailable' })
    return { status: 200, type: 'application/octet-stream', body: copy }
  }
  return json(404, { code: 'not_found' })
}

/** A page of another site cannot use a name of its own for this port, whatever that name resolves to. */
function isNamed(names: ReadonlySet<string>, host = ''): boolean {
  const [, bracketed, plain = ''] = /^(?:\[([0-9a-f:.]+)\]|([^:]+))(?::\d+)?$/i.exec(host) ?? []
  return isIP(bracketed ?? plain) !== 0 || names.has((bracketed ?? plain).toLowerCase())
}

/** Undefined: the token is one of ours. */
function refusalOf(tokens: readonly string[], authorization = ''): Answer | undefined {
  if (tokens.length === 0) {
    const detail =
      'there is no token that opens this: set MARTILLO_CLUSTER_SECRET_FILE (`martillo cluster-secret --file PATH` makes it) or MARTILLO_HEALTH_TOKEN'
    return json(403, { code: 'role_missing', detail })
  }
  const shown = tokenOf(authorization)
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  const matches = tokens.filter((token) => timingSafeEqual(digest(token), digest(shown)))
  if (matches.length > 0) return undefined
  const code = authorization === '' ? 'token_missing' : 'token_invalid'
  const detail = 'this takes the health token: `martillo health-token` prints it'
  const headers = { 'www-authenticate': 'Basic realm="martillo health token as password", charset="UTF-8"' }
  return { ...json(401, { code, detail }), headers }
}

function tokenOf(authorization: string): string {
  const [, scheme = '', credentials = ''] = /^(\S+) +(\S+)$/.exec(authorization) ?? []
  if (scheme.toLowerCase() === 'bearer') return credentials
  if (scheme.toLowerCase() !== 'basic') return ''
  return Buffer.from(credentials, 'base64')
    .toString('utf8')
    .replace(/^[^:]*:/, '')
}

/** The page may do nothing but show itself with the style that it has. */
function pageAnswer(html: string): Answer {
  const [, style = ''] = /<style>([\s\S]*?)<\/style>/.exec(html) ?? []
  const hash = createHash('sha256').update(style).digest('base64')
  const policy = `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
  return {
    status: 200,
    type: 'text/html; charset=utf-8',
    body: html,
    headers: { 'content-security-policy': policy },
  }
}

function send({ status, type = 'application/json', body, headers }: Answer, response: ServerResponse): void {
  response.writeHead(status, { ...securityHeaders, 'content-type': type, ...headers })
  if (typeof body === 'string') {
    response.end(body)
    return
  }
  // A copy that breaks off has no end record, by which its reader knows.
  pipeline(Readable.from(body), response).catch(() => response.destroy())
}
