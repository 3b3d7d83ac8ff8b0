import { describe, expect, it } from 'vitest'
import { Backoff } from '../runtime/backoff.ts'
import { ManualClock } from '../runtime/clock.ts'
import { Dialer, type DialerOptions } from './dialer.ts'
import { TransportError } from './errors.ts'
import { frameParts } from './frame.ts'
import { encodeRefusal } from './handshake.ts'
import { frameKinds } from './kinds.ts'
import { MemoryWires } from './memory-stream.ts'
import { type ByteStream, formatAddress, parseAddress } from './stream.ts'
import { helloOf, plainHandshake } from './testing/fixtures.ts'
import { systemTiming } from './timing.ts'

const address = { host: 'node', port: 1 }

/** A dialler in virtual time towards a node that does what the test says with each stream. */
function scene(changes: Partial<DialerOptions> = {}) {
  const clock = new ManualClock()
  const turns: (() => void)[] = []
  const steps: (() => void)[] = []
  const attempts: number[] = []
  const faults: string[] = []
  const wires = new MemoryWires({ carry: (_hop, arrive) => steps.push(arrive) })
  const dial = wires.dial('client')
  const afterTurn = (run: () => void) => void turns.push(run)
  const timing = { ...systemTiming, clock, afterTurn, random: () => 1 - Number.EPSILON }
  let opened = 0
  const dialer = new Dialer({
    address,
    dial: (to, done) => {
      attempts.push(clock.monotonicMs())
      return dial(to, done)
    },
    timing,
    limits: { heartbeatMs: 100_000, silentHeartbeatsMax: 3, outBytesMax: 1_000, greetingMs: 2_000 },
    backoff: { baseMs: 100, maxMs: 1_000 },
    connectTimeoutMs: 500,
    hello: () => helloOf('peer', 1),
    judge: () => undefined,
    opened: () => {
      opened++
      return { frame: () => undefined, writable: () => undefined, closed: (cause) => faults.push(cause.code) }
    },
    failed: (cause) => faults.push(cause.code),
    ...changes,
  })
  const settle = () => {
    for (let next = turns.shift() ?? steps.shift(); next !== undefined; next = turns.shift() ?? steps.shift())
      next()
  }
  const run = (ms: number) => {
    for (let at = 0; at < ms; at += 10) {
      clock.advance(10)
      settle()
    }
  }
  return { dialer, wires, attempts, faults, settle, run, clock, steps, openedCount: () => opened }
}

/** Answers with the frame, as soon as it is dialled; keeps the stream. */
function answering(parts: readonly Uint8Array[], streams: ByteStream[] = []) {
  return (stream: ByteStream) => {
    streams.push(stream)
    stream.open({ data: () => undefined, drained: () => undefined, closed: () => undefined })
    stream.write(parts)
  }
}

const greeting = plainHandshake('acceptor', helloOf('node', 2))

describe('reconnecting', () => {
  it('PEER16: waits double up to the bound, and are spread by chance', () => {
    const longest = new Backoff({ baseMs: 20, maxMs: 300 }, () => 1 - Number.EPSILON)
    const waits = Array.from({ length: 8 }, () => Math.round(longest.nextMs()))
    expect(waits).toEqual([20, 40, 80, 160, 300, 300, 300, 300])
    longest.reset()
    expect(Math.round(longest.nextMs())).toBe(20)
    longest.atBound()
    expect(Math.round(longest.nextMs())).toBe(300)
    const shortest = new Backoff({ baseMs: 20, maxMs: 300 }, () => 0)
    expect([shortest.nextMs(), shortest.nextMs()]).toEqual([10, 20])
  })

  it('PEER16: a node that is not there is dialled again and again, ever slower', () => {
    const { attempts, faults, run } = scene()
    run(4_000)
    expect(attempts.map(Math.round)).toEqual([0, 110, 310, 710, 1_510, 2_510, 3_510])
    expect(new Set(faults)).toEqual(new Set(['connect_failed']))
  })

  it('PEER16: an attempt without an answer is given up in time', () => {
    const { attempts, faults, clock } = scene()
    clock.advance(499)
    expect(faults).toEqual([])
    clock.advance(1)
    expect(faults).toEqual(['connect_failed'])
    clock.advance(200)
    expect(attempts.length).toBe(2)
  })

  it('PEER16: a stream that opens and never says hello is given up in time', async () => {
    const { wires, faults, run } = scene()
    await wires.listen(address, (stream) => {
      stream.open({ data: () => undefined, drained: () => undefined, closed: () => undefined })
    })
    run(400)
    expect(faults).toEqual([])
    run(300)
    expect(faults[0]).toBe('connect_failed')
  })

  it('PEER16: after a good connection the waits begin again at the base; a kick does not wait at all', async () => {
    const streams: ByteStream[] = []
    const { dialer, wires, attempts, run, settle, openedCount } = scene()
    run(2_000)
    await wires.listen(address, answering(greeting, streams))
    const before = attempts.length
    dialer.kick()
    settle()
    expect([attempts.length, openedCount()]).toEqual([before + 1, 1])
    dialer.kick()
    settle()
    expect(attempts.length).toBe(before + 1)
    run(1_500)
    streams[0]?.destroy()
    run(120)
    expect(openedCount()).toBe(2)
  })

  it('PEER16: a refusal is reretried after the longest wait, and reported', async () => {
    const { wires, attempts, faults, run, settle } = scene()
    settle()
    const refusal = encodeRefusal({ code: 'wrong_cluster', reason: 'no' })
    await wires.listen(address, answering(frameParts(frameKinds.refusal, [refusal])))
    run(150)
    expect(faults.at(-1)).toBe('refused')
    const before = attempts.length
    run(900)
    expect(attempts.length).toBe(before)
    run(200)
    expect(attempts.length).toBe(before + 1)
  })

  it('PEER16: closed, it does not dial any more', async () => {
    const { dialer, attempts, run, clock } = scene()
    run(500)
    dialer.close()
    const before = attempts.length
    run(5_000)
    expect(attempts.length).toBe(before)
    expect(clock.timerCount).toBe(0)
  })

  it('PEER11: addresses are read and written; anything else is refused', () => {
    for (const text of ['127.0.0.1:4100', 'state-0.state.svc:1', '[::1]:65535']) {
      expect(formatAddress(parseAddress(text))).toBe(text)
    }
    for (const text of ['', 'host', 'host:', ':1', 'host:70000', '::1:4', 'a b:1', 'host:1:2']) {
      expect(() => parseAddress(text)).toThrow(RangeError)
    }
    expect(new TransportError('refused', 'x').retryable).toBe(false)
  })
})
