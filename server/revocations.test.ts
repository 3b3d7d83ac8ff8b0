import { describe, expect, test } from 'vitest'
import type { SubjectId } from '../protocol/ids.ts'
import { ManualClock } from '../runtime/clock.ts'
import { ClusterError, type HouseView } from '../state-cluster/index.ts'
import { Tokens } from './access/auth.ts'
import { Revocations } from './revocations.ts'

function scene() {
  const clock = new ManualClock()
  const tokens = new Tokens({
    secret: new Uint8Array(32),
    audience: 'a',
    toleranceSeconds: 0,
    cacheMax: 10,
    clock,
  })
  let answer: HouseView['revoked'] | Error = { allUntilMs: 0, subjects: [] }
  const counts = { changed: 0, kept: 0, faults: 0 }
  const revocations = new Revocations({
    cluster: {
      groups: [0 as never],
      house: async () => {
        if (answer instanceof Error) throw answer
        return { revoked: answer } as HouseView
      },
    },
    clock,
    tokens,
    changed: () => counts.changed++,
    keepOperatorToken: async () => {
      counts.kept++
      clock.advance(5)
    },
    fault: () => counts.faults++,
  })
  return { clock, tokens, revocations, counts, say: (next: typeof answer) => (answer = next) }
}

describe('revocations', () => {
  test('AUTH11 a token for the operator that was made at the moment of the revocation itself is made again', async () => {
    const { clock, revocations, counts, say } = scene()
    await revocations.look()
    expect(counts).toEqual({ changed: 1, kept: 1, faults: 0 })
    say({ allUntilMs: clock.nowMs(), subjects: [] })
    await revocations.look()
    expect(counts.kept).toBe(2)
    await revocations.look()
    expect(counts.kept).toBe(3)
    await revocations.look()
    expect(counts).toEqual({ changed: 2, kept: 3, faults: 0 })
  })

  test('AUTH11 what was read stays in force while the cluster cannot be read', async () => {
    const { clock, tokens, revocations, counts, say } = scene()
    const { token } = await tokens.issue('ann' as SubjectId, ['bidder'], 600)
    say({ allUntilMs: 0, subjects: [['ann' as SubjectId, clock.nowMs()]] })
    await revocations.look()
    say(new ClusterError('unavailable', 'nobody answers'))
    await revocations.look()
    expect(await tokens.verify(token)).toMatchObject({ ok: false })
    expect(counts.faults).toBe(0)
  })
})
