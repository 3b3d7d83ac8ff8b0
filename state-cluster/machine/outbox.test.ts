import { describe, expect, it } from 'vitest'
import type { ServerId } from '../../protocol/ids.ts'
import { limits } from './limits.ts'
import { stateHash } from './state.ts'
import { Sale, startMs } from './testing/sale.ts'
import { stats } from './views.ts'

function sale(few = limits): Sale {
  const one = new Sale(few)
  one.enlist()
  return one
}

/** The positions that wait for the server, up to one of them. */
function acknowledge(one: Sale, upTo: number, server = 's1') {
  const waiting = one.outbox(server, 0, 100_000).map(({ position }) => position)
  const positions = waiting.filter((position) => position <= upTo)
  return one.ask({ type: 'acknowledge_positions', serverId: server as ServerId, epoch: 1, positions })
}

describe('outbox', () => {
  it('OUTBOX1: each kind of happening makes its entry, in order of position', () => {
    const one = sale()
    one.buyer('ann', ['clock'])
    one.buyer('mute')
    one.auction('a1', { tags: ['clock'] })
    one.auction('a2', { opensAtMs: startMs + 90_000 })
    one.accept('ann', 500)
    one.accept('bob', 700)
    one.accept('ann', 600)
    one.manage('close_auction')
    one.manage('cancel_auction', 'sam', 'a2')
    one.auction('a3')
    one.manage('close_auction', 'sam', 'a3')
    expect(one.outbox()).toEqual([
      { position: 1, kind: 'MATCHING_AUCTIONS', atMs: startMs, recipient: 'ann' },
      { position: 2, kind: 'NEW_AUCTION', atMs: startMs, auctionId: 'a1', seq: 1 },
      { position: 3, kind: 'NEW_AUCTION', atMs: startMs, auctionId: 'a2', seq: 0 },
      { position: 4, kind: 'NEW_BID', atMs: startMs, auctionId: 'a1', seq: 2, recipient: 'ann', price: 100 },
      { position: 5, kind: 'NEW_BID', atMs: startMs, auctionId: 'a1', seq: 3, recipient: 'bob', price: 550 },
      { position: 6, kind: 'OUTBID', atMs: startMs, auctionId: 'a1', seq: 3, recipient: 'ann', price: 550 },
      { position: 7, kind: 'NEW_BID', atMs: startMs, auctionId: 'a1', seq: 4, recipient: 'ann', price: 650 },
      { position: 8, kind: 'OUTBID', atMs: startMs, auctionId: 'a1', seq: 4, recipient: 'ann', price: 650 },
      {
        position: 9,
        kind: 'WON_AUCTION',
        atMs: startMs,
        auctionId: 'a1',
        seq: 5,
        recipient: 'bob',
        price: 650,
      },
      { position: 10, kind: 'END_OF_AUCTION', atMs: startMs, auctionId: 'a1', seq: 5, price: 650 },
      { position: 11, kind: 'CANCELED_AUCTION', atMs: startMs, auctionId: 'a2', seq: 1 },
      { position: 12, kind: 'NEW_AUCTION', atMs: startMs, auctionId: 'a3', seq: 1 },
      { position: 13, kind: 'END_OF_AUCTION', atMs: startMs, auctionId: 'a3', seq: 2 },
    ])
  })

  it('OUTBOX1: the result of an entry has the number of its outbox entries', () => {
    const one = sale()
    one.auction()
    one.accept('ann', 500)
    const { outboxCount } = one.apply({
      type: 'place_bid',
      subject: 'bob' as never,
      requestId: 'r' as never,
      auctionId: 'a1' as never,
      amount: 900,
      kind: 'max',
    })
    expect(outboxCount).toBe(2)
    expect(one.conduct().outboxCount).toBe(0)
  })

  it('OUTBOX2: each server reads its own, in pages', () => {
    const one = sale()
    one.enlist('s2')
    for (let i = 1; i <= 6; i++) one.auction(`a${i}`, {}, i % 2 === 0 ? 's2' : 's1')
    const positions = (server: string, after: number, limit: number) =>
      one.outbox(server, after, limit).map((outboxEntry) => outboxEntry.position)
    expect(positions('s1', 0, 10)).toEqual([1, 3, 5])
    expect(positions('s2', 0, 10)).toEqual([2, 4, 6])
    expect(positions('s1', 1, 1)).toEqual([3])
    expect(positions('s1', 2, 10)).toEqual([3, 5])
    expect(positions('s1', 5, 10)).toEqual([])
    expect(positions('s3', 0, 10)).toEqual([])
    one.restart()
    expect(positions('s2', 2, 10)).toEqual([4, 6])
  })

  it('OUTBOX3: an outbox entry stays until its owner acknowledges its position', () => {
    const one = sale()
    one.enlist('s2')
    for (let i = 1; i <= 6; i++) one.auction(`a${i}`, {}, i % 2 === 0 ? 's2' : 's1')
    const left = () => [...one.outbox('s1'), ...one.outbox('s2')].map((outboxEntry) => outboxEntry.position)
    expect(acknowledge(one, 3)).toEqual({ ok: true, type: 'done' })
    expect(left()).toEqual([5, 2, 4, 6])
    expect(acknowledge(one, 3)).toEqual({ ok: true, type: 'done' })
    acknowledge(one, 99, 's2')
    expect(left()).toEqual([5])
    one.restart()
    expect(left()).toEqual([5])
    acknowledge(one, 5)
    expect(left()).toEqual([])
    one.auction('a7')
    expect(left()).toEqual([7])
    expect(stateHash(one.state)).toBe(stateHash(one.restart().state))
  })

  it('OUTBOX3: thousands are acknowledged in parts', () => {
    const one = sale()
    one.auction()
    for (let i = 0; i < 3_000; i++) one.accept(i % 2 === 0 ? 'ann' : 'bob', 1_000 + i * 10_000)
    const count = one.outbox('s1', 0, 100_000).length
    expect(count).toBe(1 + 3_000 + 2_999)
    for (let upTo = 500; upTo < count + 500; upTo += 500) {
      acknowledge(one, upTo)
      expect(stats(one.state).outboxLength).toBe(Math.max(0, count - upTo))
      expect(one.outbox('s1', 0, 1)[0]?.position).toBe(upTo < count ? upTo + 1 : undefined)
    }
  })

  it('OUTBOX4: when the outbox is full, bids are counted and the rest is queued', () => {
    const one = sale({ ...limits, outboxMax: 3 })
    one.auction('a1')
    one.accept('ann', 500)
    one.accept('bob', 400)
    expect(stats(one.state)).toMatchObject({ outboxLength: 3, outboxEntriesDropped: 1 })
    one.accept('eve', 900)
    expect(stats(one.state)).toMatchObject({ outboxLength: 3, outboxEntriesDropped: 3 })
    one.auction('a2')
    one.manage('close_auction')
    const kinds = ['NEW_AUCTION', 'NEW_BID', 'NEW_BID', 'NEW_AUCTION', 'WON_AUCTION', 'END_OF_AUCTION']
    expect(one.outbox().map((outboxEntry) => outboxEntry.kind)).toEqual(kinds)
    acknowledge(one, 99)
    one.auction('a3')
    one.accept('ann', 500, 'max', 'a3')
    expect(one.outbox().map((outboxEntry) => outboxEntry.position)).toEqual([7, 8])
    expect(stateHash(one.state)).toBe(stateHash(one.restart().state))
  })
})
