/**
 * The contract of every carrier's WebSockets, as tests to be run on each.
 *
 * Invariant: what is tested here holds on the network for every implementation of the ports in `socket.ts`; what only
 * one of them does is in its own tests. HTTP is in `carrier-contract.ts`. Source: docs/spec.md EDGE; RFC 6455.
 */
import { describe, expect, test } from 'vitest'
import { frameOf, opcodes, RawClient } from '../../tests/raw-client.ts'
import { edgeBench, type OpenEdge, socketTo } from '../testing/edge-bench.ts'
import { eventually } from '../testing/test-server.ts'
import type { Socket } from './socket.ts'

export function socketContract(openEdge: OpenEdge): void {
  const open = edgeBench(openEdge)

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

    test('EDGE7 what is published reaches those who subscribed, text as text and bytes as bytes', async () => {
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

  describe('frames', () => {
    test('EDGE11 fragments are one message, with control frames between them, up to the bound together', async () => {
      const seen: string[] = []
      const { url, closes } = await open({
        message: (_session, bytes, isBinary) => seen.push(`${isBinary} ${Buffer.from(bytes)}`),
      })
      const client = await RawClient.openWebSocket(url)
      client.frame(opcodes.text, 'one ', { isFinal: false })
      client.frame(opcodes.ping, 'between')
      client.frame(opcodes.continuation, '', { isFinal: false })
      client.frame(opcodes.continuation, 'message')
      client.frame(opcodes.binary, 'two')
      await eventually(() => seen.length === 2)
      expect(seen).toEqual(['false one message', 'true two'])
      await client.until((text) => text.includes('between'))
      client.frame(opcodes.text, 'x'.repeat(600), { isFinal: false })
      client.frame(opcodes.continuation, 'x'.repeat(600), { isFinal: false })
      await client.ended
      await eventually(() => closes.length === 1)
      client.destroy()
    })

    test('EDGE11 what breaks the protocol ends its socket and no other, and reaches no handler', async () => {
      const broken: readonly (readonly [string, Buffer])[] = [
        ['a continuation of nothing', frameOf(opcodes.continuation, 'x')],
        [
          'a message inside a message',
          Buffer.concat([frameOf(opcodes.text, 'x', { isFinal: false }), frameOf(opcodes.text, 'y')]),
        ],
        ['an unknown opcode', frameOf(3, 'x')],
        ['a ping in fragments', frameOf(opcodes.ping, 'x', { isFinal: false })],
        ['a ping of 126 bytes', frameOf(opcodes.ping, 'x'.repeat(126))],
        ['text that is not UTF-8', frameOf(opcodes.text, Buffer.from([0xff, 0xfe]))],
        ['a length beyond the bound', frameOf(opcodes.text, 'x', { declaredLength: 2 ** 40 })],
      ]
      let messages = 0
      const { url, closes } = await open({
        message: () => {
          messages += 1
        },
      })
      const other = await RawClient.openWebSocket(url)
      for (const [what, bytes] of broken) {
        const before = closes.length
        const client = await RawClient.openWebSocket(url)
        client.write(bytes)
        await client.ended
        await eventually(() => closes.length === before + 1)
        expect(messages, what).toBe(0)
        client.destroy()
      }
      other.frame(opcodes.text, 'x')
      await eventually(() => messages === 1)
      other.destroy()
    })

    test('EDGE11 a ping is answered with what it carried, and reported', async () => {
      let pings = 0
      const { url } = await open({
        ping: () => {
          pings += 1
        },
      })
      const client = await RawClient.openWebSocket(url)
      client.frame(opcodes.ping, 'hello')
      await client.until((text) => text.includes('\u008a\u0005hello'))
      client.frame(opcodes.ping)
      await client.until((text) => text.endsWith('\u008a\u0000'))
      expect(pings).toBe(2)
      client.destroy()
    })
  })

  describe('closing', () => {
    test('EDGE12 the code that a client closes with is reported, 1005 for none, 1006 where the connection broke', async () => {
      const { url, closes } = await open()
      const closing: readonly (readonly [(client: RawClient) => void, number])[] = [
        [(client) => client.frame(opcodes.close, Buffer.from([4000 >> 8, 4000 & 255])), 4000],
        [(client) => client.frame(opcodes.close), 1005],
        [(client) => client.destroy(), 1006],
        [(client) => client.socket.end(), 1006],
      ]
      for (const [close, code] of closing) {
        const client = await RawClient.openWebSocket(url)
        close(client)
        await eventually(() => closes.length === 1)
        expect(closes.pop()).toBe(code)
        client.destroy()
      }
    })

    test('EDGE12 a client sees the code and the reason of the end; what was sent before comes before', async () => {
      const { url, sockets, closes } = await open()
      const { ws, closed } = await socketTo(url)
      const received: string[] = []
      ws.on('message', (data) => received.push(String(data)))
      const reason = new Promise((resolve) => ws.on('close', (_code, text) => resolve(String(text))))
      const socket = sockets[0] as Socket
      socket.cork(() => {
        socket.send('one')
        socket.send('two')
      })
      socket.end(4413, 'slow_reader')
      expect(socket.isClosed).toBe(true)
      expect(socket.send('never')).toBe(false)
      socket.end(1011, 'never')
      expect(closes).toEqual([])
      expect(await closed).toBe(4413)
      expect(await reason).toBe('slow_reader')
      expect(received).toEqual(['one', 'two'])
      await eventually(() => closes.length === 1)
      expect(closes).toEqual([4413])
    })

    test('EDGE12 a client that is dropped gets no close frame, and is reported once', async () => {
      const { url, sockets, closes } = await open()
      const { closed } = await socketTo(url)
      sockets[0]?.terminate()
      sockets[0]?.terminate()
      sockets[0]?.end(1012, 'never')
      expect(await closed).toBe(1006)
      await eventually(() => closes.length === 1)
      expect(closes).toEqual([1006])
    })

    test('EDGE12 a connection without a sign of life is dropped after a while', async () => {
      const { url, closes } = await open({}, { idleTimeoutSeconds: 8 })
      const silent = await RawClient.openWebSocket(url)
      const alive = await RawClient.openWebSocket(url)
      const sinceMs = performance.now()
      const beat = setInterval(() => alive.frame(opcodes.ping), 1000)
      await silent.ended
      clearInterval(beat)
      expect(performance.now() - sinceMs).toBeGreaterThan(3900)
      expect(alive.isClosed).toBe(false)
      expect(closes).toEqual([1006])
      silent.destroy()
      alive.destroy()
    })
  })

  describe('backpressure', () => {
    const message = 'm'.repeat(60_000)

    test('EDGE13 a socket takes messages up to its bound, and more when its client has read; none is lost or out of order', async () => {
      let drains = 0
      const { url, sockets } = await open(
        {
          drain: () => {
            drains += 1
          },
        },
        { bufferedBytesMax: 100_000 },
      )
      const client = await RawClient.openWebSocket(url)
      client.pause()
      const socket = sockets[0] as Socket
      let sent = 0
      while (socket.send(`${message}${sent}`)) sent += 1
      expect(socket.bufferedBytes).toBeGreaterThan(100_000)
      expect(socket.bufferedBytes).toBeLessThan(100_000 + 2 * message.length)
      expect(socket.send('not taken')).toBe(false)
      const before = drains
      client.resume()
      await eventually(() => drains > before)
      await eventually(() => socket.bufferedBytes === 0)
      expect(socket.send('end')).toBe(true)
      await client.until((text) => text.endsWith('end'))
      const numbers = [...client.text.matchAll(/m(\d+)/g)].map((match) => Number(match[1]))
      expect(numbers).toEqual(Array.from({ length: sent }, (_, at) => at))
      client.destroy()
    })

    test('EDGE13 of what is published to a full socket the first is reported, and what comes after it reads is taken', async () => {
      const dropped: string[] = []
      let drains = 0
      const { url, edge, sockets } = await open(
        {
          dropped: (_session, bytes) => dropped.push(Buffer.from(bytes).toString()),
          drain: () => {
            drains += 1
          },
        },
        { bufferedBytesMax: 100_000 },
      )
      const client = await RawClient.openWebSocket(url)
      const other = await RawClient.openWebSocket(url)
      for (const socket of sockets) socket.subscribe('t')
      client.pause()
      const socket = sockets[0] as Socket
      while (socket.send(message));
      expect(dropped.filter((text) => text !== message)).toEqual([])
      dropped.length = 0
      for (const text of ['a', 'b', 'c']) edge.publish('t', text)
      await eventually(() => dropped.length > 0)
      await other.until((text) => text.endsWith('\u0081\u0001a\u0081\u0001b\u0081\u0001c'))
      expect(dropped[0]).toBe('a')
      client.resume()
      await eventually(() => drains > 0 && socket.bufferedBytes === 0)
      edge.publish('t', 'after')
      await client.until((text) => text.endsWith('after'))
      for (const text of ['a', 'b', 'c']) expect(client.text).not.toContain(`\u0081\u0001${text}`)
      client.destroy()
      other.destroy()
    })
  })
}
