/**
 * The health port of a role that serves no other HTTP.
 * It answers /livez, /readyz, /status and /metrics, and in a state node /backup.
 * Invariant: it changes nothing; /readyz is 200 exactly while the role reports that it can do its work.
 * Source: docs/protocol.md, "HTTP".
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Metrics } from '../runtime/metrics.ts'
import { formatAddress } from '../wire/stream.ts'

/** The settings of the port. */
export interface HealthConfig {
  readonly healthHost: string
  /** 0: any free one; undefined: none. */
  readonly healthPort: number | undefined
}

export interface HealthOptions {
  readonly metrics: Metrics
  readonly isReady: () => boolean
  /** Facts for an operator; JSON. */
  readonly status: () => unknown
  /** The same for a browser, as HTML, at `/`. Absent: there is no page. */
  readonly page?: () => string
  /** A copy of everything that this role keeps. Absent: there is none. */
  readonly backup?: Backup
}

export interface Backup {
  isAllowed(remote: string, secret: string): boolean
  open(): AsyncIterable<Uint8Array>
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
  { healthHost: host, healthPort }: HealthConfig,
  options: HealthOptions,
): Promise<Health | undefined> {
  if (healthPort === undefined) return undefined
  const server = createServer((request, response) => serve(options, request, response))
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

function serve(options: HealthOptions, request: IncomingMessage, response: ServerResponse): void {
  const { metrics, isReady, status, page, backup } = options
  const answer = (code: number, body: string, type = 'application/json'): void => {
    response.writeHead(code, { 'content-type': type, 'cache-control': 'no-store' }).end(body)
  }
  const routes: Readonly<Record<string, () => void>> = {
    '/up': () => answer(200, '{"status":"alive"}'),
    '/livez': () => answer(200, '{"status":"alive"}'),
    '/readyz': () => (isReady() ? answer(200, '{"status":"ready"}') : answer(503, '{"code":"unavailable"}')),
    '/status': () => answer(200, JSON.stringify(status())),
    '/metrics': () =>
      metrics.text().then(
        (text) => answer(200, text, metrics.contentType),
        () => answer(500, '{"code":"internal"}'),
      ),
    ...(page && { '/': () => answer(200, page(), 'text/html; charset=utf-8') }),
    ...(backup && {
      '/backup': () =>
        mayBackUp(backup, request) ? sendBackup(backup, response) : answer(403, '{"code":"role_missing"}'),
    }),
  }
  const path = request.url ?? ''
  if (request.method !== 'GET') answer(405, '{"code":"method_not_allowed"}')
  else if (Object.hasOwn(routes, path)) routes[path]?.()
  else answer(404, '{"code":"not_found"}')
}

function mayBackUp(backup: Backup, { socket, headers }: IncomingMessage): boolean {
  const { remoteAddress = '', remotePort = 0 } = socket
  const remote = formatAddress({ host: remoteAddress, port: remotePort })
  return backup.isAllowed(remote, /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '')
}

function sendBackup(backup: Backup, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' })
  // A copy that breaks off has no end record, by which its reader knows.
  pipeline(Readable.from(backup.open()), response).catch(() => response.destroy())
}
