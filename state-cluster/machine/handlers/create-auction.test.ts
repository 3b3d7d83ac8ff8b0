import { describe, expect, it } from 'vitest'
import { defaultIncrements } from '../../../protocol/money.ts'
import type { AuctionTerms } from '../commands.ts'
import { isPublic } from '../events.ts'
import { limits } from '../limits.ts'
import { stateHash } from '../state.ts'
import { termsFault } from '../terms.ts'
import { terms as lawful, Sale, startMs } from '../testing/sale.ts'

function sale(few = limits): Sale {
  const one = new Sale(few)
  one.enlist()
  return one
}

const accepted = { ok: true, type: 'auction', auctionId: 'a1', seq: 1 }

describe('create_auction', () => {
  it('AUCTION1, WIRE22: invalid terms are terms_invalid, and the fault is named', () => {
    const wrong: Partial<AuctionTerms>[] = [
      { title: '' },
      { title: 'x'.repeat(limits.titleLengthMax + 1) },
      { format: 'dutch-clock-of-nowhere' },
      { currency: 'usd' },
      { currency: 'USDX' },
      { openingBid: -1 },
      { openingBid: 1.5 },
      { openingBid: 2 ** 53 },
      { reserve: -1 },
      { reserve: Number.NaN },
      { buyNow: 0 },
      { buyNow: 99 },
      { buyNow: 999, reserve: 1_000 },
      { buyNow: 2 ** 53 },
      { increments: [] },
      { increments: [{ from: 1, step: 1 }] },
      { increments: [{ from: 0, step: 0 }] },
      {
        increments: [
          { from: 0, step: 1 },
          { from: 0, step: 2 },
        ],
      },
      { durationMs: 0 },
      { durationMs: 1.5 },
      { durationMs: limits.durationMsMax + 1 },
      { opensAtMs: -1 },
      { opensAtMs: limits.opensAtMsMax + 1 },
      { softClose: { windowMs: 0, extensionMs: 1 } },
      { softClose: { windowMs: 1, extensionMs: limits.softCloseMsMax + 1 } },
      { softClose: { windowMs: 1, extensionMs: 1, limit: -1 } },
      { tags: ['b', 'a'] },
      { tags: ['a', 'a'] },
      { tags: [''] },
      { tags: ['x'.repeat(limits.tagLengthMax + 1)] },
      { tags: Array.from({ length: limits.tagsPerAuctionMax + 1 }, (_, i) => String.fromCharCode(65 + i)) },
      { item: 'x'.repeat(limits.itemLengthMax + 1) },
    ]
    const one = sale()
    for (const change of wrong) {
      expect(one.auction('a1', change), JSON.stringify(change)).toEqual({ ok: false, code: 'terms_invalid' })
      // The server names the fault by the same function.
      const [field = ''] = Object.keys(change)
      expect(termsFault({ ...lawful, ...change })).toMatch(
        new RegExp(`^${field.replace('Ms', '(Ms)?')} must `),
      )
    }
    expect(termsFault(lawful)).toBeUndefined()
    expect(one.state.auctions.size).toBe(0)
    expect(one.outbox()).toEqual([])
  })

  it('AUCTION1: terms at the edge of their ranges are accepted', () => {
    const fine: Partial<AuctionTerms>[] = [
      { openingBid: 0 },
      { openingBid: 2 ** 53 - 1 },
      { buyNow: 100 },
      { buyNow: 1_000, reserve: 1_000 },
      { reserve: 0 },
      { durationMs: 1 },
      { durationMs: limits.durationMsMax },
      { softClose: { windowMs: 1, extensionMs: limits.softCloseMsMax, limit: 0 } },
      { tags: ['A', 'a', 'b'] },
      { item: 'x'.repeat(limits.itemLengthMax), title: 'x'.repeat(limits.titleLengthMax) },
      { currency: 'JPY', increments: defaultIncrements('JPY') },
    ]
    for (const change of fine) expect(sale().auction('a1', change), JSON.stringify(change)).toEqual(accepted)
  })

  it('AUCTION1: the view shows the terms as given', () => {
    const one = sale()
    const terms = {
      title: 'Clock',
      tags: ['clock', 'oak'],
      item: '{"year":1890}',
      softClose: { windowMs: 5, extensionMs: 7, limit: 3 },
      increments: [{ from: 0, step: 10 }],
      buyNow: 900,
    }
    one.auction('a1', { ...terms, reserve: 300 })
    expect(one.view()).toMatchObject({
      ...terms,
      format: 'english',
      currency: 'USD',
      sellerId: 'sam',
      owner: 's1',
    })
    one.restart()
    expect(one.view()).toMatchObject(terms)
  })

  it('AUCTION2: an id names one auction for ever, and creation is refused in a fixed order', () => {
    const one = sale({ ...limits, auctionsMax: 1 })
    expect(one.auction()).toEqual(accepted)
    expect(one.auction('a1', { title: '' })).toEqual({ ok: false, code: 'terms_invalid' })
    expect(one.auction('a1', { title: 'another' })).toEqual({ ok: false, code: 'auction_exists' })
    expect(one.auction('a2')).toEqual({ ok: false, code: 'limit_exceeded' })
    one.manage('close_auction')
    expect(one.auction('a1', { openingBid: 101 })).toEqual({ ok: false, code: 'auction_exists' })
    expect(one.view().title).toBe('A thing')
  })

  it('AUCTION6: the same seller and terms under a used id get that auction, and create nothing', () => {
    const one = sale()
    one.auction('a1', { reserve: 300, softClose: { windowMs: 1_000, extensionMs: 2_000 } })
    one.accept('bob', 500)
    const before = one.view()
    const again = { reserve: 300, softClose: { windowMs: 1_000, extensionMs: 2_000 } }
    expect(one.auction('a1', again)).toEqual({ ok: true, type: 'auction', auctionId: 'a1', seq: 2 })
    for (const other of [
      {},
      { ...again, reserve: 301 },
      { ...again, tags: ['oak'] },
      { ...again, opensAtMs: startMs + 5_000 },
    ])
      expect(one.auction('a1', other)).toEqual({ ok: false, code: 'auction_exists' })
    expect(one.view()).toEqual(before)
    one.auction('a2', { opensAtMs: startMs + 9_000 })
    expect(one.auction('a2', { opensAtMs: startMs + 9_000 })).toMatchObject({ ok: true, seq: 0 })
    expect(one.auction('a2')).toEqual({ ok: false, code: 'auction_exists' })
    one.restart()
    expect(one.auction('a1', again)).toMatchObject({ ok: true, seq: 2 })
    expect(one.view()).toEqual(before)
  })

  it('AUCTION3: seq counts the public events of each auction alone', () => {
    const one = sale()
    one.auction('a1')
    one.auction('a2')
    one.accept('bob', 500, 'max', 'a1')
    one.accept('bob', 500, 'max', 'a2')
    one.accept('eve', 900, 'max', 'a1')
    one.manage('pause_auction')
    one.manage('resume_auction')
    one.extend(1_000)
    one.manage('close_auction')
    const seqs = (id: string) =>
      one.events.flatMap((event) => (event.auctionId === id && isPublic(event) ? [event.seq] : []))
    expect(seqs('a1')).toEqual([1, 2, 3, 4, 5, 6, 7])
    expect(seqs('a2')).toEqual([1, 2])
    expect(one.view('a1').seq).toBe(7)
    expect(one.view('a2').seq).toBe(2)
  })

  it('LIMIT1: at a bound, a command that would add one more is refused and changes nothing', () => {
    const one = sale({ ...limits, auctionsMax: 2, serversMax: 1, distinctTagsMax: 3, buyersMax: 1 })
    one.auction('a1', { tags: ['a', 'b'] })
    const rejected = { ok: false, code: 'limit_exceeded' }
    const rowsButRequests = () => one.state.auctions.size + one.state.servers.size + one.state.tags.size
    const before = rowsButRequests()
    expect(one.auction('a2', { tags: ['b', 'c', 'd'] })).toEqual(rejected)
    expect(one.enlist('s2')).toEqual(rejected)
    expect(one.buyer('ann', ['c', 'd'])).toEqual(rejected)
    expect(rowsButRequests()).toBe(before)
    expect(one.auction('a2', { tags: ['a', 'c'] })).toMatchObject({ ok: true })
    expect(one.auction('a3')).toEqual(rejected)
    expect(one.buyer('ann', ['a', 'b', 'c'])).toMatchObject({ ok: true })
    expect(one.buyer('bob')).toEqual(rejected)
    expect(one.buyer('ann', ['c'])).toMatchObject({ ok: true })
    expect(stateHash(one.state)).toBe(stateHash(one.restart().state))
  })

  it('LIMIT1: with no live server an auction names the one where it is created, up to the bound', () => {
    const one = new Sale({ ...limits, serversMax: 1 })
    expect(one.auction('a1', {}, 's1')).toMatchObject({ ok: true })
    expect(one.auction('a2', {}, 's2')).toEqual({ ok: false, code: 'limit_exceeded' })
    expect([one.state.auctions.size, one.state.servers.size]).toEqual([1, 1])
  })
})
