/** The typed HTTP client against answers in memory. */
import { describe, expect, it } from 'vitest'
import type { AuctionId } from '../../protocol/ids.ts'
import { ManualClock } from '../../runtime/clock.ts'
import { ProblemError } from './errors.ts'
import { HouseHttp } from './http.ts'
import type { Fetch, HttpRequest } from './ports.ts'

interface Answer {
  readonly status: number
  readonly body: unknown
  readonly retryAfter?: string
}

function house(...answers: readonly (Answer | Error)[]) {
  return patientHouse(0, ...answers)
}

function patientHouse(unreachableRepeatsMax: number, ...answers: readonly (Answer | Error)[]) {
  const calls: (HttpRequest & { readonly url: string })[] = []
  const clock = new ManualClock()
  const fetch: Fetch = async (url, request) => {
    const answer = answers[calls.length]
    calls.push({ url, ...request })
    if (answer === undefined || answer instanceof Error) throw answer ?? new Error('no answer is left')
    const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)
    return {
      status: answer.status,
      headers: { get: (name) => (name === 'retry-after' ? (answer.retryAfter ?? null) : null) },
      text: async () => text,
    }
  }
  let ids = 0
  const http = new HouseHttp({
    url: 'http://127.0.0.1:8080/',
    token: () => 'secret',
    fetch,
    clock,
    random: () => 0,
    newId: () => `key-${++ids}`,
    unreachableRepeatsMax,
  })
  return { http, calls, clock }
}

const problem = (status: number, code: string) => ({ type: `/problems/${code}`, title: 'No', status, code })

describe('HouseHttp', () => {
  it('CLIENT14 sends the token and one idempotency key for each thing made', async () => {
    const { http, calls } = house({ status: 201, body: { id: 'a' } }, { status: 201, body: { id: 'b' } })
    await http.registerBuyer({ name: 'Ann' })
    await http.createAuction({ title: 'Vase', openingBid: 5, durationMs: 1000 })
    expect(calls).toMatchObject([
      {
        url: 'http://127.0.0.1:8080/buyers',
        method: 'POST',
        body: '{"name":"Ann"}',
        headers: {
          authorization: 'Bearer secret',
          'idempotency-key': 'key-1',
          'content-type': 'application/json',
        },
      },
      { url: 'http://127.0.0.1:8080/auctions', headers: { 'idempotency-key': 'key-2' } },
    ])
  })

  it('writes paths and queries', async () => {
    const { http, calls } = house(...Array.from({ length: 6 }, () => ({ status: 200, body: {} })))
    const id = 'a:1' as AuctionId
    await http.auctions({ status: 'open', tag: 'art & craft', limit: 5 })
    await http.auctions()
    await http.bids(id, { after: 7 })
    await http.auction(id)
    await http.manage(id, 'pause')
    await http.extend(id, 5000)
    expect(calls.map((call) => `${call.method} ${call.url.slice(21)} ${call.body ?? ''}`.trim())).toEqual([
      'GET /auctions?status=open&tag=art%20%26%20craft&limit=5',
      'GET /auctions',
      'GET /auctions/a%3A1/bids?after=7',
      'GET /auctions/a%3A1',
      'POST /auctions/a%3A1/pause {}',
      'POST /auctions/a%3A1/extend {"byMs":5000}',
    ])
    expect(calls[0]?.headers).not.toHaveProperty('idempotency-key')
  })

  it('CLIENT14 throws problems as they are', async () => {
    const { http } = house({ status: 409, body: { ...problem(409, 'bid_too_low'), askingBid: 700 } })
    const failure = await http
      .placeBid({ auctionId: 'a' as AuctionId, amount: 5 })
      .catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(ProblemError)
    expect(failure).toMatchObject({ problem: { code: 'bid_too_low', askingBid: 700 } })
  })

  it('CLIENT14 repeats calls that the house wants repeated, with the same key, up to a bound', async () => {
    const busy = { status: 503, body: problem(503, 'unavailable'), retryAfter: '2' }
    const { http, calls, clock } = house(busy, busy, { status: 201, body: { id: 'a' } })
    const made = http.registerBuyer({ name: 'Ann' })
    for (const tries of [1, 2]) {
      await settle()
      expect(calls).toHaveLength(tries)
      clock.advance(1999)
      await settle()
      expect(calls).toHaveLength(tries)
      clock.advance(1)
    }
    await expect(made).resolves.toEqual({ id: 'a' })
    expect(new Set(calls.map((call) => call.headers['idempotency-key']))).toEqual(new Set(['key-1']))
    expect(calls.map((call) => call.headers['idempotency-age'])).toEqual([undefined, '2000', '4000'])

    const always = house(...Array.from({ length: 20 }, () => busy))
    const refused = expect(always.http.registerBuyer({ name: 'Ann' })).rejects.toMatchObject({
      problem: { code: 'unavailable' },
    })
    for (let turn = 0; turn < 20; turn += 1) {
      await settle()
      always.clock.advance(10_000)
    }
    await refused
    expect(always.calls).toHaveLength(6)
  })

  it('CLIENT14 waits for a house that restarts, if so configured, with the same key', async () => {
    const gone = new Error('ECONNREFUSED')
    const { http, calls, clock } = patientHouse(2, gone, gone, { status: 201, body: { id: 'a' } })
    const made = http.registerBuyer({ name: 'Ann' })
    for (const pauseMs of [125, 250]) {
      await settle()
      clock.advance(pauseMs)
    }
    await expect(made).resolves.toEqual({ id: 'a' })
    expect(calls.map((call) => call.headers['idempotency-key'])).toEqual(['key-1', 'key-1', 'key-1'])

    const never = patientHouse(1, gone, gone)
    const failed = expect(never.http.auctions()).rejects.toMatchObject({ code: 'unreachable' })
    await settle()
    never.clock.advance(125)
    await failed
  })

  it('CLIENT14 distinguishes an unreachable house from one whose answer is not understood', async () => {
    await expect(house(new Error('ECONNREFUSED')).http.auctions()).rejects.toMatchObject({
      code: 'unreachable',
    })
    await expect(house({ status: 200, body: '<html>' }).http.auctions()).rejects.toMatchObject({
      code: 'unexpected_answer',
    })
    await expect(house({ status: 502, body: 'Bad Gateway' }).http.auctions()).rejects.toMatchObject({
      code: 'unexpected_answer',
    })
  })
})

/** Lets everything that is ready in this turn of the event loop run. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
