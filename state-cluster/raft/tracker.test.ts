import { describe, expect, it } from 'vitest'
import { restore } from './confchange.ts'
import { ProgressTracker } from './tracker.ts'
import { type ConfState, newConfState } from './types.ts'

function tracker(confState: ConfState): ProgressTracker {
  const trk = new ProgressTracker(8, 1000)
  const { config, progress } = restore(confState, 10, 8, 1000)
  trk.use(config, progress)
  return trk
}

const JOINT: ConfState = {
  voters: [1, 2, 3],
  learners: [6],
  votersOutgoing: [2, 3, 4],
  learnersNext: [4],
  autoLeave: true,
}

describe('ProgressTracker', () => {
  it('walks everyone by ascending id, and gives its configuration back', () => {
    const trk = tracker(JOINT)
    expect(trk.peers.map((pr) => pr.id)).toEqual([1, 2, 3, 4, 6])
    expect(trk.peers.map((pr) => pr.isLearner)).toEqual([false, false, false, false, true])
    expect(trk.confState()).toEqual(JOINT)
    expect(trk.get(4)).toBe(trk.progress.get(4))
    expect(trk.get(5)).toBeUndefined()
  })

  it('commits by the acknowledgements of voters alone', () => {
    const trk = tracker(newConfState([1, 2, 3], [4, 5]))
    for (const [id, match] of [
      [1, 9],
      [4, 9],
      [5, 9],
    ] as const) {
      const pr = trk.get(id)
      if (pr !== undefined) pr.match = match
    }
    expect(trk.committed()).toBe(0)
    expect([trk.ackedIndex(1), trk.ackedIndex(7)]).toEqual([9, -1])
  })

  it('has a quorum when the voters do, whatever the learners', () => {
    const trk = tracker(newConfState([1, 2, 3], [4]))
    for (const pr of trk.peers) pr.recentActive = pr.id === 1 || pr.id === 4
    expect(trk.quorumActive()).toBe(false)
    for (const pr of trk.peers) pr.recentActive = pr.id <= 2
    expect(trk.quorumActive()).toBe(true)
  })

  it('counts the first vote of each', () => {
    const trk = tracker(newConfState([1, 2, 3], [4]))
    trk.recordVote(1, true)
    trk.recordVote(2, false)
    trk.recordVote(2, true)
    trk.recordVote(4, true)
    trk.recordVote(9, true)
    expect(trk.tallyVotes()).toEqual({ granted: 1, rejected: 1, result: 'VotePending' })
    trk.recordVote(3, true)
    expect(trk.tallyVotes()).toEqual({ granted: 2, rejected: 1, result: 'VoteWon' })
    trk.resetVotes()
    expect(trk.tallyVotes()).toEqual({ granted: 0, rejected: 0, result: 'VotePending' })
  })

  it('forgets what it knew of logs, and keeps who is a learner', () => {
    const trk = tracker(newConfState([1], [2]))
    for (const pr of trk.peers) {
      pr.match = 5
      pr.becomeReplicate()
    }
    trk.resetProgress(11)
    expect(
      trk.peers.map(({ match, next, state, isLearner, recentActive }) => [
        match,
        next,
        state,
        isLearner,
        recentActive,
      ]),
    ).toEqual([
      [0, 11, 'StateProbe', false, false],
      [0, 11, 'StateProbe', true, false],
    ])
    expect(trk.get(2)).toBe(trk.progress.get(2))
  })
})
