/**
 * The contract of every carrier's HTTP, as tests to be run on each.
 *
 * Invariant: what is tested here holds on the network for every implementation of the ports in `socket.ts`; what only
 * one of them does is in its own tests. WebSockets are in `socket-contract.ts`. Source: docs/spec.md EDGE.
 */
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { discardedBytesMax, tokenLengthMax } from '../../protocol/limits.ts'
import { RawClient } from '../../tests/raw-client.ts'
import { edgeBench, type OpenEdge, ok, raw, socketTo } from '../testing/edge-bench.ts'
import { eventually } from '../testing/test-server.ts'
import { type EdgeHandlers, type HttpAnswer, ListenError, type Socket } from './socket.ts'

export function carrierContract(openEdge: OpenEdge): void {
  const open = edgeBench(openEdge)

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
    const reading = (deadlineMs: number): Partial<EdgeHandlers<string>> => ({
      http: async (exchange) => {
        const read = await exchange.readBody(1000, deadlineMs)
        return { ...ok, body: read.ok ? `${read.bytes.length}` : read.why, isLast: !read.ok }
      },
    })

    test('EDGE5 a body is kept to its bound and no further, with or without a declared length', async () => {
      const { url, edge } = await open(reading(30_000))
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
      const { edge } = await open(reading(200))
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
      const answers = await Promise.all(unfinished.map((text) => raw(edge.port, text)))
      for (const answer of answers)
        expect(answer).toMatch(/^$|^HTTP\/1\.1 4\d\d .*"code":"request_(timeout|malformed)"/s)
      expect((await fetch(url)).status).toBe(200)
    })
  })

  describe('requests', () => {
    const echo: Partial<EdgeHandlers<string>> = {
      http: ({ request }) => ({ ...ok, body: `[${request.method} ${request.path} ${request.query}]` }),
    }

    test('EDGE9 a token of the longest kind fits, in a header and as a subprotocol at once', async () => {
      const { edge } = await open({
        http: ({ request }) => ({
          ...ok,
          body: `${request.header('authorization').length} ${request.header('sec-websocket-protocol').length}`,
        }),
      })
      const token = 'y'.repeat(tokenLengthMax)
      const head = `GET / HTTP/1.1\r\nHost: x\r\nAuthorization: ${token}\r\nSec-WebSocket-Protocol: ${token}\r\n\r\n`
      expect(await raw(edge.port, head, '8192 8192')).toContain('\r\n\r\n8192 8192')
    })

    test('EDGE9 a header that comes more than once is one list', async () => {
      const { edge } = await open({
        http: ({ request }) => ({ ...ok, body: request.header('x-forwarded-for') }),
      })
      const head =
        'GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nx-forwarded-for: 192.0.2.2\r\n\r\n'
      expect(await raw(edge.port, head, '192.0.2.2')).toContain('\r\n\r\n192.0.2.1, 192.0.2.2')
    })

    test('EDGE9 requests that follow each other at once get their answers in order', async () => {
      const { edge } = await open(echo)
      const requests = ['/a', '/b?q=1', '/c'].map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
      const answers = await raw(edge.port, requests.join(''), '[GET /c ]')
      expect(answers.match(/\[.*?\]/g)).toEqual(['[GET /a ]', '[GET /b q=1]', '[GET /c ]'])
    })

    test('EDGE9 a request to upgrade to anything else is answered as if it had not asked, with its body', async () => {
      const { edge } = await open({
        http: async (exchange) => {
          const read = await exchange.readBody(1000, 5000)
          return { ...ok, body: `${exchange.request.method} ${read.ok ? Buffer.from(read.bytes) : read.why}` }
        },
      })
      const upgrade = 'Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAA\r\n'
      expect(await raw(edge.port, `GET / HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n`, 'GET ')).toMatch(
        /^HTTP\/1\.1 200 /,
      )
      const post = `POST / HTTP/1.1\r\nHost: x\r\n${upgrade}Content-Length: 5\r\n\r\nhello`
      expect(await raw(edge.port, post, 'POST hello')).toMatch(/^HTTP\/1\.1 200 .*POST hello$/s)
      const socket = 'GET /other HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
      const keys = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
      expect(await raw(edge.port, `${socket}${keys}`, 'GET ')).toMatch(/^HTTP\/1\.1 200 /)
    })

    test('EDGE9 who asks before it sends its body is asked for it', async () => {
      const { edge } = await open({
        http: async (exchange) => {
          const read = await exchange.readBody(1000, 5000)
          return { ...ok, body: `read ${read.ok ? read.bytes.length : read.why}` }
        },
      })
      const client = await RawClient.open(`http://127.0.0.1:${edge.port}`)
      client.write('POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n')
      await client.until((text) => text.startsWith('HTTP/1.1 100 Continue\r\n\r\n'))
      client.write('hello')
      await client.until((text) => text.endsWith('read 5'))
      client.destroy()
    })

    test('EDGE9 a client that sends its request and then nothing more gets its answer', async () => {
      const { edge } = await open({ http: () => new Promise((resolve) => setTimeout(() => resolve(ok), 50)) })
      const socket = connect({ port: edge.port, host: '127.0.0.1', allowHalfOpen: true }, () =>
        socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
      )
      let received = ''
      socket.on('data', (chunk) => {
        received += chunk
      })
      await eventually(() => received.endsWith('fine'))
      socket.destroy()
    })
  })

  describe('answers', () => {
    const answer = async (given: Partial<HttpAnswer>, method = 'GET'): Promise<string> => {
      const { edge } = await open({ http: () => ({ ...ok, ...given }) })
      const client = await RawClient.open(`http://127.0.0.1:${edge.port}`)
      client.write(`${method} / HTTP/1.1\r\nHost: x\r\n\r\n`)
      await client.until((text) => text.includes('\r\n\r\n'))
      // What the carrier writes by itself comes with the rest.
      await new Promise((resolve) => setTimeout(resolve, 20))
      client.destroy()
      return client.text
    }

    test('EDGE10 204 and 304 have no body and no length, with or without the end of the connection', async () => {
      for (const status of [204, 304])
        for (const isLast of [false, true]) {
          const text = await answer({ status, body: '', isLast })
          expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
          expect(text.toLowerCase()).not.toContain('content-length')
          expect(text.toLowerCase()).not.toContain('transfer-encoding')
          expect(text.endsWith('\r\n\r\n')).toBe(true)
          expect(/\r\nconnection: close\r\n/i.test(text)).toBe(isLast)
        }
    })

    test('EDGE10 every other answer has one length, which is that of its body', async () => {
      const text = await answer({ body: 'é' })
      expect(text.match(/content-length: *(\d+)/gi)).toEqual([expect.stringMatching(/ 2$/)])
      expect(text.toLowerCase()).not.toContain('transfer-encoding')
      const head = await answer({ body: 'é' }, 'HEAD')
      expect(head.match(/content-length: *(\d+)/gi)).toEqual([expect.stringMatching(/ 2$/)])
      expect(head.endsWith('\r\n\r\n')).toBe(true)
    })

    test('EDGE10 beside what it is given a carrier writes only headers of the connection, its date and its name', async () => {
      const own = /^(date|content-length|connection|keep-alive|uwebsockets)$/
      const text = await answer({ headers: { 'X-Own': '1' } })
      const names = text
        .split('\r\n\r\n')[0]
        ?.split('\r\n')
        .slice(1)
        .map((line) => line.split(':')[0]?.toLowerCase() ?? '')
      expect(names?.filter((name) => !own.test(name))).toEqual(['x-own'])
    })

    test('EDGE15 a client that asks and asks and reads no answer is not answered without end; others are meanwhile', async () => {
      let handled = 0
      const { edge, url } = await open({
        http: ({ request }) => {
          if (request.path === '/other') return ok
          handled += 1
          return { ...ok, body: 'x'.repeat(10_000) }
        },
      })
      const client = await RawClient.open(`http://127.0.0.1:${edge.port}`)
      client.pause()
      const requests = Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1000))
      const flood = client.flood(requests, 100, 500)
      expect((await fetch(`${url}/other`)).status).toBe(200)
      await flood
      expect((await fetch(`${url}/other`)).status).toBe(200)
      expect(handled).toBeGreaterThan(0)
      expect(handled).toBeLessThan(10_000)
      client.destroy()
    })

    test('EDGE15 a large answer comes whole to a client that reads slowly', async () => {
      const body = Buffer.alloc(8 * 1024 * 1024, 'abcdefgh')
      const { edge } = await open({ http: () => ({ ...ok, body }) })
      const client = await RawClient.open(`http://127.0.0.1:${edge.port}`)
      client.pause()
      client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
      await new Promise((resolve) => setTimeout(resolve, 200))
      client.resume()
      const length = (): number => client.received.length - client.received.indexOf('\r\n\r\n') - 4
      await eventually(() => length() >= body.length)
      expect(client.received.subarray(-body.length).equals(body)).toBe(true)
      expect(length()).toBe(body.length)
      client.destroy()
    })

    test('EDGE10 an answer that is the last one ends the connection', async () => {
      const { edge } = await open({ http: () => ({ ...ok, isLast: true }) })
      expect(await raw(edge.port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 .*fine$/s)
    })
  })
}
