import { describe, expect, it } from 'vitest'
import { limits } from '../limits.ts'
import { Sale, startMs } from '../testing/sale.ts'

function sale(change: Parameters<Sale['auction']>[1] = {}): Sale {
  const one = new Sale()
  one.enlist()
  one.auction('a1', change)
  return one
}

describe('place_bid', () => {
  it('BID1: an amount that is no integer from 0 to 2^53−1 is amount_invalid; 0 is an amount like any other', () => {
    const one = sale()
    for (const amount of [-1, 1.5, 100.000001, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])
      expect(one.refuse('bob', amount)).toEqual({ ok: false, code: 'amount_invalid' })
    expect(one.refuse('bob', 0)).toMatchObject({ code: 'bid_too_low', askingBid: 100 })
    expect(one.accept('bob', 2 ** 53 - 1)).toMatchObject({ price: 100 })
    one.auction('a2', { openingBid: 0 })
    expect(one.accept('bob', 0, 'max', 'a2')).toMatchObject({ price: 0, askingBid: 5 })
    expect(one.refuse('bob', 0, 'max', 'a2').code).toBe('already_leading')
    expect(one.refuse('eve', 4, 'exact', 'a2').code).toBe('bid_too_low')
    expect(one.accept('eve', 5, 'exact', 'a2')).toMatchObject({ price: 5 })
  })

  it('BID2: a bid is refused in a fixed order', () => {
    const few = { ...limits, biddersMax: 1 }
    const one = new Sale(few)
    one.enlist()
    one.auction('a1', { opensAtMs: startMs + 1_000 })
    // The first bid has every fault; each next one lacks the fault that was reported.
    expect(one.refuse('sam', -1, 'max', 'a9').code).toBe('amount_invalid')
    expect(one.refuse('sam', 1, 'max', 'a9').code).toBe('auction_not_found')
    expect(one.refuse('sam', 1).code).toBe('own_auction')
    expect(one.refuse('eve', 1)).toMatchObject({
      code: 'auction_not_open',
      closesAt: startMs + 61_000,
      seq: 0,
    })
    one.runTo(startMs + 1_000)
    one.accept('bob', 500)
    expect(one.refuse('eve', 1)).toMatchObject({ code: 'bid_too_low', askingBid: 125 })
    expect(one.refuse('bob', 1).code).toBe('already_leading')
    expect(one.refuse('eve', 125)).toEqual({ ok: false, code: 'limit_exceeded' })
    one.pass(60_000)
    expect(one.refuse('sam', 1).code).toBe('own_auction')
    expect(one.refuse('eve', 1)).toMatchObject({ code: 'auction_closed', closesAt: startMs + 61_000 })
  })

  it('BID10: every accepted bid makes exactly one bid_placed, a raise of the own maximum too', () => {
    const one = sale()
    for (const [bidder, amount] of [
      ['bob', 500],
      ['bob', 600],
      ['eve', 550],
      ['eve', 900],
    ] as const) {
      const mark = one.events.length
      const { seq } = one.accept(bidder, amount)
      const placed = one.events.slice(mark).filter((event) => event.type === 'bid_placed')
      expect(placed).toHaveLength(1)
      expect(placed[0]).toMatchObject({
        seq,
        atMs: one.atMs,
        price: one.view().price,
        askingBid: one.view().askingBid,
        bidCount: one.view().bidCount,
        highBidder: one.view().highBidder,
        secret: { bidderId: bidder, amount, kind: 'max' },
      })
    }
    expect(one.view().bidCount).toBe(4)
  })

  it('BID11: a bidder who loses the lead, or whose bid does not take it, gets outbid', () => {
    const one = sale()
    one.accept('bob', 500)
    const mark = one.events.length
    one.accept('eve', 700)
    expect(one.events.slice(mark + 1)).toEqual([
      {
        type: 'outbid',
        auctionId: 'a1',
        seq: 3,
        epoch: 1,
        atMs: startMs,
        bidderId: 'bob',
        price: 550,
        askingBid: 600,
      },
    ])
    one.accept('bob', 650)
    expect(one.events.at(-1)).toMatchObject({ type: 'outbid', bidderId: 'bob', price: 700 })
    const before = one.events.length
    one.accept('eve', 2_000)
    expect(one.typesSince(before)).toEqual(['bid_placed'])
  })

  it('BID12: a seller cannot bid on its own auction, a buyer may bid on others of the same sale', () => {
    const one = sale()
    expect(one.refuse('sam', 500)).toEqual({ ok: false, code: 'own_auction' })
    one.auction('a2', {}, 's1', 'bob')
    one.accept('sam', 500, 'max', 'a2')
    expect(one.refuse('bob', 900, 'max', 'a2').code).toBe('own_auction')
    expect(one.buyNow('sam')).toMatchObject({ code: 'own_auction' })
  })

  it('BID13: a bid in the last millisecond counts, one at the deadline does not, with or without a pulse', () => {
    const one = sale()
    one.pass(59_999).accept('bob', 500)
    expect(one.pass(1).refuse('eve', 900)).toMatchObject({
      code: 'auction_closed',
      closesAt: startMs + 60_000,
    })
    expect(one.view().status).toBe('open')
    one.manage('close_auction')
    expect(one.refuse('eve', 900).code).toBe('auction_closed')
    expect(one.view()).toMatchObject({ status: 'sold', winner: 'bidder-1' })
  })

  it('BID13: a scheduled and a paused auction take no bids, a cancelled one is closed', () => {
    const one = sale({ opensAtMs: startMs + 5_000 })
    expect(one.refuse('bob', 500).code).toBe('auction_not_open')
    one.runTo(startMs + 5_000)
    one.accept('bob', 500)
    one.manage('pause_auction')
    expect(one.refuse('eve', 900).code).toBe('auction_not_open')
    one.manage('cancel_auction')
    expect(one.refuse('eve', 900).code).toBe('auction_closed')
  })

  it('AUCTION4: aliases are in order of the first accepted bid and never change', () => {
    const one = sale()
    one.refuse('zoe', 1)
    one.accept('eve', 100)
    one.accept('bob', 200)
    one.accept('eve', 300)
    one.accept('zoe', 900)
    const aliases = one.events.flatMap((event) => (event.type === 'bid_placed' ? [event.bidder] : []))
    expect(aliases).toEqual(['bidder-1', 'bidder-2', 'bidder-1', 'bidder-3'])
    expect(one.view().highBidder).toBe('bidder-3')
  })

  it('LIMIT2: at the bound of bidders a new one is refused, and earlier ones may continue', () => {
    const one = new Sale({ ...limits, biddersMax: 3 })
    one.enlist()
    one.auction()
    for (const [index, bidder] of ['ann', 'bob', 'eve'].entries()) one.accept(bidder, 100 + index * 100)
    expect(one.refuse('zoe', 9_000)).toEqual({ ok: false, code: 'limit_exceeded' })
    expect(one.accept('ann', 9_000)).toMatchObject({ you: { status: 'winning' } })
    expect(one.view()).toMatchObject({ bidCount: 4, highBidder: 'bidder-1' })
  })
})
