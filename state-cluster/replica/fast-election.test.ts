/** Who campaigns when the leader's process has ended, when, and how often. */
import { describe, expect, it } from 'vitest'
import { ManualClock } from '../../runtime/clock.ts'
import { systemTiming } from '../../wire/timing.ts'
import type { RawNode } from '../raft/index.ts'
import { FastElection } from './fast-election.ts'

/** An election of one node; `lead` is the leader that its Raft knows. */
function makeElection(nodeId: number, draw = 0) {
  const clock = new ManualClock()
  const campaigns: number[] = []
  const raft = {
    lead: 0,
    basicStatus: () => ({ lead: raft.lead }),
    campaign: () => campaigns.push(clock.monotonicMs()),
  }
  const timing = { ...systemTiming, clock, random: () => draw }
  const election = new FastElection({
    nodeId,
    raft: raft as unknown as RawNode,
    timing,
    run: (work) => work(),
  })
  return { clock, campaigns, raft, election }
}

describe('fast election', () => {
  it('NODE2: the voters without the leader campaign one after the other, three times each', () => {
    const times = [2, 5, 9].map((nodeId) => {
      const { clock, campaigns, election } = makeElection(nodeId)
      election.begin([2, 4, 5, 9], 4)
      clock.advance(10_000)
      expect(clock.timerCount).toBe(0)
      return campaigns
    })
    expect(times).toEqual([
      [0, 240, 480],
      [80, 320, 560],
      [160, 400, 640],
    ])
  })

  it('NODE2: chance moves a campaign by at most a quarter of the step, later', () => {
    const { clock, campaigns, election } = makeElection(5, 0.5)
    election.begin([2, 4, 5], 4)
    clock.advance(10_000)
    expect(campaigns).toEqual([90, 250, 410])
  })

  it('NODE2: the leader itself and a learner do not campaign', () => {
    for (const nodeId of [4, 7]) {
      const { clock, campaigns, election } = makeElection(nodeId)
      election.begin([2, 4, 5], 4)
      clock.advance(10_000)
      expect(campaigns).toEqual([])
    }
  })

  it('NODE2: once a leader is known, the campaigns end', () => {
    const { clock, campaigns, raft, election } = makeElection(2)
    election.begin([2, 4, 5], 4)
    clock.advance(100)
    raft.lead = 5
    clock.advance(10_000)
    expect(campaigns).toEqual([0])
    expect(clock.timerCount).toBe(0)
  })

  it('NODE2: a second begin replaces the first, and end stops it', () => {
    const { clock, campaigns, election } = makeElection(5)
    election.begin([2, 4, 5], 4)
    election.begin([2, 4, 5], 2)
    expect(clock.timerCount).toBe(1)
    election.end()
    clock.advance(10_000)
    expect(campaigns).toEqual([])
  })
})
