import { afterEach, describe, expect, test } from 'vitest'
import type { AuctionId, GroupId, RequestId, ServerId, SubjectId } from '../protocol/ids.ts'
import { ManualClock } from '../runtime/clock.ts'
import { createLogger } from '../runtime/logger.ts'
import { MemoryCluster } from '../server/testing/memory-cluster.ts'
import { Detector } from './detector.ts'
import type { Heartbeat } from './heartbeat-codec.ts'
import { Monitor } from './monitor.ts'
import { monitorLines, monitorPage } from './page.ts'

const group = 0 as GroupId
const leaseMs = 1_200
const id = (name: string): ServerId => name as ServerId

/** A cluster in memory, servers that pulse, and monitors that receive their heartbeats. */
class Bench {
  readonly clock = new ManualClock()
  readonly cluster = new MemoryCluster(this.clock)
  readonly faults: unknown[] = []
  readonly monitors: { monitor: Monitor; detector: Detector }[] = []
  readonly epochs = new Map<ServerId, number>()
  /** Servers that send heartbeats and pulses. */
  readonly up = new Set<ServerId>()

  add(monitorId: string): { monitor: Monitor; detector: Detector } {
    const detector = new Detector()
    const logger = createLogger({ level: 'error', role: 'test', destination: { write: () => undefined } })
    const { cluster, clock } = this
    const fault = (error: unknown) => this.faults.push(error)
    const one = {
      detector,
      monitor: new Monitor({ cluster, clock, logger, detector, monitorId, leaseMs, fault }),
    }
    this.monitors.push(one)
    one.monitor.start()
    return one
  }

  async enlist(name: string, connection: number): Promise<void> {
    const reply = await this.cluster.propose(group, { type: 'enlist_server', serverId: id(name) })
    if (!reply.ok || reply.type !== 'server') throw new Error(JSON.stringify(reply))
    this.epochs.set(id(name), reply.epoch)
    this.up.add(id(name))
    for (const { detector } of this.monitors) detector.opened(id(name), connection)
  }

  async create(name: string, serverId: string, durationMs = 600_000): Promise<void> {
    await this.cluster.propose(group, {
      type: 'create_auction',
      subject: 'sam' as SubjectId,
      requestId: name as RequestId,
      auctionId: name as AuctionId,
      serverId: id(serverId),
      terms: {
        title: name,
        tags: [],
        format: 'english',
        currency: 'USD',
        openingBid: 1,
        increments: [{ from: 0, step: 1 }],
        durationMs,
      },
    })
  }

  async advance(ms: number): Promise<void> {
    for (let at = 0; at < ms; at += 10) {
      this.clock.advance(10)
      if (at % 60 === 0) this.#beat()
      if (at % 250 === 0)
        for (const serverId of this.up)
          this.cluster
            .propose(group, { type: 'conduct', serverId, epoch: this.epochs.get(serverId) ?? 0 })
            .catch(() => undefined)
      for (let round = 0; round < 4; round++) await new Promise((resolve) => setImmediate(resolve))
    }
  }

  #beat(): void {
    for (const [at, name] of ['s1', 's2', 's3'].entries()) {
      const epoch = this.epochs.get(id(name))
      if (!this.up.has(id(name)) || epoch === undefined) continue
      const beat: Heartbeat = { type: 'heartbeat', sockets: 1, epochs: [{ groupId: group, epoch }] }
      for (const { detector } of this.monitors) detector.received(at + 1, beat)
    }
  }

  /** The process is gone: no heartbeats, no pulses, and its sockets close. */
  kill(name: string, connection: number): void {
    this.up.delete(id(name))
    for (const { detector, monitor } of this.monitors) {
      detector.closed(connection, this.clock.monotonicMs())
      monitor.look()
    }
  }

  async standing(name: string): Promise<string | undefined> {
    const { servers } = await this.cluster.owners(group)
    return servers.find(({ serverId }) => serverId === name)?.standing
  }

  async owner(name: string): Promise<string | undefined> {
    return (await this.cluster.auction(name as AuctionId))?.owner
  }
}

let bench: Bench
afterEach(async () => {
  const stops = bench.monitors.map(({ monitor }) => monitor.stop())
  await bench.advance(20)
  await Promise.all(stops)
  expect(bench.faults).toEqual([])
})

async function house(): Promise<Bench> {
  bench = new Bench()
  bench.add('m1')
  await bench.advance(50)
  bench.add('m2')
  await bench.enlist('s1', 1)
  await bench.enlist('s2', 2)
  await bench.advance(200)
  return bench
}

describe('the monitor', () => {
  test('WATCH7 one acts, the other stands by, and takes over when the first is silent', async () => {
    await house()
    const [first, second] = bench.monitors
    expect(first?.monitor.status().isActing).toBe(true)
    expect(second?.monitor.status().isActing).toBe(false)
    await bench.advance(3_000)
    expect(second?.monitor.status().isActing).toBe(false)
    const stopped = first?.monitor.stop()
    await bench.advance(leaseMs + 500)
    await stopped
    expect(second?.monitor.status().isActing).toBe(true)
    expect(first?.monitor.status().isActing).toBe(false)
  })

  test('WATCH8 a server that dies is handed over at once, by the one that acts alone', async () => {
    await house()
    for (let at = 0; at < 9; at++) await bench.create(`a${at}`, 's1')
    bench.kill('s1', 1)
    await bench.advance(20)
    for (let at = 0; at < 9; at++) expect(await bench.owner(`a${at}`)).toBe('s2')
    expect(await bench.standing('s1')).toBeUndefined()
    await bench.advance(2_000)
    const [first, second] = bench.monitors.map(({ monitor }) => monitor.status().recent)
    expect(first).toMatchObject([{ serverId: 's1', reason: 'closed', auctions: 9 }])
    expect(second).toEqual([])
  })

  test('WATCH8 a server that hangs is handed over within 400 ms, once', async () => {
    await house()
    await bench.create('a1', 's1')
    bench.up.delete(id('s1'))
    await bench.advance(420)
    expect(await bench.owner('a1')).toBe('s2')
    await bench.advance(5_000)
    expect(bench.monitors[0]?.monitor.status().recent).toMatchObject([{ serverId: 's1', reason: 'silent' }])
    const count = bench.cluster.applied.filter(({ type }) => type === 'reassign').length
    expect(count).toBe(1)
  })

  test('WATCH8 what died while nobody acted is handed over by the next acting monitor', async () => {
    await house()
    await bench.create('a1', 's1')
    const stopped = bench.monitors[0]?.monitor.stop()
    await bench.advance(100)
    await stopped
    bench.kill('s1', 1)
    await bench.advance(200)
    expect(await bench.owner('a1')).toBe('s1')
    await bench.advance(leaseMs + 500)
    expect(await bench.owner('a1')).toBe('s2')
  })

  test('WATCH9 a server without a link here is judged by its pulses', async () => {
    await house()
    await bench.enlist('s3', 99)
    for (const { detector } of bench.monitors) detector.leaving(99)
    for (const { detector } of bench.monitors) detector.closed(99, bench.clock.monotonicMs())
    await bench.create('a1', 's3')
    await bench.advance(6_000)
    expect(await bench.standing('s3')).toBe('live')
    bench.up.delete(id('s3'))
    await bench.advance(2_000)
    expect(await bench.standing('s3')).toBe('live')
    await bench.advance(1_500)
    expect(await bench.standing('s3')).toBeUndefined()
    expect(await bench.owner('a1')).not.toBe('s3')
  })

  test('WATCH8 the last one that is up is not fenced; when another comes, it takes over', async () => {
    await house()
    for (const name of ['s1', 's2']) await bench.create(`of-${name}`, name)
    bench.kill('s1', 1)
    await bench.advance(50)
    bench.kill('s2', 2)
    await bench.advance(5_000)
    expect([await bench.standing('s1'), await bench.standing('s2')]).toEqual([undefined, 'live'])
    await bench.enlist('s3', 3)
    await bench.advance(200)
    for (const name of ['s1', 's2']) expect(await bench.owner(`of-${name}`)).toBe('s3')
    expect(await bench.standing('s2')).toBeUndefined()
  })

  test('WATCH9 work that was left with a server that is gone is found', async () => {
    await house()
    await bench.create('left', 's1')
    await bench.cluster.propose(group, { type: 'release_server', serverId: id('s2'), epoch: 1 })
    await bench.cluster.propose(group, { type: 'release_server', serverId: id('s1'), epoch: 1 })
    for (const at of [1, 2]) for (const { detector } of bench.monitors) detector.leaving(at)
    bench.kill('s1', 1)
    bench.kill('s2', 2)
    await bench.advance(4_000)
    expect(await bench.owner('left')).toBe('s1')
    await bench.enlist('s3', 3)
    await bench.advance(1_200)
    expect(await bench.owner('left')).toBe('s3')
  })

  test('WATCH10 a monitor that was paused does nothing by its old lease', async () => {
    await house()
    await bench.create('a1', 's1')
    const paused = bench.monitors[0]
    const stopped = paused?.monitor.stop()
    await bench.advance(leaseMs + 500)
    await stopped
    const reply = await bench.cluster.propose(group, {
      type: 'reassign',
      monitorId: 'm1',
      token: 1,
      serverId: id('s1'),
      epoch: 1,
    })
    expect(reply).toEqual({ ok: false, code: 'stale_epoch' })
    expect(await bench.owner('a1')).toBe('s1')
  })

  test('WATCH10 while the cluster does not answer it tries again', async () => {
    await house()
    await bench.create('a1', 's1')
    bench.cluster.failure = 'unavailable'
    bench.kill('s1', 1)
    await bench.advance(500)
    bench.cluster.failure = undefined
    await bench.advance(100)
    expect(await bench.owner('a1')).toBe('s2')
  })

  test('WATCH11 page and lines show servers, owners, groups and reassignments, names as text', async () => {
    await house()
    await bench.create('a1', 's1')
    await bench.advance(600)
    bench.kill('s1', 1)
    await bench.advance(600)
    const status = bench.monitors[0]?.monitor.status()
    if (status === undefined) throw new Error('no status')
    const page = monitorPage({ ...status, monitorId: '<script>' }, bench.clock.nowMs())
    expect(page).toContain('&lt;script&gt;')
    expect(page).not.toContain('<script>')
    for (const word of ['s1', 's2', 'live', 'closed', 'This monitor acts']) expect(page).toContain(word)
    const lines = monitorLines(status).join('\n')
    expect(lines).not.toContain('s1  dead')
    expect(lines).toContain('s1  closed  1 auctions in')
  })
})
