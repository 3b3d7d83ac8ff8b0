/**
 * Fuzzes every callback of a carrier.
 *
 * Its clients mostly do not read, and its handlers make every allowed call on any socket.
 *
 * Invariant: whatever clients send and handlers do, the process keeps running, each opened socket is closed exactly
 * once, and its handlers are not called after that. Source: docs/spec.md EDGE8; RFC 6455.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { frameOf, opcodes, RawClient } from '../../tests/raw-client.ts'
import { edgeBench, type OpenEdge } from '../testing/edge-bench.ts'
import { eventually } from '../testing/test-server.ts'
import type { Socket } from './socket.ts'

const callbacks = ['open', 'message', 'drain', 'dropped', 'ping', 'pong', 'close'] as const
type Callback = (typeof callbacks)[number]

/** What a handler does to a socket, its own or another. */
const deeds = [
  'send',
  'sendMuch',
  'cork',
  'subscribe',
  'unsubscribe',
  'publish',
  'ping',
  'end',
  'terminate',
  'throw',
] as const
type Deed = (typeof deeds)[number]

const deedArbitrary = fc.record({
  callback: fc.constantFrom(...callbacks),
  deed: fc.constantFrom(...deeds),
  isOwn: fc.boolean(),
})

const clientPayload = fc.oneof(
  fc.constantFrom('', '5', 'null', '{}', '{"serverTime":1,"auctionId":"a"}', 'x'.repeat(125)),
  fc.string({ maxLength: 120 }),
)

const clientAct = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constant('pings' as const),
      payload: clientPayload,
      times: fc.integer({ min: 1, max: 3000 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant('texts' as const),
      payload: clientPayload,
      times: fc.integer({ min: 1, max: 300 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant('fragments' as const),
      payload: clientPayload,
      times: fc.integer({ min: 1, max: 300 }),
    }),
  },
  fc.record({
    act: fc.constant('pongs' as const),
    payload: clientPayload,
    times: fc.integer({ min: 1, max: 300 }),
  }),
  fc.record({ act: fc.constant('bytes' as const), bytes: fc.uint8Array({ maxLength: 200 }) }),
  fc.record({
    act: fc.constant('frame' as const),
    opcode: fc.integer({ min: 0, max: 15 }),
    payload: clientPayload,
    isMasked: fc.boolean(),
    isFinal: fc.boolean(),
  }),
  fc.record({ act: fc.constant('long' as const), declared: fc.constantFrom(1025, 70_000, 2 ** 31, 2 ** 40) }),
  fc.record({ act: fc.constant('close' as const), code: fc.integer({ min: 0, max: 65_535 }) }),
  fc.constantFrom(
    { act: 'read' as const },
    { act: 'pause' as const },
    { act: 'half' as const },
    { act: 'destroy' as const },
  ),
)

const scenario = fc.record({
  deeds: fc.array(deedArbitrary, { minLength: 1, maxLength: 8 }),
  clients: fc.array(fc.array(clientAct, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 5 }),
})
type ClientAct = typeof clientAct extends fc.Arbitrary<infer Act> ? Act : never

function play(client: RawClient, act: ClientAct): void {
  switch (act.act) {
    case 'pings':
      client.write(Buffer.concat(Array<Buffer>(act.times).fill(frameOf(opcodes.ping, act.payload))))
      return
    case 'pongs':
      client.write(Buffer.concat(Array<Buffer>(act.times).fill(frameOf(opcodes.pong, act.payload))))
      return
    case 'texts':
      client.write(Buffer.concat(Array<Buffer>(act.times).fill(frameOf(opcodes.text, act.payload))))
      return
    case 'fragments': {
      const rest = Array<Buffer>(act.times).fill(
        frameOf(opcodes.continuation, act.payload, { isFinal: false }),
      )
      client.write(Buffer.concat([frameOf(opcodes.text, act.payload, { isFinal: false }), ...rest]))
      return
    }
    case 'bytes':
      client.write(act.bytes)
      return
    case 'frame':
      client.frame(act.opcode, act.payload, { isMasked: act.isMasked, isFinal: act.isFinal })
      return
    case 'long':
      client.frame(opcodes.binary, 'x', { declaredLength: act.declared })
      return
    case 'close': {
      const code = Buffer.alloc(2)
      code.writeUInt16BE(act.code)
      client.frame(opcodes.close, code)
      return
    }
    case 'read':
      client.resume()
      return
    case 'pause':
      client.pause()
      return
    case 'half':
      client.socket.end()
      return
    case 'destroy':
      client.destroy()
  }
}

interface Seen {
  socket?: Socket
  closes: number
}

export function fuzzContract(openEdge: OpenEdge, numRuns = 60): void {
  const open = edgeBench(openEdge)

  test('EDGE8 whatever clients that do not read send, and whatever handlers do in any callback, the process goes on', async () => {
    let current: readonly { readonly callback: Callback; readonly deed: Deed; readonly isOwn: boolean }[] = []
    let budget = 0
    const seen = new Map<string, Seen>()
    const wrong: string[] = []
    const counts: Record<Callback, number> = {
      open: 0,
      message: 0,
      drain: 0,
      dropped: 0,
      ping: 0,
      pong: 0,
      close: 0,
    }
    const act = (callback: Callback, id: string): void => {
      counts[callback] += 1
      const own = seen.get(id) as Seen
      if (own.closes > (callback === 'close' ? 1 : 0)) wrong.push(`${callback} of ${id} after its close`)
      for (const { callback: at, deed, isOwn } of current) {
        if (at !== callback || budget <= 0) continue
        budget -= 1
        const others = [...seen.values()].filter((one) => one.socket?.isClosed === false)
        const target = (isOwn ? own : (others[budget % Math.max(1, others.length)] ?? own)).socket
        if (target !== undefined) perform(deed, target)
      }
    }
    const perform = (deed: Deed, socket: Socket): void => {
      if (deed === 'send') socket.send('x')
      else if (deed === 'sendMuch') for (let at = 0; at < 8; at += 1) socket.send(much)
      else if (deed === 'cork') socket.cork(() => socket.send('x'))
      else if (deed === 'subscribe') socket.subscribe('t')
      else if (deed === 'unsubscribe') socket.unsubscribe('t')
      else if (deed === 'publish') edge.publish('t', 'x'.repeat(2000))
      else if (deed === 'ping') socket.ping()
      else if (deed === 'end') socket.end(1012, 'restart')
      else if (deed === 'terminate') socket.terminate()
      else throw new Error('on purpose')
    }
    let opened = 0
    // A few of these fill the buffers of the kernel, so that the carrier has something to drop and to drain.
    const much = 'y'.repeat(1_000_000)
    const { edge, url } = await open({
      upgrade: () => {
        opened += 1
        seen.set(`s${opened}`, { closes: 0 })
        return { accept: true, subprotocol: '', session: `s${opened}` }
      },
      open: (id, socket) => {
        ;(seen.get(id) as Seen).socket = socket
        socket.subscribe('t')
        act('open', id)
      },
      message: (id) => act('message', id),
      drain: (id) => act('drain', id),
      dropped: (id) => act('dropped', id),
      ping: (id) => act('ping', id),
      pong: (id) => act('pong', id),
      close: (id) => {
        ;(seen.get(id) as Seen).closes += 1
        act('close', id)
      },
      fault: (error) => {
        if ((error as Error).message !== 'on purpose') wrong.push((error as Error).stack ?? '')
      },
    })
    await fc.assert(
      fc.asyncProperty(scenario, async ({ deeds: chosen, clients: acts }) => {
        current = []
        seen.clear()
        const clients = await Promise.all(acts.map(() => RawClient.openWebSocket(url)))
        for (const client of clients) client.pause()
        current = chosen
        budget = 400
        for (let step = 0; step < 6; step += 1) {
          for (const [at, client] of clients.entries()) {
            const next = acts[at]?.[step]
            if (next !== undefined) play(client, next)
          }
          edge.publish('t', much)
          await new Promise((resolve) => setImmediate(resolve))
        }
        // Those that still live read what there is, so that there is something to drain.
        for (const client of clients) client.resume()
        await eventually(() =>
          [...seen.values()].every(
            ({ socket }) => socket === undefined || socket.isClosed || socket.bufferedBytes === 0,
          ),
        )
        for (const client of clients) client.destroy()
        await eventually(() =>
          [...seen.values()].every(({ socket, closes }) => socket === undefined || closes > 0),
        )
        expect(wrong).toEqual([])
        expect([...seen.values()].filter(({ closes }) => closes > 1)).toEqual([])
      }),
      { numRuns },
    )
    expect(await (await fetch(url)).text()).toBe('fine')
    // A callback that was never called was not tested.
    expect(Object.entries(counts).filter(([, count]) => count === 0)).toEqual([])
  })

  test('EDGE8 a socket that is ended in any callback takes nothing more and is closed once', async () => {
    for (const callback of ['message', 'ping', 'pong', 'dropped', 'drain'] as const) {
      let calls = 0
      let socket: Socket | undefined
      const end = (at: Callback): void => {
        if (at !== callback) return
        calls += 1
        if (calls === 3) socket?.end(4429, 'rate')
      }
      const { edge, url, closes, faults } = await open({
        open: (_session, opened) => {
          socket = opened
          opened.subscribe('t')
        },
        message: () => end('message'),
        drain: () => end('drain'),
        dropped: () => end('dropped'),
        ping: () => end('ping'),
        pong: () => end('pong'),
      })
      const client = await RawClient.openWebSocket(url)
      while (closes.length === 0) {
        client.pause()
        for (const opcode of [opcodes.text, opcodes.ping, opcodes.pong])
          client.write(Buffer.concat(Array<Buffer>(100).fill(frameOf(opcode, 'x'.repeat(125)))))
        for (let at = 0; at < 8; at += 1) edge.publish('t', 'y'.repeat(1_000_000))
        await new Promise((resolve) => setTimeout(resolve, 10))
        client.resume()
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      expect(calls, callback).toBe(3)
      expect(closes).toEqual([4429])
      expect(faults).toEqual([])
      expect((await fetch(url)).status).toBe(200)
      client.destroy()
    }
  })
}
