import { afterEach, describe, expect, test, vi } from 'vitest'
import type { AuctionId, GroupId, RequestId, ServerId, SubjectId } from '../../protocol/ids.ts'
import { ManualClock } from '../../runtime/clock.ts'
import { createLogger } from '../../runtime/logger.ts'
import type { FeedBatch, Reply } from '../../state-cluster/index.ts'
import { MemoryCluster } from '../testing/memory-cluster.ts'
import { Conductor } from './conductor.ts'

const groupId = 0 as GroupId
const serverId = 'server-1' as ServerId
const operator = 'operator' as SubjectId

class Bench {
  readonly clock = new ManualClock()
  readonly cluster = new MemoryCluster(this.clock)
  readonly logLines: string[] = []
  readonly faults: unknown[] = []
  readonly lateSeconds: number[] = []
  readonly conductor: Conductor
  #requests = 0
  #skewMs = 0

  constructor() {
    this.conductor = new Conductor({
      cluster: this.cluster,
      clock: {
        nowMs: () => this.clock.nowMs() + this.#skewMs,
        monotonicMs: () => this.clock.monotonicMs(),
        setTimer: (delayMs, fire) => this.clock.setTimer(delayMs, fire),
      },
      logger: createLogger({
        level: 'debug',
        role: 'test',
        destination: { write: (line) => this.logLines.push(line) },
      }),
      metrics: {
        conducted: { add: () => undefined },
        conductLateSeconds: { observe: (late) => this.lateSeconds.push(late) },
      },
      serverId,
      groupId,
      fault: (error) => this.faults.push(error),
    })
    this.cluster.subscribe(groupId, (batch) => this.conductor.observe(batch))
  }

  /** The error of the wall clock of the conductor's machine. */
  skew(byMs: number): void {
    this.#skewMs = byMs
  }

  /** Moves time on in small steps, with what happens in between. */
  async advance(ms: number, stepMs = 10): Promise<void> {
    for (let at = 0; at < ms; at += stepMs) {
      this.clock.advance(Math.min(stepMs, ms - at))
      await this.settle()
    }
  }

  async settle(): Promise<void> {
    for (let round = 0; round < 3; round += 1) await new Promise((resolve) => setImmediate(resolve))
  }

  create(name: string, terms: { durationMs: number; opensAtMs?: number }, owner = serverId): Promise<Reply> {
    return this.cluster.propose(groupId, {
      type: 'create_auction',
      subject: operator,
      requestId: name as RequestId,
      auctionId: name as AuctionId,
      serverId: owner,
      terms: {
        title: name,
        tags: [],
        format: 'english',
        currency: 'USD',
        openingBid: 1,
        increments: [{ from: 0, step: 1 }],
        ...terms,
      },
    })
  }

  extend(name: string, byMs: number): Promise<Reply> {
    this.#requests += 1
    return this.cluster.propose(groupId, {
      type: 'extend_auction',
      subject: operator,
      requestId: `extend-${this.#requests}` as RequestId,
      auctionId: name as AuctionId,
      operator: true,
      byMs,
    })
  }

  async statusOf(name: string): Promise<string | undefined> {
    return (await this.cluster.auction(name as AuctionId))?.status
  }

  conducts(): number {
    return this.cluster.applied.filter(({ type }) => type === 'conduct').length
  }
}

let bench: Bench
afterEach(async () => {
  const stopping = bench.conductor.stop()
  await bench.settle()
  await stopping
  expect(bench.faults).toEqual([])
})

describe('the conductor', () => {
  test('CONDUCT1 it enlists at its start, and closes and opens auctions when they fall due', async () => {
    bench = new Bench()
    bench.conductor.start()
    await bench.advance(20)
    expect(bench.conductor.epoch).toBe(1)
    await bench.create('short', { durationMs: 3333 })
    await bench.create('later', { durationMs: 5000, opensAtMs: bench.clock.nowMs() + 2000 })
    bench.conductor.dueAt(bench.clock.nowMs() + 2000)
    await bench.advance(1990)
    expect([await bench.statusOf('short'), await bench.statusOf('later')]).toEqual(['open', 'scheduled'])
    await bench.advance(30)
    expect(await bench.statusOf('later')).toBe('open')
    await bench.advance(1300)
    expect(await bench.statusOf('short')).toBe('open')
    await bench.advance(30)
    expect(await bench.statusOf('short')).toBe('passed')
    const lateMax = Math.max(...bench.lateSeconds)
    expect(lateMax).toBeLessThanOrEqual(0.02)
  })

  test('CONDUCT2 it pulses every second while no deadline is near, four times as often while one is', async () => {
    bench = new Bench()
    bench.conductor.start()
    await bench.advance(100)
    let before = bench.conducts()
    await bench.advance(10_000)
    expect(bench.conducts() - before).toBeGreaterThanOrEqual(9)
    expect(bench.conducts() - before).toBeLessThanOrEqual(11)
    await bench.create('near', { durationMs: 4000 })
    await bench.advance(1000)
    before = bench.conducts()
    await bench.advance(2000)
    expect(bench.conducts() - before).toBeGreaterThanOrEqual(7)
    expect(bench.conducts() - before).toBeLessThanOrEqual(9)
  })

  test('CONDUCT3 a deadline that a bid or an operator moved is met at its new time, never the old one', async () => {
    bench = new Bench()
    bench.conductor.start()
    await bench.advance(20)
    await bench.create('moved', { durationMs: 2000 })
    await bench.advance(1500)
    await bench.extend('moved', 2000)
    await bench.advance(1000)
    expect(await bench.statusOf('moved')).toBe('open')
    await bench.advance(1450)
    expect(await bench.statusOf('moved')).toBe('open')
    await bench.advance(100)
    expect(await bench.statusOf('moved')).toBe('passed')
  })

  test('CONDUCT2 however wrong the clock of its machine is, it pulses and closes in time', async () => {
    bench = new Bench()
    bench.conductor.start()
    await bench.advance(20)
    bench.skew(-3_600_000)
    await bench.create('on-time', { durationMs: 3_000 })
    await bench.advance(2_950)
    expect(await bench.statusOf('on-time')).toBe('open')
    await bench.advance(100)
    expect(await bench.cluster.auction('on-time' as AuctionId)).toMatchObject({
      status: 'passed',
      extensions: 0,
    })
  })

  test("CONDUCT3 it ignores the deadlines of other servers' auctions", async () => {
    bench = new Bench()
    bench.conductor.start()
    await bench.advance(20)
    await bench.cluster.propose(groupId, { type: 'enlist_server', serverId: 'server-2' as ServerId })
    const before = bench.conducts()
    await bench.create('theirs', { durationMs: 100 }, 'server-2' as ServerId)
    await bench.extend('theirs', 50)
    await bench.advance(900)
    expect(bench.conducts() - before).toBeLessThanOrEqual(1)
    expect(await bench.statusOf('theirs')).toBe('open')
  })

  test('CONDUCT3 it reads no auction to follow deadlines, neither its own nor those of others', async () => {
    bench = new Bench()
    const reads = vi.spyOn(bench.cluster, 'auction')
    const batches: FeedBatch[] = []
    bench.cluster.subscribe(groupId, (batch) => batches.push(batch))
    bench.conductor.start()
    await bench.advance(20)
    const other = 'server-2' as ServerId
    await bench.cluster.propose(groupId, { type: 'enlist_server', serverId: other })
    await bench.create('own', { durationMs: 1_000 })
    await bench.create('theirs', { durationMs: 500 }, other)
    const createdMs = bench.clock.nowMs()
    await bench.extend('own', 300)
    await bench.extend('theirs', 300)
    expect(batches.flatMap(({ deadlines = [] }) => deadlines)).toEqual([
      { serverId, atMs: createdMs + 1_000 },
      { serverId: other, atMs: createdMs + 500 },
      { serverId, atMs: createdMs + 1_300 },
      { serverId: other, atMs: createdMs + 800 },
    ])
    await bench.advance(1_400)
    expect(reads).not.toHaveBeenCalled()
    expect(await bench.statusOf('own')).toBe('passed')
  })

  test('CONDUCT7 auctions that come to it from another server are conducted at once', async () => {
    bench = new Bench()
    const other = 'server-2' as ServerId
    bench.conductor.start()
    await bench.advance(20)
    await bench.cluster.propose(groupId, { type: 'enlist_server', serverId: other })
    await bench.create('moves', { durationMs: 700 }, other)
    await bench.advance(600)
    const before = bench.conducts()
    await bench.cluster.propose(groupId, { type: 'release_server', serverId: other, epoch: 1 })
    await bench.advance(20)
    expect(bench.conducts() - before).toBe(1)
    await bench.advance(80)
    expect(await bench.statusOf('moves')).toBe('passed')
  })

  test('CONDUCT8 before it stops it hands over its auctions, and then does nothing', async () => {
    bench = new Bench()
    const other = 'server-2' as ServerId
    bench.conductor.start()
    await bench.advance(20)
    await bench.cluster.propose(groupId, { type: 'enlist_server', serverId: other })
    await bench.create('mine', { durationMs: 60_000 })
    await bench.conductor.release()
    const view = await bench.cluster.auction('mine' as AuctionId)
    expect(view).toMatchObject({ owner: other, epoch: 2, extensions: 0 })
    const before = bench.conducts()
    await bench.advance(3_000)
    expect(bench.conducts()).toBe(before)
  })

  test('CONDUCT4 while the cluster is away it retries, and then proposes what is due', async () => {
    bench = new Bench()
    bench.cluster.failure = 'unavailable'
    bench.conductor.start()
    await bench.advance(500)
    expect(bench.conductor.epoch).toBeUndefined()
    bench.cluster.failure = undefined
    await bench.advance(200)
    expect(bench.conductor.epoch).toBe(1)
    await bench.create('due', { durationMs: 600 })
    await bench.advance(100)
    bench.cluster.failure = 'unknown'
    await bench.advance(600)
    expect(await bench.statusOf('due')).toBe('open')
    bench.cluster.failure = undefined
    await bench.advance(150)
    expect(await bench.statusOf('due')).toBe('passed')
  })

  test('CONDUCT5 when another process enlists under its id, it stops at once, logs it, and enlists again', async () => {
    bench = new Bench()
    bench.conductor.start()
    await bench.advance(50)
    await bench.cluster.propose(groupId, { type: 'enlist_server', serverId })
    await bench.advance(1050)
    expect(bench.logLines.join()).toContain('conductor_fenced')
    await bench.advance(1100)
    expect(bench.conductor.epoch).toBe(3)
    await bench.create('after', { durationMs: 500 })
    await bench.advance(600)
    expect(await bench.statusOf('after')).toBe('passed')
  })

  test('CONDUCT5 when a monitor took it for dead, it enlists again at once', async () => {
    bench = new Bench()
    bench.conductor.start()
    await bench.advance(50)
    const monitorId = 'm1'
    await bench.cluster.propose(groupId, { type: 'acquire_monitor_lease', monitorId, ttlMs: 10_000 })
    await bench.cluster.propose(groupId, { type: 'reassign', monitorId, token: 1, serverId, epoch: 1 })
    await bench.advance(1_050)
    expect(bench.conductor.epoch).toBe(4)
    expect((await bench.cluster.owners(groupId)).servers).toMatchObject([{ standing: 'live', epoch: 4 }])
  })

  test('CONDUCT6 many auctions that fall due together are all handled, batch by batch', async () => {
    bench = new Bench()
    bench.conductor.start()
    await bench.advance(20)
    const names = Array.from({ length: 1300 }, (_, at) => `many-${at}`)
    await Promise.all(names.map((name) => bench.create(name, { durationMs: 1000 })))
    await bench.advance(1100)
    const statuses = await Promise.all(names.map((name) => bench.statusOf(name)))
    expect(statuses.every((status) => status === 'passed')).toBe(true)
  })

  test('CONDUCT6 when stopped, it proposes nothing', async () => {
    bench = new Bench()
    bench.conductor.start()
    await bench.advance(100)
    const stopping = bench.conductor.stop()
    await bench.settle()
    await stopping
    const before = bench.cluster.applied.length
    bench.conductor.dueAt(bench.clock.nowMs())
    await bench.advance(5000)
    expect(bench.cluster.applied.length).toBe(before)
    expect(bench.clock.timerCount).toBe(0)
  })
})
