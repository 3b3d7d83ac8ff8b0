import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { RequestId } from '../../protocol/ids.ts'
import { writeMsgpack } from '../../protocol/msgpack.ts'
import { protocolVersion } from '../../protocol/server-frames.ts'
import { jsonSubprotocol, msgpackSubprotocol } from '../../protocol/subprotocols.ts'
import { eventually, type Frame, type TestClient, TestHouse } from '../testing/test-server.ts'

let house: TestHouse
let ann: string
let bob: string
const clients: TestClient[] = []

beforeAll(async () => {
  house = await TestHouse.open()
  ann = await house.tokenFor('ann', 'bidder')
  bob = await house.tokenFor('bob', 'bidder')
})
afterAll(() => house.close())
afterEach(() => {
  house.cluster.failure = undefined
  house.cluster.readFailure = undefined
  for (const client of clients.splice(0)) {
    expect(client.faults).toEqual([])
    client.terminate()
  }
})

async function client(options: Parameters<TestHouse['client']>[0] = {}): Promise<TestClient> {
  const opened = await house.client(options)
  clients.push(opened)
  return opened
}

const both = [
  ['json', false],
  ['msgpack', true],
] as const

describe('the session', () => {
  test("SESSION1 hello comes first: version, session, time, heartbeat, and the client's own identity", async () => {
    const before = Date.now()
    const watcher = await client()
    expect(watcher.frames).toHaveLength(1)
    expect(watcher.frames[0]).toMatchObject({ type: 'hello', version: protocolVersion, heartbeatMs: 15_000 })
    expect(watcher.frames[0]).not.toHaveProperty('you')
    expect(Number(watcher.frames[0]?.['serverTime'])).toBeGreaterThanOrEqual(before)
    const bidder = await client({ token: ann, binary: true })
    expect(bidder.frames[0]).toMatchObject({ you: { id: 'ann', roles: ['bidder'] } })
    expect(bidder.frames[0]?.['sessionId']).not.toBe(watcher.frames[0]?.['sessionId'])
  })

  test('SESSION2 the first subprotocol that the house knows is taken; with none offered it is JSON', async () => {
    const chosen = async (...subprotocols: string[]) => (await client({ subprotocols })).socket.protocol
    expect(await chosen('other', msgpackSubprotocol, jsonSubprotocol)).toBe(msgpackSubprotocol)
    expect(await chosen(jsonSubprotocol, msgpackSubprotocol)).toBe(jsonSubprotocol)
    expect(await chosen()).toBe('')
    const stranger = house.socket({ subprotocols: ['other'] })
    expect(await stranger.closed()).toBe(1006)
  })

  test('AUTH7 a token may come as the second subprotocol; it is taken, never echoed, never logged', async () => {
    const offered = await client({ token: ann, isTokenOffered: true })
    expect(offered.socket.protocol).toBe(jsonSubprotocol)
    expect(offered.frames[0]).toMatchObject({ you: { id: 'ann' } })
    const only = house.socket({ subprotocols: [`bearer.${ann}`] })
    expect(await only.closed()).toBe(1006)
    expect(house.logLines.join()).not.toContain(ann)
    expect((await house.ask('/metrics')).text).not.toContain(ann)
  })

  test('AUTH2 a bad token closes the socket with 4401, however it was sent', async () => {
    for (const options of [
      { token: 'nonsense' },
      { token: `${ann}x`, isTokenOffered: true },
      { token: 'nonsense', binary: true },
      { headers: { authorization: 'Bearer x.y.z' } },
    ]) {
      const refused = house.socket(options)
      expect(await refused.closed()).toBe(4401)
      expect(refused.frames).toEqual([])
    }
  })

  test('RATE11 frames that come before the token is verified are answered in order, 128 KiB of them at most', async () => {
    const hasty = house.socket({ token: ann })
    hasty.socket.on('open', () => {
      for (let at = 0; at < 100; at += 1) hasty.send({ type: 'sync_time', id: at, t0: at })
    })
    await hasty.until(() => hasty.all('time').length === 100, 'all answers')
    expect(hasty.frames[0]).toMatchObject({ type: 'hello', you: { id: 'ann' } })
    expect(hasty.all('time').map(({ t0 }) => t0)).toEqual(Array.from({ length: 100 }, (_, at) => at))
    const asking = new Set<Socket>()
    const keys = createServer((socket) => asking.add(socket)).listen(0, '127.0.0.1')
    await once(keys, 'listening')
    const jwksUrl = `http://127.0.0.1:${(keys.address() as AddressInfo).port}/keys`
    const waiting = await TestHouse.open({ settings: { jwksUrl } })
    const header = Buffer.from('{"alg":"RS256","kid":"1"}').toString('base64url')
    const flood = waiting.socket({ token: `${header}.e30.c2ln` })
    const padding = 'x'.repeat(16_000)
    flood.socket.on('open', () => {
      for (let at = 0; at < 100; at += 1) flood.send({ type: 'sync_time', id: at, t0: 0, padding })
    })
    expect(await flood.closed()).toBe(4429)
    expect(flood.frames).toEqual([])
    await waiting.close()
    for (const socket of asking) socket.destroy()
    keys.close()
  })

  test('AUTH6 a client without a token can watch; bids need the role of a bidder', async () => {
    const auctionId = await house.createAuction()
    const seller = await client({ token: await house.tokenFor('sam', 'seller') })
    const watcher = await client()
    for (const one of [seller, watcher]) {
      expect(await one.ask({ type: 'subscribe', auctionId })).toMatchObject({ type: 'subscribed' })
      expect(await one.ask({ type: 'place_bid', auctionId, amount: 500, requestId: 'r' })).toMatchObject({
        type: 'bid_rejected',
        code: 'not_a_bidder',
        requestId: 'r',
        auctionId,
      })
      expect(await one.ask({ type: 'buy_now', auctionId, requestId: 'r' })).toMatchObject({
        code: 'not_a_bidder',
      })
    }
  })
})

describe.each(both)('frames over %s', (_name, binary) => {
  test('SESSION12 a client that sends again without waiting gets every answer, in order', async () => {
    const auctionId = await house.createAuction()
    const watcher = await client()
    let open: () => void = () => undefined
    house.cluster.readGate = new Promise((resolve) => {
      open = resolve
    })
    const frames = ['subscribe', 'subscribe', 'unsubscribe', 'unsubscribe', 'subscribe', 'subscribe']
    for (const [id, type] of frames.entries()) {
      const since = id === 1 ? { since: { epoch: 1, seq: 1 } } : {}
      watcher.send({ type, id, auctionId, ...since })
    }
    expect(await watcher.ask({ type: 'sync_time', t0: 0 })).toMatchObject({ type: 'time' })
    expect(watcher.frames.some(({ replyTo }) => replyTo === 0)).toBe(false)
    open()
    const answers = () => watcher.frames.filter(({ replyTo }) => typeof replyTo === 'number')
    await watcher.until(() => answers().length === frames.length, 'all answers')
    expect(answers().map(({ replyTo, type }) => [replyTo, type])).toEqual([
      [0, 'subscribed'],
      [1, 'resumed'],
      [2, 'unsubscribed'],
      [3, 'error'],
      [4, 'subscribed'],
      [5, 'subscribed'],
    ])
    await house.ask('/bids', { token: ann, body: { auctionId, amount: 1000 } })
    await watcher.until(() => watcher.all('bid_placed').length > 0, 'the event')
    await watcher.ask({ type: 'sync_time', t0: 0 })
    expect(watcher.all('bid_placed')).toHaveLength(1)
  })

  test('SESSION3 subscribe gives a snapshot, then every event in order; unsubscribe ends it', async () => {
    const auctionId = await house.createAuction({ reserve: 400 })
    const watcher = await client({ binary })
    const bidder = await client({ token: ann, binary })
    const snapshot = await watcher.ask({ type: 'subscribe', auctionId })
    expect(snapshot).toMatchObject({
      type: 'subscribed',
      epoch: 1,
      seq: 1,
      auction: { id: auctionId, seq: 1 },
    })
    expect(snapshot['auction']).not.toHaveProperty('you')
    const accepted = await bidder.ask({ type: 'place_bid', auctionId, amount: 500, requestId: `b1${binary}` })
    expect(accepted).toEqual({
      type: 'bid_accepted',
      replyTo: 'q1',
      requestId: `b1${binary}`,
      auctionId,
      seq: 2,
      price: 400,
      askingBid: 425,
      you: { status: 'winning', maxBid: 500 },
    })
    expect(await watcher.next('bid_placed')).toMatchObject({
      auctionId,
      seq: 2,
      epoch: 1,
      price: 400,
      askingBid: 425,
      bidCount: 1,
      highBidder: 'bidder-1',
      bidder: 'bidder-1',
      reserve: 'met',
    })
    await house.ask(`/auctions/${auctionId}/extend`, { token: house.operatorToken, body: { byMs: 500 } })
    expect(await watcher.next('auction_extended')).toMatchObject({ seq: 3, reason: 'operator' })
    await house.ask(`/auctions/${auctionId}/pause`, { token: house.operatorToken, body: {} })
    expect(await watcher.next('auction_paused')).toMatchObject({ seq: 4 })
    await house.ask(`/auctions/${auctionId}/resume`, { token: house.operatorToken, body: {} })
    expect(await watcher.next('auction_resumed')).toMatchObject({ seq: 5 })
    expect(await watcher.ask({ type: 'unsubscribe', auctionId })).toMatchObject({
      type: 'unsubscribed',
      auctionId,
    })
    expect(await watcher.ask({ type: 'unsubscribe', auctionId })).toMatchObject({ code: 'not_subscribed' })
    await house.ask(`/auctions/${auctionId}/close`, { token: house.operatorToken, body: {} })
    expect(await bidder.next('won')).toMatchObject({ auctionId, price: 400, you: { status: 'won' }, seq: 6 })
    expect(watcher.all('auction_sold')).toEqual([])
    const late = await bidder.ask({ type: 'subscribe', auctionId })
    expect(late).toMatchObject({
      auction: { status: 'sold', hammerPrice: 400, winner: 'bidder-1', you: { status: 'won', maxBid: 500 } },
    })
  })

  test('SESSION4 since is resumed: the missed events come once, in order, then the new ones', async () => {
    const auctionId = await house.createAuction()
    const bidder = await client({ token: ann, binary })
    for (const amount of [100, 200, 300])
      await bidder.ask({ type: 'place_bid', auctionId, amount, requestId: `s${amount}${binary}` })
    const returning = await client({ binary })
    const resumed = await returning.ask({ type: 'subscribe', auctionId, since: { epoch: 1, seq: 2 } })
    expect(resumed).toEqual({ type: 'resumed', replyTo: 'q1', auctionId, epoch: 1, seq: 2 })
    await bidder.ask({ type: 'place_bid', auctionId, amount: 400, requestId: `s400${binary}` })
    await returning.find(({ seq, type }) => type === 'bid_placed' && seq === 5)
    expect(returning.all('bid_placed').map(({ seq }) => seq)).toEqual([3, 4, 5])
    const elsewhere = await client({ binary })
    expect(await elsewhere.ask({ type: 'subscribe', auctionId, since: { epoch: 7, seq: 2 } })).toMatchObject({
      type: 'subscribed',
      seq: 5,
    })
  })

  test('SESSION5 a rejection has its code, and the bid that would have been enough', async () => {
    const auctionId = await house.createAuction()
    const bidder = await client({ token: ann, binary })
    const other = await client({ token: bob, binary })
    const place = (who: TestClient, amount: number, requestId: string, more: object = {}) =>
      who.ask({ type: 'place_bid', auctionId, amount, requestId, ...more })
    expect(await place(bidder, 50, `x1${binary}`)).toMatchObject({
      type: 'bid_rejected',
      code: 'bid_too_low',
      askingBid: 100,
    })
    await place(bidder, 1000, `x2${binary}`)
    expect(await place(other, 100, `x3${binary}`)).toMatchObject({ code: 'bid_too_low', askingBid: 125 })
    expect(await place(bidder, 900, `x4${binary}`)).toMatchObject({ code: 'already_leading' })
    expect(await place(other, 0, `x5${binary}`)).toMatchObject({ code: 'bid_too_low' })
    for (const amount of [1.5, -1, 2 ** 53])
      expect(await place(other, amount, `x6${binary}`), String(amount)).toMatchObject({
        type: 'bid_rejected',
        code: 'amount_invalid',
        requestId: `x6${binary}`,
        auctionId,
      })
    expect(await place(other, 500, `x7${binary}`, { auctionId: 'nothing' })).toMatchObject({
      code: 'auction_not_found',
    })
    expect(await other.ask({ type: 'buy_now', auctionId, requestId: `x8${binary}` })).toMatchObject({
      code: 'buy_now_gone',
    })
    expect(await other.ask({ type: 'subscribe', auctionId: 'nothing' })).toMatchObject({
      type: 'error',
      code: 'auction_not_found',
    })
    expect(await place(other, 200, `x9${binary}`, { kind: 'exact' })).toMatchObject({
      type: 'bid_accepted',
      you: { status: 'outbid', maxBid: 200 },
    })
    expect(await other.next('outbid')).toMatchObject({ auctionId, you: { status: 'outbid' } })
  })

  test('SESSION6 a retry with a known request id gets the first answer, also on another socket', async () => {
    const auctionId = await house.createAuction()
    const bidder = await client({ token: ann, binary })
    const bid = { type: 'place_bid', auctionId, amount: 500, requestId: `retry${binary}` }
    const first = await bidder.ask(bid)
    const second = await (await client({ token: ann, binary: !binary })).ask(bid)
    expect(second).toEqual({ ...first, replyTo: second['replyTo'] })
    expect(await bidder.ask({ ...bid, amount: 600 })).toMatchObject({ code: 'duplicate_request_differs' })
    const overHttp = await house.ask('/bids', {
      token: ann,
      key: `retry${binary}` as RequestId,
      body: { auctionId, amount: 500 },
    })
    expect(overHttp.body).toMatchObject({ seq: first['seq'], price: first['price'] })
    expect((await house.ask(`/auctions/${auctionId}`)).body['bidCount']).toBe(1)
  })

  test("SESSION7 private frames reach each of a bidder's sockets, subscribed or not, and nobody else's", async () => {
    const auctionId = await house.createAuction()
    const one = await client({ token: ann, binary })
    const two = await client({ token: ann, binary: !binary })
    const rival = await client({ token: bob, binary })
    const watcher = await client({ binary })
    await watcher.ask({ type: 'subscribe', auctionId })
    await one.ask({ type: 'place_bid', auctionId, amount: 300, requestId: `p1${binary}` })
    await rival.ask({ type: 'place_bid', auctionId, amount: 900, requestId: `p2${binary}` })
    for (const socket of [one, two])
      expect(await socket.next('outbid')).toMatchObject({ auctionId, seq: 3, price: 325, askingBid: 350 })
    await house.ask(`/auctions/${auctionId}/close`, { token: house.operatorToken, body: {} })
    expect(await one.next('lost')).toMatchObject({ auctionId, you: { status: 'lost' } })
    expect(await two.next('lost')).toMatchObject({ auctionId })
    expect(await rival.next('won')).toMatchObject({ auctionId, price: 325 })
    await watcher.next('auction_sold')
    for (const type of ['outbid', 'won', 'lost']) expect(watcher.all(type)).toEqual([])
    expect(rival.all('outbid').concat(rival.all('lost'))).toEqual([])
  })

  test('SESSION8 sync_time is answered with the times of its arrival and its answer', async () => {
    const asking = await client({ binary })
    const answer = await asking.ask({ type: 'sync_time', t0: 12.5 })
    expect(answer).toMatchObject({ type: 'time', t0: 12.5 })
    expect(Number(answer['t2'])).toBeGreaterThanOrEqual(Number(answer['t1']))
    expect(Math.abs(Number(answer['t2']) - Date.now())).toBeLessThan(60_000)
    expect(await asking.ask({ type: 'sync_time', t0: 0, id: 7 })).toMatchObject({ replyTo: 7 })
  })

  test('SESSION9 any fault of a frame is answered with its code, and the socket stays open', async () => {
    const bad = await client({ binary, token: ann })
    const say = (value: unknown): void => {
      if (binary) bad.raw(writeMsgpack(value))
      else bad.raw(JSON.stringify(value))
    }
    const codes: string[] = []
    const expectCode = async (code: string, send: () => void): Promise<Frame> => {
      const count = bad.all('error').length
      send()
      await bad.until(() => bad.all('error').length > count, `error ${code}`)
      const error = bad.all('error').at(-1) as Frame
      codes.push(String(error['code']))
      expect(error['code']).toBe(code)
      return error
    }
    for (const value of [1, 'text', null, [], true]) await expectCode('not_an_object', () => say(value))
    await expectCode('unknown_type', () => say({}))
    const unknown = await expectCode('unknown_type', () => say({ type: 'teleport', id: 'u' }))
    expect(unknown['replyTo']).toBe('u')
    await expectCode('unknown_type', () => say({ type: 'toString', id: 1 }))
    await expectCode('unknown_type', () => say({ type: '__proto__', id: 1 }))
    await expectCode('field_invalid', () => say({ type: 'subscribe', auctionId: 'a' }))
    await expectCode('field_invalid', () => say({ type: 'subscribe', id: {}, auctionId: 'a' }))
    await expectCode('field_invalid', () => say({ type: 'subscribe', id: 1, auctionId: 'a b' }))
    await expectCode('field_invalid', () => say({ type: 'subscribe', id: 1, auctionId: 'x'.repeat(200) }))
    await expectCode('field_invalid', () => say({ type: 'subscribe', id: 1, auctionId: 'a', since: 5 }))
    await expectCode('field_invalid', () =>
      say({ type: 'subscribe', id: 1, auctionId: 'a', since: { epoch: 1, seq: -1 } }),
    )
    await expectCode('field_invalid', () => say({ type: 'place_bid', id: 1, auctionId: 'a', requestId: 'r' }))
    await expectCode('field_invalid', () =>
      say({ type: 'place_bid', id: 1, auctionId: 'a', requestId: 'r', amount: '5' }),
    )
    await expectCode('field_invalid', () =>
      say({ type: 'place_bid', id: 1, auctionId: 'a', requestId: 'r', amount: 5, kind: 'wild' }),
    )
    await expectCode('field_invalid', () => say({ type: 'sync_time', id: 1, t0: 'now' }))
    let deep: unknown = 1
    for (let level = 0; level < 40; level += 1) deep = [deep]
    await expectCode('too_deep', () => say({ type: 'subscribe', id: 1, auctionId: deep }))
    if (binary) {
      await expectCode('wrong_encoding', () => bad.raw('{"type":"sync_time"}'))
      for (const hex of [
        '',
        'c1',
        'dfffffffff',
        'dc',
        'c70801',
        'd600000000',
        '82a474797065',
        'c4ff00',
        'cb7ff0000000000000',
      ])
        await expectCode('malformed_msgpack', () => bad.raw(Buffer.from(hex, 'hex')))
    } else {
      await expectCode('wrong_encoding', () => bad.raw(Buffer.from('{"type":"sync_time"}')))
      for (const text of ['', '{', '{"type":', 'NaN', "{'a':1}", '{"a":1}x', '\u0000'])
        await expectCode('malformed_json', () => bad.raw(text))
    }
    expect(await bad.ask({ type: 'sync_time', t0: 1 })).toMatchObject({ type: 'time' })
    expect(codes.length).toBeGreaterThan(20)
  })
})

describe('limits of the socket', () => {
  test('RATE8 a frame beyond the bound is an error and ends its socket with 1009; a far bigger one ends it unread', async () => {
    for (const binary of [false, true])
      for (const length of [16 * 1024 + 1, 64 * 1024]) {
        const big = await house.client({ binary })
        big.raw(binary ? Buffer.alloc(length) : 'x'.repeat(length))
        expect(await big.next('error')).toMatchObject({ code: 'frame_too_large' })
        expect(await big.closed()).toBe(1009)
      }
    const huge = await house.client()
    huge.raw('x'.repeat(2 * 1024 * 1024))
    expect([1006, 1009]).toContain(await huge.closed())
    expect(await (await client()).ask({ type: 'sync_time', t0: 1 })).toMatchObject({ type: 'time' })
  })

  test('SESSION10 a command that the cluster cannot decide is an error that may be sent again, never a rejection', async () => {
    const auctionId = await house.createAuction()
    const bidder = await client({ token: ann })
    const bid = { type: 'place_bid', auctionId, amount: 500, requestId: 'again' }
    for (const [failure, code] of [
      ['unavailable', 'unavailable'],
      ['unknown', 'outcome_unknown'],
      ['overloaded', 'overloaded'],
      ['stopped', 'draining'],
    ] as const) {
      house.cluster.failure = failure
      expect(await bidder.ask(bid)).toMatchObject({ type: 'error', code })
    }
    house.cluster.failure = undefined
    expect(await bidder.ask(bid)).toMatchObject({ type: 'bid_accepted' })
  })

  test('REQUEST9 a bid that was sent before says so, and one whose answer is forgotten is a final error', async () => {
    const auctionId = await house.createAuction()
    const bidder = await client({ token: ann })
    const { propose } = house.cluster
    const ages: unknown[] = []
    house.cluster.propose = async (groupId, command) => {
      if (!('requestId' in command)) return await propose.call(house.cluster, groupId, command)
      ages.push(command.ageMs)
      return { ok: false, code: 'outcome_unknown' }
    }
    for (const type of ['place_bid', 'buy_now']) {
      const bid = { type, auctionId, requestId: type, ...(type === 'place_bid' ? { amount: 500 } : {}) }
      for (const ageMs of [0, null, 61_000])
        expect(await bidder.ask({ ...bid, ageMs })).toMatchObject({
          type: 'error',
          code: 'outcome_unknown',
          final: true,
        })
      expect(await bidder.ask({ ...bid, ageMs: -1 })).toMatchObject({ code: 'field_invalid' })
    }
    expect(ages).toEqual([undefined, undefined, 61_000, undefined, undefined, 61_000])
    house.cluster.propose = propose
  })

  test('SESSION10 a handler that fails answers internal, and the socket and the server continue', async () => {
    const auctionId = await house.createAuction()
    const bidder = await client({ token: ann })
    house.cluster.failure = new Error('a fault of ours')
    const bid = { type: 'place_bid', auctionId, amount: 500, requestId: 'fault' }
    expect(await bidder.ask(bid)).toMatchObject({ type: 'error', code: 'internal' })
    house.cluster.failure = undefined
    house.cluster.readFailure = new Error('a fault of ours')
    expect(await bidder.ask({ type: 'subscribe', auctionId })).toMatchObject({ code: 'internal' })
    house.cluster.readFailure = undefined
    expect(await bidder.ask(bid)).toMatchObject({ type: 'bid_accepted' })
    expect(house.logLines.filter((line) => line.includes('handler_failed')).length).toBeGreaterThan(1)
  })

  test('SESSION11 many sockets bid at once on one auction: each gets its own answer, all see one order', async () => {
    const auctionId = await house.createAuction({ increments: [{ from: 0, step: 1 }] })
    const bidders = await Promise.all(
      Array.from({ length: 20 }, async (_, at) =>
        client({ token: await house.tokenFor(`crowd-${at}`, 'bidder'), binary: at % 2 === 0 }),
      ),
    )
    for (const bidder of bidders) await bidder.ask({ type: 'subscribe', auctionId })
    const answers = await Promise.all(
      bidders.flatMap((bidder, at) =>
        Array.from({ length: 10 }, (_, round) =>
          bidder.ask({
            type: 'place_bid',
            auctionId,
            amount: 100 + round * 50 + at,
            requestId: `m${at}-${round}`,
          }),
        ),
      ),
    )
    const accepted = answers.filter(({ type }) => type === 'bid_accepted')
    expect(answers.every(({ type }) => type === 'bid_accepted' || type === 'bid_rejected')).toBe(true)
    const { body } = await house.ask(`/auctions/${auctionId}`)
    expect(body['bidCount']).toBe(accepted.length)
    for (const bidder of bidders) {
      await bidder.until(() => bidder.all('bid_placed').length >= accepted.length, 'all events')
      expect(bidder.all('bid_placed')).toEqual(bidders[0]?.all('bid_placed'))
    }
    const order = (bidders[0] as TestClient).all('bid_placed')
    expect(order.map(({ seq }) => seq)).toEqual(order.map((_, at) => at + 2))
    expect(new Set(accepted.map(({ seq }) => seq)).size).toBe(accepted.length)
  })
})

describe('the end of a session', () => {
  test('FLOW11 after a gap of the feed every socket is closed with 1012 and resumes without a gap', async () => {
    const torn = await TestHouse.open()
    const auctionId = await torn.createAuction()
    const watcher = await torn.client()
    await watcher.ask({ type: 'subscribe', auctionId })
    const ann = await torn.tokenFor('ann', 'bidder')
    await torn.cluster.loseFeed(() => torn.ask('/bids', { token: ann, body: { auctionId, amount: 500 } }))
    expect(await watcher.closed()).toBe(1012)
    expect(watcher.all('bid_placed')).toEqual([])
    const again = await torn.client()
    expect(await again.ask({ type: 'subscribe', auctionId, since: { epoch: 1, seq: 1 } })).toMatchObject({
      type: 'resumed',
    })
    expect(await again.next('bid_placed')).toMatchObject({ seq: 2 })
    expect(torn.logLines.join()).toContain('feed_gap')
    await torn.close()
  })

  test('AUTH5 a session ends with 4401 when its token does', async () => {
    const quick = await TestHouse.open({ settings: { tokenToleranceSeconds: 0, heartbeatMs: 200 } })
    const issued = await quick.ask('/tokens', {
      token: quick.operatorToken,
      body: { subject: 'brief', roles: ['bidder'], ttlSeconds: 2 },
    })
    const brief = await quick.client({ token: String(issued.body['token']) })
    expect(await brief.closed()).toBe(4401)
    const expired = quick.socket({ token: String(issued.body['token']) })
    expect(await expired.closed()).toBe(4401)
    expect((await quick.ask('/auctions', { token: String(issued.body['token']) })).status).toBe(401)
    await quick.close()
  })

  test('AUTH11 the operator revokes tokens: sessions end with 4401, requests with 401; later tokens are good', async () => {
    const shared = await TestHouse.open()
    const issue = async (subject: string): Promise<string> => {
      const body = { subject, roles: ['bidder'], ttlSeconds: 600 }
      return String((await shared.ask('/tokens', { token: shared.operatorToken, body })).body['token'])
    }
    const [ann, bob] = [await issue('ann'), await issue('bob')]
    const [annSession, bobSession] = [
      await shared.client({ token: ann }),
      await shared.client({ token: bob }),
    ]
    const revoke = (token: string, body: object) => shared.ask('/tokens/revoke', { token, body })
    expect((await revoke(bob, { subject: 'ann' })).status).toBe(403)
    expect(await revoke(shared.operatorToken, { subject: 'ann' })).toMatchObject({
      status: 200,
      body: { subject: 'ann', revoked: true },
    })
    expect(await annSession.closed()).toBe(4401)
    expect((await shared.ask('/auctions', { token: ann })).status).toBe(401)
    expect((await shared.ask('/auctions', { token: bob })).status).toBe(200)
    expect((await shared.ask('/auctions', { token: await issue('ann') })).status).toBe(200)

    const former = shared.operatorToken
    const kept = join(shared.dataDir, 'operator.token')
    expect((await revoke(former, {})).status).toBe(200)
    expect(await bobSession.closed()).toBe(4401)
    expect((await shared.ask('/house', { token: former })).status).toBe(401)
    await expect
      .poll(async () => (await shared.ask('/house', { token: readFileSync(kept, 'utf8').trim() })).status, {
        timeout: 5_000,
      })
      .toBe(200)
    await shared.close()
  })

  test('AUTH12 a token is renewed for no longer than it was good for, with its subject and roles', async () => {
    const shared = await TestHouse.open()
    const body = { subject: 'sam', roles: ['seller'], ttlSeconds: 600 }
    const issued = await shared.ask('/tokens', { token: shared.operatorToken, body })
    const renewed = await shared.ask('/tokens/renew', { token: String(issued.body['token']), body: {} })
    expect(renewed).toMatchObject({ status: 201, body: { subject: 'sam', roles: ['seller'] } })
    const lifeMs = Number(renewed.body['expiresAt']) - Date.now()
    expect(lifeMs).toBeLessThanOrEqual(600_000)
    expect(lifeMs).toBeGreaterThan(590_000)
    expect((await shared.ask('/auctions', { token: String(renewed.body['token']) })).status).toBe(200)
    expect((await shared.ask('/tokens/renew', { body: {} })).status).toBe(401)
    await shared.close()
  })

  test('FLOW9 silent sockets are pinged; one that does not answer is closed with 4408', async () => {
    const strict = await TestHouse.open({ settings: { heartbeatMs: 100 } })
    const alive = await strict.client()
    let pings = 0
    alive.socket.on('ping', () => {
      pings += 1
    })
    const dead = await strict.client()
    // ws answers pings by itself unless its sender is taken away.
    dead.socket.pong = () => undefined
    expect(await dead.closed()).toBe(4408)
    await eventually(() => pings >= 3)
    expect(alive.closeCode).toBeUndefined()
    await strict.close()
  })

  test('FLOW10 drain: not ready, a drain frame, bids still count, then 1012 and no new connections', async () => {
    const stopping = await TestHouse.open({ settings: { drainGraceMs: 60_000 } })
    const auctionId = await stopping.createAuction()
    const bidder = await stopping.client({ token: await stopping.tokenFor('ann', 'bidder') })
    const draining = stopping.server.drain()
    expect(await bidder.next('drain')).toEqual({ type: 'drain', graceMs: 60_000 })
    const unready = await stopping.ask('/readyz')
    expect(unready.status).toBe(503)
    expect(unready.body['code']).toBe('draining')
    expect((await stopping.ask('/livez')).status).toBe(200)
    const bid = { type: 'place_bid', auctionId, amount: 500, requestId: 'late' }
    expect(await bidder.ask(bid)).toMatchObject({ type: 'bid_accepted' })
    expect(await stopping.socket({}).closed()).toBe(1012)
    bidder.socket.close(1000)
    await draining
    await expect(stopping.ask('/up')).rejects.toThrow()
    await stopping.close()
  })

  test('FLOW10 bids in progress at the end of the grace get their answer before the 1012', async () => {
    const stopping = await TestHouse.open({ settings: { drainGraceMs: 1 } })
    const auctionId = await stopping.createAuction()
    const bidder = await stopping.client({ token: await stopping.tokenFor('ann', 'bidder') })
    let open = (): void => undefined
    stopping.cluster.replyGate = new Promise((resolve) => {
      open = resolve
    })
    const answer = bidder.ask({ type: 'place_bid', auctionId, amount: 500, requestId: 'under-way' })
    await eventually(() => stopping.cluster.applied.some(({ type }) => type === 'place_bid'))
    const closing = stopping.server.close()
    await bidder.next('drain')
    await eventually(() =>
      stopping.ask('/up').then(
        () => false,
        () => true,
      ),
    )
    const refused = await bidder.ask({ type: 'place_bid', auctionId, amount: 900, requestId: 'too-late' })
    expect(refused).toMatchObject({ type: 'error', code: 'draining' })
    open()
    expect(await answer).toMatchObject({ type: 'bid_accepted' })
    expect(await bidder.closed()).toBe(1012)
    await closing
    await stopping.close()
  })

  test('FLOW10 a second server takes the port as soon as the first has closed', async () => {
    const first = await TestHouse.open()
    const port = Number(new URL(first.server.url).port)
    await expect(TestHouse.open({ settings: { port } })).rejects.toThrow('in use')
    await first.close()
    const second = await TestHouse.open({ settings: { port } })
    expect((await second.ask('/up')).status).toBe(200)
    await second.close()
  })
})
