import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { GroupId, ServerId } from '../protocol/ids.ts'
import { ManualClock, systemClock } from '../runtime/clock.ts'
import { createLogger } from '../runtime/logger.ts'
import type { Acceptor } from '../wire/acceptor.ts'
import { frameParts } from '../wire/frame.ts'
import { type Hello, helloWithoutNode } from '../wire/handshake.ts'
import { frameKinds } from '../wire/kinds.ts'
import { MemoryWires } from '../wire/memory-stream.ts'
import { tcpDial, tcpListen } from '../wire/tcp.ts'
import { plainHandshake } from '../wire/testing/fixtures.ts'
import { systemTiming } from '../wire/timing.ts'
import { packTuple } from '../wire/tuples.ts'
import { Detector, detectorLimits } from './detector.ts'
import { decodeServerMessage, encodeHeartbeat, serverHello } from './heartbeat-codec.ts'
import { type Heartbeats, startHeartbeats } from './heartbeats.ts'
import { openListener } from './listener.ts'

const clock = systemClock
const lines: string[] = []
const logger = createLogger({
  level: 'info',
  role: 'test',
  destination: { write: (line) => lines.push(line) },
})
const closes: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closes.splice(0).reverse()) await close()
})

async function listener(detector: Detector, port = 0): Promise<Acceptor> {
  const made = await openListener({
    detector,
    timing: systemTiming,
    logger,
    listen: tcpListen(),
    address: { host: '127.0.0.1', port },
    instance: 'monitor-1',
    name: 'monitor-1',
    changed: () => undefined,
  })
  closes.push(() => made.close())
  return made
}

function heartbeatsTo(monitors: readonly Acceptor['address'][], serverId = 's1'): Heartbeats {
  const made = startHeartbeats({
    monitors,
    serverId: serverId as ServerId,
    instance: 'first',
    dial: tcpDial(),
    timing: systemTiming,
    load: () => ({ sockets: 7, epochs: [{ groupId: 2 as GroupId, epoch: 5 }] }),
  })
  closes.push(() => made.close())
  return made
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 2_000) throw new Error(`waited in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const stateOf = (detector: Detector) => detector.watched(clock.monotonicMs())[0]?.state

describe('heartbeats', () => {
  test('WATCH1 a server sends every monitor its id and its load, and connects again to one that was away', async () => {
    const [here, there] = [new Detector(), new Detector()]
    const first = await listener(here)
    const second = await listener(there)
    const made = heartbeatsTo([first.address, second.address])
    await until('both receive it', () => here.isUp('s1' as ServerId) && there.isUp('s1' as ServerId))
    await until('its load is known', () => here.watched(0)[0]?.sockets === 7)
    expect(made.connected).toBe(2)
    await second.close()
    await until('one is gone', () => made.connected === 1)
    expect(stateOf(there)).toBe('closed')
    expect(there.suspects(clock.monotonicMs())).toMatchObject([{ epochs: new Map([[2, 5]]) }])
    await listener(there, second.address.port)
    await until('it is back', () => there.isUp('s1' as ServerId))
  })

  test('WATCH1 a server works without any monitor', async () => {
    const gone = await listener(new Detector())
    await gone.close()
    const made = heartbeatsTo([gone.address])
    expect(made.connected).toBe(0)
    made.leave()
  })

  test('WATCH5 a server that stops as planned is not taken for dead', async () => {
    const detector = new Detector()
    const { address } = await listener(detector)
    const made = heartbeatsTo([address])
    await until('its heartbeats arrive', () => detector.isUp('s1' as ServerId))
    made.leave()
    made.close()
    await until('it left', () => stateOf(detector) === 'left')
    expect(detector.suspects(clock.monotonicMs() + 60_000)).toEqual([])
  })

  test('WATCH2 what does not begin with a hello, or breaks the protocol, is cut off', async () => {
    const detector = new Detector({ ...detectorLimits, serversMax: 1 })
    const { address } = await listener(detector)
    const cutOff = (bytes: readonly Uint8Array[]) =>
      new Promise<void>((resolve) => {
        const socket = connect(address.port, address.host, () => {
          for (const part of bytes) socket.write(part)
        })
        socket.resume()
        socket.on('error', () => undefined)
        socket.on('close', () => resolve())
      })
    const says = (hello: Hello) => plainHandshake('dialler', hello)
    const later = packTuple(['martillo', 9, 9, 'who', 'knows'])
    const s2 = serverHello('s2' as ServerId, 'x')
    await cutOff([Buffer.from('GET / HTTP/1.1\r\n\r\n')])
    await cutOff(frameParts(frameKinds.farewell, []))
    await cutOff(frameParts(frameKinds.greeting, [later]))
    await cutOff(says(helloWithoutNode('link', { instance: 'x', principal: 'tool:x' })))
    await cutOff(says(helloWithoutNode('heartbeat', { instance: 'x' })))
    expect(detector.watched(0)).toEqual([])
    heartbeatsTo([address])
    await until('the first is up', () => detector.isUp('s1' as ServerId))
    await cutOff(says(s2))
    expect(detector.watched(0).map(({ serverId }) => serverId)).toEqual(['s1'])
    await cutOff([...says(serverHello('s1' as ServerId, 'x')), ...frameParts(frameKinds.raft, [])])
    expect(lines.filter((line) => line.includes('heartbeat_refused'))).toHaveLength(7)
  })

  test('WATCH2 a connection without a hello is cut off after 2 s', async () => {
    const virtual = new ManualClock()
    const wires = new MemoryWires({ carry: (_, arrive) => arrive() })
    const acceptor = await openListener({
      detector: new Detector(),
      timing: { ...systemTiming, clock: virtual, afterTurn: (run) => run(), random: () => 0.5 },
      logger,
      listen: wires.listen,
      address: { host: 'monitor', port: 1 },
      instance: 'monitor-1',
      name: 'monitor-1',
      changed: () => undefined,
    })
    wires.dial('silent')(acceptor.address, () => undefined)
    virtual.advance(1_999)
    expect(acceptor.connectionCount).toBe(1)
    virtual.advance(1)
    expect(acceptor.connectionCount).toBe(0)
  })

  test('WATCH1 a heartbeat comes back equal, and nothing else is taken for one', () => {
    for (const epochs of [[], [0, 1].map((at) => ({ groupId: at as GroupId, epoch: at + 4 }))]) {
      const body = encodeHeartbeat({ sockets: 9, epochs })
      expect(decodeServerMessage(frameKinds.heartbeat, body)).toEqual({
        type: 'heartbeat',
        sockets: 9,
        epochs,
      })
      expect(() => decodeServerMessage(frameKinds.raft, body)).toThrow('a frame of kind 16')
      expect(() => decodeServerMessage(frameKinds.farewell, body)).toThrow('a frame of kind 4')
    }
    expect(decodeServerMessage(frameKinds.farewell, new Uint8Array())).toEqual({ type: 'farewell' })
    expect(() => decodeServerMessage(frameKinds.heartbeat, packTuple([1, 2]))).toThrow('2 fields, 1 expected')
  })
})
