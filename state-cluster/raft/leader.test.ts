import { describe, expect, it } from 'vitest'
import { AssertionError } from './assert.ts'
import { encodeConfChange } from './confchange-codec.ts'
import type { Config } from './config.ts'
import { StorageError } from './errors.ts'
import { coreOf } from './inner-state.ts'
import { entriesSize } from './sizes.ts'
import { entriesOfTerms, TestGroup } from './test-group.ts'
import {
  type ConfChangeSingle,
  type ConfChangeTransition,
  EMPTY_BYTES,
  type Message,
  newEntry,
  newMessage,
} from './types.ts'

/** Node 1 leads a group at rest. */
function led(config: Partial<Config> = {}, voters = [1, 2, 3], learners: number[] = []): TestGroup {
  const group = new TestGroup({ voters, learners, config })
  group.elect(1)
  group.sent.length = 0
  return group
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)
const appliedBy = (group: TestGroup, id: number): number[] =>
  group
    .member(id)
    .applied.filter(({ data }) => data.length > 0)
    .map(({ data }) => data[0] as number)
const changeOf = (transition: ConfChangeTransition, ...changes: [ConfChangeSingle['type'], number][]) => ({
  transition,
  changes: changes.map(([type, nodeId]) => ({ type, nodeId })),
  context: EMPTY_BYTES,
})
const progressOf = (group: TestGroup, id: number) => group.node(1).status().progress.get(id)
const response = (type: Message['type'], from: number, fields: Partial<Message> = {}): Message => ({
  ...newMessage(type, 1),
  from,
  term: 2,
  ...fields,
})

describe('a leader and proposals', () => {
  it('replicates, commits and applies them on all nodes, in order', () => {
    const group = led()
    for (let i = 1; i <= 5; i++) expect(group.node(1).propose(bytes(i))).toBeNull()
    expect(group.node(1).proposeAll([bytes(6), bytes(7)])).toBeNull()
    expect(group.node(2).propose(bytes(8))).toBeNull()
    group.settle()
    for (const id of [1, 2, 3]) expect(appliedBy(group, id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  it('does not change what was proposed, however often it arrives', () => {
    const group = led()
    const proposal: Message = {
      ...newMessage('MsgProp', 1),
      from: 2,
      entries: [newEntry('EntryNormal', bytes(1))],
    }
    group.node(1).step(proposal)
    group.node(1).step(proposal)
    group.settle()
    expect(proposal.entries[0]).toMatchObject({ term: 0, index: 0 })
    expect(group.member(3).applied.map(({ index }) => index)).toEqual([2, 3, 4])
  })

  it('does not lose or reorder what was proposed while a majority was away', () => {
    const group = led()
    group.isolate(2, 3)
    group.node(1).propose(bytes(1))
    group.node(1).propose(bytes(2))
    group.settle()
    expect(appliedBy(group, 1)).toEqual([])
    group.isolate()
    group.tick(1)
    group.settle()
    expect([1, 2, 3].map((id) => appliedBy(group, id))).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
    ])
  })

  it('drops what would make its uncommitted tail too big, but takes one of any size', () => {
    const group = led({ maxUncommittedEntriesSize: 10 })
    group.isolate(2, 3)
    expect(group.node(1).propose(new Uint8Array(50))).toBeNull()
    expect(group.node(1).propose(bytes(1))).toMatchObject({ reason: 'too_many_uncommitted_bytes' })
    expect(group.node(1).propose(EMPTY_BYTES)).toBeNull()
    group.isolate()
    group.tick(1)
    group.settle()
    expect(group.node(1).propose(bytes(1))).toBeNull()
    expect(group.node(1).propose(bytes(2))).toBeNull()
  })

  it('asserts that a proposal is not empty', () => {
    expect(() => led().node(1).step(newMessage('MsgProp', 1))).toThrow(AssertionError)
  })

  it('asserts that it is alone in its term', () => {
    for (const type of ['MsgApp', 'MsgHeartbeat', 'MsgSnap'] as const) {
      expect(() => led().node(1).step(response(type, 2))).toThrow('a term has one leader')
    }
  })

  it('ignores strangers', () => {
    const group = led()
    expect(group.node(1).step(response('MsgAppResp', 9))).toMatchObject({ code: 'step_peer_not_found' })
    group.node(1).transferLeadership(9)
    expect(group.node(1).basicStatus().leadTransferee).toBe(0)
  })
})

describe('a leader and flow control', () => {
  const appendsTo = (group: TestGroup, id: number): number[] =>
    group.sent.filter((m) => m.type === 'MsgApp' && m.to === id).map((m) => m.entries.length)

  it('sends ahead until the window is full, then one empty append a heartbeat', () => {
    const group = led({ maxInflightMsgs: 3 })
    group.isolate(2)
    for (let i = 0; i < 6; i++) {
      group.node(1).propose(bytes(i))
      group.handleReady(1)
    }
    expect(appendsTo(group, 2)).toEqual([1, 1, 1])
    expect(progressOf(group, 2)).toMatchObject({ state: 'StateReplicate', msgAppFlowPaused: true })
    group.sent.length = 0
    group.node(1).step(response('MsgHeartbeatResp', 2))
    group.handleReady(1)
    expect(appendsTo(group, 2)).toEqual([0])
    group.isolate()
    group.messages = []
    group.tick(1)
    group.settle()
    expect(appliedBy(group, 2)).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('counts bytes in flight as well', () => {
    const group = led({ maxInflightBytes: 10, maxSizePerMsg: 0 })
    group.isolate(2)
    for (let i = 0; i < 5; i++) group.node(1).propose(new Uint8Array(4))
    group.handleReady(1)
    expect(appendsTo(group, 2)).toEqual([1, 1, 1])
  })

  it('cuts messages to a size, and fills the window as soon as it may', () => {
    const two = entriesSize(entriesOfTerms([2, 2]))
    const group = led({ maxSizePerMsg: two })
    group.isolate(2)
    group.node(1).reportUnreachable(2)
    for (let i = 0; i < 5; i++) group.node(1).propose(bytes(i))
    group.settle()
    group.sent.length = 0
    group.isolate()
    group.tick(1)
    group.settle()
    expect(appendsTo(group, 2).filter((count) => count > 0)).toEqual([2, 2, 1])
  })

  it('probes a node that is said to be unreachable', () => {
    const group = led()
    group.node(1).reportUnreachable(2)
    expect(progressOf(group, 2)?.state).toBe('StateProbe')
    group.tick(1)
    group.settle()
    expect(progressOf(group, 2)?.state).toBe('StateReplicate')
  })

  it('finds where a diverging log agrees with one probe a term', () => {
    const group = new TestGroup({
      voters: [1, 2, 3],
      terms: { 1: [1, 3, 3, 3, 5, 5, 5, 5], 2: [1, 1, 1, 2, 2], 3: [1, 3, 3, 3, 5, 5, 5, 5] },
    })
    group.isolate(2)
    group.elect(1)
    group.isolate()
    group.sent.length = 0
    group.tick(1)
    group.settle()
    const rejections = group.sent.filter((m) => m.type === 'MsgAppResp' && m.reject)
    expect(rejections.map((m) => m.rejectHint)).toEqual([6])
    expect(group.member(2).applied.map(({ term }) => term)).toEqual([1, 3, 3, 3, 5, 5, 5, 5, 6])
  })
})

describe('a leader and snapshots', () => {
  /** Node 3 was away while the others wrote and compacted. */
  function behind(config: Partial<Config> = {}): TestGroup {
    const group = led(config)
    group.isolate(3)
    for (let i = 1; i <= 4; i++) group.node(1).propose(bytes(i))
    group.settle()
    const { storage, confState } = group.member(1)
    storage.createSnapshot(5, confState, bytes(5))
    storage.compact(5)
    group.isolate()
    return group
  }

  it('sends one to a node that lacks what is compacted, and continues after it', () => {
    const group = behind()
    group.tick(1)
    group.settle()
    expect(group.sent.filter((m) => m.type === 'MsgSnap')).toMatchObject([
      { to: 3, snapshot: { metadata: { index: 5 } } },
    ])
    expect(group.node(3).basicStatus()).toMatchObject({ commit: 6, applied: 6 })
    expect(progressOf(group, 3)).toMatchObject({ state: 'StateReplicate', match: 6 })
  })

  it('waits with it for a sign of life, and for a snapshot that is being made', () => {
    const group = behind()
    const pr = coreOf(group.node(1)).trk.get(3)
    if (pr === undefined) throw new Error('node 3 is a member')
    pr.becomeProbe()
    pr.recentActive = false
    coreOf(group.node(1)).sendAppend(pr)
    expect(pr.state).toBe('StateProbe')
    const { storage } = group.member(1)
    const { snapshot } = storage
    const sendWhile = (error: Error): void => {
      storage.snapshot = () => {
        throw error
      }
      coreOf(group.node(1)).sendAppend(pr)
    }
    pr.recentActive = true
    sendWhile(new StorageError('snapshot_temporarily_unavailable'))
    expect([pr.state, group.node(1).hasReady()]).toEqual(['StateProbe', false])
    expect(() => sendWhile(new Error('disk'))).toThrow('disk')
    storage.snapshot = snapshot
    coreOf(group.node(1)).sendAppend(pr)
    expect(pr).toMatchObject({ state: 'StateSnapshot', pendingSnapshot: 5, next: 6 })
  })

  it('keeps probing when it failed, and continues after it when it arrived', () => {
    for (const status of ['SnapshotFailure', 'SnapshotFinish'] as const) {
      const group = behind()
      group.isLost = (m) => m.type === 'MsgSnap'
      group.tick(1)
      group.settle()
      expect(progressOf(group, 3)).toMatchObject({ state: 'StateSnapshot', pendingSnapshot: 5 })
      group.node(1).reportSnapshot(3, status)
      expect(progressOf(group, 3)).toMatchObject({
        state: 'StateProbe',
        next: status === 'SnapshotFinish' ? 6 : 3,
        msgAppFlowPaused: true,
      })
      group.isolate()
      group.tick(1)
      group.settle()
      group.tick(1)
      group.settle()
      expect(group.node(3).basicStatus().applied).toBe(6)
    }
  })
})

describe('a leader and its quorum', () => {
  it('steps down when no quorum has answered for an election timeout', () => {
    const group = led({ checkQuorum: true })
    group.tick(1, 10)
    group.settle()
    expect(group.node(1).basicStatus().raftState).toBe('StateLeader')
    group.isolate(1)
    group.tick(1, 10)
    group.settle()
    expect(group.node(1).basicStatus().raftState).toBe('StateLeader')
    group.tick(1, 10)
    expect(group.node(1).basicStatus()).toMatchObject({ raftState: 'StateFollower', lead: 0, term: 2 })
  })

  it('stays without the check', () => {
    const group = led()
    group.isolate(1)
    group.tick(1, 50)
    expect(group.node(1).basicStatus().raftState).toBe('StateLeader')
  })
})

describe('a leader and transfers', () => {
  it('hands over at once to a node that has everything', () => {
    const group = led()
    group.node(1).transferLeadership(2)
    group.settle()
    expect(group.node(2).basicStatus()).toMatchObject({ raftState: 'StateLeader', term: 3 })
    expect(group.node(1).basicStatus()).toMatchObject({ raftState: 'StateFollower', lead: 2 })
  })

  it('catches the node up first, and takes no proposals meanwhile', () => {
    const group = led()
    group.isolate(2)
    group.node(1).propose(bytes(1))
    group.settle()
    group.isolate()
    group.node(1).transferLeadership(2)
    expect(group.node(1).propose(bytes(2))).toMatchObject({ reason: 'transferring_leadership' })
    group.tick(1)
    group.settle()
    expect(group.node(2).basicStatus().raftState).toBe('StateLeader')
    expect(appliedBy(group, 2)).toEqual([1])
  })

  it('gives up after an election timeout', () => {
    const group = led()
    group.isolate(2)
    group.node(1).transferLeadership(2)
    group.tick(1, 9)
    expect(group.node(1).basicStatus().leadTransferee).toBe(2)
    group.tick(1)
    expect(group.node(1).basicStatus().leadTransferee).toBe(0)
    expect(group.node(1).propose(bytes(1))).toBeNull()
  })

  it('takes a new target, and ignores itself, learners and repetitions', () => {
    const group = led({}, [1, 2, 3], [4])
    group.isolate(2, 3)
    const transferTo = (id: number): number => {
      group.node(1).transferLeadership(id)
      return group.node(1).basicStatus().leadTransferee
    }
    expect([4, 1, 2].map(transferTo)).toEqual([0, 0, 2])
    group.tick(1, 9)
    expect(transferTo(2)).toBe(2)
    group.tick(1)
    expect(group.node(1).basicStatus().leadTransferee).toBe(0)
    expect([2, 3, 1].map(transferTo)).toEqual([2, 3, 0])
  })

  it('gives up when the target leaves', () => {
    const group = led()
    group.isolate(2)
    coreOf(group.node(1)).leadTransferee = 2
    group.node(1).applyConfChange(changeOf('ConfChangeTransitionAuto', ['ConfChangeRemoveNode', 2]))
    expect(group.node(1).basicStatus().leadTransferee).toBe(0)
  })
})

describe('a leader and reads', () => {
  const readsOf = (group: TestGroup, id: number): number[][] => {
    const found: number[][] = []
    for (let i = 0; i < 20; i++) {
      for (const other of group.members.keys()) {
        if (!group.node(other).hasReady()) continue
        const { readStates } = group.handleReady(other)
        if (other === id) found.push(...readStates.map((read) => [read.index, ...read.requestCtx]))
      }
      group.deliver()
    }
    return found
  }

  it('answers once a quorum confirms that it leads, to each node that requested it', () => {
    const group = led()
    group.node(1).readIndex(bytes(1))
    expect(group.node(1).ready().readStates).toEqual([])
    group.node(1).advance()
    const again = led()
    again.node(1).readIndex(bytes(1))
    again.node(1).readIndex(bytes(2))
    expect(readsOf(again, 1)).toEqual([
      [2, 1],
      [2, 2],
    ])
    again.node(3).readIndex(bytes(3))
    expect(readsOf(again, 3)).toEqual([[2, 3]])
  })

  it('does not answer without a quorum', () => {
    const group = led()
    group.isolate(1)
    group.node(1).readIndex(bytes(1))
    group.tick(1, 5)
    expect(readsOf(group, 1)).toEqual([])
  })

  it('waits until it has committed in its own term', () => {
    const group = new TestGroup({ voters: [1, 2, 3] })
    group.isLost = (m) => m.type === 'MsgApp'
    group.elect(1)
    group.node(1).readIndex(bytes(1))
    group.tick(1)
    expect(readsOf(group, 1)).toEqual([])
    group.isolate()
    group.tick(1)
    expect(readsOf(group, 1)).toEqual([[2, 1]])
  })

  it('lets a lone voter answer itself, but not before its term has committed', () => {
    const group = new TestGroup({ voters: [1] })
    group.node(1).campaign()
    group.handleReady(1)
    expect(group.node(1).basicStatus().raftState).toBe('StateLeader')
    group.node(1).readIndex(bytes(1))
    expect(group.handleReady(1).readStates).toEqual([])
    expect(readsOf(group, 1)).toEqual([[2, 1]])
    group.node(1).readIndex(bytes(2))
    expect(readsOf(group, 1)).toEqual([[2, 2]])
  })

  it('answers a read that was waiting when the quorum shrank to itself', () => {
    const group = led()
    group.isolate(1)
    group.node(1).readIndex(bytes(1))
    for (const id of [2, 3]) {
      group.node(1).applyConfChange(changeOf('ConfChangeTransitionAuto', ['ConfChangeRemoveNode', id]))
    }
    group.tick(1)
    expect(readsOf(group, 1)).toEqual([[2, 1]])
  })

  it('does not answer alone after it was removed', () => {
    const group = led({}, [1, 2])
    group.isolate(2)
    group.node(1).applyConfChange(changeOf('ConfChangeTransitionAuto', ['ConfChangeRemoveNode', 1]))
    group.node(1).readIndex(bytes(1))
    group.tick(1, 3)
    expect(readsOf(group, 1)).toEqual([])
  })

  it('answers at once on a lease', () => {
    const group = led({ checkQuorum: true, readOnlyOption: 'ReadOnlyLeaseBased' })
    group.isolate(1)
    group.node(1).readIndex(bytes(1))
    expect(group.node(1).ready().readStates).toEqual([{ index: 2, requestCtx: bytes(1) }])
  })

  it('forgets reads that waited when it steps down', () => {
    const group = led()
    group.isolate(1)
    group.node(1).readIndex(bytes(1))
    group.node(1).step(response('MsgAppResp', 2, { term: 5 }))
    group.isolate()
    group.elect(1)
    expect(readsOf(group, 1)).toEqual([])
  })
})

describe('a leader and configuration changes', () => {
  const normalised = (group: TestGroup): string[] => group.member(1).applied.map(({ type }) => type)

  it('adds a learner, which is caught up and counts for nothing, and promotes it', () => {
    const group = led({}, [1])
    group.addEmpty(2)
    group.isolate(2)
    group.node(1).proposeConfChange({ type: 'ConfChangeAddLearnerNode', nodeId: 2, context: EMPTY_BYTES })
    group.settle()
    const { storage, confState } = group.member(1)
    storage.createSnapshot(3, confState, bytes())
    group.isolate()
    group.tick(1)
    group.settle()
    expect(group.node(2).status().config.learners).toEqual([2])
    group.isolate(2)
    group.node(1).propose(bytes(1))
    group.settle()
    expect(appliedBy(group, 1).at(-1)).toBe(1)
    group.isolate()
    group.node(1).proposeConfChange({ type: 'ConfChangeAddNode', nodeId: 2, context: EMPTY_BYTES })
    group.tick(1)
    group.settle()
    expect(group.node(1).status().config.voters.incoming.ids).toEqual([1, 2])
    expect(coreOf(group.node(2)).isLearner).toBe(false)
    group.isolate(2)
    const { commit } = group.node(1).basicStatus()
    group.node(1).propose(bytes(2))
    group.settle()
    expect(group.node(1).basicStatus().commit).toBe(commit)
  })

  it('makes one at a time: a second one becomes an empty entry', () => {
    const group = led({}, [1])
    const add = (nodeId: number) =>
      group.node(1).proposeConfChange({ type: 'ConfChangeAddLearnerNode', nodeId, context: EMPTY_BYTES })
    expect([add(2), add(3)]).toEqual([null, null])
    group.settle()
    expect(group.node(1).status().config.learners).toEqual([2])
    expect(normalised(group)).toEqual(['EntryNormal', 'EntryConfChange', 'EntryNormal'])
    add(3)
    group.settle()
    expect(group.node(1).status().config.learners).toEqual([2, 3])
  })

  it('does not wait for one that was dropped', () => {
    const group = led({ maxUncommittedEntriesSize: 4 })
    group.isolate(2, 3)
    const add = { type: 'ConfChangeAddLearnerNode', nodeId: 4, context: bytes(1, 2, 3, 4) } as const
    group.node(1).propose(bytes(1))
    expect(group.node(1).proposeConfChange(add)).toMatchObject({ reason: 'too_many_uncommitted_bytes' })
    group.isolate()
    group.tick(1)
    group.settle()
    expect(group.node(1).proposeConfChange(add)).toBeNull()
    group.settle()
    expect(group.node(1).status().config.learners).toEqual([4])
  })

  it('refuses the second of two in one message, and keeps the message', () => {
    const group = led({}, [1])
    const entries = [2, 3].map((nodeId) =>
      encodeConfChange({ type: 'ConfChangeAddLearnerNode', nodeId, context: EMPTY_BYTES }),
    )
    const proposal: Message = { ...newMessage('MsgProp', 1), from: 1, entries }
    group.node(1).step(proposal)
    group.settle()
    expect(normalised(group)).toEqual(['EntryNormal', 'EntryConfChange', 'EntryNormal'])
    expect(proposal.entries.map(({ type }) => type)).toEqual(['EntryConfChange', 'EntryConfChange'])
  })

  it('takes them unchecked if configured so, and asserts when an invalid one is applied', () => {
    const group = led({ disableConfChangeValidation: true }, [1])
    group.node(1).proposeConfChange(changeOf('ConfChangeTransitionAuto'))
    expect(() => group.settle()).toThrow("can't leave a non-joint config")
  })

  it('leaves a joint configuration by itself if the change says so', () => {
    const group = led({}, [1, 2, 3, 4])
    group
      .node(1)
      .proposeConfChange(
        changeOf('ConfChangeTransitionAuto', ['ConfChangeRemoveNode', 3], ['ConfChangeAddLearnerNode', 4]),
      )
    group.settle()
    expect(normalised(group).slice(1)).toEqual(['EntryConfChangeV2', 'EntryConfChangeV2'])
    expect(group.member(1).confState).toEqual({
      voters: [1, 2],
      learners: [4],
      votersOutgoing: [],
      learnersNext: [],
      autoLeave: false,
    })
  })

  it('stays in a joint configuration until it is left by a change, and takes no other change there', () => {
    const group = led()
    const propose = (...changes: [ConfChangeSingle['type'], number][]) => {
      const transition = changes.length > 0 ? 'ConfChangeTransitionJointExplicit' : 'ConfChangeTransitionAuto'
      group.node(1).proposeConfChange(changeOf(transition, ...changes))
      group.settle()
      return group.node(1).status().config.voters.toString()
    }
    expect(propose()).toBe('(1 2 3)')
    expect(propose(['ConfChangeRemoveNode', 3])).toBe('(1 2)&&(1 2 3)')
    expect(propose(['ConfChangeRemoveNode', 2])).toBe('(1 2)&&(1 2 3)')
    expect(propose()).toBe('(1 2)')
  })

  it.each([
    [[2], false],
    [[3, 4, 5], false],
    [[4, 5], true],
    [[3], true],
  ])(
    'needs both majorities while it is joint, (1 2) and (1 2 3 4 5): without %j it commits: %s',
    (...row) => {
      const [lost, isCommitted] = row
      const group = led({}, [1, 2, 3, 4, 5])
      const removals = [3, 4, 5].map((id): [ConfChangeSingle['type'], number] => ['ConfChangeRemoveNode', id])
      group.node(1).proposeConfChange(changeOf('ConfChangeTransitionJointExplicit', ...removals))
      group.settle()
      const { commit } = group.node(1).basicStatus()
      group.isolate(...lost)
      group.node(1).propose(bytes(1))
      group.settle()
      expect(group.node(1).basicStatus().commit).toBe(isCommitted ? commit + 1 : commit)
    },
  )

  it('steps down when removed or made a learner, if configured so', () => {
    for (const type of ['ConfChangeRemoveNode', 'ConfChangeAddLearnerNode'] as const) {
      for (const stepDownOnRemoval of [false, true]) {
        const group = led({ stepDownOnRemoval })
        group.node(1).proposeConfChange(changeOf('ConfChangeTransitionAuto', [type, 1]))
        group.settle()
        const { raftState } = group.node(1).basicStatus()
        expect([type, raftState]).toEqual([type, stepDownOnRemoval ? 'StateFollower' : 'StateLeader'])
        if (type === 'ConfChangeRemoveNode' && !stepDownOnRemoval) {
          expect(group.node(1).propose(bytes(1))).toMatchObject({ reason: 'not_a_member' })
        }
      }
    }
  })

  it('commits more when a change makes the quorum smaller', () => {
    const group = led({}, [1, 2])
    group.isolate(2)
    group.node(1).propose(bytes(1))
    group.settle()
    const { commit } = group.node(1).basicStatus()
    group.node(1).applyConfChange(changeOf('ConfChangeTransitionAuto', ['ConfChangeRemoveNode', 2]))
    expect(group.node(1).basicStatus().commit).toBe(commit + 1)
  })
})
