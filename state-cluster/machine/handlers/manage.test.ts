import { describe, expect, it } from 'vitest'
import { Sale, startMs } from '../testing/sale.ts'

function sale(change: Parameters<Sale['auction']>[1] = {}): Sale {
  const one = new Sale()
  one.enlist()
  one.auction('a1', change)
  return one
}

const acts = ['close_auction', 'cancel_auction', 'pause_auction', 'resume_auction'] as const

describe('permission to manage', () => {
  it('CLOSE4: only its seller and operators, and only an auction that exists', () => {
    for (const act of acts) {
      const one = sale()
      expect(one.manage(act, 'bob')).toEqual({ ok: false, code: 'not_the_seller' })
      expect(one.manage(act, 'bob', 'a9')).toEqual({ ok: false, code: 'auction_not_found' })
      if (act === 'resume_auction') one.manage('pause_auction')
      expect(one.manage(act, 'root', 'a1', true)).toMatchObject({
        ok: true,
        type: 'auction',
        seq: one.view().seq,
      })
    }
    expect(sale().extend(1_000, 'bob')).toEqual({ ok: false, code: 'not_the_seller' })
    expect(sale().extend(1_000, 'sam', 'a9')).toEqual({ ok: false, code: 'auction_not_found' })
  })
})

describe('close', () => {
  it('CLOSE4: it ends before the deadline, also while paused, but not while scheduled', () => {
    const open = sale()
    open.accept('bob', 500)
    expect(open.manage('close_auction')).toEqual({ ok: true, type: 'auction', auctionId: 'a1', seq: 3 })
    expect(open.view()).toMatchObject({ status: 'sold', hammerPrice: 100, winner: 'bidder-1' })

    const paused = sale()
    paused.accept('bob', 500)
    paused.manage('pause_auction')
    expect(paused.manage('close_auction')).toMatchObject({ ok: true })
    expect(paused.view().status).toBe('sold')

    const scheduled = sale({ opensAtMs: startMs + 9_000 })
    expect(scheduled.manage('close_auction')).toMatchObject({ code: 'auction_not_open' })
  })

  it('CLOSE2: a second close is auction_closed and changes nothing', () => {
    const one = sale()
    one.manage('close_auction')
    const view = one.view()
    for (const act of acts) expect(one.manage(act)).toMatchObject({ code: 'auction_closed', seq: view.seq })
    expect(one.extend(5)).toMatchObject({ code: 'auction_closed' })
    expect(one.view()).toEqual(view)
  })

  it('CLOSE3: the winner gets won, every other bidder lost', () => {
    const one = sale()
    one.accept('ann', 500)
    one.accept('bob', 700)
    one.accept('eve', 600)
    const mark = one.events.length
    one.manage('close_auction')
    expect(one.events.slice(mark)).toMatchObject([
      { type: 'auction_sold', seq: 5, hammerPrice: 650, winner: 'bidder-2' },
      { type: 'won', bidderId: 'bob', seq: 5, price: 650 },
      { type: 'lost', bidderId: 'ann', seq: 5, price: 650 },
      { type: 'lost', bidderId: 'eve', seq: 5, price: 650 },
    ])
    expect(one.events.at(-1)).not.toHaveProperty('askingBid')
  })

  it('CLOSE3: when an auction passes, every bidder gets lost', () => {
    const one = sale({ reserve: 9_000 })
    one.accept('ann', 500)
    one.accept('bob', 700)
    const mark = one.events.length
    one.manage('close_auction')
    expect(one.typesSince(mark)).toEqual(['auction_passed', 'lost', 'lost'])
  })
})

describe('cancel', () => {
  it('CLOSE5: open, paused and scheduled auctions can be cancelled; nobody wins and nobody loses', () => {
    for (const prepare of [
      () => sale(),
      () => {
        const one = sale()
        one.manage('pause_auction')
        return one
      },
      () => sale({ opensAtMs: startMs + 9_000 }),
    ]) {
      const one = prepare()
      const mark = one.events.length
      expect(one.manage('cancel_auction')).toMatchObject({ ok: true })
      expect(one.typesSince(mark)).toEqual(['auction_cancelled'])
      expect(one.view().status).toBe('cancelled')
      one.runTo(startMs + 120_000)
      expect(one.view().status).toBe('cancelled')
    }
  })
})

describe('pause and resume', () => {
  it('PAUSE1: while paused it does not fall due and no bid counts', () => {
    const one = sale()
    one.pass(10_000).manage('pause_auction')
    one.runTo(startMs + 500_000)
    expect(one.view()).toMatchObject({ status: 'paused', closesAt: startMs + 60_000 })
    expect(one.refuse('bob', 500).code).toBe('auction_not_open')
  })

  it('PAUSE2: it resumes with the time that was left', () => {
    const one = sale()
    one.pass(10_000).manage('pause_auction')
    one.pass(100_000)
    const mark = one.events.length
    one.manage('resume_auction')
    expect(one.events[mark]).toMatchObject({ type: 'auction_resumed', closesAt: startMs + 160_000 })
    one.runTo(startMs + 159_999)
    expect(one.view().status).toBe('open')
    one.runTo(startMs + 160_000)
    expect(one.view().status).toBe('passed')
  })

  it('PAUSE2: an extension made meanwhile is added', () => {
    const one = sale()
    one.pass(10_000).manage('pause_auction')
    expect(one.pass(5_000).extend(7_000)).toMatchObject({ ok: true })
    expect(one.view()).toMatchObject({ status: 'paused', closesAt: startMs + 67_000, extensions: 1 })
    one.pass(5_000).manage('resume_auction')
    expect(one.view().closesAt).toBe(startMs + 77_000)
  })

  it('PAUSE3: only an open auction can be paused, only a paused one resumed', () => {
    const one = sale({ opensAtMs: startMs + 1_000 })
    expect(one.manage('pause_auction')).toMatchObject({ code: 'auction_not_open' })
    expect(one.manage('resume_auction')).toMatchObject({ code: 'not_paused' })
    one.runTo(startMs + 1_000)
    expect(one.manage('resume_auction')).toMatchObject({ code: 'not_paused' })
    one.manage('pause_auction')
    expect(one.manage('pause_auction')).toMatchObject({ code: 'auction_not_open' })
    one.manage('resume_auction')
    one.manage('close_auction')
    expect(one.manage('pause_auction')).toMatchObject({ code: 'auction_closed' })
    expect(one.manage('resume_auction')).toMatchObject({ code: 'auction_closed' })
  })

  it('LIMIT3: no deadline is later than the last date that exists', () => {
    const year = 366 * 86_400_000
    const one = sale()
    one.state.house.lastAtMs = one.atMs
    const auction = one.state.auctions.get(one.view().id)
    if (auction === undefined) throw new Error('no auction')
    auction.closesAtMs = 8_640_000_000_000_000 - 1_000
    one.state.changes.touch(auction)
    expect(one.extend(1_001)).toEqual({ ok: false, code: 'limit_exceeded' })
    expect(one.extend(1_000)).toMatchObject({ ok: true })
    one.manage('pause_auction')
    expect(one.pass(year).manage('resume_auction')).toEqual({ ok: false, code: 'limit_exceeded' })
    expect(one.view().status).toBe('paused')
  })
})

describe('extend', () => {
  it('CLOSE6: moves the deadline by 1 ms to 366 days', () => {
    const one = sale()
    const mark = one.events.length
    expect(one.extend(5_000)).toMatchObject({ ok: true })
    expect(one.events[mark]).toMatchObject({
      type: 'auction_extended',
      closesAt: startMs + 65_000,
      reason: 'operator',
    })
    expect(one.extend(366 * 86_400_000)).toMatchObject({ ok: true })
    for (const byMs of [0, -1, 1.5, Number.NaN, 366 * 86_400_000 + 1])
      expect(one.extend(byMs)).toEqual({ ok: false, code: 'terms_invalid' })
    expect(one.view().extensions).toBe(2)
    expect(sale({ opensAtMs: startMs + 1 }).extend(5)).toMatchObject({ code: 'auction_not_open' })
  })

  it('CLOSE7: after the deadline only a close decides', () => {
    const one = sale()
    one.accept('bob', 500)
    one.pass(60_000)
    expect(one.manage('pause_auction')).toMatchObject({ code: 'auction_closed' })
    expect(one.manage('cancel_auction')).toMatchObject({ code: 'auction_closed' })
    expect(one.extend(5_000)).toMatchObject({ code: 'auction_closed' })
    expect(one.view().status).toBe('open')
    expect(one.manage('close_auction')).toMatchObject({ ok: true })
    expect(one.view().status).toBe('sold')
  })
})
