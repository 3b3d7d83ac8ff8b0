import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { auctionView } from '../../protocol/auction-view.ts'
import { problems } from '../../protocol/problems.ts'
import { InvariantError } from '../../runtime/assert.ts'
import { ClusterError, type Command } from '../../state-cluster/index.ts'
import { type Answer, TestHouse } from '../testing/test-server.ts'

let house: TestHouse
let seller: string
let ann: string
let bob: string

beforeAll(async () => {
  house = await TestHouse.open()
  seller = await house.tokenFor('sam', 'seller')
  ann = await house.tokenFor('ann', 'bidder')
  bob = await house.tokenFor('bob', 'bidder')
})
afterAll(() => house.close())
afterEach(() => {
  house.cluster.failure = undefined
  house.cluster.readFailure = undefined
  house.cluster.isReady = true
})

/** Checks that an answer is a problem of the catalogue. */
function expectProblem(answer: Answer, status: number, code: keyof typeof problems): void {
  expect(answer.body).toMatchObject({ code, status })
  expect(answer.status).toBe(status)
  expect(answer.headers.get('content-type')).toBe('application/problem+json')
  expect(answer.body['title']).toBe(problems[code].title)
  expect(answer.body['type']).toBe(`/problems/${code}`)
}

describe('routes', () => {
  test('HTTP1 an unknown path is 404, another method 405 with Allow, on any path', async () => {
    expectProblem(await house.ask('/nothing'), 404, 'not_found')
    expectProblem(await house.ask('/auctions/a/b/c'), 404, 'not_found')
    expectProblem(await house.ask('/'), 404, 'not_found')
    expectProblem(await house.ask('/%2e%2e/%2e%2e/etc/passwd'), 404, 'not_found')
    expectProblem(await house.ask('/nothing', { body: { a: 1 } }), 404, 'not_found')
    const answer = await house.ask('/auctions', { method: 'DELETE' })
    expectProblem(answer, 405, 'method_not_allowed')
    expect(answer.headers.get('allow')).toBe('GET, POST, HEAD, OPTIONS')
    expectProblem(await house.ask('/up', { body: {} }), 405, 'method_not_allowed')
    expectProblem(await house.ask('/auctions/%E0%A4%A'), 404, 'not_found')
    expectProblem(await house.ask('/auctions/%20'), 404, 'auction_not_found')
  })

  test('HTTP1 a trailing slash changes nothing, HEAD answers as GET without the body', async () => {
    expect((await house.ask('/auctions/')).status).toBe(200)
    const head = await house.ask('/up', { method: 'HEAD' })
    expect(head.status).toBe(200)
    expect(head.text).toBe('')
    expect(Number(head.headers.get('content-length'))).toBe((await house.ask('/up')).text.length)
  })

  test('HTTP2 a body that is not JSON, of another type, too large or not an object is refused with its own code', async () => {
    const send = (body: string | Uint8Array, type = 'application/json') =>
      house.ask('/buyers', { body, headers: { 'content-type': type } })
    expectProblem(await send('{'), 400, 'malformed_json')
    expectProblem(await send(''), 400, 'field_invalid')
    expectProblem(await send('[]'), 400, 'not_an_object')
    expectProblem(await send('null'), 400, 'not_an_object')
    expectProblem(await send(Buffer.from([0x7b, 0xff, 0xfe, 0x7d])), 400, 'malformed_json')
    expectProblem(await send(`{"a":${'['.repeat(2000)}${']'.repeat(2000)}}`), 400, 'too_deep')
    for (const type of ['multipart/form-data; boundary=x', 'application/xml', 'text/html', 'text/plainer'])
      expectProblem(await send('{"name":"x"}', type), 415, 'unsupported_media_type')
    for (const type of ['application/x-www-form-urlencoded', 'text/plain;charset=UTF-8', ''])
      expect((await send('{"name":"x"}', type)).status).toBe(201)
    expectProblem(await send('{"name":"x"}', 'application/jsonish'), 415, 'unsupported_media_type')
    expect((await send('{"name":"x"}', 'application/json; charset=utf-8')).status).toBe(201)
    expect((await send('{"name":"x"}', 'application/merge-patch+json')).status).toBe(201)
    expectProblem(await send(`{"name":"${'x'.repeat(70_000)}"}`), 413, 'body_too_large')
    expect((await house.ask('/up')).status).toBe(200)
  })

  test('HTTP2 a body of some megabytes is read away, so that its sender reads the 413', async () => {
    const socket = connect(Number(new URL(house.server.url).port), '127.0.0.1')
    let received = ''
    socket.on('data', (chunk) => {
      received += chunk.toString()
    })
    const ended = once(socket, 'close')
    const bytes = 8 * 1024 * 1024
    socket.write(`POST /buyers HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\n`)
    for (let sent = 0; sent < bytes; sent += 65_536) {
      expect(received).toBe('')
      if (!socket.write(Buffer.alloc(65_536, 0x20))) await once(socket, 'drain')
    }
    await ended
    expect(received).toContain('HTTP/1.1 413 ')
    expect(received.match(/^connection: close/gim)).toHaveLength(1)
    const asking = connect(Number(new URL(house.server.url).port), '127.0.0.1')
    asking.write(
      `POST /buyers HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: ${bytes}\r\n\r\n`,
    )
    const [answer] = (await once(asking, 'data')) as [Buffer]
    expect(answer.toString()).toContain('HTTP/1.1 413 ')
    asking.destroy()
  })

  test('HTTP2 an endless body without a declared length ends its connection at the bound', async () => {
    let sent = 0
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 8192
        if (sent > 50 * 1024 * 1024) controller.close()
        else controller.enqueue(new Uint8Array(8192).fill(0x20))
      },
    })
    const asked = fetch(`${house.server.url}/buyers`, {
      method: 'POST',
      body: endless,
      duplex: 'half',
      headers: { 'content-type': 'application/json' },
    } as RequestInit)
    const status = await asked.then(
      (response) => response.status,
      () => 'cut off',
    )
    expect([413, 'cut off']).toContain(status)
    expect(sent).toBeLessThan(50 * 1024 * 1024)
    expect((await house.ask('/up')).status).toBe(200)
  })
})

describe('health and metrics', () => {
  test('HTTP10 up and alive in any state of the cluster; ready only with a leader', async () => {
    house.cluster.isReady = false
    expect((await house.ask('/up')).status).toBe(200)
    expect((await house.ask('/livez')).status).toBe(200)
    const unready = await house.ask('/readyz')
    expectProblem(unready, 503, 'unavailable')
    expect(unready.headers.get('retry-after')).toBe('1')
    house.cluster.isReady = true
    expect((await house.ask('/readyz')).status).toBe(200)
  })

  test('HTTP11 metrics are for the operator network or an operator token, not through an unknown proxy', async () => {
    const answer = await house.ask('/metrics')
    expect(answer.status).toBe(200)
    expect(answer.text).toContain('martillo_server_open_sockets 0')
    expect(answer.text).toContain('martillo_server_bids_total{outcome="accepted"}')
    const forwarded = { 'x-forwarded-for': '127.0.0.1' }
    expectProblem(await house.ask('/metrics', { headers: forwarded }), 403, 'role_missing')
    expectProblem(await house.ask('/metrics', { headers: forwarded, token: ann }), 403, 'role_missing')
    expect((await house.ask('/metrics', { headers: forwarded, token: house.operatorToken })).status).toBe(200)
  })
})

describe('buyers', () => {
  test('HTTP5 a client without a token registers and gets one that may bid, and nothing else', async () => {
    const answer = await house.ask('/buyers', {
      body: { name: 'Cleo', interests: ['Ships', 'Maps', 'maps'], endpoint: 'https://cleo.example/hook' },
    })
    expect(answer.status).toBe(201)
    expect(answer.body).toMatchObject({
      name: 'Cleo',
      interests: ['ships', 'maps'],
      endpoint: 'https://cleo.example/hook',
    })
    const token = String(answer.body['token'])
    const auctionId = await house.createAuction()
    const bid = await house.ask('/bids', { token, body: { auctionId, amount: 100 } })
    expect(bid.status).toBe(201)
    expectProblem(await house.ask('/auctions', { token, body: {} }), 403, 'role_missing')
    expectProblem(await house.ask('/tokens', { token, body: {} }), 403, 'role_missing')
  })

  test('HTTP3 the same key gives the same buyer, with other content a refusal, without a key a new one', async () => {
    const key = '7c6c5a2e-6f7e-4d1e-9d7d-0c4c8a9c1b11'
    const body = { name: 'Dora', interests: ['maps'] }
    const first = await house.ask('/buyers', { key, body })
    const again = await house.ask('/buyers', { key, body })
    expect(again.status).toBe(201)
    expect(again.body['id']).toBe(first.body['id'])
    const other = await house.ask('/buyers', { key, body: { ...body, name: 'Eve' } })
    expectProblem(other, 422, 'duplicate_request_differs')
    const fresh = await house.ask('/buyers', { body })
    expect(fresh.body['id']).not.toBe(first.body['id'])
    expectProblem(await house.ask('/buyers', { key: 'x'.repeat(300), body }), 400, 'field_invalid')
  })

  test('HTTP16 a buyer that registers with an endpoint gets the secret of its notifications', async () => {
    const telling = await TestHouse.open({ webhookSecretOf: (buyerId) => `whsec_${buyerId}` })
    try {
      const endpoint = 'http://127.0.0.1:9/hook'
      const first = (await telling.ask('/buyers', { body: { name: 'Ada', endpoint } })).body
      expect(first['webhookSecret']).toBe(`whsec_${String(first['id'])}`)
      const token = String(first['token'])
      const again = (await telling.ask('/buyers', { body: { name: 'Ada', endpoint }, token })).body
      expect(again['webhookSecret']).toBe(first['webhookSecret'])
      const without = (await telling.ask('/buyers', { body: { name: 'Ben' } })).body
      expect(without).not.toHaveProperty('webhookSecret')
    } finally {
      await telling.close()
    }
    const silent = (await house.ask('/buyers', { body: { name: 'Ada', endpoint: 'http://127.0.0.1:9/' } }))
      .body
    expect(silent).not.toHaveProperty('webhookSecret')
  })

  test("HTTP5 a bidder's own token renews its own entry; an operator registers others", async () => {
    const own = await house.ask('/buyers', { token: ann, body: { name: 'Ann', interests: ['clocks'] } })
    expect(own.body['id']).toBe('ann')
    const other = await house.ask('/buyers', { token: house.operatorToken, body: { name: 'Fay' } })
    expect(other.body['id']).not.toBe('operator')
  })
})

describe('auctions', () => {
  test('HTTP6 a seller creates one: the view is public, and has no secret field', async () => {
    const answer = await house.ask('/auctions', {
      token: seller,
      body: {
        title: 'A ship in a bottle',
        tags: ['Ships'],
        basePrice: 1000,
        duration: 2,
        reserve: 777_777_777,
        buyNow: 999_999_999,
        currency: 'EUR',
        softClose: { windowMs: 1000, extensionMs: 2000 },
        item: { weight: '2 kg' },
      },
    })
    expect(answer.status).toBe(201)
    expect(answer.headers.get('location')).toBe(`/auctions/${answer.body['id']}`)
    expect(auctionView.safeParse(answer.body).success).toBe(true)
    expect(answer.body).toMatchObject({
      title: 'A ship in a bottle',
      tags: ['ships'],
      openingBid: 1000,
      askingBid: 1000,
      currency: 'EUR',
      status: 'open',
      format: 'english',
      reserve: 'not_met',
      buyNow: 999_999_999,
      bidCount: 0,
      sellerId: 'sam',
      owner: 'server-1',
      seq: 1,
      item: { weight: '2 kg' },
    })
    expect(Number(answer.body['closesAt']) - Number(answer.body['opensAt'])).toBe(120_000)
    expect(answer.text).not.toContain('777777777')
  })

  test('WIRE25 a view has every field of the contract in each status, null where there is no value', async () => {
    const bare = { title: 'A jug', openingBid: 100, durationMs: 60_000 }
    const make = async (more = {}) =>
      (await house.ask('/auctions', { token: seller, body: { ...bare, ...more } })).body
    const none = { item: null, price: null, highBidder: null, buyNow: null }
    const open = await make()
    expect(open).toMatchObject({ status: 'open', ...none })
    expect(await make({ opensAt: Date.now() + 60_000 })).toMatchObject({ status: 'scheduled', ...none })
    for (const field of ['hammerPrice', 'winner', 'you']) expect(open).not.toHaveProperty(field)
    const end = async (id: unknown, how: string) =>
      (await house.ask(`/auctions/${id}/${how}`, { token: seller, body: {} })).body
    const unsold = { ...none, hammerPrice: null, winner: null }
    expect(await end(open['id'], 'close')).toMatchObject({ status: 'passed', ...unsold })
    expect(await end((await make())['id'], 'cancel')).toMatchObject({ status: 'cancelled', ...unsold })
    const { id } = await make({ buyNow: 5000 })
    await house.ask('/bids', {
      token: await house.tokenFor('bob', 'bidder'),
      body: { auctionId: id, amount: 100 },
    })
    const led = { price: 100, highBidder: 'bidder-1', buyNow: null }
    expect((await house.ask(`/auctions/${id}`)).body).toMatchObject({ status: 'open', ...led })
    const sold = { status: 'sold', ...led, hammerPrice: 100, winner: 'bidder-1' }
    expect(await end(id, 'close')).toMatchObject(sold)
  })

  test('HTTP1 a plain request to the path of WebSockets is 426', async () => {
    const answer = await house.ask('/ws')
    expectProblem(answer, 426, 'upgrade_required')
    expect(answer.headers.get('upgrade')).toBe('websocket')
  })

  test('HTTP3 the same key gives the same auction, with other content a refusal', async () => {
    const body = { title: 'A lamp', openingBid: 1, durationMs: 60_000 }
    const first = await house.ask('/auctions', { token: seller, key: 'lamp-1', body })
    const again = await house.ask('/auctions', { token: seller, key: '"lamp-1"', body })
    expect([first.status, again.status]).toEqual([201, 201])
    expect(again.body['id']).toBe(first.body['id'])
    const other = await house.ask('/auctions', {
      token: seller,
      key: 'lamp-1',
      body: { ...body, openingBid: 2 },
    })
    expectProblem(other, 422, 'duplicate_request_differs')
    const someone = await house.ask('/auctions', { token: house.operatorToken, key: 'lamp-1', body })
    expect(someone.body['id']).not.toBe(first.body['id'])
  })

  test('HTTP7 creating needs a seller or an operator; impossible terms are 400 or 422', async () => {
    const body = { title: 'x', openingBid: 1, durationMs: 60_000 }
    expectProblem(await house.ask('/auctions', { body }), 401, 'token_missing')
    expectProblem(await house.ask('/auctions', { token: ann, body }), 403, 'role_missing')
    const bad = (change: object) => house.ask('/auctions', { token: seller, body: { ...body, ...change } })
    for (const change of [
      { title: '' },
      { title: 7 },
      { openingBid: 1.5 },
      { openingBid: -1 },
      { openingBid: '1' },
      { openingBid: 2 ** 53 },
      { durationMs: 0 },
      { durationMs: 1e15 },
      { tags: 'a' },
      { tags: Array.from({ length: 17 }, (_, at) => `t${at}`) },
      { currency: 'usd' },
      { increments: [{ from: 5, step: 1 }] },
      { softClose: { windowMs: 1 } },
      { opensAt: -1 },
      { item: 'x'.repeat(9000) },
      { basePrice: 2 },
    ])
      expectProblem(await bad(change), 400, 'field_invalid')
  })

  test('WIRE22 terms that contradict each other are 422 with the field and what it must be', async () => {
    const body = { title: 'x', openingBid: 500, durationMs: 60_000 }
    for (const [change, detail] of [
      [{ format: 'not-a-format' }, 'format must be one of english'],
      [{ buyNow: 0 }, 'buyNow must be at least 1 (minor units); leave it out where there is none'],
      [{ buyNow: 499 }, 'buyNow must be at least openingBid (500)'],
      [{ buyNow: 999, reserve: 1_000 }, 'buyNow must be at least reserve (1000)'],
    ] as const) {
      const answer = await house.ask('/auctions', { token: seller, body: { ...body, ...change } })
      expectProblem(answer, 422, 'terms_invalid')
      expect(answer.body['detail']).toBe(detail)
    }
  })

  test('HTTP7 its seller or an operator manages it, nobody else; the alias path cancels', async () => {
    const manage = (id: string, action: string, token: string | undefined, body: object = {}) =>
      house.ask(`/auctions/${id}/${action}`, { token, body })
    const make = async () => {
      const body = { title: 'x', openingBid: 1, durationMs: 60_000 }
      return String((await house.ask('/auctions', { token: seller, body })).body['id'])
    }
    const id = await make()
    const other = await house.tokenFor('sue', 'seller')
    expectProblem(await manage(id, 'close', undefined), 401, 'token_missing')
    expectProblem(await manage(id, 'close', ann), 403, 'role_missing')
    expectProblem(await manage(id, 'close', other), 403, 'not_the_seller')
    expectProblem(await manage('nothing', 'close', seller), 404, 'auction_not_found')
    expectProblem(await manage(id, 'resume', seller), 409, 'not_paused')
    expect((await manage(id, 'pause', seller)).body).toMatchObject({ status: 'paused' })
    expectProblem(
      await house.ask('/bids', { token: ann, body: { auctionId: id, amount: 5 } }),
      423,
      'auction_not_open',
    )
    expect((await manage(id, 'resume', house.operatorToken)).body).toMatchObject({ status: 'open' })
    const before = Number((await house.ask(`/auctions/${id}`)).body['closesAt'])
    const extended = await manage(id, 'extend', seller, { byMs: 5000 })
    expect(extended.status).toBe(200)
    expect(extended.body['closesAt']).toBe(before + 5000)
    expectProblem(await manage(id, 'extend', seller), 400, 'field_invalid')
    expect((await manage(id, 'close', seller)).body).toMatchObject({ status: 'passed' })
    expectProblem(await manage(id, 'close', seller), 423, 'auction_closed')
    const doomed = await make()
    const cancelled = await fetch(`${house.server.url}/auction/${doomed}/cancel`, {
      method: 'POST',
      headers: { authorization: `Bearer ${seller}` },
    })
    expect(cancelled.status).toBe(200)
    expect(await cancelled.json()).toMatchObject({ id: doomed, status: 'cancelled' })
  })

  test('HTTP18 a page of a listing is without items and bounded in bytes; its `next` goes on where it ended', async () => {
    const listed = await TestHouse.open()
    const tags = Array.from({ length: 16 }, (_, at) => `${at}-${'t'.repeat(60)}`)
    const terms = { title: 'A clock '.repeat(25).trim(), tags, item: { text: 'x'.repeat(8000) } }
    const ids: string[] = []
    for (let at = 0; at < 18; at += 1)
      ids.push(...(await Promise.all(Array.from({ length: 50 }, () => listed.createAuction(terms)))))
    const seen: string[] = []
    let after = ''
    let pages = 0
    do {
      const page = await listed.ask(`/auctions?limit=1000&after=${after}`)
      expect(page.text.length).toBeLessThan(1.3 * 1024 * 1024)
      const auctions = page.body['auctions'] as { id: string; item: unknown }[]
      expect(auctions.every(({ item }) => item === null)).toBe(true)
      seen.push(...auctions.map(({ id }) => id))
      after = String(page.body['next'] ?? '')
      pages += 1
    } while (after !== '')
    expect(pages).toBeGreaterThan(1)
    expect(seen.toSorted()).toEqual(ids.toSorted())
    expect((await listed.ask(`/auctions/${ids[0]}`)).body['item']).toEqual(terms.item)
    await listed.close()
  })

  test('HTTP8 a listing is paged and filtered by status and tag; a bad parameter is 400', async () => {
    const tag = 'paged'
    const made = []
    for (let at = 0; at < 5; at += 1) made.push(await house.createAuction({ tags: [tag] }))
    await house.ask(`/auctions/${made[2]}/close`, { token: house.operatorToken, body: {} })
    const ids = (answer: Answer) => (answer.body['auctions'] as { id: string }[]).map(({ id }) => id)
    const first = await house.ask(`/auctions?tag=Paged&limit=2`)
    expect(ids(first)).toEqual(made.slice(0, 2))
    const second = await house.ask(`/auctions?tag=paged&limit=2&after=${first.body['next']}`)
    expect(ids(second)).toEqual(made.slice(2, 4))
    const third = await house.ask(`/auctions?tag=paged&limit=2&after=${second.body['next']}`)
    expect(ids(third)).toEqual(made.slice(4))
    expect(third.body['next']).toBeUndefined()
    expect(ids(await house.ask('/auctions?tag=paged&status=passed'))).toEqual([made[2]])
    expect(ids(await house.ask('/auctions?tag=nobody'))).toEqual([])
    for (const bad of ['status=sleeping', 'limit=0', 'limit=1001', 'limit=x', 'limit=1.5', 'after=%00'])
      expectProblem(await house.ask(`/auctions?${bad}`), 400, 'field_invalid')
    expect(ids(await house.ask('/auctions?tag=paged&status=&after=&limit='))).toEqual(made)
    expect((await house.ask(`/auctions/${made[0]}/bids?after=&limit=`)).body).toEqual({ bids: [] })
  })
})

describe('bids', () => {
  test('HTTP6 a bid over HTTP has the shape of a reply over a socket, and the same rules', async () => {
    const auctionId = await house.createAuction()
    const bid = await house.ask('/bids', { token: ann, key: 'k1', body: { auctionId, price: 500 } })
    expect(bid.status).toBe(201)
    expect(bid.body).toEqual({
      type: 'bid_accepted',
      requestId: 'k1',
      auctionId,
      seq: 2,
      price: 100,
      askingBid: 125,
      you: { status: 'winning', maxBid: 500 },
    })
    const again = await house.ask('/bids', { token: ann, key: 'k1', body: { auctionId, amount: 500 } })
    expect(again.body).toEqual(bid.body)
    const differs = await house.ask('/bids', { token: ann, key: 'k1', body: { auctionId, amount: 600 } })
    expectProblem(differs, 422, 'duplicate_request_differs')
    expect((await house.ask(`/auctions/${auctionId}`)).body).toMatchObject({ bidCount: 1, price: 100 })
  })

  test('HTTP6 each refusal has its status: 409 lost, 422 a rule, 423 not open, 403, 404, 401, 400', async () => {
    const auctionId = await house.createAuction()
    const place = (token: string | undefined, body: object) =>
      house.ask('/bids', { token, body: { auctionId, ...body } })
    const low = await place(ann, { amount: 50 })
    expectProblem(low, 422, 'bid_too_low')
    expect(low.body['askingBid']).toBe(100)
    await place(ann, { amount: 1000 })
    const lost = await place(bob, { amount: 110 })
    expectProblem(lost, 409, 'bid_too_low')
    expect(lost.body['askingBid']).toBe(125)
    expectProblem(await place(ann, { amount: 900 }), 409, 'already_leading')
    expectProblem(await place(undefined, { amount: 900 }), 401, 'token_missing')
    expectProblem(await place(seller, { amount: 900 }), 403, 'not_a_bidder')
    expectProblem(await place(house.operatorToken, { amount: 900 }), 403, 'not_a_bidder')
    expectProblem(await place(ann, { amount: 900, auctionId: 'nothing' }), 404, 'auction_not_found')
    for (const amount of [1.5, -1, 2 ** 53])
      expectProblem(await place(ann, { amount }), 422, 'amount_invalid')
    expectProblem(await place(ann, { amount: 0 }), 409, 'already_leading')
    for (const amount of ['5', null, {}, [5], true])
      expectProblem(await place(ann, { amount }), 400, 'field_invalid')
    expectProblem(await place(ann, { amount: 5, kind: 'wild' }), 400, 'field_invalid')
    const both = await house.tokenFor('pat', 'seller', 'bidder')
    const own = await house.ask('/auctions', {
      token: both,
      body: { title: 'x', openingBid: 1, durationMs: 60_000 },
    })
    expectProblem(await place(both, { amount: 5, auctionId: own.body['id'] }), 403, 'own_auction')
    await house.ask(`/auctions/${auctionId}/close`, { token: house.operatorToken, body: {} })
    expectProblem(await place(bob, { amount: 9000 }), 423, 'auction_closed')
  })

  test('HTTP6 buying at once ends the auction; where it is gone the answer is 409', async () => {
    const auctionId = await house.createAuction({ buyNow: 5000 })
    const taken = await house.ask(`/auctions/${auctionId}/buy-now`, { token: ann, body: {} })
    expect(taken.status).toBe(201)
    expect(taken.body).toMatchObject({ price: 5000, you: { status: 'won' } })
    const plain = await house.createAuction()
    expectProblem(
      await house.ask(`/auctions/${plain}/buy-now`, { token: ann, body: {} }),
      409,
      'buy_now_gone',
    )
  })

  test('HTTP9 the history is public by alias; a bidder sees its own amounts in it and nobody else does', async () => {
    const auctionId = await house.createAuction()
    await house.ask('/bids', { token: ann, key: 'a1', body: { auctionId, amount: 777_777_777 } })
    await house.ask('/bids', { token: bob, key: 'b1', body: { auctionId, amount: 300, kind: 'exact' } })
    await house.ask(`/auctions/${auctionId}/extend`, { token: house.operatorToken, body: { byMs: 1000 } })
    await house.ask('/bids', { token: bob, key: 'b2', body: { auctionId, amount: 400 } })
    const open = await house.ask(`/auctions/${auctionId}/bids`)
    expect(open.body['bids']).toMatchObject([
      {
        seq: 2,
        bidder: 'bidder-1',
        highBidder: 'bidder-1',
        price: 100,
        bidCount: 1,
        reserve: 'none',
        epoch: 1,
      },
      { seq: 3, bidder: 'bidder-2', highBidder: 'bidder-1', price: 325, bidCount: 2 },
      { seq: 5, bidder: 'bidder-2', highBidder: 'bidder-1', bidCount: 3 },
    ])
    expect(open.text).not.toMatch(/777777777|ann|bob|"you"/)
    const own = await house.ask(`/auctions/${auctionId}/bids`, { token: bob })
    expect((own.body['bids'] as { you?: unknown }[]).map(({ you }) => you)).toEqual([
      undefined,
      { amount: 300, kind: 'exact', requestId: 'b1' },
      { amount: 400, kind: 'max', requestId: 'b2' },
    ])
    expect(own.text).not.toContain('777777777')
    const page = await house.ask(`/auctions/${auctionId}/bids?limit=2`)
    expect(page.body['next']).toBe(3)
    const rest = await house.ask(`/auctions/${auctionId}/bids?limit=2&after=3`)
    expect((rest.body['bids'] as { seq: number }[]).map(({ seq }) => seq)).toEqual([5])
    expect(rest.body['next']).toBeUndefined()
    expectProblem(await house.ask('/auctions/nothing/bids'), 404, 'auction_not_found')
    expectProblem(await house.ask(`/auctions/${auctionId}/bids?after=x`), 400, 'field_invalid')
    const view = await house.ask(`/auctions/${auctionId}`, { token: ann })
    expect(view.body['you']).toEqual({ status: 'winning', maxBid: 777_777_777 })
    expect((await house.ask(`/auctions/${auctionId}`)).body['you']).toBeUndefined()
  })
})

describe('tokens over HTTP', () => {
  test('AUTH2 an invalid token is 401 on every route that needs one, and on public ones too', async () => {
    for (const authorization of ['Bearer nonsense', 'Basic abc', 'Bearer', 'Bearer a b'])
      for (const path of ['/auctions', '/metrics']) {
        const answer = await house.ask(path, { headers: { authorization } })
        expectProblem(answer, 401, 'token_invalid')
        expect(answer.headers.get('www-authenticate')).toBe('Bearer')
      }
    const posted = await house.ask('/bids', { token: 'x.y.z', body: {} })
    expectProblem(posted, 401, 'token_invalid')
  })

  test('AUTH6 an operator issues tokens for any roles and lifetime', async () => {
    const answer = await house.ask('/tokens', {
      token: house.operatorToken,
      body: { subject: 'zoe', roles: ['seller', 'bidder'], ttlSeconds: 60 },
    })
    expect(answer.status).toBe(201)
    expect(answer.body).toMatchObject({ subject: 'zoe', roles: ['seller', 'bidder'] })
    expectProblem(
      await house.ask('/tokens', { body: { subject: 'zoe', roles: ['bidder'] } }),
      401,
      'token_missing',
    )
    const bad = (body: object) => house.ask('/tokens', { token: house.operatorToken, body })
    expectProblem(await bad({ subject: 'a b', roles: ['bidder'] }), 400, 'field_invalid')
    expectProblem(await bad({ subject: 'zoe', roles: [] }), 400, 'field_invalid')
    expectProblem(await bad({ subject: 'zoe', roles: ['root'] }), 400, 'field_invalid')
    expectProblem(await bad({ subject: 'zoe', roles: ['bidder'], ttlSeconds: 0 }), 400, 'field_invalid')
  })
})

describe('failures behind the edge', () => {
  test('REQUEST9 a repeat says its age, and one whose answer is forgotten is 409 without Retry-After', async () => {
    const auctionId = await house.createAuction()
    const proposed: Command[] = []
    const { propose } = house.cluster
    house.cluster.propose = async (groupId, command) => {
      proposed.push(command)
      if ('ageMs' in command) return { ok: false, code: 'outcome_unknown' }
      return await propose.call(house.cluster, groupId, command)
    }
    const bid = { token: ann, body: { auctionId, amount: 500 }, key: 'k' }
    expect((await house.ask('/bids', bid)).status).toBe(201)
    const answer = await house.ask('/bids', { ...bid, headers: { 'idempotency-age': '61000' } })
    expectProblem(answer, 409, 'outcome_unknown')
    expect(answer.headers.get('retry-after')).toBeNull()
    expect(proposed.map((command) => ('ageMs' in command ? command.ageMs : undefined))).toEqual([
      undefined,
      61_000,
    ])
    house.cluster.propose = propose
    for (const age of ['-1', '1.5', 'old'])
      expectProblem(
        await house.ask('/bids', { ...bid, headers: { 'idempotency-age': age } }),
        400,
        'field_invalid',
      )
  })

  test('CLOSE8 an act names the state that it expects, and in another it is state_changed', async () => {
    const auctionId = await house.createAuction()
    const view = async () =>
      (await house.ask(`/auctions/${auctionId}`)).body as { closesAt: number; seq: number }
    const { closesAt, seq } = await view()
    const extend = (expect: object) =>
      house.ask(`/auctions/${auctionId}/extend`, {
        token: house.operatorToken,
        body: { byMs: 60_000, expect },
      })
    expect((await extend({ closesAt, seq })).status).toBe(200)
    expectProblem(await extend({ closesAt }), 409, 'state_changed')
    expectProblem(await extend({ seq }), 409, 'state_changed')
    expectProblem(await extend({ seq: -1 }), 400, 'field_invalid')
    const pause = { token: house.operatorToken, body: { expect: { closesAt } } }
    expectProblem(await house.ask(`/auctions/${auctionId}/pause`, pause), 409, 'state_changed')
    expect((await view()).closesAt).toBe(closesAt + 60_000)
  })

  test('HTTP14 no leader, an unknown outcome and full queues are 503 with Retry-After, each with its code', async () => {
    const auctionId = await house.createAuction()
    const body = { auctionId, amount: 500 }
    for (const [failure, code] of [
      ['unavailable', 'unavailable'],
      ['unknown', 'outcome_unknown'],
      ['overloaded', 'overloaded'],
      ['stopped', 'draining'],
    ] as const) {
      house.cluster.failure = failure
      const answer = await house.ask('/bids', { token: ann, body })
      expectProblem(answer, 503, code)
      expect(answer.headers.get('retry-after')).toBe('1')
    }
    house.cluster.failure = undefined
    house.cluster.readFailure = new ClusterError('unavailable', 'no leader')
    expectProblem(await house.ask('/auctions'), 503, 'unavailable')
  })

  test('HTTP15 a handler that fails is 500 and logged once, and the server continues', async () => {
    house.cluster.readFailure = new Error('a fault of ours with a secret in it')
    const answer = await house.ask('/auctions')
    expectProblem(answer, 500, 'internal')
    expect(answer.text).not.toContain('secret')
    expect(house.logLines.filter((line) => line.includes('handler_failed'))).toHaveLength(1)
    house.cluster.readFailure = undefined
    expect((await house.ask('/auctions')).status).toBe(200)
  })

  test('HTTP15 a broken invariant is answered too, and then ends the process', async () => {
    const thrown: unknown[] = []
    const before = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    const caught = new Promise<void>((resolve) =>
      process.once('uncaughtException', (error) => {
        thrown.push(error)
        resolve()
      }),
    )
    house.cluster.readFailure = new InvariantError('made on purpose')
    expectProblem(await house.ask('/auctions'), 500, 'internal')
    await caught
    for (const listener of before) process.on('uncaughtException', listener)
    expect(thrown[0]).toBeInstanceOf(InvariantError)
  })
})

describe('other origins', () => {
  test('HTTP13 any page may use the API, with its headers, and read errors too', async () => {
    const headers = {
      origin: 'https://shop.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type,idempotency-key',
    }
    const preflight = await house.ask('/bids', { method: 'OPTIONS', headers })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*')
    expect(preflight.headers.get('access-control-allow-methods')).toContain('POST')
    expect(preflight.headers.get('access-control-allow-headers')).toContain('Idempotency-Key')
    const refused = await house.ask('/bids', { body: {}, headers: { origin: 'https://shop.example' } })
    expect(refused.status).toBe(401)
    expect(refused.headers.get('access-control-allow-origin')).toBe('*')
    expect(refused.headers.get('access-control-expose-headers')).toContain('Retry-After')
    expect((await house.ask('/up')).headers.get('access-control-allow-origin')).toBeNull()
  })

  test('HTTP17 a preflight has no length, and allows the headers that a page asks for, ours among them', async () => {
    const asked = 'authorization, traceparent,X-Request-Id, bad header, a(b'
    const preflight = await house.ask('/bids', {
      method: 'OPTIONS',
      headers: {
        origin: 'https://shop.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': asked,
      },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('content-length')).toBeNull()
    expect(preflight.headers.get('access-control-allow-headers')).toBe(
      'Authorization, Content-Type, Idempotency-Key, Idempotency-Age, traceparent, X-Request-Id',
    )
    const plain = await house.ask('/bids', { method: 'OPTIONS' })
    expect(plain.status).toBe(204)
    expect(plain.headers.get('content-length')).toBeNull()
  })

  test('HTTP13 where origins are listed, only those may use the API', async () => {
    const strict = await TestHouse.open({ settings: { corsOrigins: ['https://shop.example'] } })
    const from = (origin: string) => strict.ask('/up', { headers: { origin } })
    const allowed = await from('https://shop.example')
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://shop.example')
    expect(allowed.headers.get('vary')).toBe('Origin')
    expect((await from('https://evil.example')).headers.get('access-control-allow-origin')).toBeNull()
    await strict.close()
  })
})

describe('registration', () => {
  test('HTTP5 a house that is closed to strangers still lets its operator register buyers', async () => {
    const closed = await TestHouse.open({ settings: { registrationOpen: false } })
    expectProblem(await closed.ask('/buyers', { body: { name: 'x' } }), 403, 'registration_closed')
    expect((await closed.ask('/buyers', { body: { name: 'x' }, token: closed.operatorToken })).status).toBe(
      201,
    )
    await closed.close()
  })
})
