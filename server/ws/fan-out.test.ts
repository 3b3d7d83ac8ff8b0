import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AuctionId, GroupId, RequestId, ServerId, SubjectId } from '../../protocol/ids.ts'
import { jsonSubprotocol } from '../../protocol/subprotocols.ts'
import { ManualClock } from '../../runtime/clock.ts'
import type { Identity } from '../access/auth.ts'
import { TokenBucket } from '../access/token-bucket.ts'
import { FakeCarrier, type FakeSocket } from '../testing/fake-carrier.ts'
import { MemoryCluster } from '../testing/memory-cluster.ts'
import { FanOut } from './fan-out.ts'
import { SocketSession } from './socket-session.ts'

const limit = 600
const queueLimit = 4000

/** Sessions on a fake carrier in front of the real machine, one turn at a time. */
class Bench {
  readonly clock = new ManualClock()
  readonly cluster = new MemoryCluster(this.clock)
  readonly sessions = new Map<FakeSocket, SocketSession>()
  readonly failures: unknown[] = []
  resyncs = 0
  #afterSweeps: { work: () => void; sweeps: number }[] = []
  #deferred: (() => void)[] = []
  #requests = 0
  readonly carrier = new FakeCarrier(limit, {
    dropped: (socket, message) => {
      const { auctionId, seq } = JSON.parse(message) as { auctionId: AuctionId; seq: number }
      this.fanOut.dropped(this.sessionOf(socket), { auctionId, seq })
    },
    drained: (socket) => {
      this.sessionOf(socket).drained(this.clock.monotonicMs())
      this.fanOut.drained(this.sessionOf(socket))
    },
    closed: (socket) => {
      this.sessionOf(socket).detach()
      this.fanOut.leave(this.sessionOf(socket))
    },
  })
  readonly fanOut = new FanOut({
    cluster: this.cluster,
    clock: this.clock,
    subscriptionsMax: 1000,
    publish: (topic, message) => this.carrier.publish(topic, message),
    afterSweep: (work) => this.#afterSweeps.push({ work, sweeps: 2 }),
    readFailed: (_session, _replyTo, error) => this.failures.push(error),
    resynced: () => {
      this.resyncs += 1
    },
  })

  constructor() {
    this.cluster.subscribe(0 as GroupId, (batch) => this.fanOut.deliver(batch))
  }

  sessionOf(socket: FakeSocket): SocketSession {
    return this.sessions.get(socket) as SocketSession
  }

  connect(identity?: Identity): FakeSocket {
    const socket = this.carrier.socket()
    const bucket = new TokenBucket({ perSecond: 1, burst: 1 }, 0)
    const session = new SocketSession(
      {
        id: 's',
        subprotocol: jsonSubprotocol,
        address: '127.0.0.1',
        holder: { key: 'a', isExempt: false },
        nowMs: 0,
        frames: bucket,
        strikes: bucket,
      },
      {
        bufferedBytesMax: limit,
        queuedBytesMax: queueLimit,
        defer: (work) => this.#deferred.push(work),
        closing: (closing) => this.fanOut.leave(closing),
      },
    )
    session.attach(socket)
    session.identity = identity
    this.sessions.set(socket, session)
    this.fanOut.enter(session)
    return socket
  }

  /** Lets everything that is due happen: promises, deferred sends, the sweep. */
  async turn(): Promise<void> {
    for (let round = 0; round < 8; round += 1) {
      await new Promise((resolve) => setImmediate(resolve))
      for (const work of this.#deferred.splice(0)) work()
    }
    this.sweep()
  }

  sweep(): void {
    for (const work of this.#deferred.splice(0)) work()
    this.carrier.sweep()
    for (const entry of this.#afterSweeps) entry.sweeps -= 1
    const due = this.#afterSweeps.filter(({ sweeps }) => sweeps <= 0)
    this.#afterSweeps = this.#afterSweeps.filter(({ sweeps }) => sweeps > 0)
    for (const { work } of due) work()
  }

  async auction(name: string): Promise<AuctionId> {
    const auctionId = name as AuctionId
    await this.cluster.propose(0 as GroupId, {
      type: 'create_auction',
      subject: 'seller' as SubjectId,
      requestId: name as RequestId,
      auctionId,
      serverId: 'server-1' as ServerId,
      terms: {
        title: 'x',
        tags: [],
        format: 'english',
        currency: 'USD',
        openingBid: 1,
        durationMs: 1_000_000,
        increments: [{ from: 0, step: 1 }],
      },
    })
    return auctionId
  }

  /** One more accepted bid, each by another bidder, so that each is one event. */
  bid(auctionId: AuctionId, subject = `bidder-${this.#requests}`): Promise<unknown> {
    this.#requests += 1
    return this.cluster.propose(0 as GroupId, {
      type: 'place_bid',
      subject: subject as SubjectId,
      requestId: `r${this.#requests}` as RequestId,
      auctionId,
      amount: 1000 * this.#requests,
      kind: 'max',
    })
  }
}

type Received = { type: string; auctionId?: string; seq: number; expected: number; current: number } & Record<
  string,
  unknown
>

/** Walks through what a client read of one auction; returns the last seq and the number of resyncs. */
function follow(socket: FakeSocket, auctionId: string): { lastSeq: number; resyncs: number } {
  let lastSeq: number | undefined
  let resyncs = 0
  for (const frame of socket.received as Received[]) {
    if (frame.type === 'subscribed') {
      if ((frame['auction'] as { id: string }).id === auctionId) lastSeq = frame.seq
      continue
    }
    if (frame.auctionId !== auctionId) continue
    if (frame.type === 'resumed') lastSeq = frame.seq
    else if (frame.type === 'unsubscribed') lastSeq = undefined
    else if (frame.type === 'resync') {
      resyncs += 1
      expect(lastSeq).toBeDefined()
      expect(frame.expected).toBe((lastSeq as number) + 1)
      expect(frame.current).toBeGreaterThanOrEqual(frame.expected)
      lastSeq = frame.current
    } else if ('you' in frame || frame.type === 'error') continue
    else {
      expect(frame.seq).toBe((lastSeq as number) + 1)
      lastSeq = frame.seq
    }
  }
  return { lastSeq: lastSeq ?? 0, resyncs }
}

describe('fan-out', () => {
  test('FLOW1 after the snapshot every event comes once, in order, at any time of subscribing', async () => {
    const bench = new Bench()
    const a = await bench.auction('a')
    const first = bench.connect()
    void bench.fanOut.subscribe(bench.sessionOf(first), 1, a, undefined)
    await bench.turn()
    await bench.bid(a)
    const second = bench.connect()
    void bench.fanOut.subscribe(bench.sessionOf(second), 1, a, undefined)
    await bench.turn()
    for (let count = 0; count < 5; count += 1) await bench.bid(a)
    await bench.turn()
    expect(follow(first, a)).toEqual({ lastSeq: 7, resyncs: 0 })
    expect(follow(second, a)).toEqual({ lastSeq: 7, resyncs: 0 })
    expect(first.received.map(({ type }) => type)).toEqual(['subscribed', ...Array(6).fill('bid_placed')])
    expect(second.received).toHaveLength(6)
  })

  test('FLOW2 events between the subscribe and its snapshot are neither lost nor repeated', async () => {
    const bench = new Bench()
    const a = await bench.auction('a')
    let open = (): void => undefined
    bench.cluster.readGate = new Promise((resolve) => {
      open = resolve
    })
    const early = bench.connect()
    void bench.fanOut.subscribe(bench.sessionOf(early), 1, a, undefined)
    const resuming = bench.connect()
    void bench.fanOut.subscribe(bench.sessionOf(resuming), 1, a, { epoch: 1, seq: 1 })
    await bench.bid(a)
    await bench.bid(a)
    await bench.turn()
    expect(early.received).toEqual([])
    open()
    await bench.turn()
    await bench.bid(a)
    await bench.turn()
    expect(follow(early, a)).toEqual({ lastSeq: 4, resyncs: 0 })
    expect(early.received[0]).toMatchObject({ type: 'subscribed', seq: 3 })
    expect(follow(resuming, a)).toEqual({ lastSeq: 4, resyncs: 0 })
    expect(resuming.received.map(({ type, seq }) => [type, seq])).toEqual([
      ['resumed', 1],
      ['bid_placed', 2],
      ['bid_placed', 3],
      ['bid_placed', 4],
    ])
  })

  test('FLOW3 a since that cannot be resumed brings a snapshot', async () => {
    const bench = new Bench()
    const a = await bench.auction('a')
    await bench.bid(a)
    for (const since of [
      { epoch: 9, seq: 1 },
      { epoch: 1, seq: 99 },
    ]) {
      const socket = bench.connect()
      await bench.fanOut.subscribe(bench.sessionOf(socket), 7, a, since)
      await bench.turn()
      expect(socket.received).toMatchObject([{ type: 'subscribed', replyTo: 7, seq: 2, epoch: 1 }])
    }
    const fromStart = bench.connect()
    await bench.fanOut.subscribe(bench.sessionOf(fromStart), 8, a, { epoch: 0, seq: 0 })
    await bench.turn()
    expect(fromStart.received.map(({ type, seq }) => [type, seq])).toEqual([
      ['resumed', 0],
      ['auction_opened', 1],
      ['bid_placed', 2],
    ])
  })

  test('FLOW12 a client that missed few events of a watched auction is resumed without a read', async () => {
    const bench = new Bench()
    const a = await bench.auction('a')
    void bench.fanOut.subscribe(bench.sessionOf(bench.connect()), 1, a, undefined)
    await bench.turn()
    // From here on a read never ends.
    bench.cluster.readGate = new Promise(() => undefined)
    const resume = async (seq: number, epoch = 1): Promise<FakeSocket> => {
      const socket = bench.connect()
      void bench.fanOut.subscribe(bench.sessionOf(socket), 1, a, { epoch, seq })
      await bench.turn()
      return socket
    }
    const atOnce = await resume(1)
    expect(atOnce.received.map(({ type, seq }) => [type, seq])).toEqual([['resumed', 1]])
    for (let count = 0; count < 18; count += 1) await bench.bid(a)
    await bench.turn()
    const recent = await resume(17)
    expect(recent.received.map(({ seq }) => seq)).toEqual([17, 18, 19])
    const newest = await resume(19)
    await bench.bid(a)
    await bench.turn()
    for (const socket of [atOnce, recent, newest])
      expect(follow(socket, a)).toEqual({ lastSeq: 20, resyncs: 0 })
    // A position that the tail does not have waits for the read: too old, of another epoch, or not there yet.
    for (const socket of [await resume(2), await resume(19, 2), await resume(21)])
      expect(socket.received).toEqual([])
  })

  test('FLOW12 clients that come back to an auction that nobody watched here share one read', async () => {
    const bench = new Bench()
    const a = await bench.auction('a')
    for (let count = 0; count < 3; count += 1) await bench.bid(a)
    let reads = 0
    const eventsSince = bench.cluster.eventsSince.bind(bench.cluster)
    bench.cluster.eventsSince = (...args) => {
      reads += 1
      return eventsSince(...args)
    }
    const sockets = [1, 3, 2, 4].map((seq) => {
      const socket = bench.connect()
      void bench.fanOut.subscribe(bench.sessionOf(socket), 1, a, { epoch: 1, seq })
      return socket
    })
    await bench.turn()
    await bench.bid(a)
    await bench.turn()
    expect(reads).toBe(1)
    for (const socket of sockets) expect(follow(socket, a)).toEqual({ lastSeq: 5, resyncs: 0 })
  })

  test('FLOW3 a long history is sent as the client reads it, page by page, and nothing is left out', async () => {
    const bench = new Bench()
    const a = await bench.auction('a')
    await Promise.all(Array.from({ length: 1200 }, () => bench.bid(a)))
    const socket = bench.connect()
    socket.isReading = false
    const session = bench.sessionOf(socket)
    void bench.fanOut.subscribe(session, 1, a, { epoch: 1, seq: 0 })
    await bench.turn()
    expect(bench.sessionOf(socket).isOpen).toBe(false)
    const reader = bench.connect()
    void bench.fanOut.subscribe(bench.sessionOf(reader), 1, a, { epoch: 1, seq: 0 })
    await bench.turn()
    await bench.bid(a)
    await bench.turn()
    expect(follow(reader, a)).toEqual({ lastSeq: 1202, resyncs: 0 })
  })

  test('FLOW4 a slow reader gets a resync and the latest events instead of all of them', async () => {
    const bench = new Bench()
    const a = await bench.auction('a')
    const slow = bench.connect()
    const quick = bench.connect()
    for (const socket of [slow, quick]) void bench.fanOut.subscribe(bench.sessionOf(socket), 1, a, undefined)
    await bench.turn()
    slow.isReading = false
    for (let count = 0; count < 50; count += 1) {
      await bench.bid(a)
      bench.sweep()
    }
    expect(slow.bufferedBytes).toBeLessThan(2 * limit)
    slow.isReading = true
    slow.read()
    await bench.bid(a)
    await bench.turn()
    expect(follow(quick, a)).toEqual({ lastSeq: 52, resyncs: 0 })
    expect(follow(slow, a)).toEqual({ lastSeq: 52, resyncs: 1 })
    const at = slow.received.findIndex(({ type }) => type === 'resync')
    const before = slow.received[at - 1] as Received
    expect(slow.received[at]).toMatchObject({ expected: before.seq + 1, current: 47, seq: 47 })
    expect(slow.received.slice(at + 1).map(({ seq }) => seq)).toEqual([48, 49, 50, 51, 52])
  })

  test('FLOW4 a reader that missed no more than the last few events gets them without a resync', async () => {
    const bench = new Bench()
    const a = await bench.auction('a')
    const slow = bench.connect()
    void bench.fanOut.subscribe(bench.sessionOf(slow), 1, a, undefined)
    await bench.turn()
    slow.isReading = false
    while (slow.bufferedBytes <= limit) {
      await bench.bid(a)
      bench.sweep()
    }
    const heard = slow.unread.length
    for (let count = 0; count < 3; count += 1) {
      await bench.bid(a)
      bench.sweep()
    }
    expect(slow.unread.length).toBe(heard)
    slow.isReading = true
    slow.read()
    await bench.turn()
    expect(follow(slow, a)).toEqual({ lastSeq: heard + 4, resyncs: 0 })
  })

  test('FLOW4 what a snapshot had already is not sent again when a later event is dropped', async () => {
    const bench = new Bench()
    const a = await bench.auction('a')
    const b = await bench.auction('b')
    const socket = bench.connect()
    void bench.fanOut.subscribe(bench.sessionOf(socket), 1, b, undefined)
    await bench.turn()
    await bench.bid(b)
    await bench.turn()
    const other = bench.connect()
    void bench.fanOut.subscribe(bench.sessionOf(other), 1, a, undefined)
    await bench.turn()
    await bench.bid(a)
    await bench.turn()
    bench.cluster.holdFeed()
    await bench.bid(a)
    void bench.fanOut.subscribe(bench.sessionOf(socket), 2, a, undefined)
    await bench.turn()
    expect(follow(socket, a).lastSeq).toBe(3)
    socket.isReading = false
    // One sweep: fills the socket with events of b, then the snapshot's own event of a, then one more of each.
    const batch = { groupId: 0 as GroupId, index: 99, atMs: 1, hasOutboxEntries: false }
    const paused = (auctionId: AuctionId, seq: number) =>
      ({ type: 'auction_paused', auctionId, seq, epoch: 1, atMs: 1 }) as const
    const many = Array.from({ length: 20 }, (_, at) => paused(b, 3 + at))
    bench.cluster.inject({ ...batch, events: many })
    bench.cluster.releaseFeed()
    bench.cluster.inject({ ...batch, events: [paused(a, 4)] })
    bench.sweep()
    socket.isReading = true
    socket.read()
    await bench.turn()
    expect(follow(socket, a)).toEqual({ lastSeq: 4, resyncs: 0 })
    expect(follow(socket, b)).toEqual({ lastSeq: 22, resyncs: 1 })
  })

  test('FLOW5 private frames wait for a slow reader; beyond the bound the session ends with 4413', async () => {
    const bench = new Bench()
    const a = await bench.auction('a')
    const identity: Identity = {
      subject: 'ann' as SubjectId,
      roles: ['bidder'],
      issuedAtMs: 0,
      isOwn: true,
      expiresAtMs: 9e15,
    }
    const socket = bench.connect(identity)
    const other = bench.connect(identity)
    socket.isReading = false
    for (let count = 0; count < 6; count += 1) {
      await bench.bid(a, 'ann')
      await bench.bid(a)
      await bench.turn()
    }
    expect(socket.isClosed).toBe(false)
    socket.isReading = true
    socket.read()
    await bench.turn()
    const outbids = (of: FakeSocket) =>
      of.received.filter(({ type }) => type === 'outbid').map(({ seq }) => seq)
    expect(outbids(socket)).toEqual([3, 5, 7, 9, 11, 13])
    expect(outbids(other)).toEqual(outbids(socket))
    expect(socket.received[0]).toMatchObject({ you: { status: 'outbid' } })

    socket.isReading = false
    for (let count = 0; count < 60; count += 1) {
      await bench.bid(a, 'ann')
      await bench.bid(a)
    }
    await bench.turn()
    expect(bench.sessionOf(socket).isOpen).toBe(false)
    socket.read()
    expect(socket.closeCode).toBe(4413)
    expect(outbids(other)).toHaveLength(66)
  })

  test('FLOW6 a gap in the feed itself is sent to every live subscription', async () => {
    const bench = new Bench()
    const a = await bench.auction('a')
    const socket = bench.connect()
    void bench.fanOut.subscribe(bench.sessionOf(socket), 1, a, undefined)
    await bench.turn()
    await bench.bid(a)
    await bench.turn()
    const event = { type: 'auction_paused', auctionId: a, epoch: 1, atMs: 1 } as const
    const batch = { groupId: 0 as GroupId, index: 9, atMs: 1, hasOutboxEntries: false }
    bench.cluster.inject({ ...batch, events: [{ ...event, seq: 2 }] })
    bench.cluster.inject({ ...batch, events: [{ ...event, seq: 7 }] })
    await bench.turn()
    expect(socket.received.slice(2)).toMatchObject([
      { type: 'resync', expected: 3, current: 6 },
      { type: 'auction_paused', seq: 7 },
    ])
    expect(follow(socket, a).lastSeq).toBe(7)
  })

  test('FLOW7 a failed read is answered and leaves nothing behind; an unknown auction is not watched', async () => {
    const bench = new Bench()
    const socket = bench.connect()
    const session = bench.sessionOf(socket)
    await bench.fanOut.subscribe(session, 1, 'nothing' as AuctionId, undefined)
    await bench.turn()
    expect(socket.received).toMatchObject([{ type: 'error', code: 'auction_not_found', replyTo: 1 }])
    bench.cluster.readFailure = new Error('disk')
    await bench.fanOut.subscribe(session, 2, 'nothing' as AuctionId, undefined)
    expect(bench.failures).toHaveLength(1)
    expect(bench.fanOut.subscriptionCount).toBe(0)
    expect(session.subscriptions.size).toBe(0)
  })

  test('FLOW7 subscribing again starts over, and a session that ends leaves nothing behind', async () => {
    const bench = new Bench()
    const a = await bench.auction('a')
    const socket = bench.connect()
    const session = bench.sessionOf(socket)
    await bench.fanOut.subscribe(session, 1, a, undefined)
    await bench.bid(a)
    await bench.turn()
    await bench.fanOut.subscribe(session, 2, a, { epoch: 1, seq: 1 })
    await bench.bid(a)
    await bench.turn()
    expect(follow(socket, a)).toEqual({ lastSeq: 3, resyncs: 0 })
    expect(bench.fanOut.subscriptionCount).toBe(1)
    socket.end(1000)
    expect(bench.fanOut.subscriptionCount).toBe(0)
    expect(bench.fanOut.unsubscribe(session, a)).toBe(false)
    await bench.bid(a)
  })

  type Step = readonly [
    'bid' | 'join' | 'resume' | 'leave' | 'stop' | 'free' | 'read' | 'sweep' | 'turn' | 'gate' | 'feed',
    number,
    number,
  ]
  const step: fc.Arbitrary<Step> = fc.tuple(
    fc.constantFrom(
      'bid',
      'bid',
      'bid',
      'join',
      'resume',
      'leave',
      'stop',
      'free',
      'read',
      'sweep',
      'turn',
      'gate',
      'feed',
    ),
    fc.nat(3),
    fc.nat(1),
  )

  test('FLOW8 in any order of actions nobody sees a gap or a repeat without a resync, and all end up to date', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 120 }), async (steps) => {
        const bench = new Bench()
        const auctions = [await bench.auction('a'), await bench.auction('b')]
        const sockets = [0, 1, 2, 3].map(() => bench.connect())
        let open = (): void => undefined
        for (const [what, at, which] of steps) {
          const socket = sockets[at] as FakeSocket
          const auctionId = auctions[which] as AuctionId
          const session = bench.sessionOf(socket)
          if (what === 'bid') await bench.bid(auctionId)
          else if (what === 'join') void bench.fanOut.subscribe(session, 1, auctionId, undefined)
          else if (what === 'resume') {
            const { lastSeq } = socket.isReading ? follow(socket, auctionId) : { lastSeq: 0 }
            if (!session.subscriptions.has(auctionId))
              void bench.fanOut.subscribe(session, 1, auctionId, { epoch: 1, seq: lastSeq })
          } else if (what === 'leave') {
            if (bench.fanOut.unsubscribe(session, auctionId))
              session.send({
                frame: {} as never,
                json: () => JSON.stringify({ type: 'unsubscribed', auctionId }),
                msgpack: () => new Uint8Array(),
              })
          } else if (what === 'stop') socket.isReading = false
          else if (what === 'free') socket.isReading = true
          else if (what === 'feed') {
            if (which === 0) bench.cluster.holdFeed()
            else bench.cluster.releaseFeed()
          } else if (what === 'read') {
            socket.isReading = true
            socket.read()
          } else if (what === 'sweep') bench.sweep()
          else if (what === 'turn') await bench.turn()
          else {
            open()
            const gate = new Promise<void>((resolve) => {
              open = resolve
            })
            bench.cluster.readGate = which === 0 ? gate : Promise.resolve()
            bench.cluster.answerGate = which === 0 ? Promise.resolve() : gate
          }
        }
        open()
        bench.cluster.readGate = Promise.resolve()
        bench.cluster.answerGate = Promise.resolve()
        bench.cluster.releaseFeed()
        for (let round = 0; round < 6; round += 1) {
          await bench.turn()
          for (const socket of sockets) {
            socket.isReading = true
            socket.read()
          }
        }
        for (const socket of sockets)
          for (const auctionId of auctions) {
            const { lastSeq } = follow(socket, auctionId)
            const session = bench.sessionOf(socket)
            if (!session.isOpen || !session.subscriptions.has(auctionId)) continue
            expect(lastSeq).toBe((await bench.cluster.auction(auctionId))?.seq)
          }
        expect(bench.failures).toEqual([])
      }),
      { numRuns: 200 },
    )
  })
})
