import { describe, expect, it } from 'vitest'
import { amountMax } from '../../../protocol/money.ts'
import { Sale } from '../testing/sale.ts'

function sale(change: Parameters<Sale['auction']>[1] = {}): Sale {
  const one = new Sale()
  one.enlist()
  one.auction('a1', change)
  return one
}

describe('hidden maxima', () => {
  it('BID4: the first maximum sets the price to the opening bid', () => {
    const one = sale()
    expect(one.accept('bob', 5_000)).toMatchObject({ price: 100, you: { status: 'winning', maxBid: 5_000 } })
    expect(one.view()).toMatchObject({ price: 100, askingBid: 125, bidCount: 1, highBidder: 'bidder-1' })
  })

  it('BID3: the asking bid is the opening bid, later the price plus the increment at the price', () => {
    const one = sale()
    expect(one.view().askingBid).toBe(100)
    expect(one.refuse('bob', 99)).toEqual({ ok: false, code: 'bid_too_low', askingBid: 100, seq: 1 })
    one.accept('bob', 100)
    expect(one.view().askingBid).toBe(125)
    expect(one.refuse('eve', 124)).toEqual({ ok: false, code: 'bid_too_low', askingBid: 125, seq: 2 })
    expect(one.accept('eve', 125)).toMatchObject({ price: 125, askingBid: 150 })
  })

  it('BID5: a bid above the maximum leads at the smaller of itself and the former maximum plus an increment', () => {
    const one = sale()
    one.accept('bob', 1_000)
    expect(one.accept('eve', 2_000)).toMatchObject({ price: 1_050, you: { status: 'winning' } })
    expect(one.accept('bob', 2_010)).toMatchObject({ price: 2_010, you: { status: 'winning' } })
    expect(one.view()).toMatchObject({ price: 2_010, highBidder: 'bidder-1', bidCount: 3 })
  })

  it('BID6: a bid that does not beat the maximum is accepted, raises the price and is outbid at once', () => {
    const one = sale()
    one.accept('bob', 1_010)
    expect(one.accept('eve', 900)).toMatchObject({ price: 950, you: { status: 'outbid', maxBid: 900 } })
    expect(one.accept('eve', 1_000)).toMatchObject({ price: 1_010, you: { status: 'outbid', maxBid: 1_000 } })
    expect(one.view()).toMatchObject({ highBidder: 'bidder-1', price: 1_010 })
  })

  it('BID7: at equal maxima the earlier one leads, at that amount', () => {
    const one = sale()
    one.accept('bob', 1_000)
    expect(one.accept('eve', 1_000)).toMatchObject({ price: 1_000, you: { status: 'outbid', maxBid: 1_000 } })
    expect(one.view()).toMatchObject({ highBidder: 'bidder-1', askingBid: 1_050 })
  })

  it('BID8: the high bidder raises its own maximum at any time and the price stays', () => {
    const one = sale()
    one.accept('bob', 1_000)
    expect(one.accept('bob', 1_001)).toMatchObject({ price: 100, you: { status: 'winning', maxBid: 1_001 } })
    one.accept('eve', 1_001)
    // The asking bid is 1,051; the high bidder may go anywhere above its own maximum.
    expect(one.accept('bob', 1_002)).toMatchObject({ price: 1_001, askingBid: 1_051 })
    expect(one.refuse('bob', 1_002)).toMatchObject({ code: 'already_leading', askingBid: 1_051 })
    expect(one.refuse('bob', 10)).toMatchObject({ code: 'already_leading' })
    expect(one.refuse('bob', 1_002, 'exact')).toMatchObject({ code: 'already_leading' })
  })

  it('BID10: every bid of another raises the price; at the very top nothing can', () => {
    const one = sale({ openingBid: amountMax - 10 })
    one.accept('bob', amountMax)
    expect(one.accept('eve', amountMax)).toMatchObject({ price: amountMax, askingBid: amountMax })
    expect(one.refuse('ann', amountMax)).toMatchObject({ code: 'bid_too_low', askingBid: amountMax })
    expect(one.refuse('bob', amountMax)).toMatchObject({ code: 'already_leading' })
  })
})

describe('plain bids', () => {
  it('BID9: when a plain bid leads, the price is its amount and it has no hidden maximum', () => {
    const one = sale()
    expect(one.accept('bob', 500, 'exact')).toMatchObject({ price: 500, you: { maxBid: 500 } })
    expect(one.accept('eve', 800, 'exact')).toMatchObject({ price: 800, askingBid: 850 })
    expect(one.accept('bob', 5_000)).toMatchObject({ price: 850 })
    expect(one.accept('eve', 6_000, 'exact')).toMatchObject({ price: 6_000 })
  })

  it('BID9: a plain bid below a hidden maximum is outbid at once like any other', () => {
    const one = sale()
    one.accept('bob', 1_000)
    expect(one.accept('eve', 600, 'exact')).toMatchObject({ price: 650, you: { status: 'outbid' } })
  })

  it("BID9: the high bidder's own plain bid must reach the asking bid and moves the price", () => {
    const one = sale()
    one.accept('bob', 500, 'exact')
    expect(one.refuse('bob', 549, 'exact')).toMatchObject({ code: 'bid_too_low', askingBid: 550 })
    expect(one.accept('bob', 550, 'exact')).toMatchObject({ price: 550, you: { maxBid: 550 } })
    expect(one.accept('bob', 900)).toMatchObject({ price: 550, you: { maxBid: 900 } })
  })
})

describe('reserve', () => {
  it('RESERVE1: a high bidder whose maximum reaches the reserve pays at least the reserve', () => {
    const one = sale({ reserve: 1_000 })
    expect(one.accept('bob', 500)).toMatchObject({ price: 100 })
    expect(one.accept('eve', 1_000)).toMatchObject({ price: 1_000 })
    expect(one.accept('bob', 1_500)).toMatchObject({ price: 1_050 })
  })

  it('RESERVE1: the very first bid, and a raise of the own maximum, bring the price to the reserve', () => {
    const first = sale({ reserve: 1_000 })
    expect(first.accept('bob', 2_000)).toMatchObject({ price: 1_000 })
    const raised = sale({ reserve: 1_000 })
    raised.accept('bob', 999)
    expect(raised.accept('bob', 1_000)).toMatchObject({ price: 1_000, you: { maxBid: 1_000 } })
    expect(raised.accept('bob', 1_100)).toMatchObject({ price: 1_000 })
  })

  it('RESERVE3: the public status is none, not_met or met', () => {
    expect(sale().view().reserve).toBe('none')
    const one = sale({ reserve: 1_000 })
    expect(one.view().reserve).toBe('not_met')
    one.accept('bob', 999)
    expect(one.view().reserve).toBe('not_met')
    one.accept('eve', 1_000)
    expect(one.view().reserve).toBe('met')
    const { secret: _, ...shown } = one.events.at(-2) as { secret: unknown }
    expect(shown).toMatchObject({ type: 'bid_placed', reserve: 'met' })
    expect(JSON.stringify(one.view())).not.toContain('"reserve":1000')
  })

  it('RESERVE2: below its reserve an auction passes', () => {
    const one = sale({ reserve: 1_000 })
    one.accept('bob', 999)
    one.manage('close_auction')
    expect(one.view()).toMatchObject({ status: 'passed', reserve: 'not_met' })
    expect(one.view().winner).toBeUndefined()
    expect(one.view().hammerPrice).toBeUndefined()
  })
})
