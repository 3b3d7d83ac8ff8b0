/**
 * The contract that every carrier keeps, as tests to be run on each.
 *
 * Behaviour of one implementation alone is left to its own tests. Invariant: everything tested here holds on the
 * network for every implementation of the ports in `socket.ts`. Source: docs/spec.md EDGE.
 */
import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import WebSocket from 'ws'
import { discardedBytesMax } from '../../protocol/limits.ts'
import { systemClock } from '../../runtime/clock.ts'
import { eventually } from '../testing/test-server.ts'
import {
  type Edge,
  type EdgeHandlers,
  type EdgeOptions,
  type HttpAnswer,
  ListenError,
  type Socket,
} from './socket.ts'

/** Opens the carrier under test. */
export type OpenEdge = (options: EdgeOptions, handlers: EdgeHandlers<string>) => Promise<Edge>

export function carrierContract(openEdge: OpenEdge): void {
  const ok: HttpAnswer = { status: 200, headers: { 'Content-Type': 'text/plain' }, body: 'fine' }
  const edges: Edge[] = []
  afterEach(() => {
    for (const edge of edges.splice(0)) edge.close()
  })

  interface Opened {
    readonly edge: Edge
    readonly url: string
    readonly faults: string[]
    readonly sockets: Socket[]
    readonly closes: number[]
  }

  async function open(
    handlers: Partial<EdgeHandlers<string>> = {},
    options: Partial<EdgeOptions> = {},
  ): Promise<Opened> {
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

  function socketTo(url: string): Promise<{ readonly ws: WebSocket; readonly closed: Promise<number> }> {
    const ws = new WebSocket(`${url.replace('http', 'ws')}/ws`)
    const closed = new Promise<number>((resolve) => ws.on('close', resolve))
    ws.on('error', () => undefined)
    return new Promise((resolve, reject) => {
      ws.on('open', () => resolve({ ws, closed }))
      void closed.then((code) => reject(new Error(`closed with ${code}`)))
    })
  }

  /** Sends bytes over TCP and returns all that comes back until the other side ends, or until `until` is in it. */
  function raw(port: number, text: string, until?: string): Promise<string> {
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

  describe('listening', () => {
    test('EDGE2 a port in use is an error, and so is an address that is not ours', async () => {
      const { edge } = await open()
      expect(edge.port).toBeGreaterThan(0)
      await expect(open({}, { port: edge.port })).rejects.toBeInstanceOf(ListenError)
      await expect(open({}, { host: '192.0.2.1' })).rejects.toThrow('cannot listen on 192.0.2.1:0')
      expect((await fetch(`http://127.0.0.1:${edge.port}/`)).status).toBe(200)
    })

    test('EDGE2 after it stops listening, open connections continue and no new ones are accepted', async () => {
      const { edge, url, sockets } = await open({
        message: (_session, bytes) => sockets[0]?.send(bytes.slice()),
      })
      const { ws } = await socketTo(url)
      edge.stopListening()
      edge.stopListening()
      await expect(socketTo(url)).rejects.toThrow()
      const echoed = new Promise((resolve) => ws.on('message', (data) => resolve(String(data))))
      ws.send('hello')
      expect(await echoed).toBe('hello')
      edge.close()
      edge.close()
    })
  })

  describe('handlers that fail', () => {
    test('EDGE3 a throw and a rejection are answered 500, and the process keeps running', async () => {
      let fails: 'throw' | 'reject' | 'bad answer' | undefined = 'throw'
      const { url, faults } = await open({
        http: () => {
          if (fails === 'throw') throw new Error('thrown')
          if (fails === 'reject') return Promise.reject(new Error('rejected'))
          if (fails === 'bad answer') return undefined as never
          return ok
        },
      })
      for (const [how, says] of [
        ['throw', 'http: thrown'],
        ['reject', 'http: rejected'],
        ['bad answer', undefined],
      ] as const) {
        fails = how
        const response = await fetch(url)
        expect(response.status, how).toBe(500)
        expect(await response.json()).toMatchObject({ code: 'internal' })
        if (says !== undefined) expect(faults).toContain(says)
      }
      expect(faults).toHaveLength(3)
      fails = undefined
      expect((await fetch(url)).status).toBe(200)
    })

    test('EDGE3 a throw at an upgrade is answered 500, in a socket closes it with 1011', async () => {
      let fails = ''
      const failing = (where: string) => (): void => {
        if (fails === where) throw new Error('on purpose')
      }
      const { url, faults, sockets } = await open({
        upgrade: () => {
          failing('upgrade')()
          return { accept: true, subprotocol: '', session: 's' }
        },
        open: (_session, socket) => {
          sockets.push(socket)
          failing('open')()
        },
        message: failing('message'),
        pong: failing('pong'),
        close: failing('close'),
      })
      fails = 'upgrade'
      await expect(socketTo(url)).rejects.toThrow('closed with 1006')
      fails = 'open'
      expect(await (await socketTo(url)).closed).toBe(1011)
      fails = 'message'
      const one = await socketTo(url)
      one.ws.send('x')
      expect(await one.closed).toBe(1011)
      fails = 'pong'
      const two = await socketTo(url)
      sockets.at(-1)?.ping()
      expect(await two.closed).toBe(1011)
      fails = 'close'
      const three = await socketTo(url)
      three.ws.close(1000)
      expect(await three.closed).toBe(1000)
      await eventually(() => faults.length >= 5)
      fails = ''
      const four = await socketTo(url)
      four.ws.send('x')
      four.ws.close(1000)
      expect(await four.closed).toBe(1000)
    })

    test('EDGE4 an answer for a client that is gone is dropped', async () => {
      let answer: (() => void) | undefined
      const { url, edge, faults } = await open({
        http: ({ request }) =>
          request.path === '/slow'
            ? new Promise<HttpAnswer>((resolve) => {
                answer = () => resolve(ok)
              })
            : ok,
      })
      const gone = connect(edge.port, '127.0.0.1', () => gone.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n'))
      await eventually(() => answer !== undefined)
      gone.destroy()
      await new Promise((resolve) => gone.on('close', resolve))
      expect((await fetch(url)).status).toBe(200)
      answer?.()
      expect((await fetch(url)).status).toBe(200)
      expect(faults).toEqual([])
    })

    test('EDGE4 a socket may be used after its end: nothing happens', async () => {
      const { url, sockets, closes } = await open()
      const { ws, closed } = await socketTo(url)
      ws.close(1000)
      await closed
      await eventually(() => closes.length === 1)
      const socket = sockets[0] as Socket
      expect(socket.isClosed).toBe(true)
      expect(socket.send('x')).toBe(false)
      expect(socket.bufferedBytes).toBe(0)
      socket.cork(() => {
        throw new Error('not called')
      })
      socket.subscribe('t')
      socket.unsubscribe('t')
      socket.ping()
      socket.end(1011, 'x')
      socket.terminate()
    })
  })

  describe('bodies', () => {
    const reading: Partial<EdgeHandlers<string>> = {
      http: async (exchange) => {
        const read = await exchange.readBody(1000, 200)
        return { ...ok, body: read.ok ? `${read.bytes.length}` : read.why, isLast: !read.ok }
      },
    }

    test('EDGE5 a body is kept to its bound and no further, with or without a declared length', async () => {
      const { url, edge } = await open(reading)
      const post = async (body: string): Promise<string> =>
        (await fetch(url, { method: 'POST', body })).text()
      expect(await post('x'.repeat(1000))).toBe('1000')
      expect(await post('x'.repeat(1001))).toBe('too_large')
      expect(await post('')).toBe('0')
      const chunk = `${(600).toString(16)}\r\n${'x'.repeat(600)}\r\n`
      const head = 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
      expect(await raw(edge.port, `${head}${chunk}0\r\n\r\n`, '600')).toContain('\r\n\r\n600')
      expect(await raw(edge.port, `${head}${chunk}${chunk}0\r\n\r\n`)).toContain('too_large')
      const endless = `${discardedBytesMax.toString(16)}\r\n${'x'.repeat(discardedBytesMax)}\r\n`
      expect(await raw(edge.port, `${head}${chunk}${endless}`)).toContain('too_large')
    })

    test('EDGE5 a body that does not come is not waited for', async () => {
      const { edge } = await open(reading)
      const head = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nxxx'
      expect(await raw(edge.port, head)).toContain('too_slow')
    })

    test('EDGE5 bytes that are not HTTP are refused by the carrier, and the next client is served', async () => {
      const { edge, url } = await open()
      expect(await raw(edge.port, 'GET / HTTP/1.1\r\nX: no host\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
      const header = `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(100_000)}\r\n\r\n`
      expect(await raw(edge.port, header)).toMatch(/^HTTP\/1\.1 431 /)
      expect((await fetch(url)).status).toBe(200)
    })

    test('EDGE5 a request that never ends, or never begins, is dropped after a while', async () => {
      const { edge, url } = await open()
      const unfinished = ['GET / HTTP/1.1\r\nHost: x', 'GARBAGE\r\n\r\n', '']
      expect(await Promise.all(unfinished.map((text) => raw(edge.port, text)))).toEqual(['', '', ''])
      expect((await fetch(url)).status).toBe(200)
    })
  })

  describe('sockets', () => {
    test('EDGE6 a message over the bound ends its socket, one at the bound does not', async () => {
      const seen: number[] = []
      const { url } = await open({ message: (_session, bytes) => seen.push(bytes.length) })
      const { ws, closed } = await socketTo(url)
      ws.send('x'.repeat(1024))
      await eventually(() => seen.length === 1)
      ws.send('x'.repeat(1025))
      expect([1006, 1009]).toContain(await closed)
      expect(seen).toEqual([1024])
    })

    test('EDGE7 a published message reaches the subscribed sockets, text as text and bytes as bytes', async () => {
      const { url, edge, sockets } = await open()
      const { ws } = await socketTo(url)
      const received: unknown[] = []
      ws.on('message', (data: Buffer, isBinary) => received.push([data.toString(), isBinary]))
      sockets[0]?.subscribe('a')
      edge.publish('a', 'one')
      edge.publish('b', 'never')
      edge.publish('a', Buffer.from('two'))
      sockets[0]?.send('three')
      sockets[0]?.unsubscribe('a')
      edge.publish('a', 'never')
      sockets[0]?.send('four')
      await eventually(() => received.length === 4)
      expect(received).toEqual([
        ['one', false],
        ['two', true],
        ['three', false],
        ['four', false],
      ])
    })
  })
}
