/**
 * A carrier with handlers that a test replaces one by one, and clients for it.
 *
 * Invariant: every edge that was opened is closed after its test.
 */
import { connect } from 'node:net'
import { afterEach } from 'vitest'
import WebSocket from 'ws'
import { systemClock } from '../../runtime/clock.ts'
import type { Edge, EdgeHandlers, EdgeOptions, HttpAnswer, Socket } from '../carrier/socket.ts'

/** Opens the carrier under test. */
export type OpenEdge = (options: EdgeOptions, handlers: EdgeHandlers<string>) => Promise<Edge>

export const ok: HttpAnswer = { status: 200, headers: { 'Content-Type': 'text/plain' }, body: 'fine' }

export interface OpenedEdge {
  readonly edge: Edge
  readonly url: string
  readonly faults: string[]
  readonly sockets: Socket[]
  readonly closes: number[]
}

/** To be called once per suite: registers the cleanup, and returns the function that opens an edge. */
export function edgeBench(
  openEdge: OpenEdge,
): (handlers?: Partial<EdgeHandlers<string>>, options?: Partial<EdgeOptions>) => Promise<OpenedEdge> {
  const edges: Edge[] = []
  afterEach(() => {
    for (const edge of edges.splice(0)) edge.close()
  })
  return async (handlers = {}, options = {}) => {
    const faults: string[] = []
    const sockets: Socket[] = []
    const closes: number[] = []
    const edge = await openEdge(
      {
        host: '127.0.0.1',
        port: 0,
        socketPath: '/ws',
        messageBytesMax: 1024,
        bufferedBytesMax: 4096,
        idleTimeoutSeconds: 60,
        messageTimeoutMs: 10_000,
        clock: systemClock,
        ...options,
      },
      {
        http: () => ok,
        upgrade: () => ({ accept: true, subprotocol: '', session: 's' }),
        open: (_session, socket) => sockets.push(socket),
        message: () => undefined,
        drain: () => undefined,
        dropped: () => undefined,
        ping: () => undefined,
        pong: () => undefined,
        close: (_session, code) => closes.push(code),
        fault: (error, where) => faults.push(`${where}: ${(error as Error).message}`),
        ...handlers,
      },
    )
    edges.push(edge)
    return { edge, url: `http://127.0.0.1:${edge.port}`, faults, sockets, closes }
  }
}

/** Resolves when the socket is open; rejects with its close code when it is refused. */
export function socketTo(url: string): Promise<{ readonly ws: WebSocket; readonly closed: Promise<number> }> {
  const ws = new WebSocket(`${url.replace('http', 'ws')}/ws`)
  const closed = new Promise<number>((resolve) => ws.on('close', resolve))
  ws.on('error', () => undefined)
  return new Promise((resolve, reject) => {
    ws.on('open', () => resolve({ ws, closed }))
    void closed.then((code) => reject(new Error(`closed with ${code}`)))
  })
}

/** Sends bytes over TCP and returns all that comes back until the other side ends, or until `until` is in it. */
export function raw(port: number, text: string, until?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    let received = ''
    socket.on('data', (chunk) => {
      received += chunk.toString()
      if (until !== undefined && received.includes(until)) socket.destroy()
    })
    socket.on('close', () => resolve(received))
    socket.on('error', reject)
  })
}
