import { describe, expect, it } from 'vitest'
import type { AuctionId, RequestId, SubjectId } from '../../protocol/ids.ts'
import type { Command } from './commands.ts'
import { limits } from './limits.ts'
import { stateHash } from './state.ts'
import { Sale } from './testing/sale.ts'

/** Bounds at which every request is forgotten by the next one. */
const forgetful = { ...limits, requestsMax: 1, refusalsMax: 1, requestTransitMs: 1_000 }

function sale(bounds = forgetful): Sale {
  const one = new Sale(bounds)
  one.enlist()
  one.auction('a1', { buyNow: 9_000, durationMs: 3_600_000 })
  return one
}

/** Makes the memory of requests forget, without touching an auction or a bidder of the test. */
function forget(one: Sale): void {
  one.pass(2_000).buyer('else')
  one.pass(2_000).buyer('else')
}

const bid = (requestId: string, amount: number, ageMs?: number): Command => ({
  type: 'place_bid',
  subject: 'bob' as SubjectId,
  requestId: requestId as RequestId,
  auctionId: 'a1' as AuctionId,
  amount,
  kind: 'max',
  ...(ageMs === undefined ? {} : { ageMs }),
})

const managed = { subject: 'sam' as SubjectId, auctionId: 'a1' as AuctionId, operator: false }
const extend = (requestId: string, more: object = {}): Command => ({
  type: 'extend_auction',
  ...managed,
  requestId: requestId as RequestId,
  byMs: 1_000,
  ...more,
})

describe('the last accepted request of a row', () => {
  it('REQUEST8: a bidder, a buyer and a managed auction answer it with the first reply, and nothing happens', () => {
    const one = sale()
    const register: Command = {
      type: 'register_buyer',
      subject: 'ann' as SubjectId,
      requestId: 'b' as RequestId,
      buyerId: 'ann' as SubjectId,
      serverId: 's1' as never,
      name: 'Ann',
      interests: ['art'],
    }
    const buy: Command = {
      type: 'buy_now',
      subject: 'eve' as SubjectId,
      requestId: 'n' as RequestId,
      auctionId: 'a2' as AuctionId,
    }
    one.auction('a2', { buyNow: 9_000, durationMs: 3_600_000 })
    const asked = [bid('r', 500), extend('e'), register, buy]
    const first = asked.map((command) => one.ask(command))
    expect(first.map((reply) => reply.ok)).toEqual([true, true, true, true])
    one.accept('kim', 5_000)
    forget(one)
    expect(one.state.requests.size).toBe(1)
    const { events } = one
    const mark = events.length
    const waiting = one.outbox().length
    for (const again of [asked, asked.map((command) => ({ ...command, ageMs: 900_000 }))])
      expect(again.map((command) => one.ask(command))).toEqual(first)
    expect(one.restart().ask(bid('r', 500))).toEqual(first[0])
    expect(events).toHaveLength(mark)
    expect(one.outbox()).toHaveLength(waiting)
  })

  it('REQUEST8: a close, a cancellation and a buy-now are the last request of their auction for ever', () => {
    for (const type of ['close_auction', 'cancel_auction'] as const) {
      const one = sale()
      one.accept('bob', 500)
      const command: Command = { type, ...managed, requestId: 'c' as RequestId }
      const first = one.ask(command)
      expect(first.ok).toBe(true)
      forget(one)
      expect(one.extend(1_000)).toMatchObject({ code: 'auction_closed' })
      expect(one.ask(command)).toEqual(first)
    }
  })

  it('REQUEST8: another subject, another id or other content is another request', () => {
    const one = sale()
    one.ask(extend('e'))
    forget(one)
    expect(one.ask(extend('e', { subject: 'root', operator: true }))).toMatchObject({ ok: true, seq: 3 })
    forget(one)
    expect(one.ask(extend('e', { subject: 'root', operator: true, byMs: 1_001 }))).toMatchObject({ seq: 4 })
    one.ask(bid('r', 500))
    forget(one)
    expect(one.ask(bid('s', 500))).toMatchObject({ code: 'already_leading' })
    expect(one.ask({ ...bid('r', 500), kind: 'exact' } as Command)).toMatchObject({ code: 'already_leading' })
  })
})

describe('a repeat of a request that may be forgotten', () => {
  it('REQUEST9: its outcome is unknown, and nothing happens', () => {
    const one = sale()
    one.ask(bid('r', 500))
    one.ask(extend('e'))
    one.ask(bid('s', 600))
    one.ask(extend('f'))
    forget(one)
    const hash = stateHash(one.state)
    expect(one.ask(bid('r', 500, 4_000))).toEqual({ ok: false, code: 'outcome_unknown' })
    expect(one.ask(extend('e', { ageMs: 4_000 }))).toEqual({ ok: false, code: 'outcome_unknown' })
    expect(stateHash(one.state)).toBe(hash)
    // Without an age it is judged like a new one.
    expect(one.ask(bid('r', 500))).toMatchObject({ code: 'already_leading' })
  })

  it('REQUEST9: one that is younger than all forgotten ones is judged like a new one', () => {
    const one = sale({ ...limits, requestsMax: 2, requestTransitMs: 1_000 })
    one.ask(bid('r', 500))
    one.ask(bid('s', 600))
    one.pass(60_000).buyer('x')
    one.buyer('y')
    one.pass(60_000)
    // All that was accepted later than 120 s ago is remembered.
    expect(one.ask(bid('t', 550, 118_000))).toMatchObject({ code: 'already_leading' })
    expect(one.ask(bid('u', 550, 119_000))).toMatchObject({ code: 'outcome_unknown' })
  })

  it('REQUEST9: neither the window nor the bound of a subject is mistaken for a first sending', () => {
    const one = sale({
      ...limits,
      requestsPerSubjectMax: 2,
      requestOwnTransitMs: 1_000,
      requestWindowMs: 30_000,
    })
    one.ask(bid('r', 500))
    for (const amount of [600, 700]) one.pass(3_000).ask(bid(`more-${amount}`, amount))
    expect(one.ask(bid('r', 500, 1_000))).toMatchObject({ code: 'already_leading' })
    expect(one.ask(bid('q', 500, 6_000))).toMatchObject({ code: 'outcome_unknown' })
    const other = sale({ ...limits, requestTransitMs: 1_000, requestWindowMs: 30_000 })
    other.ask(bid('r', 500))
    other.ask(bid('s', 600))
    other.pass(40_000)
    expect(other.ask(bid('r', 500, 28_000))).toMatchObject({ code: 'already_leading' })
    expect(other.ask(bid('t', 500, 40_000))).toMatchObject({ code: 'outcome_unknown' })
  })

  it('REQUEST9: a bidder of many bids a second gets a definite answer to a repeat of some seconds', () => {
    const one = sale(limits)
    for (let count = 0; count < 1_200; count++) one.pass(10).ask(bid(`r-${count}`, 1_000 + 10 * count))
    expect(one.ask(bid('lost', 5_000, 4_000))).toMatchObject({ code: 'already_leading' })
    expect(one.ask(bid('older', 5_000, 6_000))).toMatchObject({ code: 'outcome_unknown' })
  })

  it('REQUEST9: where the rows show that it never was accepted, it is judged like a new one', () => {
    const one = sale()
    forget(one)
    const old = { ageMs: 900_000 }
    expect(one.ask(extend('e', old))).toMatchObject({ ok: true, seq: 2 })
    expect(one.ask(bid('r', 500, 900_000))).toMatchObject({ ok: true })
    forget(one)
    expect(one.ask(bid('s', 501, 900_000))).toMatchObject({ ok: true })
    forget(one)
    expect(one.ask(extend('g', old))).toMatchObject({ code: 'outcome_unknown' })
    const { closesAt, seq } = one.view()
    expect(one.ask(extend('g', { ...old, expected: { closesAtMs: closesAt } }))).toMatchObject({ ok: true })
    forget(one)
    const pause: Command = { type: 'pause_auction', ...managed, requestId: 'p' as RequestId, ageMs: 900_000 }
    expect(one.ask({ ...pause, expected: { closesAtMs: one.view().closesAt } })).toMatchObject({
      code: 'outcome_unknown',
    })
    expect(one.ask({ ...pause, expected: { seq: seq + 1 } })).toMatchObject({ ok: true })
    forget(one)
    const buy = { type: 'buy_now', subject: 'kim' as SubjectId, requestId: 'n' as RequestId, ...old } as const
    expect(one.ask({ ...buy, auctionId: 'a1' as AuctionId })).toMatchObject({ code: 'auction_not_open' })
  })
})

describe('a managing command that names the state it is meant for', () => {
  it('CLOSE8: is refused in any other, with the state that there is', () => {
    const one = sale()
    const { closesAt, seq } = one.view()
    const wrong = [{ seq: seq + 1 }, { closesAtMs: closesAt + 1 }, { seq, closesAtMs: closesAt - 1 }]
    for (const expected of wrong)
      expect(one.ask(extend(`e-${JSON.stringify(expected)}`, { expected }))).toEqual({
        ok: false,
        code: 'state_changed',
        closesAt,
        seq,
      })
    expect(one.ask(extend('e', { expected: { seq, closesAtMs: closesAt } }))).toMatchObject({ ok: true })
    for (const type of ['close_auction', 'cancel_auction', 'pause_auction', 'resume_auction'] as const)
      expect(
        one.ask({ type, ...managed, requestId: `x-${type}` as RequestId, expected: { seq } }),
      ).toMatchObject({ code: 'state_changed' })
    expect(one.view()).toMatchObject({ status: 'open', extensions: 1 })
  })

  it('CLOSE8: so an extension that is forgotten and repeated without its age is made once', () => {
    const one = sale()
    const expected = { closesAtMs: one.view().closesAt }
    one.ask(extend('e', { expected }))
    one.manage('pause_auction')
    forget(one)
    expect(one.ask(extend('e', { expected }))).toMatchObject({ code: 'state_changed' })
    expect(one.view().extensions).toBe(1)
  })
})
