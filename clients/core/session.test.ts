/** A session against sockets in memory and a clock that stands still: every way of losing a connection. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RequestId } from '../../protocol/ids.ts'
import { ManualClock } from '../../runtime/clock.ts'
import type { ClientError } from './errors.ts'
import { Session, socketUrl } from './session.ts'
import type { BidOutcome, SessionOptions, SessionState } from './session-types.ts'
import { FakeTransport } from './testing/fake-transport.ts'
import { auctionId, bidPlaced, subscribed, view } from './testing/frames.ts'
import type { WatchEvent } from './watch.ts'

function start(options: Partial<SessionOptions> = {}) {
  const clock = new ManualClock()
  const transport = new FakeTransport()
  let ids = 0
  const session = new Session({
    url: 'http://127.0.0.1:8080/',
    transport,
    clock,
    random: () => 0.5,
    newId: () => `r${++ids}`,
    ...options,
  })
  const states: SessionState[] = []
  session.on('state', (state) => states.push(state))
  return { clock, transport, session, states }
}

/** A session that is open. */
function open(options: Partial<SessionOptions> = {}) {
  const started = start(options)
  started.transport.last.hello()
  return started
}

/** What happened to a promise so far, as a mutable record. */
function track(promise: Promise<BidOutcome>) {
  const result: { outcome?: BidOutcome; error?: ClientError } = {}
  const settled = promise.then(
    (outcome) => {
      result.outcome = outcome
    },
    (error: ClientError) => {
      result.error = error
    },
  )
  return { result, settled }
}

describe('connecting', () => {
  it('CLIENT1 offers the subprotocol, and the token beside it', () => {
    const { transport } = start({ token: () => 'ab.cd' })
    expect(transport.last.url).toBe('ws://127.0.0.1:8080/ws')
    expect(transport.last.subprotocols).toEqual(['martillo.v1.json', 'bearer.ab.cd'])
    expect(start().transport.last.subprotocols).toEqual(['martillo.v1.json'])
    expect(socketUrl('https://house.example')).toBe('wss://house.example/ws')
  })

  it('CLIENT2 is open with the first hello, not before', async () => {
    const { session, transport } = start()
    transport.last.accept()
    expect(session.state).toEqual({ name: 'connecting', reason: 'first' })
    transport.last.hello()
    expect(session.state).toEqual({ name: 'open', reason: 'hello' })
    await session.opened()
  })

  it('CLIENT3 tries again with doubling pauses, half of each random', () => {
    const { clock, transport, states } = start()
    for (const pause of [188, 375, 750, 1500, 3000, 6000, 11_250, 11_250]) {
      transport.last.drop()
      expect(states.at(-1)).toEqual({ name: 'connecting', reason: 'connection_lost', retryInMs: pause })
      const before = transport.sockets.length
      clock.advance(pause - 1)
      expect(transport.sockets).toHaveLength(before)
      clock.advance(1)
      expect(transport.sockets).toHaveLength(before + 1)
    }
  })

  it('CLIENT3 begins with the longest pause where the house is overloaded, and again with the shortest after a hello', () => {
    const { clock, transport, states } = open()
    transport.last.drop(1013)
    expect(states.at(-1)).toEqual({ name: 'reconnecting', reason: 'overloaded', retryInMs: 11_250 })
    clock.advance(11_250)
    transport.last.hello()
    transport.last.drop(1012)
    expect(states.at(-1)).toEqual({ name: 'reconnecting', reason: 'restart', retryInMs: 188 })
  })

  it('CLIENT17 after a sound connection it reconnects at once, to the next server in turn', () => {
    const { clock, transport, states } = open({ otherUrls: ['http://127.0.0.1:8081'] })
    clock.advance(1_000)
    transport.last.drop()
    expect(states.at(-1)).toEqual({ name: 'reconnecting', reason: 'connection_lost', retryInMs: 25 })
    clock.advance(25)
    expect(transport.last.url).toBe('ws://127.0.0.1:8081/ws')
    transport.last.drop()
    expect(states.at(-1)).toMatchObject({ retryInMs: 188 })
    clock.advance(188)
    expect(transport.last.url).toBe('ws://127.0.0.1:8080/ws')
    transport.last.accept()
    clock.advance(1_999)
    expect(transport.last.closedByClient).toBeUndefined()
    clock.advance(1)
    expect(transport.last.closedByClient).toBeDefined()
  })

  it('CLIENT17 a server that hangs with a bid is left for the next one; a server that is only quiet is kept', () => {
    const { clock, transport, session } = open({ otherUrls: ['http://127.0.0.1:8081'] })
    clock.advance(3_000)
    expect(transport.sockets).toHaveLength(1)
    const first = transport.last
    session.placeBid({ auctionId, amount: 500 }).catch(() => undefined)
    first.push({ type: 'time', replyTo: 0, t0: 0, t1: 0, t2: 0 })
    clock.advance(500)
    expect(first.sentOf('sync_time').length).toBeGreaterThan(1)
    first.push({ type: 'time', replyTo: 0, t0: 0, t1: 0, t2: 0 })
    clock.advance(900)
    expect(transport.sockets).toHaveLength(1)
    clock.advance(700)
    expect(transport.last.url).toBe('ws://127.0.0.1:8081/ws')
    transport.last.hello()
    expect(transport.last.sentOf('place_bid')).toMatchObject([{ requestId: 'r1' }])
    session.close()
  })

  it('an attempt without a hello is given up after a while', () => {
    const { clock, transport, states } = start()
    transport.last.accept()
    clock.advance(10_000)
    expect(states.at(-1)).toMatchObject({ name: 'connecting', reason: 'connection_lost' })
    expect(transport.last.closedByClient).toBeDefined()
  })

  it('CLIENT4 closes permanently where a retry would fail the same, or after the bound of attempts', async () => {
    const refused = start()
    refused.transport.last.accept()
    refused.transport.last.drop(4401)
    expect(refused.session.state).toEqual({ name: 'closed', reason: 'token' })
    await expect(refused.session.opened()).rejects.toMatchObject({ code: 'closed' })
    expect(refused.clock.timerCount).toBe(0)

    const unreachable = start({ attemptsMax: 5, firstAttemptsMax: 2 })
    unreachable.transport.last.drop()
    unreachable.clock.advance(400)
    unreachable.transport.last.drop()
    expect(unreachable.session.state).toEqual({ name: 'closed', reason: 'unreachable' })
    await expect(unreachable.session.opened()).rejects.toMatchObject({ code: 'unreachable' })

    const lost = open({ attemptsMax: 2 })
    lost.transport.last.drop()
    for (const _ of [1, 2]) {
      expect(lost.session.state.name).toBe('reconnecting')
      lost.clock.advance(400)
      lost.transport.last.drop()
    }
    expect(lost.session.state).toEqual({ name: 'closed', reason: 'unreachable' })
  })

  it('CLIENT4 closes permanently where the peer is no house', () => {
    const other = start()
    other.transport.last.accept('chat')
    expect(other.session.state).toEqual({ name: 'closed', reason: 'not_a_house' })
    const garbage = start()
    garbage.transport.last.accept()
    garbage.transport.last.pushText('<html>')
    expect(garbage.session.state).toEqual({ name: 'closed', reason: 'not_a_house' })
    const broken = open()
    broken.transport.last.pushText('<html>')
    expect(broken.session.state).toMatchObject({ name: 'reconnecting', reason: 'connection_lost' })
  })

  it('reads the token at every connection', () => {
    const tokens = ['one', 'two']
    const { clock, transport } = open({ token: () => tokens.shift() })
    transport.last.drop()
    clock.advance(200)
    expect(transport.sockets.map((socket) => socket.subprotocols[1])).toEqual(['bearer.one', 'bearer.two'])
  })

  it('CLIENT5 leaves a server that drains, at a random moment within half the grace', () => {
    const { clock, transport, states } = open()
    transport.last.push({ type: 'drain', graceMs: 4000 })
    clock.advance(999)
    expect(transport.last.closedByClient).toBeUndefined()
    clock.advance(1)
    expect(transport.last.closedByClient).toEqual({ code: 1000, reason: 'drain' })
    expect(states.at(-1)).toMatchObject({ name: 'reconnecting', reason: 'drain' })
  })

  it('CLIENT6 sends something three times a heartbeat and leaves after a whole one of silence', () => {
    const { clock, transport, states } = start()
    transport.last.hello(9_000)
    const [socket] = transport.sockets
    clock.advance(3_000)
    expect(socket?.sentOf('sync_time')).toHaveLength(2)
    clock.advance(3_000)
    socket?.push(bidPlaced(1))
    clock.advance(6_000)
    expect(states.at(-1)?.name).toBe('open')
    clock.advance(3_000)
    expect(states.at(-1)).toMatchObject({ name: 'reconnecting', reason: 'heartbeat' })
  })

  it('ignores a socket that it left', () => {
    const { clock, transport, session } = open()
    const former = transport.last
    clock.advance(60_000)
    expect(session.state.name).toBe('reconnecting')
    former.push({ type: 'hello', version: 1, sessionId: 's0', serverTime: 1, heartbeatMs: 1000 })
    former.drop(4401)
    expect(session.state.name).toBe('reconnecting')
  })

  it('close ends it: no timer, no socket, no further frame', () => {
    const { clock, transport, session } = open()
    session.close()
    session.close()
    expect(session.state).toEqual({ name: 'closed', reason: 'owner' })
    expect(transport.last.closedByClient).toEqual({ code: 1000, reason: 'done' })
    expect(clock.timerCount).toBe(0)
  })

  it('ignores frames that a later version added', () => {
    const { transport, session } = open()
    transport.last.pushText('{"type":"fireworks","colour":"red"}')
    expect(session.state.name).toBe('open')
  })
})

describe('bids', () => {
  const accepted = (replyTo: number, requestId = 'r1') =>
    ({
      type: 'bid_accepted',
      replyTo,
      requestId: requestId as RequestId,
      auctionId,
      seq: 2,
      price: 100,
      askingBid: 105,
      you: { status: 'winning', maxBid: 500 },
    }) as const

  it('CLIENT7 are answered as accepted or rejected', async () => {
    const { transport, session } = open()
    const yes = session.placeBid({ auctionId, amount: 500 })
    const no = session.buyNow({ auctionId })
    const [bid] = transport.last.sentOf('place_bid')
    const [buy] = transport.last.sentOf('buy_now')
    expect(bid).toMatchObject({ amount: 500, requestId: 'r1' })
    transport.last.push({
      type: 'bid_rejected',
      replyTo: buy?.id ?? '',
      requestId: 'r2' as RequestId,
      auctionId,
      code: 'buy_now_gone',
    })
    transport.last.push(accepted(bid?.id as number))
    expect(await yes).toMatchObject({ type: 'bid_accepted', price: 100 })
    expect(await no).toMatchObject({ type: 'bid_rejected', code: 'buy_now_gone' })
    expect(session.pendingBids).toBe(0)
  })

  it('CLIENT8 unanswered ones go out again on the next socket, in order, with the same request ids', async () => {
    const { clock, transport, session } = open()
    const first = session.placeBid({ auctionId, amount: 500 })
    const second = session.placeBid({ auctionId, amount: 600, kind: 'exact' })
    const sent = transport.last.sentOf('place_bid')
    transport.last.drop()
    const third = session.placeBid({ auctionId, amount: 700 })
    clock.advance(200)
    transport.last.hello()
    const again = transport.last.sentOf('place_bid')
    expect(again.slice(0, 2)).toEqual(sent.map((frame) => ({ ...frame, ageMs: 200 })))
    expect(again[2]).not.toHaveProperty('ageMs')
    expect(again.map((frame) => frame.amount)).toEqual([500, 600, 700])
    for (const frame of again) transport.last.push(accepted(frame.id as number, frame.requestId))
    expect((await Promise.all([first, second, third])).map((outcome) => outcome.requestId)).toEqual([
      'r1',
      'r2',
      'r3',
    ])
    transport.last.drop()
    clock.advance(200)
    transport.last.hello()
    expect(transport.last.sentOf('place_bid')).toEqual([])
  })

  it('CLIENT18 on a new socket bids go first, then the watches, 16 in each turn', () => {
    const { clock, transport, session } = open()
    const ids = Array.from({ length: 40 }, (_, at) => `a${at}` as typeof auctionId)
    const ends = ids.map((id) => session.watch(id, () => undefined))
    const asked = (): readonly unknown[] => transport.last.sentOf('subscribe').map((frame) => frame.auctionId)
    expect(asked()).toEqual(ids.slice(0, 16))
    clock.advance(39)
    expect(asked()).toHaveLength(16)
    clock.advance(1)
    expect(asked()).toEqual(ids.slice(0, 32))
    transport.last.drop()
    void session.placeBid({ auctionId, amount: 500 })
    clock.advance(200)
    transport.last.hello()
    expect(transport.last.sent.map(({ type }) => type).slice(0, 2)).toEqual(['place_bid', 'subscribe'])
    expect(asked()).toEqual(ids.slice(0, 16))
    // One that is not watched any more by its turn is not asked for.
    ends[20]?.()
    clock.advance(40)
    clock.advance(40)
    expect(asked()).toEqual(ids.filter((_, at) => at !== 20))
  })

  it('CLIENT8 one that the house could not decide is sent again after a pause', async () => {
    const { clock, transport, session } = open()
    const outcome = session.placeBid({ auctionId, amount: 500 })
    const [bid] = transport.last.sentOf('place_bid')
    const replyTo = bid?.id as number
    transport.last.push({ type: 'error', replyTo, code: 'unavailable', message: '', retryAfterMs: 400 })
    clock.advance(499)
    expect(transport.last.sentOf('place_bid')).toHaveLength(1)
    clock.advance(1)
    expect(transport.last.sentOf('place_bid')).toEqual([bid, { ...bid, ageMs: 500 }])
    transport.last.push({ type: 'error', replyTo, code: 'overloaded', message: '' })
    clock.advance(500)
    expect(transport.last.sentOf('place_bid')[2]).toEqual({ ...bid, ageMs: 1_000 })
    transport.last.push(accepted(replyTo))
    expect(await outcome).toMatchObject({ type: 'bid_accepted' })
  })

  it('one that the house could not read is refused', async () => {
    const { transport, session } = open()
    const { result, settled } = track(session.placeBid({ auctionId, amount: 500 }))
    const replyTo = transport.last.sentOf('place_bid')[0]?.id as number
    transport.last.push({ type: 'error', replyTo, code: 'field_invalid', message: 'amount must be …' })
    await settled
    expect(result.error).toMatchObject({ code: 'frame_refused', frameCode: 'field_invalid' })
  })

  it('CLIENT9 reports an unknown outcome, with the request id for a retry', async () => {
    const { clock, transport, session } = open({ bidPatienceMs: 5_000 })
    const { result, settled } = track(session.placeBid({ auctionId, amount: 500 }))
    transport.last.drop()
    clock.advance(5_000)
    await settled
    expect(result.error).toMatchObject({ code: 'outcome_unknown' })
    expect(result.error?.message).toContain('r1')
    expect(session.pendingBids).toBe(0)
  })

  it('CLIENT9 an unknown outcome that is final ends a bid at once', async () => {
    const { clock, transport, session } = open()
    const { result, settled } = track(session.placeBid({ auctionId, amount: 500 }))
    const replyTo = transport.last.sentOf('place_bid')[0]?.id as number
    transport.last.push({ type: 'error', replyTo, code: 'outcome_unknown', message: 'too old', final: true })
    await settled
    expect(result.error).toMatchObject({ code: 'outcome_unknown', message: 'too old' })
    clock.advance(20_000)
    expect(transport.last.sentOf('place_bid')).toHaveLength(1)
  })

  it('CLIENT9 one that was never sent is unreachable, not unknown', async () => {
    const { clock, session } = start({ bidPatienceMs: 5_000 })
    const { result, settled } = track(session.placeBid({ auctionId, amount: 500 }))
    clock.advance(5_000)
    await settled
    expect(result.error).toMatchObject({ code: 'unreachable' })
  })

  it('a closed session takes none and gives up those that wait', async () => {
    const { session } = open()
    const waiting = track(session.placeBid({ auctionId, amount: 500 }))
    session.close()
    const late = track(session.placeBid({ auctionId, amount: 500 }))
    await Promise.all([waiting.settled, late.settled])
    expect(waiting.result.error).toMatchObject({ code: 'outcome_unknown' })
    expect(late.result.error).toMatchObject({ code: 'closed' })
  })

  it('are bounded', async () => {
    const { session } = start()
    const settled = Array.from(
      { length: 10_000 },
      () => track(session.placeBid({ auctionId, amount: 5 })).settled,
    )
    await expect(session.placeBid({ auctionId, amount: 5 })).rejects.toMatchObject({
      code: 'too_many_pending',
    })
    session.close()
    await Promise.all(settled)
  })
})

describe('watching', () => {
  function watch() {
    const opened = open()
    const seen: WatchEvent[] = []
    const end = opened.session.watch(auctionId, (event) => seen.push(event))
    const asks = () => opened.transport.last.sentOf('subscribe')
    return { ...opened, seen, end, asks }
  }
  const seqs = (seen: readonly WatchEvent[]): (number | string)[] =>
    seen.map((event) => (event.type === 'event' ? event.event.seq : event.type))

  it('CLIENT10 begins with a snapshot and continues with events in order', () => {
    const { transport, seen, asks } = watch()
    expect(asks()).toEqual([{ type: 'subscribe', id: expect.any(Number), auctionId }])
    transport.last.push(bidPlaced(1))
    transport.last.push(subscribed(asks()[0]?.id ?? 0, 1))
    transport.last.push(bidPlaced(2))
    transport.last.push(bidPlaced(3))
    expect(seqs(seen)).toEqual(['snapshot', 2, 3])
    expect(seen.at(-1)).toMatchObject({ auction: { price: 300, askingBid: 305, seq: 3 } })
  })

  it('CLIENT10 drops repeats', () => {
    const { transport, seen, asks } = watch()
    transport.last.push(subscribed(asks()[0]?.id ?? 0, 5))
    for (const seq of [3, 5, 6, 6, 4, 7]) transport.last.push(bidPlaced(seq))
    expect(seqs(seen)).toEqual(['snapshot', 6, 7])
  })

  it('CLIENT11 subscribes again, once, from the last event when one is missing', () => {
    const { transport, seen, asks } = watch()
    transport.last.push(subscribed(asks()[0]?.id ?? 0, 5))
    for (const seq of [6, 8, 9]) transport.last.push(bidPlaced(seq, 2))
    expect(asks()).toHaveLength(2)
    expect(asks()[1]).toMatchObject({ since: { epoch: 2, seq: 6 } })
    transport.last.push({ type: 'resumed', replyTo: asks()[1]?.id ?? 0, auctionId, epoch: 2, seq: 9 })
    for (const seq of [7, 8, 9, 10]) transport.last.push(bidPlaced(seq, 2))
    expect(seqs(seen)).toEqual(['snapshot', 6, 7, 8, 9, 10])
  })

  it('CLIENT11 obeys resync, and takes a snapshot where too much was missed', () => {
    const { transport, seen, asks } = watch()
    transport.last.push(subscribed(asks()[0]?.id ?? 0, 5))
    const resync = { type: 'resync', auctionId, epoch: 1, serverTime: 1, expected: 6 } as const
    transport.last.push({ ...resync, seq: 7, current: 7 })
    expect(asks()[1]).toMatchObject({ since: { epoch: 1, seq: 5 } })
    transport.last.push({ type: 'resumed', replyTo: asks()[1]?.id ?? 0, auctionId, epoch: 1, seq: 7 })
    for (const seq of [6, 7]) transport.last.push(bidPlaced(seq))
    transport.last.push({ ...resync, seq: 7, current: 7 })
    expect(asks()).toHaveLength(2)
    transport.last.push({ ...resync, expected: 8, seq: 5000, current: 5000 })
    expect(asks()[2]).not.toHaveProperty('since')
    transport.last.push(subscribed(asks()[2]?.id ?? 0, 5000))
    expect(seqs(seen)).toEqual(['snapshot', 6, 7, 'snapshot'])
    expect(seen.at(-1)).toMatchObject({ missed: true })
  })

  it('CLIENT12 resumes after a lost connection, without gap or repeat', () => {
    const { clock, transport, seen, asks } = watch()
    transport.last.push(subscribed(asks()[0]?.id ?? 0, 5))
    transport.last.push(bidPlaced(6))
    transport.last.drop()
    clock.advance(200)
    transport.last.hello()
    expect(asks()).toMatchObject([{ since: { epoch: 1, seq: 6 } }])
    transport.last.push({ type: 'resumed', replyTo: asks()[0]?.id ?? 0, auctionId, epoch: 1, seq: 8 })
    for (const seq of [7, 8, 9]) transport.last.push(bidPlaced(seq))
    expect(seqs(seen)).toEqual(['snapshot', 6, 7, 8, 9])
  })

  it('a snapshot older than the last event changes nothing', () => {
    const { clock, transport, seen, asks } = watch()
    transport.last.push(subscribed(asks()[0]?.id ?? 0, 5))
    transport.last.drop()
    clock.advance(200)
    transport.last.hello()
    transport.last.push(subscribed(asks()[0]?.id ?? 0, 3))
    for (const seq of [4, 5, 6]) transport.last.push(bidPlaced(seq))
    expect(seqs(seen)).toEqual(['snapshot', 6])
  })

  it('reports a refusal, and subscribes again where the refusal is temporary', () => {
    const { clock, transport, seen, asks } = watch()
    const replyTo = asks()[0]?.id ?? 0
    transport.last.push({ type: 'error', replyTo, code: 'rate_limited', message: '', retryAfterMs: 300 })
    clock.advance(300)
    expect(asks()).toHaveLength(2)
    const again = asks()[1]?.id ?? 0
    transport.last.push({
      type: 'error',
      replyTo: again,
      code: 'auction_not_found',
      message: 'no such auction',
    })
    expect(seen).toEqual([{ type: 'refused', code: 'auction_not_found', message: 'no such auction' }])
  })

  it('a second listener shares the subscription; the last one to leave ends it', () => {
    const { transport, session, seen, asks, end } = watch()
    transport.last.push(subscribed(asks()[0]?.id ?? 0, 5))
    const other: WatchEvent[] = []
    const endOther = session.watch(auctionId, (event) => other.push(event))
    expect(asks()).toHaveLength(1)
    expect(other).toEqual([{ type: 'snapshot', auction: view({ seq: 5 }), missed: false }])
    end()
    transport.last.push(bidPlaced(6))
    expect([seqs(seen), seqs(other)]).toEqual([['snapshot'], ['snapshot', 6]])
    expect(transport.last.sentOf('unsubscribe')).toEqual([])
    endOther()
    endOther()
    expect(transport.last.sentOf('unsubscribe')).toHaveLength(1)
  })

  it('private frames reach the bidder whatever it watches', () => {
    const { transport, session } = open()
    const heard: string[] = []
    session.on('private', (frame) => heard.push(frame.type))
    const frame = { auctionId, seq: 3, epoch: 1, serverTime: 1, price: 5 } as const
    transport.last.push({ type: 'outbid', ...frame, askingBid: 10, you: { status: 'outbid', maxBid: 4 } })
    transport.last.push({ type: 'lost', ...frame, you: { status: 'lost' } })
    expect(heard).toEqual(['outbid', 'lost'])
  })

  it('CLIENT12 under any sequence of losses, gaps and repeats, each event is seen once and in order', () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.constant('bid' as const) },
      { weight: 2, arbitrary: fc.constant('skip' as const) },
      { weight: 2, arbitrary: fc.constant('repeat' as const) },
      { weight: 1, arbitrary: fc.constant('drop' as const) },
      { weight: 1, arbitrary: fc.constant('resync' as const) },
      { weight: 4, arbitrary: fc.constant('answer' as const) },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const { clock, transport, session } = open()
        const seen: WatchEvent[] = []
        session.watch(auctionId, (event) => seen.push(event))
        let current = 1
        let answered = 0
        const answer = (): void => {
          const asks = transport.last.sentOf('subscribe')
          for (; answered < asks.length; answered += 1) {
            const ask = asks[answered]
            if (ask === undefined) continue
            if (ask.since === undefined) transport.last.push(subscribed(ask.id, current))
            else {
              transport.last.push({ type: 'resumed', replyTo: ask.id, auctionId, epoch: 1, seq: current })
              for (let seq = ask.since.seq + 1; seq <= current; seq += 1) transport.last.push(bidPlaced(seq))
            }
          }
        }
        const act = {
          bid: () => transport.last.push(bidPlaced(++current)),
          skip: () => {
            current += 1
          },
          repeat: () => transport.last.push(bidPlaced(Math.max(1, current - 1))),
          drop: () => {
            transport.last.drop()
            clock.advance(20_000)
            transport.last.hello()
            answered = 0
          },
          resync: () =>
            transport.last.push({
              type: 'resync',
              auctionId,
              epoch: 1,
              serverTime: 1,
              seq: current,
              expected: 1,
              current,
            }),
          answer,
        }
        for (const name of steps) act[name]()
        act.drop()
        answer()
        let last = 0
        for (const event of seen) {
          if (event.type === 'snapshot') {
            expect(event.missed).toBe(last !== 0)
            last = event.auction.seq
          } else if (event.type === 'event') {
            expect(event.event.seq).toBe(last + 1)
            last += 1
          }
        }
        expect(last).toBe(current)
      }),
      { numRuns: 500 },
    )
  })
})

describe('CLIENT13 the server’s clock', () => {
  it('is estimated from hello, then measured by the shortest round trips', () => {
    const { clock, transport, session } = start()
    transport.last.hello(30_000, 1_700_000_000_000)
    expect(session.serverNowMs()).toBe(1_700_000_000_000)
    const serverOffset = 1_700_000_000_500 - clock.monotonicMs()
    for (const [there, back] of [
      [10, 10],
      [300, 0],
      [5, 5],
      [0, 900],
    ] as const) {
      const probe = transport.last.sentOf('sync_time').at(-1)
      clock.advance(there)
      const at = clock.monotonicMs() + serverOffset
      clock.advance(back)
      transport.last.push({ type: 'time', replyTo: probe?.id ?? 0, t0: probe?.t0 ?? 0, t1: at, t2: at })
    }
    expect(session.serverNowMs() - clock.monotonicMs()).toBe(serverOffset)
    expect(transport.last.sentOf('sync_time')).toHaveLength(4)
  })

  it('does not follow a jump of this machine’s clock', () => {
    const { clock, session } = open()
    const before = session.serverNowMs()
    clock.jump(3_600_000)
    clock.advance(10)
    expect(session.serverNowMs()).toBe(before + 10)
  })
})

describe('what is not current', () => {
  /** Watches an auction; `current` is whether its view was the house's, change by change. */
  function watched(heartbeatMs = 15_000) {
    const started = start()
    started.transport.last.hello(heartbeatMs)
    const current: boolean[] = []
    started.session.watch(
      auctionId,
      () => undefined,
      (isCurrent) => current.push(isCurrent),
    )
    const asks = () => started.transport.last.sentOf('subscribe')
    started.transport.last.push(subscribed(asks()[0]?.id ?? 0, 5))
    return { ...started, current, asks }
  }

  it('CLIENT19 a view is not current soon after the house fell silent, and is again with the next frame', () => {
    const { clock, transport, session, current } = watched()
    const [socket] = transport.sockets
    clock.advance(4_000)
    socket?.push({ type: 'time', replyTo: 0, t0: 0, t1: 0, t2: 0 })
    clock.advance(3_499)
    expect([session.isLive, current]).toEqual([true, []])
    clock.advance(1)
    expect([session.isLive, session.state.name, current]).toEqual([false, 'open', [false]])
    socket?.push(bidPlaced(6))
    expect([session.isLive, current]).toEqual([true, [false, true]])
  })

  it('CLIENT19 after a lost connection it is current only when the last missed event was seen', () => {
    const { clock, transport, current, asks } = watched()
    transport.last.drop()
    expect(current).toEqual([false])
    clock.advance(200)
    transport.last.hello(15_000)
    expect(current).toEqual([false])
    transport.last.push({ type: 'resumed', replyTo: asks()[0]?.id ?? 0, auctionId, epoch: 1, seq: 7 })
    transport.last.push(bidPlaced(6))
    expect(current).toEqual([false])
    transport.last.push(bidPlaced(7))
    expect(current).toEqual([false, true])
  })

  it('CLIENT19 a gap makes it not current until it is filled, and a late watcher learns of that', () => {
    const { transport, session, current, asks } = watched()
    transport.last.push(bidPlaced(9))
    expect(current).toEqual([false])
    const late: boolean[] = []
    session.watch(
      auctionId,
      () => undefined,
      (isCurrent) => late.push(isCurrent),
    )
    transport.last.push(subscribed(asks()[1]?.id ?? 0, 9))
    expect([current, late]).toEqual([
      [false, true],
      [false, true],
    ])
  })

  it('CLIENT20 when the network is back it connects at once, whatever pause was left', () => {
    const { clock, transport, session, current } = watched()
    session.networkChanged(false)
    expect([session.isLive, current]).toEqual([false, [false]])
    for (let attempts = 0; attempts < 6; attempts += 1) {
      transport.last.drop()
      clock.advance(session.state.retryInMs ?? 0)
    }
    transport.last.drop()
    expect(session.state.retryInMs).toBeGreaterThan(5_000)
    const before = transport.sockets.length
    session.networkChanged(true)
    expect(transport.sockets).toHaveLength(before + 1)
    transport.last.hello()
    expect([session.state.name, session.isLive]).toEqual(['open', true])
  })

  it('CLIENT20 a silent socket is replaced at once when the network is back; one that is heard is only probed', () => {
    const { clock, transport, session } = watched()
    const [first] = transport.sockets
    session.networkChanged(true)
    expect(transport.sockets).toHaveLength(1)
    first?.push({ type: 'time', replyTo: 0, t0: 0, t1: 0, t2: 0 })
    clock.advance(2_000)
    expect(transport.sockets).toHaveLength(1)
    session.networkChanged(true)
    clock.advance(2_100)
    expect(first?.closedByClient).toBeDefined()
    expect(transport.sockets).toHaveLength(2)
    transport.last.hello()
    session.networkChanged(false)
    session.networkChanged(true)
    expect(transport.sockets).toHaveLength(3)
  })

  it('CLIENT20 it does not hurry a house that is overloaded', () => {
    const { transport, session } = watched()
    transport.last.drop(1013)
    session.networkChanged(true)
    expect(transport.sockets).toHaveLength(1)
    session.close()
    session.networkChanged(true)
    expect(transport.sockets).toHaveLength(1)
  })
})
