import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { COMMITTED_ALL, JointConfig, MajorityConfig } from './quorum.ts'

const ids = fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { maxLength: 12 })
const acks = fc.dictionary(fc.integer({ min: 1, max: 12 }).map(String), fc.integer({ min: 0, max: 9 }))
const indexer = (acked: Readonly<Record<string, number>>) => ({ ackedIndex: (id: number) => acked[id] ?? -1 })

/** The highest index that more than half have, by trying all. */
function naiveCommitted(voters: readonly number[], acked: Readonly<Record<string, number>>): number {
  if (voters.length === 0) return COMMITTED_ALL
  for (let index = 9; index > 0; index--) {
    const count = voters.filter((id) => (acked[id] ?? 0) >= index).length
    if (count * 2 > voters.length) return index
  }
  return 0
}

/** Decided if every completion of the missing votes gives the same. */
function naiveVote(voters: readonly number[], votes: ReadonlyMap<number, boolean>): string {
  if (voters.length === 0) return 'VoteWon'
  const granted = voters.filter((id) => votes.get(id) === true).length
  const missing = voters.filter((id) => !votes.has(id)).length
  const wins = (count: number): boolean => count * 2 > voters.length
  if (wins(granted)) return 'VoteWon'
  return wins(granted + missing) ? 'VotePending' : 'VoteLost'
}

describe('MajorityConfig', () => {
  it('keeps each voter once, ascending', () => {
    expect(new MajorityConfig([3, 1, 3, 2, 10]).ids).toEqual([1, 2, 3, 10])
    expect(`${new MajorityConfig([3, 1])}`).toBe('(1 3)')
  })

  it('commits what more than half have, up to twelve voters', () => {
    fc.assert(
      fc.property(ids, acks, (voters, acked) => {
        expect(new MajorityConfig(voters).committedIndex(indexer(acked))).toBe(naiveCommitted(voters, acked))
      }),
    )
  })

  it('decides a vote as soon as it cannot change', () => {
    fc.assert(
      fc.property(ids, fc.array(fc.tuple(fc.integer({ min: 1, max: 12 }), fc.boolean())), (voters, cast) => {
        const votes = new Map(cast)
        expect(new MajorityConfig(voters).voteResult(votes)).toBe(naiveVote(voters, votes))
      }),
    )
  })
})

describe('JointConfig', () => {
  it('commits what both halves have', () => {
    fc.assert(
      fc.property(ids, ids, acks, (incoming, outgoing, acked) => {
        const joint = new JointConfig(new MajorityConfig(incoming), new MajorityConfig(outgoing))
        const both = Math.min(naiveCommitted(incoming, acked), naiveCommitted(outgoing, acked))
        expect(joint.committedIndex(indexer(acked))).toBe(both)
      }),
    )
  })

  it('is won when both halves are won, lost when one is lost', () => {
    fc.assert(
      fc.property(
        ids,
        ids,
        fc.array(fc.tuple(fc.integer({ min: 1, max: 12 }), fc.boolean())),
        (a, b, cast) => {
          const votes = new Map(cast)
          const results = [naiveVote(a, votes), naiveVote(b, votes)]
          const expected = results.includes('VoteLost')
            ? 'VoteLost'
            : results.includes('VotePending')
              ? 'VotePending'
              : 'VoteWon'
          const joint = new JointConfig(new MajorityConfig(a), new MajorityConfig(b))
          expect(joint.voteResult(votes)).toBe(expected)
        },
      ),
    )
  })

  it('knows its members', () => {
    const joint = new JointConfig(new MajorityConfig([1, 2]), new MajorityConfig([2, 3]))
    expect(joint.ids()).toEqual([1, 2, 3])
    expect([joint.has(3), joint.has(4), joint.isJoint]).toEqual([true, false, true])
    expect(`${joint}`).toBe('(1 2)&&(2 3)')
    expect(`${new JointConfig(new MajorityConfig([1]))}`).toBe('(1)')
  })
})
