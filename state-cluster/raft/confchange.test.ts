import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Changer, type Configuration, equivalentConfStates, leavesJoint, restore } from './confchange.ts'
import { ConfChangeError } from './errors.ts'
import { type JointConfig, MajorityConfig } from './quorum.ts'
import { ProgressTracker } from './tracker.ts'
import { type ConfChangeSingle, type ConfState, EMPTY_BYTES, newConfState } from './types.ts'

function trackerOf(confState: ConfState): ProgressTracker {
  const trk = new ProgressTracker(8, 1000)
  const { config, progress } = restore(confState, 10, 8, 1000)
  trk.use(config, progress)
  return trk
}

const single = fc.record<ConfChangeSingle>({
  type: fc.constantFrom(
    'ConfChangeAddNode',
    'ConfChangeRemoveNode',
    'ConfChangeUpdateNode',
    'ConfChangeAddLearnerNode',
  ),
  nodeId: fc.integer({ min: 0, max: 6 }),
})
const action = fc.oneof(
  fc.record({ do: fc.constant('simple' as const), changes: fc.array(single, { maxLength: 3 }) }),
  fc.record({
    do: fc.constant('enterJoint' as const),
    changes: fc.array(single, { maxLength: 5 }),
    autoLeave: fc.boolean(),
  }),
  fc.record({ do: fc.constant('leaveJoint' as const) }),
)

/** Whether every set of nodes that decides in `a` shares a node with every one that decides in `b`. */
function decisionsOverlap(a: JointConfig, b: JointConfig): boolean {
  const everyone = [...new Set([...a.ids(), ...b.ids()])]
  const subsets = Array.from({ length: 2 ** everyone.length }, (_, mask) =>
    everyone.filter((_id, bit) => (mask >> bit) & 1),
  )
  const decides = (config: JointConfig, ids: readonly number[]): boolean =>
    config.voteResult(new Map(everyone.map((id) => [id, ids.includes(id)]))) === 'VoteWon'
  const complementOf = (ids: readonly number[]): number[] => everyone.filter((id) => !ids.includes(id))
  return subsets.every((ids) => !decides(a, ids) || !decides(b, complementOf(ids)))
}

describe('Changer', () => {
  it('keeps configurations consistent, overlapping and restorable, whatever is asked', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 12 }), (actions) => {
        const trk = trackerOf(newConfState([1]))
        for (const step of actions) {
          const before = trk.config
          const confStateBefore = trk.confState()
          const next = (): Configuration => {
            const changer = new Changer(trk, 10)
            if (step.do === 'simple') return changer.simple(step.changes)
            if (step.do === 'leaveJoint') return changer.leaveJoint()
            return changer.enterJoint(step.autoLeave, step.changes)
          }
          let changed: Configuration
          try {
            changed = next()
          } catch (error) {
            expect(error).toBeInstanceOf(ConfChangeError)
            expect(trk.confState()).toEqual(confStateBefore)
            continue
          }
          trk.use(changed.config, changed.progress)
          const { voters, learners } = trk.config
          const members = [...new Set([...voters.ids(), ...learners])].sort((a, b) => a - b)
          expect(trk.peers.map((pr) => pr.id)).toEqual(members)
          expect(trk.peers.filter((pr) => pr.isLearner).map((pr) => pr.id)).toEqual(learners)
          expect(decisionsOverlap(before.voters, voters)).toBe(true)
          expect(trackerOf(trk.confState()).confState()).toEqual(trk.confState())
        }
      }),
    )
  })

  it('keeps what is known of a node whose role changes, and leaves the tracker alone', () => {
    const trk = trackerOf(newConfState([1, 2, 3]))
    for (const pr of trk.peers) pr.match = 7
    const demoted = new Changer(trk, 10).simple([{ type: 'ConfChangeAddLearnerNode', nodeId: 3 }])
    expect(demoted.progress.get(3)).toMatchObject({ match: 7, isLearner: true })
    expect(trk.get(3)).toMatchObject({ isLearner: false })
  })

  it('counts a new node as active and probes it at the end of the log', () => {
    const trk = trackerOf(newConfState([1]))
    const { progress } = new Changer(trk, 42).simple([{ type: 'ConfChangeAddNode', nodeId: 2 }])
    expect(progress.get(2)).toMatchObject({ match: 0, next: 42, recentActive: true, state: 'StateProbe' })
  })

  it('does what the second form of a change asks for', () => {
    const trk = trackerOf(newConfState([1, 2]))
    const add = (...nodeIds: number[]) =>
      nodeIds.map((nodeId): ConfChangeSingle => ({ type: 'ConfChangeAddNode', nodeId }))
    const apply = (
      transition: Parameters<Changer['change']>[0]['transition'],
      changes: readonly ConfChangeSingle[],
    ): ConfState => {
      const { config, progress } = new Changer(trk, 10).change({ transition, changes, context: EMPTY_BYTES })
      trk.use(config, progress)
      return trk.confState()
    }
    expect(apply('ConfChangeTransitionAuto', add(3)).votersOutgoing).toEqual([])
    expect(apply('ConfChangeTransitionAuto', add(4, 5))).toMatchObject({
      voters: [1, 2, 3, 4, 5],
      votersOutgoing: [1, 2, 3],
      autoLeave: true,
    })
    expect(apply('ConfChangeTransitionAuto', []).votersOutgoing).toEqual([])
    expect(apply('ConfChangeTransitionJointExplicit', add(6))).toMatchObject({
      votersOutgoing: [1, 2, 3, 4, 5],
      autoLeave: false,
    })
    apply('ConfChangeTransitionAuto', [])
    expect(apply('ConfChangeTransitionJointImplicit', add(7))).toMatchObject({ autoLeave: true })
  })

  it('refuses an inconsistent state', () => {
    const trk = trackerOf(newConfState([1, 2]))
    trk.use(trk.config, new Map([...trk.progress].filter(([id]) => id !== 2)))
    expect(() => new Changer(trk, 10).simple([])).toThrow('no progress for 2')
    expect(() => restore({ ...newConfState([1]), learnersNext: [2] }, 1, 8, 8)).not.toThrow()
    const marked = trackerOf(newConfState([1], [2]))
    const learner = marked.get(2)
    if (learner !== undefined) learner.isLearner = false
    expect(() => new Changer(marked, 10).simple([])).toThrow('not marked as learner')
  })
})

describe('equivalentConfStates', () => {
  it('ignores the order of members, and nothing else', () => {
    const state: ConfState = {
      voters: [1, 2, 10],
      learners: [5],
      votersOutgoing: [1, 2],
      learnersNext: [2],
      autoLeave: true,
    }
    expect(equivalentConfStates(state, { ...state, voters: [10, 2, 1] })).toBe(true)
    for (const other of [
      { voters: [1, 2] },
      { learners: [] },
      { votersOutgoing: [1, 3] },
      { learnersNext: [1] },
      { autoLeave: false },
    ]) {
      expect(equivalentConfStates(state, { ...state, ...other })).toBe(false)
    }
  })
})

describe('leavesJoint', () => {
  it('is an empty change, whatever its context', () => {
    const empty = { transition: 'ConfChangeTransitionAuto' as const, changes: [], context: Uint8Array.of(1) }
    expect(leavesJoint(empty)).toBe(true)
    expect(leavesJoint({ ...empty, transition: 'ConfChangeTransitionJointExplicit' })).toBe(false)
    expect(leavesJoint({ ...empty, changes: [{ type: 'ConfChangeAddNode', nodeId: 1 }] })).toBe(false)
    expect(new MajorityConfig().size).toBe(0)
  })
})
