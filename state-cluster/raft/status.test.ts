import { describe, expect, it } from 'vitest'
import { TestGroup } from './test-group.ts'

describe('a status', () => {
  it('shows on a leader what it knows of each member, as a copy', () => {
    const group = new TestGroup({ voters: [1, 2], learners: [3] })
    group.elect(1)
    const status = group.node(1).status()
    expect(status).toMatchObject({ id: 1, term: 2, raftState: 'StateLeader', lead: 1, commit: 2, applied: 2 })
    expect([...status.progress].map(([id, pr]) => [id, pr.match, pr.isLearner])).toEqual([
      [1, 2, false],
      [2, 2, false],
      [3, 2, true],
    ])
    group.node(1).propose(Uint8Array.of(1))
    expect(status.progress.get(2)?.inflights.count).toBe(0)
    group.settle()
    expect(status.progress.get(2)?.match).toBe(2)
  })

  it('shows the configuration everywhere, but no progress on a follower', () => {
    const group = new TestGroup({ voters: [1, 2], learners: [3] })
    group.elect(1)
    const status = group.node(2).status()
    expect([status.config.voters.incoming.ids, status.config.learners]).toEqual([[1, 2], [3]])
    expect(status.progress.size).toBe(0)
  })
})
