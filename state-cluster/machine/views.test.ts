import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AuctionId, SubjectId } from '../../protocol/ids.ts'
import type { AuctionStatus } from './events.ts'
import { Sale, startMs } from './testing/sale.ts'
import { auctionPage, auctionView, biddersPage, standingOf, stats } from './views.ts'

const statuses: readonly AuctionStatus[] = ['scheduled', 'open', 'paused', 'sold', 'passed', 'cancelled']

/** Auctions of all statuses, in mixed order. */
function manyAuctions(count: number): Sale {
  const one = new Sale()
  one.enlist()
  const tags = [[], ['art'], ['art', 'clock'], ['clock']]
  for (let i = 0; i < count; i++) {
    const opens = i % 6 === 0 ? { opensAtMs: startMs + 90_000 } : {}
    one.auction(`a${i}`, { tags: tags[i % 4] as string[], ...opens })
  }
  for (let k = 0; k < count; k++) {
    const i = (k * 7) % count
    const id = `a${i}`
    if (i % 6 === 1) one.manage('pause_auction', 'sam', id)
    if (i % 6 === 2 && i % 12 < 6) one.accept('bob', 500, 'max', id)
    if (i % 6 === 2) one.manage('close_auction', 'sam', id)
    if (i % 6 === 3) one.manage('cancel_auction', 'sam', id)
  }
  return one
}

function pagesOf(one: Sale, query: { status?: AuctionStatus; tag?: string }, limit: number): string[] {
  const ids: string[] = []
  let after: string | undefined
  for (let pages = 0; pages < 1_000; pages++) {
    const page = auctionPage(
      one.state,
      after === undefined ? { ...query, limit } : { ...query, limit, after },
    )
    expect(page.auctions.length).toBeLessThanOrEqual(limit)
    ids.push(...page.auctions.map((auction) => auction.id))
    if (page.next === undefined) return ids
    expect(page.auctions).toHaveLength(limit)
    after = page.next
  }
  throw new Error('pages do not end')
}

describe('auctionPage', () => {
  it('AUCTION5: by status and tag, in order of creation, each auction once', () => {
    const one = manyAuctions(150)
    const all = Array.from({ length: 150 }, (_, i) => one.view(`a${i}`))
    const status = fc.option(fc.constantFrom(...statuses), { nil: undefined })
    const tag = fc.option(fc.constantFrom('art', 'clock', 'none'), { nil: undefined })
    fc.assert(
      fc.property(status, tag, fc.integer({ min: 1, max: 200 }), (status, tag, limit) => {
        const query = { ...(status === undefined ? {} : { status }), ...(tag === undefined ? {} : { tag }) }
        const expected = all.filter(
          (view) =>
            (status === undefined || view.status === status) &&
            (tag === undefined || view.tags.includes(tag)),
        )
        expect(pagesOf(one, query, limit)).toEqual(expected.map((view) => view.id))
      }),
    )
  })

  it('AUCTION5: open auctions are found among thousands that ended', () => {
    const one = new Sale()
    one.enlist()
    for (let i = 0; i < 3_000; i++) {
      one.auction(`a${i}`, { tags: ['art'] })
      if (i % 1_000 !== 999) one.manage('close_auction', 'sam', `a${i}`)
    }
    let reads = 0
    const { auctions } = one.state
    const at = auctions.at.bind(auctions)
    auctions.at = (ordinal) => {
      reads++
      return at(ordinal)
    }
    for (const query of [{ status: 'open' as const }, { status: 'open' as const, tag: 'art' }]) {
      reads = 0
      expect(pagesOf(one, query, 2)).toEqual(['a999', 'a1999', 'a2999'])
      expect(reads).toBeLessThanOrEqual(6)
    }
  })

  it('AUCTION5: an invalid cursor gives an empty page', () => {
    const one = manyAuctions(3)
    for (const after of ['x', '-1', '1.5', '1e400', '9007199254740993'])
      expect(auctionPage(one.state, { after, limit: 10 })).toEqual({ auctions: [] })
    expect(auctionPage(one.state, { after: '3', limit: 10 })).toEqual({ auctions: [] })
    expect(auctionPage(one.state, { after: '2', limit: 10 }).auctions.map((view) => view.id)).toEqual(['a2'])
  })
})

describe('standingOf', () => {
  it('gives a bidder its own standing', () => {
    const one = new Sale()
    one.enlist()
    for (const id of ['a1', 'a2', 'a3']) {
      one.auction(id, id === 'a2' ? { reserve: 9_999 } : {})
      one.accept('bob', 500, 'max', id)
      one.accept('eve', 700, 'max', id)
    }
    const of = (bidder: string, id = 'a1') => standingOf(one.state, id as AuctionId, bidder as SubjectId)
    expect(of('eve')).toEqual({ status: 'winning', maxBid: 700 })
    expect(of('bob')).toEqual({ status: 'outbid', maxBid: 500 })
    expect(of('zoe')).toEqual({ status: 'none' })
    expect(of('bob', 'a9')).toEqual({ status: 'none' })
    for (const id of ['a1', 'a2']) one.manage('close_auction', 'sam', id)
    one.manage('cancel_auction', 'sam', 'a3')
    expect(of('eve')).toEqual({ status: 'won', maxBid: 700 })
    expect(of('bob')).toEqual({ status: 'lost', maxBid: 500 })
    expect(of('eve', 'a2')).toEqual({ status: 'lost', maxBid: 700 })
    expect(of('eve', 'a3')).toEqual({ status: 'none', maxBid: 700 })
  })
})

describe('other pages', () => {
  it('bidders are in order of first bid, in pages by alias number', () => {
    const one = new Sale()
    one.enlist()
    one.auction()
    for (let i = 1; i <= 20; i++) one.accept(`b${i}`, i * 1_000)
    const of = (after: number, limit: number) => biddersPage(one.state, 'a1' as AuctionId, after, limit)
    expect(of(0, 3)).toEqual(['b1', 'b2', 'b3'])
    expect(of(18, 10)).toEqual(['b19', 'b20'])
    expect(of(20, 10)).toEqual([])
    expect(biddersPage(one.state, 'a9' as AuctionId, 0, 10)).toEqual([])
    one.restart()
    expect(of(8, 2)).toEqual(['b9', 'b10'])
  })

  it('stats count by status, and an unknown auction has no view', () => {
    const one = manyAuctions(60)
    expect(stats(one.state)).toMatchObject({
      lastAtMs: startMs,
      auctions: 60,
      scheduledAuctions: 10,
      openAuctions: 20,
      pausedAuctions: 10,
      buyers: 0,
      servers: 1,
      tags: 2,
      outboxEntriesDropped: 0,
    })
    expect(auctionView(one.state, 'a9999' as AuctionId)).toBeUndefined()
  })
})
