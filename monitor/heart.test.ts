import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { GroupId, ServerId } from '../protocol/ids.ts'
import { systemClock } from '../runtime/clock.ts'
import { createLogger } from '../runtime/logger.ts'
import { FrameDecoder, tcpDial, tcpListen } from '../state-cluster/index.ts'
import { Detector, detectorLimits } from './detector.ts'
import { type Heart, startHeart } from './heart.ts'
import { type Listener, openListener } from './listener.ts'
import { decodeMessage, encodeMessage, type HeartMessage } from './wire.ts'

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

async function listener(detector: Detector, port = 0): Promise<Listener> {
  const made = await openListener(
    { detector, clock, logger, listen: tcpListen(), changed: () => undefined },
    { host: '127.0.0.1', port },
  )
  closes.push(() => made.close())
  return made
}

function heart(monitors: readonly Listener['address'][], serverId = 's1'): Heart {
  const made = startHeart({
    monitors,
    serverId: serverId as ServerId,
    instance: 'first',
    dial: tcpDial(),
    clock,
    random: Math.random,
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
  test('WATCH1 a server tells every monitor who it is and what it does, and comes back to one that was away', async () => {
    const [here, there] = [new Detector(), new Detector()]
    const first = await listener(here)
    const second = await listener(there)
    const made = heart([first.address, second.address])
    await until('both hear it', () => here.isUp('s1' as ServerId) && there.isUp('s1' as ServerId))
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
    const made = heart([gone.address])
    expect(made.connected).toBe(0)
    made.leave()
  })

  test('WATCH5 one that leaves by plan is not taken for dead', async () => {
    const detector = new Detector()
    const { address } = await listener(detector)
    const made = heart([address])
    await until('it is heard', () => detector.isUp('s1' as ServerId))
    made.leave()
    made.close()
    await until('it left', () => stateOf(detector) === 'left')
    expect(detector.suspects(clock.monotonicMs() + 60_000)).toEqual([])
  })

  test('WATCH2 whoever does not speak the protocol, or does not begin with a hello, is cut off', async () => {
    const detector = new Detector({ ...detectorLimits, serversMax: 1 })
    const { address } = await listener(detector)
    const cutOff = (bytes: readonly Uint8Array[]) =>
      new Promise<void>((resolve) => {
        const socket = connect(address.port, address.host, () => {
          for (const part of bytes) socket.write(part)
        })
        socket.on('error', () => undefined)
        socket.on('close', () => resolve())
      })
    await cutOff([Buffer.from('GET / HTTP/1.1\r\n\r\n')])
    await cutOff(encodeMessage({ type: 'leaving' }))
    await cutOff(encodeMessage({ type: 'hello', version: 9, serverId: 's1' as ServerId, instance: 'x' }))
    expect(detector.watched(0)).toEqual([])
    heart([address])
    await until('the first is heard', () => detector.isUp('s1' as ServerId))
    await cutOff(encodeMessage({ type: 'hello', version: 1, serverId: 's2' as ServerId, instance: 'x' }))
    expect(detector.watched(0).map(({ serverId }) => serverId)).toEqual(['s1'])
    expect(lines.filter((line) => line.includes('heartbeat_refused'))).toHaveLength(4)
  })

  test('WATCH1 messages come back equal', () => {
    const messages: HeartMessage[] = [
      { type: 'hello', version: 1, serverId: 's1' as ServerId, instance: 'a' },
      { type: 'beat', sockets: 0, epochs: [] },
      { type: 'beat', sockets: 9, epochs: [0, 1].map((at) => ({ groupId: at as GroupId, epoch: at + 4 })) },
      { type: 'leaving' },
    ]
    for (const message of messages) {
      const decoder = new FrameDecoder()
      for (const part of encodeMessage(message)) decoder.push(part)
      const frame = decoder.next()
      expect(frame && decodeMessage(frame)).toEqual(message)
    }
  })
})
