import { describe, expect, it } from 'vitest'
import type { SubjectId } from '../../../protocol/ids.ts'
import { limits } from '../limits.ts'
import { Sale } from '../testing/sale.ts'
import { houseView } from '../views.ts'

const ann = 'ann' as SubjectId
const bob = 'bob' as SubjectId
const done = { ok: true, type: 'done' }

describe('revoke_tokens', () => {
  it('HOUSE7: tokens are revoked by subject and by time, and stay so after a restart', () => {
    const one = new Sale()
    expect(houseView(one.state).revoked).toEqual({ allUntilMs: 0, subjects: [] })
    const before = one.state.house.rowValue().length
    one.pass(5_000)
    expect(one.ask({ type: 'revoke_tokens', subject: bob })).toEqual(done)
    const bobMs = one.state.house.lastAtMs
    one.pass(5_000).ask({ type: 'revoke_tokens', subject: ann, untilMs: bobMs + 10 })
    const revoked = {
      allUntilMs: 0,
      subjects: [
        [ann, bobMs + 10],
        [bob, bobMs],
      ],
    }
    expect(houseView(one.state).revoked).toEqual(revoked)
    expect(houseView(one.restart().state).revoked).toEqual(revoked)
    expect(one.state.house.rowValue().length).toBe(before + 3)
  })

  it('HOUSE7: a moment never goes back, and none lies in the future', () => {
    const one = new Sale()
    one.pass(10_000).ask({ type: 'revoke_tokens', subject: ann, untilMs: Number.MAX_SAFE_INTEGER })
    const nowMs = one.state.house.lastAtMs
    expect(one.state.house.revoked).toEqual([[ann, nowMs]])
    one.ask({ type: 'revoke_tokens', subject: ann, untilMs: 1 })
    expect(one.state.house.revoked).toEqual([[ann, nowMs]])
    one.pass(10_000).ask({ type: 'revoke_tokens' })
    const allMs = one.state.house.lastAtMs
    expect(houseView(one.state).revoked).toEqual({ allUntilMs: allMs, subjects: [] })
    one.ask({ type: 'revoke_tokens', untilMs: 5 })
    expect(one.state.house.revokedAllMs).toBe(allMs)
    one.ask({ type: 'revoke_tokens', subject: ann })
    one.pass(10_000).ask({ type: 'revoke_tokens', subject: ann })
    one.ask({ type: 'shift_clock', toMs: allMs - 1_000 })
    const shifted = { allUntilMs: allMs - 1_000, subjects: [[ann, allMs - 1_000]] }
    expect(houseView(one.state).revoked, 'house time had been ahead').toEqual(shifted)
    expect(houseView(one.restart().state).revoked).toEqual(shifted)
  })

  it('HOUSE7: subjects are bounded; those whose tokens have all expired make room', () => {
    const one = new Sale({ ...limits, revokedSubjectsMax: 2 })
    for (const subject of [ann, bob]) expect(one.ask({ type: 'revoke_tokens', subject })).toEqual(done)
    const third = { type: 'revoke_tokens', subject: 'cid' as SubjectId } as const
    expect(one.ask(third)).toEqual({ ok: false, code: 'limit_exceeded' })
    expect(one.ask({ type: 'revoke_tokens', subject: ann })).toEqual(done)
    one.pass(limits.tokenLifeMsMax + 1)
    expect(one.ask(third)).toEqual(done)
    expect(one.state.house.revoked.map(([subject]) => subject)).toEqual(['cid'])
  })
})
