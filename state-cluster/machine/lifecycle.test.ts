import { describe, expect, it } from 'vitest'
import { Sale, startMs } from './testing/sale.ts'

function sale(softClose: { windowMs: number; extensionMs: number; limit?: number }): Sale {
  const one = new Sale()
  one.enlist()
  one.auction('a1', { softClose })
  return one
}

describe('soft close', () => {
  it('SOFT1: an accepted bid within the window moves the close to the extension after the bid', () => {
    const one = sale({ windowMs: 10_000, extensionMs: 15_000 })
    one.pass(49_999).accept('bob', 500)
    expect(one.view().closesAt).toBe(startMs + 60_000)
    const mark = one.events.length
    const { seq } = one.pass(1).accept('eve', 600)
    expect(one.view()).toMatchObject({ closesAt: startMs + 65_000, extensions: 1 })
    expect(one.events.slice(mark)).toMatchObject([
      { type: 'bid_placed', seq },
      { type: 'outbid', bidderId: 'bob', seq },
      { type: 'auction_extended', seq: seq + 1, closesAt: startMs + 65_000, reason: 'soft_close' },
    ])
  })

  it('SOFT1: a raise of the own maximum and a bid outbid at once count as well, a refused one does not', () => {
    const one = sale({ windowMs: 10_000, extensionMs: 10_000 })
    one.accept('bob', 500)
    one.pass(55_000).accept('bob', 600)
    expect(one.view().closesAt).toBe(startMs + 65_000)
    one.pass(5_000).accept('eve', 300)
    expect(one.view().closesAt).toBe(startMs + 70_000)
    one.pass(5_000).refuse('eve', 1)
    expect(one.view().closesAt).toBe(startMs + 70_000)
  })

  it('SOFT1: the close never moves nearer', () => {
    const one = sale({ windowMs: 30_000, extensionMs: 5_000 })
    one.pass(40_000).accept('bob', 500)
    expect(one.view()).toMatchObject({ closesAt: startMs + 60_000, extensions: 0 })
    one.pass(15_001).accept('eve', 600)
    expect(one.view()).toMatchObject({ closesAt: startMs + 60_001, extensions: 1 })
  })

  it('SOFT2: with a limit, soft close extends that many times; other extensions do not count', () => {
    const one = sale({ windowMs: 10_000, extensionMs: 10_000, limit: 2 })
    one.extend(1_000)
    one.pass(59_000).accept('ann', 500)
    one.pass(8_000).accept('bob', 600)
    expect(one.view()).toMatchObject({ closesAt: startMs + 77_000, extensions: 3 })
    one.pass(8_000).accept('ann', 700)
    expect(one.view()).toMatchObject({ closesAt: startMs + 77_000, extensions: 3 })
    one.extend(1_000)
    expect(one.view()).toMatchObject({ closesAt: startMs + 78_000, extensions: 4 })
  })

  it('SOFT2: a limit of 0 never extends', () => {
    const one = sale({ windowMs: 60_000, extensionMs: 60_000, limit: 0 })
    one.pass(59_000).accept('ann', 500)
    expect(one.view().extensions).toBe(0)
  })
})
