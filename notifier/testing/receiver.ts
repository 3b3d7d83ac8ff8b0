/**
 * A webhook receiver for tests.
 * It is a real HTTP server on a free port of the loopback address. It keeps what it received, and answers as the
 * test decides.
 * Invariant: it sends no answer that the test did not choose.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Received {
  readonly path: string
  readonly id: string
  readonly headers: Record<string, string>
  readonly body: string
}

export type Answer = (received: Received, response: ServerResponse, request: IncomingMessage) => void

export interface Receiver {
  readonly received: Received[]
  /** The address of one buyer's webhook here. */
  endpoint(path: string): string
  /** Resolves once the condition holds; it is looked at after every request. */
  until(condition: () => boolean): Promise<void>
  stop(): Promise<void>
}

export const ok: Answer = (_, response) => {
  response.writeHead(204).end()
}

export async function startReceiver(answer: Answer = ok): Promise<Receiver> {
  const received: Received[] = []
  const watchers = new Set<() => void>()
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const headers = Object.fromEntries(
        Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
      )
      const one: Received = {
        path: request.url ?? '',
        id: headers['webhook-id'] ?? '',
        headers,
        body: Buffer.concat(chunks).toString('utf8'),
      }
      received.push(one)
      answer(one, response, request)
      for (const watch of watchers) watch()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    received,
    endpoint: (path) => `http://127.0.0.1:${port}/${path}`,
    until(condition) {
      if (condition()) return Promise.resolve()
      return new Promise((resolve) => {
        const watch = () => {
          if (!condition()) return
          watchers.delete(watch)
          resolve()
        }
        watchers.add(watch)
      })
    },
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
