import { describe, expect, it } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import { Connection, type ConnectionHandlers, type ConnectionLimits } from './connection.ts'
import type { TransportError } from './errors.ts'
import { frameParts } from './frame.ts'
import { type Hello, judgeHello, type Role } from './handshake.ts'
import { frameKinds } from './kinds.ts'
import { MemoryWires } from './memory-stream.ts'
import type { ByteStream } from './stream.ts'
import { helloOf } from './testing/fixtures.ts'
import { systemTiming, type Timing } from './timing.ts'

const limits: ConnectionLimits = {
  heartbeatMs: 100,
  silentHeartbeatsMax: 3,
  outBytesMax: 10_000,
  greetingMs: 2_000,
}
const address = { host: 'node', port: 1 }

/** Two ends in virtual time. `settle` lets everything happen that needs no clock. */
class Bench {
  readonly clock = new ManualClock()
  readonly #turns: (() => void)[] = []
  readonly #steps: (() => void)[] = []
  stuck = false
  writes = 0
  readonly wires = new MemoryWires({
    carry: (_hop, arrive) => {
      this.writes++
      this.#steps.push(arrive)
    },
  })
  readonly timing: Timing = {
    ...systemTiming,
    clock: this.clock,
    afterTurn: (run) => this.#turns.push(run),
    random: () => 0.5,
  }

  settle(): void {
    for (;;) {
      const next = this.#turns.shift() ?? (this.stuck ? undefined : this.#steps.shift())
      if (next === undefined) return
      next()
    }
  }

  async streams(): Promise<[ByteStream, ByteStream]> {
    let far: ByteStream | undefined
    let near: ByteStream | undefined
    await this.wires.listen(address, (stream) => {
      far = stream
    })
    this.wires.dial('client')(address, (stream) => {
      near = stream as ByteStream
    })
    this.settle()
    return [near as ByteStream, far as ByteStream]
  }

  end(stream: ByteStream, role: Role, changes: Partial<Hello> = {}): End {
    return new End(this, stream, helloOf(role, role === 'node' ? 2 : 1, changes))
  }

  async pair(changes: Partial<Hello> = {}): Promise<[End, End]> {
    const [near, far] = await this.streams()
    const ends: [End, End] = [this.end(near, 'peer', changes), this.end(far, 'node')]
    this.settle()
    return ends
  }
}

class End {
  readonly frames: string[] = []
  readonly closed: TransportError[] = []
  opened: Hello | undefined
  writables = 0
  onFrame: () => void = () => undefined
  readonly connection: Connection

  constructor(bench: Bench, stream: ByteStream, hello: Hello) {
    const handlers: ConnectionHandlers = {
      frame: (kind, body) => {
        this.frames.push(`${kind}:${Buffer.from(body).toString().slice(0, 20)}`)
        this.onFrame()
      },
      writable: () => {
        this.writables++
      },
      closed: (cause) => this.closed.push(cause),
    }
    this.connection = new Connection({
      stream,
      timing: bench.timing,
      limits,
      hello,
      judge: (theirs) => judgeHello(hello, theirs, { roles: hello.role === 'node' ? ['peer'] : ['node'] }),
      opened: (_connection, theirs) => {
        this.opened = theirs
        return handlers
      },
      failed: (cause) => this.closed.push(cause),
    })
  }

  say(text: string): boolean {
    return this.connection.send(frameKinds.raft, [Buffer.from(text)])
  }
}

describe('a connection', () => {
  it('PEER1: both sides greet, judge and open; frames go both ways in order', async () => {
    const bench = new Bench()
    const [near, far] = await bench.pair()
    expect([near.opened?.nodeId, far.opened?.nodeId]).toEqual([2, 1])
    for (const text of ['one', 'two', 'three']) near.say(text)
    far.say('back')
    bench.settle()
    expect(far.frames).toEqual(['16:one', '16:two', '16:three'])
    expect(near.frames).toEqual(['16:back'])
  })

  it('PEER2: a refusal reaches the refused side with its reason, and both close', async () => {
    const bench = new Bench()
    const [near, far] = await bench.pair({ clusterId: 'other' })
    expect(far.closed[0]).toMatchObject({ code: 'refused' })
    expect(near.closed[0]).toMatchObject({ code: 'refused' })
    expect(`${far.closed[0]?.message} ${near.closed[0]?.message}`).toContain('wrong_cluster')
    expect([near.opened, far.opened]).toEqual([undefined, undefined])
    expect([near.closed.length, far.closed.length]).toEqual([1, 1])
  })

  it('PEER1: a frame before the hello, and a second hello, end the connection', async () => {
    const bench = new Bench()
    const [near, far] = await bench.streams()
    const end = bench.end(far, 'node')
    near.open({ data: () => undefined, drained: () => undefined, closed: () => undefined })
    near.write(frameParts(frameKinds.raft, [Buffer.from('early')]))
    bench.settle()
    expect(end.closed[0]).toMatchObject({ code: 'malformed' })
    expect(end.frames).toEqual([])
  })

  it('PEER1: before the hello no large frame is accepted', async () => {
    const bench = new Bench()
    const [near, far] = await bench.streams()
    const end = bench.end(far, 'node')
    near.open({ data: () => undefined, drained: () => undefined, closed: () => undefined })
    near.write(frameParts(frameKinds.hello, [Buffer.alloc(5_000)]))
    bench.settle()
    expect(end.closed[0]).toMatchObject({ code: 'frame_too_large' })
  })

  it('PEER6: a corrupt frame closes the connection; what came before it was delivered, nothing after', async () => {
    const bench = new Bench()
    const [near, far] = await bench.streams()
    const nearEnd = bench.end(near, 'peer')
    const end = bench.end(far, 'node')
    bench.settle()
    nearEnd.say('good')
    bench.settle()
    const bad = Buffer.concat(frameParts(frameKinds.raft, [Buffer.from('bad')]))
    bad[10] = 0
    near.write([bad, ...frameParts(frameKinds.raft, [Buffer.from('after')])])
    bench.settle()
    expect(end.frames).toEqual(['16:good'])
    expect(end.closed).toMatchObject([{ code: 'corrupt_frame' }])
    expect(nearEnd.closed).toMatchObject([{ code: 'closed' }])
  })

  it('PEER8: all frames of one turn leave in one write', async () => {
    const bench = new Bench()
    const [near, far] = await bench.pair()
    const before = bench.writes
    for (let at = 0; at < 100; at++) near.say(`message ${at}`)
    bench.settle()
    expect(far.frames.length).toBe(100)
    expect(bench.writes - before).toBe(1)
  })

  it('PEER9: a silent peer is noticed after the stated number of heartbeats, a living one is not', async () => {
    const bench = new Bench()
    const [near, far] = await bench.pair()
    for (let at = 0; at < 50; at++) {
      bench.clock.advance(100)
      bench.settle()
    }
    expect([...near.closed, ...far.closed]).toEqual([])
    bench.stuck = true
    for (let at = 0; at < 3; at++) {
      expect(near.closed).toEqual([])
      bench.clock.advance(100)
      bench.settle()
    }
    bench.clock.advance(100)
    expect(near.closed).toMatchObject([{ code: 'silent' }])
    expect(far.closed).toMatchObject([{ code: 'silent' }])
  })

  it('PEER9: a process that was stopped for long listens before it calls anybody dead', async () => {
    const bench = new Bench()
    const [stream, other] = await bench.streams()
    bench.end(other, 'node')
    // After SIGSTOP and SIGCONT an hour has passed, and each timer fires once, before the sockets are read.
    const fires: (() => void)[] = []
    let monotonicMs = 0
    const clock = {
      nowMs: () => 0,
      monotonicMs: () => monotonicMs,
      setTimer: (_delayMs: number, fire: () => void) => {
        fires.push(fire)
        return () => {
          if (fires.includes(fire)) fires.splice(fires.indexOf(fire), 1)
        }
      },
    }
    const closed: TransportError[] = []
    const end = new Connection({
      stream,
      timing: { ...bench.timing, clock },
      limits,
      hello: helloOf('peer', 1),
      judge: () => undefined,
      opened: () => ({
        frame: () => undefined,
        writable: () => undefined,
        closed: (cause) => closed.push(cause),
      }),
      failed: (cause) => closed.push(cause),
    })
    bench.settle()
    fires.shift()?.()
    monotonicMs += 3_600_000
    fires.shift()?.()
    expect([end.isOpen, closed]).toEqual([true, []])
    // After it resumes, the same number of silent heartbeats does count.
    for (let at = 0; at < limits.silentHeartbeatsMax; at++) fires.shift()?.()
    expect(closed).toMatchObject([{ code: 'silent' }])
  })

  it('PEER10: at the bound send says no; writable says when it may go on; nothing accepted is lost', async () => {
    const bench = new Bench()
    const [near, far] = await bench.pair()
    bench.stuck = true
    let accepted = 0
    while (near.say('x'.repeat(1_000))) accepted++
    expect(accepted).toBe(10)
    expect(near.connection.waitingBytes).toBeLessThan(limits.outBytesMax + 1_100)
    bench.settle()
    expect([near.say('more'), near.writables]).toEqual([false, 0])
    bench.stuck = false
    bench.settle()
    expect(near.writables).toBe(1)
    expect(near.say('more')).toBe(true)
    bench.settle()
    expect(far.frames.length).toBe(accepted + 1)
  })

  it('PEER10: a consumer that is behind stops reading, and is not taken for silent meanwhile', async () => {
    const bench = new Bench()
    const [near, far] = await bench.pair()
    far.onFrame = () => {
      if (far.frames.length === 3) far.connection.pause()
    }
    for (let at = 0; at < 8; at++) near.say(`${at}`)
    bench.settle()
    expect(far.frames.length).toBe(3)
    for (let at = 0; at < 20; at++) {
      bench.clock.advance(100)
      bench.settle()
    }
    expect(far.closed).toEqual([])
    expect(near.connection.waitingBytes).toBeGreaterThan(0)
    far.connection.resume()
    bench.settle()
    expect(far.frames.length).toBe(8)
    expect(near.connection.waitingBytes).toBe(0)
  })

  it('PEER9: an orderly close delivers what was sent; each side learns it once', async () => {
    const bench = new Bench()
    const [near, far] = await bench.pair()
    near.say('last words')
    near.connection.close()
    near.connection.close()
    expect(near.say('too late')).toBe(false)
    bench.settle()
    expect(far.frames).toEqual(['16:last words'])
    expect(near.closed).toMatchObject([{ code: 'stopped' }])
    expect(far.closed).toMatchObject([{ code: 'closed' }])
    bench.clock.advance(10_000)
    expect(bench.clock.timerCount).toBe(0)
  })

  it('PEER6: a handler that breaks an invariant is not swallowed', async () => {
    const bench = new Bench()
    const [near, far] = await bench.pair()
    far.onFrame = () => {
      throw new RangeError('broken')
    }
    near.say('x')
    expect(() => bench.settle()).toThrow('broken')
  })
})
