import { describe, expect, it } from 'vitest'
import { isTransferContext, TRANSFER_CONTEXT } from './campaign.ts'
import { coreOf } from './inner-state.ts'
import { TestGroup } from './test-group.ts'
import { type Message, newMessage } from './types.ts'

const votesOf = (group: TestGroup, type: Message['type']): string[] =>
  group.sent.filter((m) => m.type === type).map((m) => `${m.from}->${m.to} ${m.term} ${m.logTerm}/${m.index}`)

describe('a campaign', () => {
  it('requests the votes of all other voters, with the end of the log, at the next term', () => {
    const group = new TestGroup({ voters: [1, 2, 3], learners: [4], terms: { 1: [1, 2] } })
    group.node(1).campaign()
    group.handleReady(1)
    expect(votesOf(group, 'MsgVote')).toEqual(['1->2 3 2/3', '1->3 3 2/3'])
    expect(group.node(1).basicStatus()).toMatchObject({ raftState: 'StateCandidate', term: 3, vote: 1 })
  })

  it('requests the votes of both halves of a joint configuration', () => {
    const group = new TestGroup({ voters: [1, 2, 3] })
    group.node(1).applyConfChange({
      transition: 'ConfChangeTransitionJointExplicit',
      changes: [
        { type: 'ConfChangeRemoveNode', nodeId: 3 },
        { type: 'ConfChangeAddNode', nodeId: 4 },
      ],
      context: Uint8Array.of(),
    })
    group.node(1).campaign()
    group.handleReady(1)
    expect(votesOf(group, 'MsgVote').map((vote) => vote.slice(0, 4))).toEqual(['1->2', '1->3', '1->4'])
  })

  it('first requests pre-votes, without a new term, when they are on', () => {
    const group = new TestGroup({ voters: [1, 2, 3], config: { preVote: true } })
    group.node(1).campaign()
    group.handleReady(1)
    expect(votesOf(group, 'MsgPreVote')).toEqual(['1->2 2 1/1', '1->3 2 1/1'])
    expect(group.node(1).basicStatus()).toMatchObject({ raftState: 'StatePreCandidate', term: 1, vote: 0 })
    group.settle()
    expect(group.node(1).basicStatus()).toMatchObject({ raftState: 'StateLeader', term: 2, vote: 1 })
  })

  it('is not for learners, leaders, strangers, or while a snapshot is being installed', () => {
    const group = new TestGroup({ voters: [1, 2], learners: [3] })
    group.addEmpty(4)
    for (const id of [3, 4]) group.elect(id)
    expect(group.sent).toEqual([])
    group.elect(1)
    const { term } = group.node(1).basicStatus()
    group.elect(1)
    expect(group.node(1).basicStatus().term).toBe(term)

    const { confState } = group.member(1)
    const snapshot = { data: Uint8Array.of(), metadata: { confState, index: 50, term } }
    group.node(2).step({ ...newMessage('MsgSnap', 2), from: 1, term, snapshot })
    group.node(2).campaign()
    expect(group.node(2).basicStatus()).toMatchObject({ raftState: 'StateFollower', term })
  })

  it('waits until committed configuration changes are applied', () => {
    const group = new TestGroup({ voters: [1, 2, 3] })
    group.elect(1)
    group.node(1).proposeConfChange({
      type: 'ConfChangeAddLearnerNode',
      nodeId: 4,
      context: Uint8Array.of(),
    })
    group.handleReady(1)
    group.deliver()
    group.handleReady(2)
    const { log } = coreOf(group.node(2))
    log.commitTo(log.lastIndex())
    group.node(2).campaign()
    expect(group.node(2).basicStatus().raftState).toBe('StateFollower')
    group.settle()
    group.elect(2)
    expect(group.node(2).basicStatus().raftState).toBe('StateLeader')
  })

  it('counts its own vote only when that is stable', () => {
    const group = new TestGroup({ voters: [1] })
    group.node(1).campaign()
    expect(group.node(1).basicStatus().raftState).toBe('StateCandidate')
    const ready = group.node(1).ready()
    expect(ready).toMatchObject({ hardState: { term: 2, vote: 1, commit: 1 }, mustSync: true, messages: [] })
    expect(group.node(1).basicStatus().raftState).toBe('StateCandidate')
    group.node(1).advance()
    expect(group.node(1).basicStatus().raftState).toBe('StateLeader')
  })
})

describe('isTransferContext', () => {
  it('knows the one context that marks a transfer', () => {
    expect(isTransferContext(Uint8Array.from(TRANSFER_CONTEXT))).toBe(true)
    expect(isTransferContext(TRANSFER_CONTEXT.subarray(1))).toBe(false)
    expect(isTransferContext(new Uint8Array(TRANSFER_CONTEXT.length))).toBe(false)
  })
})
