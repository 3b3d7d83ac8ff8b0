import { describe, expect, it } from 'vitest'
import { limits } from '../limits.ts'
import { Sale, startMs } from '../testing/sale.ts'

function sale(change: Parameters<Sale['auction']>[1] = {}): Sale {
  const one = new Sale()
  one.enlist()
  one.auction('a1', { buyNow: 5_000, ...change })
  return one
}

describe('buy_now', () => {
  it('BUYNOW1: sells at once at the fixed price', () => {
    const one = sale()
    const mark = one.events.length
    expect(one.buyNow('bob')).toEqual({
      ok: true,
      type: 'bid',
      auctionId: 'a1',
      seq: 2,
      price: 5_000,
      askingBid: 5_100,
      you: { status: 'won', maxBid: 5_000 },
    })
    expect(one.typesSince(mark)).toEqual(['bid_placed', 'auction_sold', 'won'])
    expect(one.view()).toMatchObject({
      status: 'sold',
      hammerPrice: 5_000,
      winner: 'bidder-1',
      bidCount: 1,
      seq: 3,
    })
  })

  it('BUYNOW2: without a reserve it is offered until the first bid', () => {
    const one = sale()
    expect(one.view().buyNow).toBe(5_000)
    one.accept('eve', 100)
    expect(one.view().buyNow).toBeUndefined()
    expect(one.buyNow('bob')).toMatchObject({ ok: false, code: 'buy_now_gone', askingBid: 125 })
  })

  it('BUYNOW2: with a reserve it is offered until the reserve is met; bidders before it lose', () => {
    const one = sale({ reserve: 1_000 })
    one.accept('eve', 999)
    expect(one.view().buyNow).toBe(5_000)
    const mark = one.events.length
    expect(one.buyNow('bob')).toMatchObject({ ok: true, you: { status: 'won' } })
    expect(one.typesSince(mark)).toEqual(['bid_placed', 'auction_sold', 'won', 'lost'])
    expect(one.events.at(-1)).toMatchObject({ bidderId: 'eve', price: 5_000 })
    expect(one.view().buyNow).toBeUndefined()

    const met = sale({ reserve: 1_000 })
    met.accept('eve', 1_000)
    expect(met.view().buyNow).toBeUndefined()
    expect(met.buyNow('bob')).toMatchObject({ code: 'buy_now_gone' })
  })

  it('BUYNOW2: the high bidder may take it too', () => {
    const one = sale({ reserve: 1_000 })
    one.accept('eve', 999)
    expect(one.buyNow('eve')).toMatchObject({ price: 5_000, you: { status: 'won', maxBid: 5_000 } })
    expect(one.view()).toMatchObject({ winner: 'bidder-1', bidCount: 2 })
  })

  it('BUYNOW3: without a fixed price the reply is buy_now_gone', () => {
    const one = new Sale()
    one.enlist()
    one.auction()
    expect(one.buyNow('bob')).toMatchObject({ code: 'buy_now_gone', askingBid: 100, seq: 1 })
  })

  it('BID2: a buy-now is refused in a fixed order', () => {
    const one = new Sale({ ...limits, biddersMax: 1 })
    one.enlist()
    one.auction('a1', { buyNow: 5_000, reserve: 1_000, opensAtMs: startMs + 1_000 })
    expect(one.buyNow('sam', 'a9')).toEqual({ ok: false, code: 'auction_not_found' })
    expect(one.buyNow('sam')).toEqual({ ok: false, code: 'own_auction' })
    expect(one.buyNow('bob')).toMatchObject({ code: 'auction_not_open' })
    one.runTo(startMs + 1_000)
    one.accept('eve', 100)
    expect(one.buyNow('bob')).toEqual({ ok: false, code: 'limit_exceeded' })
    one.accept('eve', 1_000)
    expect(one.buyNow('bob')).toMatchObject({ code: 'buy_now_gone' })
    one.manage('pause_auction')
    expect(one.buyNow('bob')).toMatchObject({ code: 'auction_not_open' })
    one.manage('close_auction')
    expect(one.buyNow('bob')).toMatchObject({ code: 'auction_closed' })
  })
})
