import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import type { AuctionId, GroupId, SubjectId } from '../protocol/ids.ts'
import { writeMsgpack } from '../protocol/msgpack.ts'
import { frameOf, opcodes, RawClient } from '../tests/raw-client.ts'
import { eventually, type Frame, TestHouse } from './testing/test-server.ts'

let house: TestHouse
afterEach(() => house.close())

const group = 0 as GroupId

/** The value of one line of /metrics. */
async function metric(name: string): Promise<number> {
  const { text } = await house.ask('/metrics', { token: house.operatorToken })
  const line = text.split('\n').find((one) => one.startsWith(`${name} `))
  return Number(line?.slice(name.length + 1))
}

/** Events of an auction as the feed would bring them, each of about 10 KB, a turn between every few. */
async function flood(auctionId: string, fromSeq: number, count: number): Promise<void> {
  const padding = 'x'.repeat(10_000)
  for (let at = 0; at < count; at += 20) {
    const events = Array.from({ length: Math.min(20, count - at) }, (_, offset) => ({
      type: 'auction_sold' as const,
      auctionId: auctionId as AuctionId,
      seq: fromSeq + at + offset,
      epoch: 1,
      atMs: 1,
      hammerPrice: 1,
      winner: padding,
    }))
    house.cluster.inject({ groupId: group, index: 1000 + at, atMs: 1, hasOutboxEntries: false, events })
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('rates', () => {
  test('RATE3 frames beyond the rate are answered rate_limited; a client that continues is closed with 4429', async () => {
    house = await TestHouse.open({ settings: { framesPerSecond: 1, framesBurst: 50 } })
    const flooding = await house.client()
    for (let at = 0; at < 5000; at += 1) flooding.send({ type: 'sync_time', id: at, t0: at })
    expect(await flooding.closed()).toBe(4429)
    expect(flooding.all('time').length).toBeGreaterThanOrEqual(50)
    expect(flooding.all('time').length).toBeLessThan(100)
    const held = flooding.all('error')
    expect(held.length).toBeGreaterThan(100)
    expect(held.every(({ code, retryAfterMs }) => code === 'rate_limited' && Number(retryAfterMs) > 0)).toBe(
      true,
    )
    expect(held[0]?.['replyTo']).toBe(flooding.all('time').length)
    const operator = await house.client({ token: house.operatorToken })
    for (let at = 0; at < 500; at += 1) operator.send({ type: 'sync_time', id: at, t0: at })
    await operator.until(() => operator.all('time').length === 500, 'all answers')
  })

  test('RATE12 pings and pongs count as frames do: beyond the rate the socket is closed, read or not', async () => {
    house = await TestHouse.open({ settings: { framesPerSecond: 1, framesBurst: 50 } })
    const payloads = ['5', 'null', '{"serverTime":1,"auctionId":"a"}', '']
    for (const opcode of [opcodes.ping, opcodes.pong])
      for (const payload of payloads) {
        const client = await RawClient.openWebSocket(house.server.url)
        client.pause()
        await client.flood(frameOf(opcode, payload), 5000)
        client.resume()
        await client.ended
        const closing = Buffer.from([4429 >> 8, 4429 & 255])
        expect(client.received.subarray(-30).includes(closing), `${opcode} ${payload}`).toBe(true)
        client.destroy()
      }
    const operator = await RawClient.openWebSocket(house.server.url, {
      authorization: `Bearer ${house.operatorToken}`,
    })
    // Until its token is verified it is a client like any other.
    await operator.until((text) => text.includes('"type":"hello"'))
    await operator.flood(frameOf(opcodes.ping, 'x'), 1000)
    await operator.until((text) => text.split('\u008a\u0001x').length > 1000)
    operator.destroy()
    expect(house.logLines.filter((line) => line.includes('handler_failed'))).toEqual([])
  })

  test("RATE4 a bidder's bids share one rate, over all its sockets and HTTP, apart from other bidders'", async () => {
    house = await TestHouse.open({ settings: { bidsPerSecond: 1, bidsBurst: 10 } })
    const auctionId = await house.createAuction()
    const ann = await house.tokenFor('ann', 'bidder')
    const one = await house.client({ token: ann })
    const two = await house.client({ token: ann, binary: true })
    const bid = (at: number) => ({ type: 'place_bid', auctionId, amount: 100, requestId: `r${at}` })
    const answers: Frame[] = []
    for (let at = 0; at < 20; at += 1) answers.push(await (at % 2 === 0 ? one : two).ask(bid(at)))
    const limited = answers.filter(({ code }) => code === 'rate_limited')
    expect(limited.length).toBeGreaterThan(5)
    expect(answers.slice(0, 10).every(({ code }) => code !== 'rate_limited')).toBe(true)
    expect(Number(limited[0]?.['retryAfterMs'])).toBeGreaterThan(0)
    const overHttp = await house.ask('/bids', { token: ann, body: { auctionId, amount: 100 } })
    expect(overHttp.status).toBe(429)
    expect(overHttp.body['code']).toBe('rate_limited')
    expect(Number(overHttp.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    const bob = await house.tokenFor('bob', 'bidder')
    expect((await house.ask('/bids', { token: bob, body: { auctionId, amount: 9000 } })).status).toBe(201)
  })

  test('RATE5 requests count by address without a token, by subject with one; probes and operators do not', async () => {
    house = await TestHouse.open({ settings: { requestsPerSecond: 1, requestsBurst: 10 } })
    const ann = await house.tokenFor('ann', 'bidder')
    const statuses = []
    for (let at = 0; at < 15; at += 1) statuses.push((await house.ask('/auctions')).status)
    expect(statuses.slice(0, 10)).toEqual(Array(10).fill(200))
    expect(statuses.at(-1)).toBe(429)
    const limited = await house.ask('/auctions')
    expect(limited.body['code']).toBe('rate_limited')
    expect(Number(limited.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect((await house.ask('/auctions', { token: ann })).status).toBe(200)
    for (let at = 0; at < 30; at += 1) {
      expect((await house.ask('/auctions', { token: house.operatorToken })).status).toBe(200)
      expect((await house.ask('/livez')).status).toBe(200)
    }
    const refused = house.socket({})
    expect(await refused.closed()).toBe(1006)
    await house.client({ token: ann })
    for (let at = 0; at < 20; at += 1) await house.ask('/auctions', { token: 'nonsense' })
    expect((await house.ask('/auctions', { token: 'nonsense' })).status).toBe(429)
  })

  test('RATE5 the address that a proxy reports counts only if that proxy is trusted', async () => {
    const settings = { requestsPerSecond: 1, requestsBurst: 5, trustedProxies: '127.0.0.1,10.0.0.0/8' }
    house = await TestHouse.open({ settings })
    const from = async (chain: string) =>
      (await house.ask('/auctions', { headers: { 'x-forwarded-for': chain } })).status
    for (let at = 0; at < 20; at += 1) expect(await from(`192.0.2.${at}`)).toBe(200)
    const same = []
    for (let at = 0; at < 10; at += 1) same.push(await from(`203.0.113.${at}, 192.0.2.99, 10.1.1.1`))
    expect(same).toContain(429)
    await house.close()
    house = await TestHouse.open({ settings: { requestsPerSecond: 1, requestsBurst: 5 } })
    const untrusted = []
    for (let at = 0; at < 10; at += 1) untrusted.push(await from(`192.0.2.${at}`))
    expect(untrusted).toContain(429)
  })

  test('RATE6 registrations have a rate of their own', async () => {
    house = await TestHouse.open({ settings: { registrationsPerSecond: 1, registrationsBurst: 3 } })
    const statuses = []
    for (let at = 0; at < 6; at += 1)
      statuses.push((await house.ask('/buyers', { body: { name: 'x' } })).status)
    expect(statuses).toEqual([201, 201, 201, 429, 429, 429])
    const operator = await house.ask('/buyers', { body: { name: 'x' }, token: house.operatorToken })
    expect(operator.status).toBe(201)
  })
})

describe('counts', () => {
  test('RATE7 sockets are bounded: by address 4429, of the server 1013; a closed one makes room', async () => {
    house = await TestHouse.open({ settings: { socketsMax: 4, socketsPerAddressMax: 3 } })
    const open = [await house.client(), await house.client(), await house.client()]
    expect(await house.socket({}).closed()).toBe(4429)
    const ann = await house.tokenFor('ann', 'bidder')
    await house.client({ token: ann })
    expect(await house.socket({ token: ann }).closed()).toBe(1013)
    expect(await house.socket({}).closed()).toBe(1013)
    await house.client({ token: house.operatorToken })
    expect(await metric('martillo_server_open_sockets')).toBe(5)
    for (const client of open) client.socket.close(1000)
    await eventually(async () => (await metric('martillo_server_open_sockets')) === 2)
    await house.client()
  })

  test('RATE9 ten thousand subscriptions at once: those within the bound are taken, the others limit_exceeded, the socket lives', async () => {
    house = await TestHouse.open({ settings: { subscriptionsPerSocketMax: 1000 } })
    const auctions: string[] = []
    for (let at = 0; at < 30; at += 1)
      auctions.push(...(await Promise.all(Array.from({ length: 50 }, () => house.createAuction()))))
    const greedy = await house.client()
    for (let at = 0; at < 10_000; at += 1)
      greedy.send({ type: 'subscribe', id: at, auctionId: auctions[at] ?? `nothing-${at}` })
    await greedy.until(
      () => greedy.all('subscribed').length + greedy.all('error').length === 10_000,
      'all answers',
    )
    expect(greedy.all('subscribed')).toHaveLength(1000)
    expect(greedy.all('error').every(({ code }) => code === 'limit_exceeded')).toBe(true)
    expect(await metric('martillo_server_subscriptions')).toBe(1000)
    expect(await greedy.ask({ type: 'subscribe', auctionId: auctions[5] })).toMatchObject({
      type: 'subscribed',
    })
    await greedy.ask({ type: 'unsubscribe', auctionId: auctions[5] })
    expect(await greedy.ask({ type: 'subscribe', auctionId: auctions[1200] })).toMatchObject({
      type: 'subscribed',
    })
    greedy.terminate()
    await eventually(async () => (await metric('martillo_server_subscriptions')) === 0)
  })

  test('RATE4 a thousand bids at once on one socket, then a thousand over HTTP, are within the default rates', async () => {
    house = await TestHouse.open({})
    const auctionId = await house.createAuction()
    const token = await house.tokenFor('bob', 'bidder')
    const bidder = await house.client({ token })
    for (let at = 0; at < 1000; at += 1)
      bidder.send({ type: 'place_bid', id: at, auctionId, amount: 1000 + at, requestId: `r${at}` })
    await bidder.until(() => bidder.all('bid_accepted').length === 1000, 'all answers')
    for (let at = 0; at < 1000; at += 1) {
      const { status } = await house.ask('/bids', { token, body: { auctionId, amount: 2000 + at } })
      expect(status).toBe(201)
    }
  })

  test('RATE9 all subscriptions of a server are bounded too', async () => {
    house = await TestHouse.open({ settings: { subscriptionsMax: 3, subscriptionsPerSocketMax: 2 } })
    const auctions = await Promise.all([1, 2, 3, 4].map(() => house.createAuction()))
    const one = await house.client()
    const two = await house.client()
    for (const auctionId of auctions.slice(0, 2)) await one.ask({ type: 'subscribe', auctionId })
    expect(await two.ask({ type: 'subscribe', auctionId: auctions[2] })).toMatchObject({ type: 'subscribed' })
    expect(await two.ask({ type: 'subscribe', auctionId: auctions[3] })).toMatchObject({ code: 'overloaded' })
  })

  test('RATE10 bids that wait for their answer are bounded per socket; the others may be sent again', async () => {
    house = await TestHouse.open({ settings: { commandsPerSocketMax: 5 } })
    const auctionId = await house.createAuction()
    const eager = await house.client({ token: await house.tokenFor('ann', 'bidder') })
    let open = (): void => undefined
    house.cluster.replyGate = new Promise((resolve) => {
      open = resolve
    })
    for (let at = 0; at < 8; at += 1)
      eager.send({ type: 'place_bid', id: at, auctionId, amount: 100 + at, requestId: `r${at}` })
    await eager.until(() => eager.all('error').length === 3, 'three errors')
    expect(eager.all('error')).toMatchObject([5, 6, 7].map((replyTo) => ({ code: 'overloaded', replyTo })))
    open()
    await eager.until(() => eager.all('bid_accepted').length === 5, 'five answers')
    expect(await eager.ask({ type: 'place_bid', auctionId, amount: 107, requestId: 'r7' })).toMatchObject({
      type: 'bid_accepted',
    })
  })

  test('RATE10 requests that wait for their answer are bounded; the others are 503', async () => {
    house = await TestHouse.open({ settings: { requestsMax: 3 } })
    let open = (): void => undefined
    house.cluster.readGate = new Promise((resolve) => {
      open = resolve
    })
    const waiting = [1, 2, 3].map(() => house.ask('/auctions'))
    let refused = await house.ask('/auctions/x')
    while (refused.status !== 503) refused = await house.ask('/auctions/x')
    expect(refused.body['code']).toBe('overloaded')
    for (const probe of ['/livez', '/up']) expect((await house.ask(probe)).status).toBe(200)
    open()
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([200, 200, 200])
  })
})

describe('what a client holds', () => {
  const post = (path: string, headers: string, body: string): string =>
    `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${headers}\r\n${body}`

  async function sendSlowly(count: number, text: string): Promise<readonly RawClient[]> {
    const clients = await Promise.all(Array.from({ length: count }, () => RawClient.open(house.server.url)))
    for (const client of clients) client.write(text)
    return clients
  }

  test('RATE13 slow bodies take the slots of their address, and no others: probes, operators and known subjects go on', async () => {
    house = await TestHouse.open({ settings: { requestsPerAddressMax: 5 } })
    const ann = await house.tokenFor('ann', 'bidder')
    const auctionId = await house.createAuction()
    expect((await house.ask(`/auctions/${auctionId}`, { token: ann })).status).toBe(200)
    const slow = await sendSlowly(5, post('/buyers', 'Content-Length: 100\r\n', '{'))
    await eventually(async () => (await house.ask('/auctions')).status === 503)
    const refused = await house.ask('/auctions')
    expect(refused.body['code']).toBe('overloaded')
    expect(refused.headers.get('retry-after')).toBe('1')
    for (const probe of ['/up', '/livez', '/readyz']) expect((await house.ask(probe)).status).toBe(200)
    expect((await house.ask('/auctions', { token: house.operatorToken })).status).toBe(200)
    expect((await house.ask('/bids', { token: ann, body: { auctionId, amount: 100 } })).status).toBe(201)
    for (const client of slow) client.destroy()
    await eventually(async () => (await house.ask('/auctions')).status === 200)
  })

  test('RATE13 slots that strangers of many addresses hold leave the operator its own', async () => {
    house = await TestHouse.open({ settings: { requestsMax: 3, trustedProxies: '127.0.0.1' } })
    const slow = await Promise.all(
      [1, 2, 3].map((at) =>
        sendSlowly(1, post('/buyers', `X-Forwarded-For: 192.0.2.${at}\r\nContent-Length: 100\r\n`, '{')),
      ),
    )
    await eventually(async () => (await house.ask('/auctions')).status === 503)
    expect((await house.ask('/auctions', { token: house.operatorToken })).status).toBe(200)
    for (const client of slow.flat()) client.destroy()
    await eventually(async () => (await house.ask('/auctions')).status === 200)
  })

  test('RATE13 bytes of bodies are held within a budget before they are read, declared or not', async () => {
    house = await TestHouse.open({ settings: { heldBytesPerAddressMax: 2 * 64 * 1024 } })
    const slow = [
      ...(await sendSlowly(1, post('/buyers', `Content-Length: ${64 * 1024}\r\n`, '{'))),
      ...(await sendSlowly(1, post('/buyers', 'Transfer-Encoding: chunked\r\n', '1\r\n{\r\n'))),
    ]
    await eventually(async () => (await house.ask('/buyers', { body: { name: 'x' } })).status === 503)
    expect((await house.ask('/auctions')).status).toBe(200)
    for (const client of slow) client.destroy()
    await eventually(async () => (await house.ask('/buyers', { body: { name: 'x' } })).status === 201)
  })

  test('RATE14 frames and bodies count in bytes too, by address or subject: rate_limited, 429, then 4429', async () => {
    house = await TestHouse.open({ settings: { bytesPerSecond: 1024, bytesBurst: 64 * 1024 } })
    const padding = 'x'.repeat(15_000)
    const one = await house.client()
    const two = await house.client()
    const answers = []
    for (let at = 0; at < 10; at += 1)
      answers.push(await (at % 2 === 0 ? one : two).ask({ type: 'sync_time', t0: at, padding }))
    expect(answers.slice(0, 4).every(({ type }) => type === 'time')).toBe(true)
    expect(answers.at(-1)).toMatchObject({ code: 'rate_limited' })
    expect(Number(answers.at(-1)?.['retryAfterMs'])).toBeGreaterThan(0)
    const refused = await house.ask('/buyers', { body: { name: 'x', padding } })
    expect(refused.status).toBe(429)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    const ann = await house.client({ token: await house.tokenFor('ann', 'bidder') })
    expect(await ann.ask({ type: 'sync_time', t0: 1, padding })).toMatchObject({ type: 'time' })
    for (let at = 0; at < 500; at += 1) one.send({ type: 'sync_time', id: at, t0: at, padding })
    expect(await one.closed()).toBe(4429)
  })

  test('RATE15 sockets that wait for their token count by address; one that ends makes room', async () => {
    const asking = new Set<Socket>()
    const keys = createServer((socket) => asking.add(socket)).listen(0, '127.0.0.1')
    await once(keys, 'listening')
    const jwksUrl = `http://127.0.0.1:${(keys.address() as AddressInfo).port}/keys`
    house = await TestHouse.open({ settings: { jwksUrl, socketsPerAddressMax: 3 } })
    const header = Buffer.from('{"alg":"RS256","kid":"1"}').toString('base64url')
    const headers = { authorization: `Bearer ${header}.e30.c2ln` }
    const waiting = await Promise.all([1, 2, 3].map(() => RawClient.openWebSocket(house.server.url, headers)))
    const closing = Buffer.from([4429 >> 8, 4429 & 255])
    const refused = await RawClient.openWebSocket(house.server.url, headers)
    await refused.ended
    expect(refused.received.includes(closing)).toBe(true)
    // Those without a token, and the house's own, do not wait for anybody's keys.
    await house.client()
    await house.client({ token: house.operatorToken })
    waiting[0]?.destroy()
    await eventually(async () => {
      const another = await RawClient.openWebSocket(house.server.url, headers)
      await new Promise((resolve) => setTimeout(resolve, 20))
      another.destroy()
      return !another.received.includes(closing)
    })
    for (const client of [...waiting, refused]) client.destroy()
    for (const socket of asking) socket.destroy()
    keys.close()
  })
})

describe('clients that do not read', () => {
  test('FLOW4 a slow reader gets the latest after a resync; the others get everything; memory stays bounded', async () => {
    house = await TestHouse.open()
    const auctionId = await house.createAuction()
    const slow = await house.client()
    const quick = await house.client()
    for (const client of [slow, quick]) await client.ask({ type: 'subscribe', auctionId })
    slow.socket.pause()
    const before = process.memoryUsage().rss
    const count = 4000
    // Piece by piece, so that on a busy machine the quick client is never a slow reader itself.
    const piece = 40
    for (let from = 2; from < count + 2; from += piece) {
      await flood(auctionId, from, piece)
      await quick.until(() => quick.frames.at(-1)?.['seq'] === from + piece - 1, 'the last event of a piece')
    }
    expect(quick.all('auction_sold').map(({ seq }) => seq)).toEqual(
      Array.from({ length: count }, (_, at) => at + 2),
    )
    expect(quick.all('resync')).toEqual([])
    slow.socket.resume()
    await slow.until(() => slow.frames.at(-1)?.['seq'] === count + 1, 'the last event')
    const stream = slow.frames.filter(({ type }) => type === 'auction_sold' || type === 'resync')
    let lastSeq = 1
    let resyncs = 0
    for (const frame of stream) {
      if (frame.type === 'resync') {
        resyncs += 1
        expect(frame['expected']).toBe(lastSeq + 1)
        lastSeq = Number(frame['current'])
      } else {
        expect(frame['seq']).toBe(lastSeq + 1)
        lastSeq += 1
      }
    }
    expect(resyncs).toBeGreaterThanOrEqual(1)
    expect(stream.length).toBeLessThan(count)
    expect(await metric('martillo_server_resyncs_total')).toBe(resyncs)
    await flood(auctionId, count + 2, 20)
    await slow.until(() => slow.frames.at(-1)?.['seq'] === count + 21, 'what came after')
    expect(slow.all('resync')).toHaveLength(resyncs)
    // 40 MB were published; if they were kept for the slow reader, memory would show them, twice.
    expect(process.memoryUsage().rss - before).toBeLessThan(400 * 1024 * 1024)
  })

  test('FLOW6 a client that never reads is closed with 4413, and everything kept for it is dropped', async () => {
    house = await TestHouse.open({ settings: { unreadMsMax: 300, heartbeatMs: 400 } })
    const auctionId = await house.createAuction()
    const never = await house.client()
    await never.ask({ type: 'subscribe', auctionId })
    never.socket.pause()
    await flood(auctionId, 2, 2000)
    await eventually(async () => (await metric('martillo_server_open_sockets')) === 0)
    expect(await metric('martillo_server_subscriptions')).toBe(0)
    const { text } = await house.ask('/metrics')
    expect(text).toMatch(/martillo_server_closes_total\{code="(4413|1006)"\} 1/)
  })

  test('FLOW5 private frames are kept for a slow reader, all of them and in order', async () => {
    house = await TestHouse.open({ settings: { queuedBytesMax: 64 * 1024 * 1024, unreadMsMax: 600_000 } })
    const late = await house.client({ token: await house.tokenFor('ann', 'bidder') })
    late.socket.pause()
    const count = 60_000
    for (let at = 0; at < count; at += 500) {
      const events = Array.from({ length: 500 }, (_, offset) => ({
        type: 'outbid' as const,
        auctionId: 'a' as AuctionId,
        seq: at + offset,
        epoch: 1,
        atMs: 1,
        bidderId: 'ann' as SubjectId,
        price: at,
      }))
      house.cluster.inject({ groupId: group, index: at, atMs: 1, hasOutboxEntries: false, events })
      await new Promise((resolve) => setImmediate(resolve))
    }
    late.socket.resume()
    await late.until(() => late.all('outbid').length === count, 'every private frame')
    expect(late.all('outbid').map(({ seq }) => seq)).toEqual(Array.from({ length: count }, (_, at) => at))
  })

  test('FLOW5 beyond the bound the session of a slow reader ends with 4413', async () => {
    house = await TestHouse.open({ settings: { queuedBytesMax: 64 * 1024 } })
    const stuck = await house.client({ token: await house.tokenFor('ann', 'bidder') })
    stuck.socket.pause()
    for (let at = 0; at < 200_000 && (await metricIsOpen()); at += 2000) {
      const events = Array.from({ length: 2000 }, (_, offset) => ({
        type: 'outbid' as const,
        auctionId: 'a' as AuctionId,
        seq: at + offset,
        epoch: 1,
        atMs: 1,
        bidderId: 'ann' as SubjectId,
        price: at,
      }))
      house.cluster.inject({ groupId: group, index: at, atMs: 1, hasOutboxEntries: false, events })
      await new Promise((resolve) => setImmediate(resolve))
    }
    stuck.socket.resume()
    expect(await stuck.closed()).toBe(4413)
    const seqs = stuck.all('outbid').map(({ seq }) => seq)
    expect(seqs).toEqual(seqs.map((_, at) => at))

    async function metricIsOpen(): Promise<boolean> {
      return (await metric('martillo_server_open_sockets')) === 1
    }
  })

  test('FLOW6 a client that sends requests and reads no answers is closed', async () => {
    house = await TestHouse.open({
      settings: { framesPerSecond: 1_000_000, framesBurst: 1_000_000, queuedBytesMax: 128 * 1024 },
    })
    const item = { text: 'x'.repeat(8000) }
    const auctionId = await house.createAuction({ item })
    const deaf = await house.client()
    deaf.socket.pause()
    for (let at = 0; at < 20_000 && deaf.socket.readyState === deaf.socket.OPEN; at += 1) {
      deaf.send({ type: 'subscribe', id: at, auctionId })
      if (at % 200 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await eventually(async () => (await metric('martillo_server_subscriptions')) === 0)
    deaf.socket.resume()
    expect(await deaf.closed()).toBe(4413)
    expect((await house.ask('/up')).status).toBe(200)
  })
})

describe('noise', () => {
  test('SESSION9 on any bytes the server answers or closes, and keeps running', async () => {
    house = await TestHouse.open({
      settings: {
        framesPerSecond: 1_000_000,
        framesBurst: 1_000_000,
        requestsPerSecond: 100_000,
        requestsBurst: 100_000,
      },
    })
    const json = await house.client({ token: await house.tokenFor('ann', 'bidder') })
    const msgpack = await house.client({ binary: true, token: await house.tokenFor('bob', 'bidder') })
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.string({ maxLength: 300 }), fc.json({ maxDepth: 5 })),
        fc.uint8Array({ maxLength: 300 }),
        fc.jsonValue({ maxDepth: 5 }),
        async (text, bytes, value) => {
          json.raw(text)
          msgpack.raw(bytes)
          msgpack.raw(writeMsgpack(value))
          json.send({ type: 'place_bid', id: 'x', auctionId: 'a', requestId: 'r', amount: value as never })
        },
      ),
      { numRuns: 500 },
    )
    expect(await json.ask({ type: 'sync_time', t0: 1, id: 'alive' })).toMatchObject({ type: 'time' })
    expect(await msgpack.ask({ type: 'sync_time', t0: 1, id: 'alive' })).toMatchObject({ type: 'time' })
    expect(json.faults.concat(msgpack.faults)).toEqual([])
    expect(house.logLines.filter((line) => line.includes('handler_failed'))).toEqual([])
  })

  test('HTTP1 on any path and query the answer is one of the contract', async () => {
    house = await TestHouse.open()
    await fc.assert(
      fc.asyncProperty(fc.webPath(), fc.webQueryParameters(), async (path, query) => {
        const response = await fetch(`${house.server.url}${path === '' ? '/' : path}?${query}`)
        expect([200, 400, 404]).toContain(response.status)
        await response.text()
      }),
      { numRuns: 200 },
    )
    for (const path of ['/auctions?limit=1e9', '/auctions/__proto__', '/constructor'])
      expect([400, 404]).toContain((await house.ask(path)).status)
  })

  test('SESSION9 a connection that breaks in the middle of an upgrade or a frame leaves nothing behind', async () => {
    house = await TestHouse.open()
    const port = Number(new URL(house.server.url).port)
    const upgrade = [
      'GET /ws HTTP/1.1',
      'Host: x',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Authorization: Bearer a.b.c',
      '\r\n',
    ].join('\r\n')
    for (let at = 0; at < 50; at += 1) {
      const socket = connect(port, '127.0.0.1', () => {
        socket.write(upgrade)
        socket.write(Buffer.from([0x81, 0xfe, 0x40, 0x00, 1, 2, 3, 4, 5]))
        socket.destroy()
      })
      await new Promise((resolve) => socket.on('close', resolve))
    }
    await eventually(async () => (await metric('martillo_server_open_sockets')) === 0)
    expect((await house.ask('/up')).status).toBe(200)
  })
})

describe('secrets', () => {
  test('SECRET1 no reserve and no maximum is in any frame, answer, log line or metric of anybody else', async () => {
    house = await TestHouse.open()
    const reserve = 7_654_321
    const maximum = 98_765_432
    const auctionId = await house.createAuction({ reserve, tags: ['secret'] })
    const annId = 'ann-real-name'
    const ann = await house.client({ token: await house.tokenFor(annId, 'bidder') })
    const bob = await house.client({ token: await house.tokenFor('bob', 'bidder') })
    const watcher = await house.client({ binary: true })
    for (const client of [ann, bob, watcher]) await client.ask({ type: 'subscribe', auctionId })
    await bob.ask({ type: 'place_bid', auctionId, amount: 500, requestId: 'b1' })
    await ann.ask({ type: 'place_bid', auctionId, amount: 1000, requestId: 'a0' })
    const own = await ann.ask({ type: 'place_bid', auctionId, amount: maximum, requestId: 'a1' })
    expect(own['you']).toEqual({ status: 'winning', maxBid: maximum })
    await bob.ask({ type: 'place_bid', auctionId, amount: 9_000_000, requestId: 'b2' })
    await watcher.until(() => watcher.all('bid_placed').length === 4, 'all bids')
    const late = await house.client()
    await late.ask({ type: 'subscribe', auctionId, since: { epoch: 1, seq: 0 } })
    await late.until(() => late.all('bid_placed').length === 4, 'all bids')
    const outside = [
      JSON.stringify([...watcher.frames, ...late.frames]),
      (await house.ask(`/auctions/${auctionId}`)).text,
      (await house.ask('/auctions?tag=secret')).text,
      (await house.ask(`/auctions/${auctionId}/bids`)).text,
      (await house.ask('/metrics')).text,
      house.logLines.join(),
    ]
    for (const text of outside) {
      expect(text).not.toContain(String(maximum))
      expect(text).not.toContain(annId)
    }
    // The price reached the reserve when the leader's maximum did: from then on it is public as the price.
    const before = JSON.stringify(watcher.frames.filter(({ seq }) => Number(seq) < 4))
    expect(before).not.toContain(String(reserve))
    expect(JSON.stringify(bob.frames)).not.toContain(String(maximum))
    expect(JSON.stringify(bob.frames)).not.toContain(annId)
  })
})
