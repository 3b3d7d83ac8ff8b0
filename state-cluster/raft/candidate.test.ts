import { describe, expect, it } from 'vitest'
import { TestGroup } from './test-group.ts'
import { type Message, type MessageType, newMessage } from './types.ts'

/** A node of five that asks for votes; nothing of what it sends arrives. */
function candidate(preVote = false): { group: TestGroup; answer: (from: number, reject: boolean) => void } {
  const group = new TestGroup({ voters: [1, 2, 3, 4, 5], config: { preVote } })
  group.isLost = () => true
  group.elect(1)
  const type: MessageType = preVote ? 'MsgPreVoteResp' : 'MsgVoteResp'
  const answer = (from: number, reject: boolean): void => {
    const message: Message = { ...newMessage(type, 1), from, term: reject ? 1 : 2, reject }
    group.node(1).step(type === 'MsgVoteResp' ? { ...message, term: 2 } : message)
    group.settle()
  }
  return { group, answer }
}

const stateOf = (group: TestGroup): string => group.node(1).basicStatus().raftState

describe('a candidate', () => {
  it('leads once a majority voted for it, each node counting once', () => {
    const { group, answer } = candidate()
    answer(2, false)
    answer(2, false)
    expect(stateOf(group)).toBe('StateCandidate')
    answer(3, true)
    answer(3, false)
    expect(stateOf(group)).toBe('StateCandidate')
    answer(4, false)
    expect(stateOf(group)).toBe('StateLeader')
  })

  it('gives up once a majority refused', () => {
    const { group, answer } = candidate()
    answer(2, true)
    answer(3, true)
    expect(stateOf(group)).toBe('StateCandidate')
    answer(4, true)
    expect(group.node(1).basicStatus()).toMatchObject({ raftState: 'StateFollower', term: 2, vote: 1 })
  })

  it('gives up a question that a majority refused without a new term', () => {
    const { group, answer } = candidate(true)
    for (const from of [2, 3, 4]) answer(from, true)
    expect(group.node(1).basicStatus()).toMatchObject({ raftState: 'StateFollower', term: 1, vote: 0 })
  })

  it('does not count answers to the question before as votes', () => {
    const { group, answer } = candidate(true)
    for (const from of [2, 3]) answer(from, false)
    expect(group.node(1).basicStatus()).toMatchObject({ raftState: 'StateCandidate', term: 2 })
    answer(4, false)
    answer(5, false)
    expect(stateOf(group)).toBe('StateCandidate')
  })

  it.each(['MsgApp', 'MsgHeartbeat', 'MsgSnap'] as const)('follows who leads its term: %s', (type) => {
    const { group } = candidate()
    group.node(1).step({ ...newMessage(type, 1), from: 3, term: 2, index: 1, logTerm: 1 })
    expect(group.node(1).basicStatus()).toMatchObject({
      raftState: 'StateFollower',
      term: 2,
      lead: 3,
      vote: 1,
    })
    expect(group.node(1).hasReady()).toBe(true)
  })

  it('drops proposals, and ignores a request to campaign at once', () => {
    const { group } = candidate()
    expect(group.node(1).propose(Uint8Array.of(1))).toMatchObject({ reason: 'no_leader' })
    group.node(1).step({ ...newMessage('MsgTimeoutNow', 1), from: 3, term: 2 })
    expect(group.node(1).basicStatus()).toMatchObject({ raftState: 'StateCandidate', term: 2 })
  })
})
