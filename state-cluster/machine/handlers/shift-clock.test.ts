import { describe, expect, it } from 'vitest'
import { InvariantError } from '../assert.ts'
import { stampMsMax } from '../limits.ts'
import { stateHash } from '../state.ts'
import { Sale, startMs } from '../testing/sale.ts'

const hourMs = 3_600_000
const yearsMs = 73 * 365 * 24 * hourMs
const done = { ok: true, type: 'done' }

/** Shifts house time to `toMs`; the sale goes on from there. */
function shift(sale: Sale, toMs: number): unknown {
  const reply = sale.ask({ type: 'shift_clock', toMs })
  sale.atMs = toMs
  return reply
}

describe('shift_clock', () => {
  it('TIME8: a house whose stamps were years ahead goes on, and its auctions keep the time that they had left', () => {
    const one = new Sale()
    one.enlist()
    one.pass(yearsMs).conduct()
    one.auction('a1', { durationMs: 600_000 })
    one.pass(100_000).conduct()
    one.accept('ann', 500)
    expect(shift(one, startMs + hourMs)).toEqual(done)
    expect(one.state.house.lastAtMs).toBe(startMs + hourMs)
    expect(one.view()).toMatchObject({ status: 'open', closesAt: startMs + hourMs + 500_000 })
    expect(one.events.at(-1)).toMatchObject({
      type: 'auction_extended',
      reason: 'operator',
      atMs: startMs + hourMs,
      closesAt: startMs + hourMs + 500_000,
    })
    one.restart()
    one.runTo(startMs + hourMs + 499_999)
    one.accept('bob', 900)
    expect(one.view().status).toBe('open')
    one.runTo(startMs + hourMs + 500_000)
    expect(one.view()).toMatchObject({ status: 'sold' })
  })

  it('TIME8: without it stamps do not fall, and after it they do not fall below it', () => {
    const one = new Sale()
    one.enlist()
    one.pass(-1)
    expect(() => one.conduct()).toThrow(InvariantError)
    const two = new Sale()
    two.enlist()
    shift(two, startMs - hourMs)
    two.conduct()
    two.pass(-1)
    expect(() => two.conduct()).toThrow(InvariantError)
  })

  it('TIME8: a deadline that had come by the wrong time gets the minimum, or the one that is still to come', () => {
    const one = new Sale()
    one.enlist()
    one.auction('due', { durationMs: 10 * hourMs })
    one.auction('over', { durationMs: 60_000 })
    // The house leapt, and nobody has conducted since.
    one.pass(yearsMs)
    shift(one, startMs + hourMs)
    expect(one.view('due')).toMatchObject({ status: 'open', closesAt: startMs + 10 * hourMs })
    expect(one.view('over')).toMatchObject({ status: 'open', closesAt: startMs + hourMs + 5_000 })
    expect(one.events.filter(({ type }) => type === 'auction_extended')).toHaveLength(1)
    one.conduct()
    expect(one.view('over').closesAt).toBe(startMs + hourMs + 5_000)
  })

  it('TIME8: forwards it closes nothing, and what was due to open opens', () => {
    const one = new Sale()
    one.enlist()
    one.auction('a1', { durationMs: 60_000 })
    one.auction('later', { opensAtMs: startMs + 2 * hourMs, durationMs: 60_000 })
    shift(one, startMs + 3 * hourMs)
    one.conduct()
    expect(one.view()).toMatchObject({ status: 'open', closesAt: startMs + 3 * hourMs + 60_000 })
    expect(one.view('later')).toMatchObject({ status: 'open', closesAt: startMs + 3 * hourMs + 60_000 })
  })

  it('TIME8: scheduled auctions keep the moment that was named, paused ones the time that they had left', () => {
    const one = new Sale()
    one.enlist()
    one.auction('later', { opensAtMs: startMs + 5 * hourMs, durationMs: 60_000 })
    one.auction('a1', { durationMs: 60_000 })
    one.pass(20_000).conduct()
    one.manage('pause_auction')
    one.pass(hourMs).conduct()
    shift(one, startMs + 60_000)
    one.manage('resume_auction')
    expect(one.view()).toMatchObject({ status: 'open', closesAt: startMs + 60_000 + 40_000 })
    expect(one.view('later')).toMatchObject({ status: 'scheduled', opensAt: startMs + 5 * hourMs })
  })

  it('TIME8: a request id is known as long as before, whichever way house time went', () => {
    for (const byMs of [yearsMs, -yearsMs / 2, hourMs, -hourMs]) {
      const one = new Sale()
      one.enlist()
      one.auction('a1', { durationMs: 10 * hourMs })
      const first = one.bid('ann', 500, 'max', 'a1', 'again')
      // The row of a bidder keeps the last one for ever.
      one.accept('ann', 550)
      for (let at = 0; at < 200; at++) one.bid('bob', 600 + 100 * at, 'max', 'a1', `more-${at}`)
      one.pass(200_000).conduct()
      shift(one, one.atMs + byMs)
      expect(one.bid('ann', 500, 'max', 'a1', 'again')).toEqual(first)
      const hash = stateHash(one.state)
      expect(stateHash(one.restart().state)).toBe(hash)
      expect(one.bid('ann', 500, 'max', 'a1', 'again')).toEqual(first)
      one.pass(399_999).conduct()
      expect(one.bid('ann', 500, 'max', 'a1', 'again')).toEqual(first)
      one.pass(2).conduct()
      expect(one.bid('ann', 500, 'max', 'a1', 'again')).not.toEqual(first)
    }
  })

  it('TIME8: a lease that would last for years ends in its time, and repeated it does nothing more', () => {
    const one = new Sale()
    one.enlist()
    one.pass(yearsMs)
    one.ask({ type: 'acquire_monitor_lease', monitorId: 'm1', ttlMs: 1_200 })
    shift(one, startMs)
    expect(one.state.lease.untilMs).toBe(startMs + 1_200)
    const twice = one.ask({ type: 'shift_clock', toMs: startMs })
    expect(twice).toEqual(done)
    one.pass(1_200)
    expect(one.ask({ type: 'acquire_monitor_lease', monitorId: 'm2', ttlMs: 1_200 })).toMatchObject({
      monitorId: 'm2',
    })
  })

  it('TIME8: a time that is no date changes nothing', () => {
    const one = new Sale()
    one.enlist()
    for (const toMs of [0, -1, 1.5, stampMsMax + 1, Number.NaN])
      expect(one.ask({ type: 'shift_clock', toMs })).toEqual({ ok: false, code: 'terms_invalid' })
    expect(one.state.house).toMatchObject({ lastAtMs: startMs, shifts: 0 })
  })
})
