import { describe, expect, it } from 'vitest'
import { AssertionError } from './assert.ts'
import { coreOf } from './inner-state.ts'
import { entriesOfTerms, TestGroup } from './test-group.ts'
import { type Message, newConfState, newMessage, type Snapshot } from './types.ts'

const fromLeader = (type: Message['type'], fields: Partial<Message> = {}): Message => ({
  ...newMessage(type, 2),
  from: 1,
  term: 2,
  ...fields,
})

/** Node 2 of a group, which follows node 1 in term 2. */
function follower(terms: readonly number[] = [], config = {}): TestGroup {
  const group = new TestGroup({ voters: [1, 2, 3], terms: { 2: terms }, config })
  group.node(2).step(fromLeader('MsgHeartbeat'))
  group.settle()
  return group
}

/** What node 2 answers to a message. */
function answersTo(group: TestGroup, m: Message): Message[] {
  group.node(2).step(m)
  return [...group.handleReady(2).messages]
}

describe('a follower and appends', () => {
  it('acknowledges what it has appended, and commits up to the index that the leader sent', () => {
    const group = follower()
    const append = fromLeader('MsgApp', { index: 1, logTerm: 1, entries: entriesOfTerms([2, 2]), commit: 2 })
    expect(answersTo(group, append)).toMatchObject([
      { type: 'MsgAppResp', to: 1, term: 2, index: 3, reject: false },
    ])
    expect(group.node(2).basicStatus()).toMatchObject({ commit: 2, lead: 1 })
    expect(group.member(2).storage.lastIndex()).toBe(3)
  })

  it('answers an append of what is committed with its commit index', () => {
    const group = follower([2, 2])
    group.node(2).step(fromLeader('MsgHeartbeat', { commit: 3 }))
    expect(answersTo(group, fromLeader('MsgApp', { index: 1, logTerm: 1 })).at(-1)).toMatchObject({
      type: 'MsgAppResp',
      index: 3,
      reject: false,
    })
  })

  it.each([
    // own terms from index 2, append after (index, term) → hint, its term
    [[2, 2], 9, 2, 3, 2],
    [[1, 1], 9, 2, 3, 1],
    [[2, 2, 2], 4, 1, 1, 1],
    [[1, 2, 2], 4, 1, 2, 1],
    [[], 5, 2, 1, 1],
  ])('rejects with a hint where it may agree: terms %j, append after %i of term %i', (...row) => {
    const [terms, index, logTerm, rejectHint, hintTerm] = row
    const group = follower(terms)
    expect(answersTo(group, fromLeader('MsgApp', { index, logTerm }))).toMatchObject([
      { type: 'MsgAppResp', index, reject: true, rejectHint, logTerm: hintTerm },
    ])
  })

  it('asserts that a heartbeat does not commit what it does not have', () => {
    const group = follower([2])
    expect(() => group.node(2).step(fromLeader('MsgHeartbeat', { commit: 9 }))).toThrow(
      expect.objectContaining({ facts: { index: 9, lastIndex: 2 } }),
    )
  })

  it('repeats the context of a heartbeat', () => {
    const context = Uint8Array.of(1, 2, 3)
    expect(answersTo(follower(), fromLeader('MsgHeartbeat', { context }))).toMatchObject([
      { type: 'MsgHeartbeatResp', to: 1, context },
    ])
  })
})

describe('a follower and snapshots', () => {
  const snapshotAt = (index: number, term: number, voters = [1, 2, 3]): Snapshot => ({
    data: Uint8Array.of(index),
    metadata: { confState: newConfState(voters), index, term },
  })

  it('becomes what the snapshot says, configuration and all', () => {
    const group = follower([1, 1, 1])
    const snapshot = snapshotAt(9, 2, [1, 2, 3, 4])
    const answers = answersTo(group, fromLeader('MsgSnap', { snapshot }))
    expect(answers).toMatchObject([{ type: 'MsgAppResp', index: 9, reject: false }])
    expect(group.node(2).basicStatus()).toMatchObject({ commit: 9, applied: 9 })
    expect(group.node(2).status().config.voters.incoming.ids).toEqual([1, 2, 3, 4])
    expect(group.member(2).storage.firstIndex()).toBe(10)
  })

  it('keeps its vote and its term', () => {
    const group = new TestGroup({ voters: [1, 2, 3] })
    group.node(2).step({ ...newMessage('MsgVote', 2), from: 3, term: 2, index: 1, logTerm: 1 })
    group.node(2).step(fromLeader('MsgSnap', { snapshot: snapshotAt(9, 2) }))
    expect(group.node(2).basicStatus()).toMatchObject({ term: 2, vote: 3 })
  })

  it('takes only the commit index when it has the entries', () => {
    const group = follower([2, 2, 2])
    const answers = answersTo(group, fromLeader('MsgSnap', { snapshot: snapshotAt(3, 2) }))
    expect(answers).toMatchObject([{ index: 3 }])
    expect(group.node(2).basicStatus().commit).toBe(3)
    expect(group.member(2).storage.lastIndex()).toBe(4)
  })

  it('ignores one that is old, empty, or for others', () => {
    const group = follower([2, 2])
    group.node(2).step(fromLeader('MsgHeartbeat', { commit: 3 }))
    for (const snapshot of [snapshotAt(2, 2), null, snapshotAt(9, 2, [1, 3])]) {
      expect(answersTo(group, fromLeader('MsgSnap', { snapshot })).at(-1)).toMatchObject({ index: 3 })
    }
    expect(group.node(2).basicStatus().commit).toBe(3)
  })

  it('applies nothing after it before it is installed', () => {
    const group = follower()
    group.node(2).step(fromLeader('MsgSnap', { snapshot: snapshotAt(9, 2) }))
    const append = { index: 9, logTerm: 2, entries: entriesOfTerms([2], 10), commit: 10 }
    group.node(2).step(fromLeader('MsgApp', append))
    expect(group.node(2).ready()).toMatchObject({
      snapshot: { metadata: { index: 9 } },
      committedEntries: [],
    })
  })
})

describe('a follower and requests', () => {
  it('forwards proposals to its leader as they are, and keeps the original', () => {
    const group = follower()
    const proposal: Message = {
      ...newMessage('MsgProp', 2),
      from: 3,
      entries: entriesOfTerms([0], 0),
    }
    expect(answersTo(group, proposal)).toMatchObject([{ type: 'MsgProp', from: 3, to: 1, term: 0 }])
    expect(proposal.to).toBe(2)
  })

  it('drops them without a leader, or if it may not forward', () => {
    const alone = new TestGroup({ voters: [1, 2, 3] })
    expect(alone.node(2).propose(Uint8Array.of(1))).toMatchObject({
      code: 'proposal_dropped',
      reason: 'no_leader',
    })
    const silent = follower([], { disableProposalForwarding: true })
    expect(silent.node(2).propose(Uint8Array.of(1))).toMatchObject({ reason: 'forwarding_disabled' })
  })

  it('forwards transfers, even those of other followers, and reads', () => {
    const group = follower()
    const transfer: Message = { ...newMessage('MsgTransferLeader', 2), from: 3, term: 2 }
    expect(answersTo(group, transfer)).toMatchObject([{ type: 'MsgTransferLeader', from: 3, to: 1, term: 2 }])
    group.node(2).readIndex(Uint8Array.of(7))
    expect(group.handleReady(2).messages).toMatchObject([{ type: 'MsgReadIndex', from: 2, to: 1, term: 0 }])
  })

  it('hands out the answers to reads', () => {
    const group = follower()
    const [entry] = entriesOfTerms([7], 0)
    group
      .node(2)
      .step(fromLeader('MsgReadIndexResp', { index: 5, entries: entry === undefined ? [] : [entry] }))
    expect(group.handleReady(2).readStates).toEqual([{ index: 5, requestCtx: Uint8Array.of(7) }])
    expect(group.node(2).hasReady()).toBe(false)
  })

  it('forgets its leader if asked, unless leases are given', () => {
    const group = follower()
    group.node(2).forgetLeader()
    expect(group.node(2).basicStatus()).toMatchObject({ lead: 0, term: 2 })
    const leased = follower([], { checkQuorum: true, readOnlyOption: 'ReadOnlyLeaseBased' })
    leased.node(2).forgetLeader()
    expect(leased.node(2).basicStatus().lead).toBe(1)
  })

  it('campaigns at once when its leader says so, without asking first', () => {
    const group = follower([], { preVote: true, checkQuorum: true })
    group.node(2).step(fromLeader('MsgTimeoutNow'))
    expect(group.node(2).basicStatus()).toMatchObject({ raftState: 'StateCandidate', term: 3 })
  })

  it('asserts that its term is not taken back', () => {
    const group = follower()
    expect(() => coreOf(group.node(2)).becomeFollower(1, 0)).toThrow(AssertionError)
  })
})
