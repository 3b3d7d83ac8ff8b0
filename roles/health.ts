/**
 * The operator's window into a role that serves no HTTP by itself: /livez, /readyz, /status, /metrics.
 * Invariant: it only tells; /readyz is 200 exactly while the role says that it can do its work.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Metrics } from '../runtime/metrics.ts'

export interface HealthOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  readonly metrics: Metrics
  readonly isReady: () => boolean
  /** Facts for an operator; JSON. */
  readonly status: () => unknown
  /** The same for a browser, as HTML, at `/`. Absent: there is no page. */
  readonly page?: () => string
  /** A copy of everything that this role keeps, for whoever may have it. Absent: there is none. */
  readonly backup?: {
    isAllowed(remote: string, secret: string): boolean
    open(): AsyncIterable<Uint8Array>
  }
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

/** Rejects with HealthPortError. */
export async function openHealth(options: HealthOptions): Promise<Health> {
  const { host, metrics, isReady, status, page } = options
  const server = createServer((request, response) => {
    const answer = (code: number, body: string, type = 'application/json'): void => {
      response.writeHead(code, { 'content-type': type, 'cache-control': 'no-store' }).end(body)
    }
    if (request.method !== 'GET') return answer(405, '{"code":"method_not_allowed"}')
    switch (request.url) {
      case '/':
        return page === undefined
          ? answer(404, '{"code":"not_found"}')
          : answer(200, page(), 'text/html; charset=utf-8')
      case '/up':
      case '/livez':
        return answer(200, '{"status":"alive"}')
      case '/readyz':
        return isReady() ? answer(200, '{"status":"ready"}') : answer(503, '{"code":"unavailable"}')
      case '/status':
        return answer(200, JSON.stringify(status()))
      case '/metrics':
        metrics.text().then(
          (text) => answer(200, text, metrics.contentType),
          () => answer(500, '{"code":"internal"}'),
        )
        return
      case '/backup': {
        if (options.backup === undefined) return answer(404, '{"code":"not_found"}')
        const { remoteAddress = '', remotePort = 0 } = request.socket
        const remote = `${remoteAddress.includes(':') ? `[${remoteAddress}]` : remoteAddress}:${remotePort}`
        const secret = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
        if (!options.backup.isAllowed(remote, secret)) return answer(403, '{"code":"role_missing"}')
        response.writeHead(200, { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' })
        // A copy that breaks off has no end record, which whoever restores it notices.
        pipeline(Readable.from(options.backup.open()), response).catch(() => response.destroy())
        return
      }
      default:
        return answer(404, '{"code":"not_found"}')
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new HealthPortError(`cannot listen on ${host}:${options.port}: ${cause.message}`, { cause })),
    )
    server.listen(options.port, host, resolve)
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
