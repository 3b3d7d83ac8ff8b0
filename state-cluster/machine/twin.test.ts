import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { amountMax, defaultIncrements, type IncrementTable } from '../../protocol/money.ts'
import { NaiveAuction, type NaiveBid } from './testing/naive.ts'
import { Sale } from './testing/sale.ts'
import { standingOf } from './views.ts'

const bidders = ['ann', 'bob', 'eve', 'zoe']

const increments: fc.Arbitrary<IncrementTable> = fc.oneof(
  fc.constant(defaultIncrements('USD')),
  fc
    .array(fc.tuple(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 300 })), { maxLength: 5 })
    .map((steps) => {
      const table = [{ from: 0, step: 1 + (steps[0]?.[1] ?? 0) }]
      let from = 0
      for (const [gap, step] of steps) {
        from += gap
        table.push({ from, step })
      }
      return table
    }),
)

const bid: fc.Arbitrary<NaiveBid> = fc.record({
  bidder: fc.constantFrom(...bidders),
  amount: fc.integer({ min: 1, max: 2_500 }),
  kind: fc.constantFrom('max', 'max', 'exact'),
})

/** Bids at and next to the amounts that decide: asking bid, maximum, reserve. */
const near = fc.record({
  bidder: fc.constantFrom(...bidders),
  by: fc.integer({ min: -1, max: 1 }),
  to: fc.constantFrom('asking', 'high_bidder', 'reserve'),
  kind: fc.constantFrom('max', 'max', 'exact'),
})

interface Terms {
  readonly openingBid: number
  readonly increments: IncrementTable
  readonly reserve?: number
}

const terms: fc.Arbitrary<Terms> = fc.record(
  { openingBid: fc.nat(300), increments, reserve: fc.nat(2_000) },
  { requiredKeys: ['openingBid', 'increments'] },
)

function pair(change: Terms): { sale: Sale; twin: NaiveAuction } {
  const sale = new Sale()
  sale.enlist()
  sale.auction('a1', change)
  return { sale, twin: new NaiveAuction(change) }
}

/** Places a bid with both and compares their outcomes. */
function place(sale: Sale, twin: NaiveAuction, one: NaiveBid): void {
  const reply = sale.bid(one.bidder, one.amount, one.kind)
  const refusal = twin.place(one)
  expect(reply.ok ? undefined : reply.code, JSON.stringify(one)).toBe(refusal)
  const view = sale.view()
  const { price, highBidder } = twin.outcome()
  expect(view.price).toBe(price)
  expect(view.askingBid).toBe(twin.askingBid())
  expect(view.bidCount).toBe(twin.bids.length)
  if (highBidder !== undefined)
    expect(standingOf(sale.state, view.id, highBidder as never)).toMatchObject({ status: 'winning' })
  if (reply.ok && reply.type === 'bid') {
    expect(reply).toMatchObject({ price, askingBid: twin.askingBid() })
    expect(reply.you.status).toBe(highBidder === one.bidder ? 'winning' : 'outbid')
  }
}

function hammer(sale: Sale, twin: NaiveAuction): void {
  const { highBidder } = twin.outcome()
  const expected = twin.hammer()
  sale.manage('close_auction')
  const view = sale.view()
  expect(view.status).toBe(expected === undefined ? 'passed' : 'sold')
  expect(view.hammerPrice).toBe(expected?.price)
  if (highBidder !== undefined)
    expect(standingOf(sale.state, view.id, highBidder as never).status).toBe(
      expected === undefined ? 'lost' : 'won',
    )
}

describe('the naive twin', () => {
  it('BID5, BID6, BID7, RESERVE1: after every bid, price, high bidder and asking bid are those computed from the list', () => {
    fc.assert(
      fc.property(terms, fc.array(bid, { maxLength: 25 }), (change, bids) => {
        const { sale, twin } = pair(change)
        for (const one of bids) place(sale, twin, one)
        hammer(sale, twin)
      }),
      { numRuns: 400 },
    )
  })

  it('BID3, BID7, BID8, BID9: also for bids at and next to the amounts that decide', () => {
    fc.assert(
      fc.property(terms, fc.array(near, { maxLength: 25 }), (change, bids) => {
        const { sale, twin } = pair(change)
        for (const { bidder, by, to, kind } of bids) {
          const highest = Math.max(0, ...twin.bids.map((one) => one.amount))
          const base =
            to === 'asking' ? twin.askingBid() : to === 'high_bidder' ? highest : (change.reserve ?? 50)
          place(sale, twin, { bidder, amount: Math.max(1, base + by), kind })
        }
        hammer(sale, twin)
      }),
      { numRuns: 400 },
    )
  })

  it('BID3, BID10: also at the top of the range', () => {
    const top = fc.record({
      bidder: fc.constantFrom(...bidders),
      amount: fc.integer({ min: amountMax - 400, max: amountMax }),
      kind: fc.constantFrom('max', 'exact'),
    })
    fc.assert(
      fc.property(fc.array(top, { maxLength: 12 }), fc.nat(300), (bids, below) => {
        const { sale, twin } = pair({ openingBid: amountMax - below, increments: [{ from: 0, step: 60 }] })
        for (const one of bids) place(sale, twin, one as NaiveBid)
        hammer(sale, twin)
      }),
      { numRuns: 200 },
    )
  })
})
