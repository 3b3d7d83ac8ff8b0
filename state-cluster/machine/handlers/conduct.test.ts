import { describe, expect, it } from 'vitest'
import type { ServerId } from '../../../protocol/ids.ts'
import type { Conducted } from '../events.ts'
import { limits } from '../limits.ts'
import { Sale, startMs } from '../testing/sale.ts'

function sale(change: Parameters<Sale['auction']>[1] = {}, few = limits): Sale {
  const one = new Sale(few)
  one.enlist()
  one.auction('a1', change)
  return one
}

function conducted(one: Sale, server = 's1', epoch = 1): Conducted {
  const reply = one.conduct(server, epoch).replies[0]
  if (reply?.ok !== true || reply.type !== 'conducted') throw new Error(JSON.stringify(reply))
  return reply
}

describe('openings', () => {
  it('OPEN1: without an opening time, or with one that has passed, it opens at once', () => {
    for (const change of [{}, { opensAtMs: startMs }, { opensAtMs: 5 }]) {
      const one = sale(change)
      expect(one.view()).toMatchObject({
        status: 'open',
        seq: 1,
        opensAt: startMs,
        closesAt: startMs + 60_000,
      })
      expect(one.events).toMatchObject([{ type: 'auction_opened', seq: 1, closesAt: startMs + 60_000 }])
    }
  })

  it('OPEN2: with a later opening time, it opens at the first pulse from then on', () => {
    const one = sale({ opensAtMs: startMs + 5_000 })
    expect(one.view()).toMatchObject({ status: 'scheduled', seq: 0, closesAt: startMs + 65_000 })
    expect(conducted(one)).toMatchObject({ nextDueMs: startMs + 5_000, more: false })
    one.runTo(startMs + 4_999)
    expect(one.view().status).toBe('scheduled')
    one.runTo(startMs + 5_040)
    expect(one.events).toMatchObject([{ type: 'auction_opened', seq: 1, closesAt: startMs + 65_000 }])
    expect(conducted(one).nextDueMs).toBe(startMs + 65_000)
    one.accept('bob', 500)
  })

  it('OPEN3: opened later than the outage threshold, or after its close, it has its whole duration', () => {
    const late = sale({ opensAtMs: startMs + 5_000 })
    late.pass(7_001).conduct()
    expect(late.view()).toMatchObject({ status: 'open', closesAt: startMs + 67_001, extensions: 0 })

    const inTime = sale({ opensAtMs: startMs + 5_000 })
    inTime.runTo(startMs + 4_500)
    inTime.pass(2_000).conduct()
    expect(inTime.view().closesAt).toBe(startMs + 65_000)

    const short = sale({ opensAtMs: startMs + 1_500, durationMs: 200 })
    short.runTo(startMs + 1_000)
    short.pass(1_000).conduct()
    expect(short.view()).toMatchObject({ status: 'open', closesAt: startMs + 2_200 })
  })
})

describe('closes', () => {
  it('CLOSE1: at the first pulse at or after the deadline it ends', () => {
    const one = sale()
    one.accept('bob', 500)
    one.runTo(startMs + 59_999)
    expect(one.view().status).toBe('open')
    one.runTo(startMs + 60_000)
    expect(one.view()).toMatchObject({ status: 'sold', hammerPrice: 100, winner: 'bidder-1' })
    expect(conducted(one)).toEqual({ ok: true, type: 'conducted', more: false, atMs: startMs + 60_000 })

    const passed = sale()
    passed.runTo(startMs + 60_500)
    expect(passed.view().status).toBe('passed')
  })

  it('DUE1: auctions end in order of deadline, then of creation, also after a restart', () => {
    for (const restarts of [false, true]) {
      const one = sale({ durationMs: 3_000 })
      one.auction('a2', { durationMs: 1_000 })
      one.auction('a3', { durationMs: 3_000 })
      one.auction('a4', { durationMs: 2_000 })
      one.auction('a5', { durationMs: 1_000 })
      one.extend(500, 'sam', 'a4')
      if (restarts) one.restart()
      const mark = one.events.length
      one.runTo(startMs + 1_900)
      one.runTo(startMs + 3_500)
      expect(one.events.slice(mark).map((event) => event.auctionId)).toEqual(['a2', 'a5', 'a4', 'a1', 'a3'])
    }
  })

  it('OWNER3: a pulse handles a batch, and its reply says that more is due', () => {
    const one = sale({ durationMs: 1_000 }, { ...limits, conductBatchMax: 2 })
    for (const id of ['a2', 'a3', 'a4', 'a5']) one.auction(id, { durationMs: 1_000 })
    one.pass(1_000)
    expect(conducted(one)).toMatchObject({ nextDueMs: startMs + 1_000, more: true })
    expect(one.state.auctions.countOf('open')).toBe(3)
    expect(conducted(one).more).toBe(true)
    expect(conducted(one)).toEqual({ ok: true, type: 'conducted', more: false, atMs: startMs + 1_000 })
    expect(one.state.auctions.countOf('passed')).toBe(5)
  })

  it('OWNER3: a pulse ends early once it has made many events', () => {
    const one = sale({ durationMs: 1_000 }, { ...limits, conductEventsMax: 4 })
    for (const id of ['a2', 'a3']) one.auction(id, { durationMs: 1_000 })
    for (const id of ['a1', 'a2', 'a3'])
      for (let bid = 1; bid <= 5; bid++) one.accept(`bidder-${bid}`, bid * 100, 'max', id)
    one.pass(1_000)
    expect(conducted(one).more).toBe(true)
    expect(one.state.auctions.countOf('sold')).toBe(1)
    conducted(one)
    expect(conducted(one).more).toBe(false)
    expect(one.state.auctions.countOf('sold')).toBe(3)
  })
})

describe('owners', () => {
  it('OWNER1: each enlistment gives the next epoch, and commands with another one are refused', () => {
    const one = sale()
    expect(one.enlist()).toEqual({ ok: true, type: 'server', epoch: 2 })
    one.pass(60_000)
    const before = one.view()
    for (const epoch of [0, 1, 3]) {
      expect(one.conduct('s1', epoch).replies).toEqual([{ ok: false, code: 'stale_epoch' }])
      const acknowledge = {
        type: 'acknowledge_positions',
        serverId: 's1' as ServerId,
        epoch,
        positions: [1],
      } as const
      expect(one.ask(acknowledge)).toEqual({ ok: false, code: 'stale_epoch' })
    }
    expect(one.conduct('s9', 1).replies).toEqual([{ ok: false, code: 'stale_epoch' }])
    expect(one.view()).toEqual(before)
    expect(one.outbox()).toHaveLength(1)
    expect(conducted(one, 's1', 2)).toMatchObject({ more: false })
  })

  it('OWNER2: an auction belongs to the server where it was created; only that one conducts it', () => {
    const one = sale({ durationMs: 1_000 })
    one.enlist('s2')
    one.auction('b1', { durationMs: 1_000 }, 's2')
    expect(one.view('b1')).toMatchObject({ owner: 's2', epoch: 1 })
    one.pass(1_000).conduct('s1')
    expect(one.view('a1').status).toBe('passed')
    expect(one.view('b1').status).toBe('open')
    one.conduct('s2')
    expect(one.view('b1').status).toBe('passed')
    expect(one.events.every((event) => event.epoch === 1)).toBe(true)
  })
})

describe('outages', () => {
  it('OUTAGE1: a silence up to the threshold is no outage, a longer one is', () => {
    const none = sale({ durationMs: 3_000 })
    none.pass(1_000).conduct()
    none.pass(2_000).conduct()
    expect(none.view()).toMatchObject({ status: 'passed' })

    const outage = sale({ durationMs: 3_000 })
    outage.pass(1_000).conduct()
    const mark = outage.events.length
    outage.pass(2_001).conduct()
    expect(outage.events.slice(mark)).toMatchObject([
      { type: 'auction_extended', reason: 'outage', closesAt: startMs + 8_001 },
    ])
    expect(outage.view()).toMatchObject({ status: 'open', extensions: 1 })
  })

  it('OUTAGE1: it is measured across a restart of the server and of the state', () => {
    const one = sale({ durationMs: 10_000 })
    one.pass(5_000).conduct()
    one.pass(30_000).restart()
    expect(one.enlist()).toMatchObject({ epoch: 2 })
    one.pass(1_000).conduct('s1', 2)
    expect(one.view()).toMatchObject({ status: 'open', closesAt: startMs + 41_000 })
  })

  it('OUTAGE2: the close moves by the outage, and to the minimum from now at least', () => {
    const one = sale({ durationMs: 10_000 })
    one.auction('soon', { durationMs: 27_000 })
    one.auction('edge', { durationMs: 35_000 })
    one.auction('late', { durationMs: 90_000 })
    // 30 s of silence: a1 was due 20 s ago, soon 3 s ago; edge has exactly the minimum left.
    one.pass(30_000).conduct()
    expect(one.view('a1').closesAt).toBe(startMs + 40_000)
    expect(one.view('soon').closesAt).toBe(startMs + 57_000)
    expect(one.view('edge').closesAt).toBe(startMs + 35_000)
    expect(one.view('late').closesAt).toBe(startMs + 90_000)

    const short = sale({ durationMs: 1_000 })
    short.pass(500).conduct()
    short.pass(2_500).conduct()
    // Its close plus 2.5 s would be 0.5 s from now; the minimum is 5 s.
    expect(short.view().closesAt).toBe(startMs + 3_000 + 5_000)
  })

  it('OUTAGE3: nothing closes or opens until all are extended, each once', () => {
    const one = sale({ durationMs: 1_000 }, { ...limits, conductBatchMax: 2 })
    for (const id of ['a2', 'a3', 'a4', 'a5']) one.auction(id, { durationMs: 1_000 })
    one.auction('later', { opensAtMs: startMs + 2_000 })
    const mark = one.events.length
    one.pass(10_000)
    expect(conducted(one)).toMatchObject({ more: true })
    expect(one.pass(10).refuse('bob', 500, 'max', 'a5').code).toBe('auction_closed')
    expect(conducted(one.pass(10))).toMatchObject({ more: true })
    expect(one.view('later').status).toBe('scheduled')
    expect(conducted(one.pass(10))).toMatchObject({ more: false })
    expect(one.typesSince(mark)).toEqual([...Array(5).fill('auction_extended'), 'auction_opened'])
    for (const id of ['a1', 'a2', 'a3', 'a4', 'a5']) expect(one.view(id)).toMatchObject({ extensions: 1 })
    expect(one.view('a1').closesAt).toBe(startMs + 15_000)
    expect(one.view('a5').closesAt).toBe(startMs + 15_030)
    one.accept('bob', 500, 'max', 'a5')
    one.runTo(startMs + 15_030)
    for (let pulse = 0; pulse < 3; pulse++) one.conduct()
    expect(one.state.auctions.countOf('open')).toBe(1)
  })

  it('OUTAGE3: an auction that is scheduled to open soon does not delay the extension of others', () => {
    const one = sale({ durationMs: 9_000 })
    one.auction('later', { opensAtMs: startMs + 8_500 })
    one.pass(8_000).conduct()
    expect(one.view('a1')).toMatchObject({ extensions: 1, closesAt: startMs + 17_000 })
    expect(one.view('later').status).toBe('scheduled')
  })

  it('OUTAGE4: paused, scheduled and ended auctions are not extended, and nothing reopens', () => {
    const one = sale({ durationMs: 5_000 })
    one.auction('paused', { durationMs: 5_000 })
    one.manage('pause_auction', 'sam', 'paused')
    one.auction('scheduled', { opensAtMs: startMs + 500_000 })
    one.auction('sold', { durationMs: 5_000 })
    one.accept('bob', 500, 'max', 'sold')
    one.manage('close_auction', 'sam', 'sold')
    const sold = one.view('sold')
    one.pass(100_000).conduct()
    expect(one.view('a1').extensions).toBe(1)
    for (const id of ['paused', 'scheduled', 'sold']) expect(one.view(id).extensions).toBe(0)
    expect(one.view('sold')).toEqual(sold)
    one.pass(1_000).conduct()
    expect(one.view('a1').extensions).toBe(1)
  })

  it('OUTAGE5: a second outage before all are extended for the first adds to it', () => {
    const one = sale({ durationMs: 1_000 }, { ...limits, conductBatchMax: 1 })
    one.auction('a2', { durationMs: 1_000 })
    one.pass(10_000).conduct()
    expect(one.view('a1').closesAt).toBe(startMs + 15_000)
    one.pass(20_000).conduct()
    // a2 waited through both, 30 s; a1, due again, gets the same.
    expect(one.view('a2').closesAt).toBe(startMs + 35_000)
    one.conduct()
    expect(one.view('a1').closesAt).toBe(startMs + 45_000)
    expect(conducted(one).more).toBe(false)
  })

  it('HOUSE1: threshold and minimum come from the committed settings', () => {
    const one = sale({ durationMs: 10_000 })
    const settings = { outageExtensionMinMs: 60_000, outageThresholdMs: 500 }
    expect(one.ask({ type: 'configure_house', settings, features: [] })).toEqual({ ok: true, type: 'done' })
    one.conduct()
    one.pass(501).conduct()
    expect(one.view().closesAt).toBe(startMs + 60_501)
  })
})
