import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AuctionId, RequestId, ServerId, SubjectId } from '../../protocol/ids.ts'
import type { Command } from './commands.ts'
import { limits } from './limits.ts'
import { stateHash } from './state.ts'
import { Sale } from './testing/sale.ts'

const extension = {
  type: 'extend_auction',
  subject: 'sam' as SubjectId,
  auctionId: 'a1' as AuctionId,
  operator: false,
  byMs: 3_600_000,
} as const

function sale(few = limits): Sale {
  const one = new Sale(few)
  one.enlist()
  one.auction()
  return one
}

describe('request ids', () => {
  it('REQUEST1: a known request gets its first reply and changes nothing', () => {
    const one = sale()
    const first = one.bid('bob', 500, 'max', 'a1', 'r1')
    one.accept('eve', 900)
    const { events } = one
    const mark = events.length
    const hash = stateHash(one.state)
    expect(one.bid('bob', 500, 'max', 'a1', 'r1')).toEqual(first)
    expect(one.pass(60_000).bid('bob', 500, 'max', 'a1', 'r1')).toEqual(first)
    expect(events).toHaveLength(mark)
    expect(one.view().bidCount).toBe(2)
    expect(one.outbox()).toHaveLength(4)
    expect(hash).not.toBe('0000000000000000')
  })

  it('REQUEST7: a late copy of a refused bid does not count, also when it would now be accepted', () => {
    const one = sale()
    const refused = one.bid('bob', 99, 'max', 'a1', 'r1')
    expect(refused).toMatchObject({ ok: false, code: 'bid_too_low', askingBid: 100 })
    one.manage('pause_auction')
    const early = one.bid('bob', 500, 'max', 'a1', 'r2')
    expect(early).toMatchObject({ code: 'auction_not_open' })
    one.manage('resume_auction')
    expect(one.restart().bid('bob', 500, 'max', 'a1', 'r2')).toEqual(early)
    expect(one.bid('bob', 99, 'max', 'a1', 'r1')).toEqual(refused)
    expect(one.view().bidCount).toBe(0)
  })

  it('REQUEST7: no number of refusals displaces an accepted request, and they are bounded', () => {
    const few = {
      ...limits,
      requestsPerSubjectMax: 4,
      requestsMax: 10,
      refusalsPerSubjectMax: 2,
      refusalsMax: 6,
    }
    const one = sale(few)
    const extended = one.ask({ ...extension, requestId: 'e' as RequestId })
    const first = one.bid('bob', 500, 'max', 'a1', 'r')
    one.accept('bob', 600)
    one.extend(1)
    const { requests, refusals } = one.state
    const { size } = requests
    for (let i = 0; i < 50; i++) {
      for (const bidder of ['bob', 'eve', 'kim', 'lea']) one.bid(bidder, 1, 'max', 'a1', `low-${i}`)
      one.bid('bob', 500, 'max', 'a9', `nowhere-${i}`)
      one.bid('bob', -1, 'max', 'a1', `wrong-${i}`)
    }
    expect(requests.size).toBe(size)
    expect(refusals.size).toBe(6)
    expect(one.bid('bob', 500, 'max', 'a1', 'r')).toEqual(first)
    expect(one.ask({ ...extension, requestId: 'e' as RequestId })).toEqual(extended)
    expect(one.view().extensions).toBe(2)
    expect(stateHash(one.state)).toBe(stateHash(one.restart().state))
    expect([limits.refusalsPerSubjectMax, limits.refusalsMax]).toEqual([16, 50_000])
  })

  it('REQUEST1: a restart keeps them', () => {
    const one = sale()
    const first = one.bid('bob', 500, 'max', 'a1', 'r1')
    one.accept('eve', 900)
    one.restart()
    expect(one.bid('bob', 500, 'max', 'a1', 'r1')).toEqual(first)
    expect(one.view().bidCount).toBe(2)
  })

  it('REQUEST1: the same id of two subjects names two requests', () => {
    const one = sale()
    expect(one.bid('bob', 500, 'max', 'a1', 'r1')).toMatchObject({ ok: true })
    expect(one.bid('eve', 900, 'max', 'a1', 'r1')).toMatchObject({ ok: true, price: 550 })
  })

  it('REQUEST1: twice in one entry counts once', () => {
    const one = sale()
    const command: Command = {
      type: 'place_bid',
      subject: 'bob' as SubjectId,
      requestId: 'r1' as RequestId,
      auctionId: 'a1' as AuctionId,
      amount: 500,
      kind: 'max',
    }
    const { replies, events } = one.apply(command, command)
    expect(replies[1]).toEqual(replies[0])
    expect(events).toHaveLength(1)
  })

  it('REQUEST2: the same id with other content is refused, and the first reply stays', () => {
    const one = sale()
    const differs = { ok: false, code: 'duplicate_request_differs' }
    const first = one.bid('bob', 500, 'max', 'a1', 'r1')
    expect(one.bid('bob', 501, 'max', 'a1', 'r1')).toEqual(differs)
    expect(one.bid('bob', 500, 'exact', 'a1', 'r1')).toEqual(differs)
    expect(one.bid('bob', 500, 'max', 'a2', 'r1')).toEqual(differs)
    const base = { subject: 'bob' as SubjectId, requestId: 'r1' as RequestId, auctionId: 'a1' as AuctionId }
    expect(one.ask({ type: 'buy_now', ...base })).toEqual(differs)
    expect(one.ask({ type: 'cancel_auction', operator: true, ...base })).toEqual(differs)
    expect(one.bid('bob', 500, 'max', 'a1', 'r1')).toEqual(first)
    expect(one.view()).toMatchObject({ status: 'open', bidCount: 1 })
  })

  it('REQUEST2: every field of the content counts, the server and the role do not', () => {
    const base = { subject: 'ann' as SubjectId, requestId: 'r1' as RequestId }
    const register: Command = {
      type: 'register_buyer',
      ...base,
      buyerId: 'ann' as SubjectId,
      serverId: 's1' as ServerId,
      name: 'Ann',
      interests: ['art'],
      endpoint: 'https://ann.example',
    }
    const { endpoint: _, ...unreachable } = register
    const one = sale()
    const first = one.ask(register)
    expect(one.ask({ ...register, serverId: 's2' as ServerId })).toEqual(first)
    for (const other of [
      { ...register, name: 'Anna' },
      { ...register, interests: [] },
      { ...register, buyerId: 'anna' as SubjectId },
      unreachable,
    ])
      expect(one.ask(other)).toMatchObject({ code: 'duplicate_request_differs' })

    const extend: Command = {
      type: 'extend_auction',
      subject: 'sam' as SubjectId,
      requestId: 'r2' as RequestId,
      auctionId: 'a1' as AuctionId,
      operator: false,
      byMs: 5,
    }
    expect(one.ask(extend)).toMatchObject({ ok: true })
    expect(one.ask({ ...extend, operator: true })).toMatchObject({ ok: true, seq: 2 })
    expect(one.ask({ ...extend, byMs: 6 })).toMatchObject({ code: 'duplicate_request_differs' })
    expect(one.view().extensions).toBe(1)
  })

  it('REQUEST3: an id is remembered for its window and then counts as new', () => {
    const one = sale({ ...limits, requestWindowMs: 20_000 })
    const first = one.bid('bob', 99, 'max', 'a1', 'r1')
    one.accept('bob', 500)
    expect(one.pass(20_000).bid('bob', 99, 'max', 'a1', 'r1')).toEqual(first)
    expect(one.pass(1).bid('bob', 99, 'max', 'a1', 'r1')).toMatchObject({ code: 'already_leading' })
    expect(one.pass(20_000).bid('bob', 99, 'max', 'a1', 'r1')).toMatchObject({
      code: 'already_leading',
      seq: 2,
    })
    expect(limits.requestWindowMs).toBe(600_000)
  })

  it('REQUEST4: the latest requests of a subject are remembered', () => {
    const one = sale({ ...limits, requestsPerSubjectMax: 4 })
    one.bid('eve', 100, 'max', 'a1', 'r1')
    for (let i = 1; i <= 5; i++) one.bid('bob', 200 * i, 'max', 'a1', `r${i}`)
    expect(one.bid('bob', 77, 'max', 'a1', 'r2')).toMatchObject({ code: 'duplicate_request_differs' })
    expect(one.bid('bob', 77, 'max', 'a1', 'r1')).toMatchObject({ code: 'already_leading' })
    expect(one.bid('bob', 77, 'max', 'a1', 'r2')).toMatchObject({ code: 'duplicate_request_differs' })
    expect(one.bid('eve', 77, 'max', 'a1', 'r1')).toMatchObject({ code: 'duplicate_request_differs' })
    expect(limits.requestsPerSubjectMax).toBe(1_024)
  })

  it('REQUEST4: the latest requests of the group are remembered', () => {
    const one = sale({ ...limits, requestsMax: 10 })
    for (let i = 1; i <= 30; i++) one.bid(`bidder-${i}`, 1_000 * i, 'max', 'a1', 'r')
    expect(one.state.requests.size).toBe(10)
    expect(one.bid('bidder-21', 2, 'max', 'a1', 'r')).toMatchObject({ code: 'duplicate_request_differs' })
    expect(one.bid('bidder-20', 2, 'max', 'a1', 'r')).toMatchObject({ code: 'bid_too_low' })
    expect(one.state.requests.size).toBe(10)
    expect(stateHash(one.state)).toBe(stateHash(one.restart().state))
    expect(limits.requestsMax).toBe(500_000)
  })

  it('REQUEST5: after a quiet hour an entry drops a bounded number, and the others are unknown too', () => {
    const one = sale()
    for (let i = 1; i <= 1_000; i++) one.bid(`bidder-${i}`, 20_000 * i, 'max', 'a1', 'r')
    one.pass(3_600_000).conduct()
    // One request created the auction, 1,000 were bids; an entry of one command forgets 64 + 2.
    expect(one.state.requests.size).toBe(1_001 - 66)
    expect(one.bid('bidder-999', 2, 'max', 'a1', 'r')).toMatchObject({ code: 'bid_too_low' })
    expect(one.state.requests.size).toBe(1_001 - 66 - 66)
    for (let i = 0; i < 20; i++) one.conduct()
    expect(one.state.requests.size).toBe(0)
    expect(stateHash(one.state)).toBe(stateHash(one.restart().state))
  })

  it('REQUEST6: an accepted bid that is repeated after its id was dropped is refused and changes nothing', () => {
    const bid = fc.record({
      bidder: fc.constantFrom('ann', 'bob', 'eve'),
      amount: fc.oneof(fc.nat({ max: 400 }), fc.constantFrom(100, 150, 2_000, Number.MAX_SAFE_INTEGER)),
      kind: fc.constantFrom('max' as const, 'exact' as const),
    })
    const reserve = fc.constantFrom(undefined, 300)
    let repeated = 0
    fc.assert(
      fc.property(fc.array(bid, { minLength: 1, maxLength: 25 }), reserve, (bids, least) => {
        const one = new Sale({ ...limits, requestsPerSubjectMax: 1 })
        one.enlist()
        one.auction('a1', least === undefined ? {} : { reserve: least })
        const accepted: typeof bids = []
        let step = 0
        for (const { bidder, amount, kind } of bids) {
          const own = step === 0 ? amount + 100 : Math.min(amount + step * 150, Number.MAX_SAFE_INTEGER)
          step += 1
          if (one.bid(bidder, own, kind).ok) accepted.push({ bidder, amount: own, kind })
          // One more request of each subject, so that no last bid is known any more.
          for (const name of ['ann', 'bob', 'eve']) one.buyNow(name)
          const view = one.view()
          for (const earlier of accepted) {
            expect(one.bid(earlier.bidder, earlier.amount, earlier.kind)).toMatchObject({ ok: false })
            repeated += 1
          }
          expect(one.view()).toEqual(view)
        }
      }),
    )
    expect(repeated).toBeGreaterThan(1_000)
  })
})
