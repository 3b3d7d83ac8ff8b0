import { describe, expect, it } from 'vitest'
import { TRANSFER_CONTEXT } from './campaign.ts'
import { coreOf } from './inner-state.ts'
import { entriesOfTerms, TestGroup } from './test-group.ts'
import { EMPTY_BYTES, type Message, newMessage } from './types.ts'

const toTwo = (type: Message['type'], fields: Partial<Message>): Message => ({
  ...newMessage(type, 2),
  from: 3,
  ...fields,
})
const answersTo = (group: TestGroup, m: Message): Message[] => {
  group.node(2).step(m)
  return group.node(2).hasReady() ? [...group.handleReady(2).messages] : []
}

describe('a vote', () => {
  const vote = (fields: Partial<Message>): Message =>
    toTwo('MsgVote', { term: 5, index: 3, logTerm: 2, ...fields })

  it.each([
    ['the same log', { index: 3, logTerm: 2 }, true],
    ['a longer log', { index: 9, logTerm: 2 }, true],
    ['a shorter log of a later term', { index: 1, logTerm: 3 }, true],
    ['a shorter log', { index: 2, logTerm: 2 }, false],
    ['a longer log of an earlier term', { index: 9, logTerm: 1 }, false],
  ])('for %s', (_name, fields, isGranted) => {
    const group = new TestGroup({ voters: [1, 2, 3], terms: { 2: [1, 2] } })
    expect(answersTo(group, vote(fields))).toMatchObject([
      { type: 'MsgVoteResp', to: 3, term: 5, reject: !isGranted },
    ])
    expect(group.node(2).basicStatus()).toMatchObject({ term: 5, vote: isGranted ? 3 : 0 })
  })

  it('is given once a term, again to the same candidate only', () => {
    const group = new TestGroup({ voters: [1, 2, 3], terms: { 2: [1, 2] } })
    const answers = [3, 1, 3].map((from) => answersTo(group, vote({ from }))[0]?.reject)
    expect(answers).toEqual([false, true, false])
    expect(answersTo(group, vote({ from: 1, term: 6 }))[0]?.reject).toBe(false)
  })

  it('is not given to another one than the leader of the term', () => {
    const group = new TestGroup({ voters: [1, 2, 3], terms: { 2: [1, 2] } })
    answersTo(group, toTwo('MsgHeartbeat', { from: 1, term: 5 }))
    expect(answersTo(group, vote({}))[0]?.reject).toBe(true)
  })

  it('is given by a learner, which may be a voter and not know it', () => {
    const group = new TestGroup({ voters: [1, 3], learners: [2] })
    expect(answersTo(group, vote({}))[0]?.reject).toBe(false)
  })

  it('leaves only with what makes it durable', () => {
    const group = new TestGroup({ voters: [1, 2, 3], config: { asyncStorageWrites: true } })
    group.node(2).step(vote({}))
    expect(group.node(2).ready().messages).toMatchObject([
      { type: 'MsgStorageAppend', term: 5, vote: 3, responses: [{ type: 'MsgVoteResp', to: 3 }] },
    ])
  })

  it('in the lease of a leader is ignored, unless that leader asked for the election', () => {
    const group = new TestGroup({ voters: [1, 2, 3], config: { checkQuorum: true } })
    answersTo(group, toTwo('MsgHeartbeat', { from: 1, term: 2 }))
    group.tick(2, 9)
    expect(answersTo(group, vote({}))).toEqual([])
    expect(group.node(2).basicStatus()).toMatchObject({ term: 2, lead: 1 })
    expect(answersTo(group, vote({ context: TRANSFER_CONTEXT }))).toMatchObject([{ reject: false }])
    const late = new TestGroup({ voters: [1, 2, 3], config: { checkQuorum: true } })
    answersTo(late, toTwo('MsgHeartbeat', { from: 1, term: 2 }))
    coreOf(late.node(2)).randomizedElectionTimeout = 100
    late.tick(2, 10)
    expect(answersTo(late, vote({}))).toMatchObject([{ reject: false }])
  })
})

describe('a pre-vote', () => {
  const ask = (fields: Partial<Message>): Message =>
    toTwo('MsgPreVote', { term: 2, index: 1, logTerm: 1, ...fields })

  it('commits to nothing, and is given to any number of candidates', () => {
    const group = new TestGroup({ voters: [1, 2, 3] })
    for (const from of [1, 3]) {
      expect(answersTo(group, ask({ from, term: 9 }))).toMatchObject([
        { type: 'MsgPreVoteResp', term: 9, reject: false },
      ])
    }
    expect(group.node(2).basicStatus()).toMatchObject({ term: 1, vote: 0 })
  })

  it('of an old term is refused with the newer one', () => {
    const group = new TestGroup({ voters: [1, 2, 3] })
    answersTo(group, toTwo('MsgHeartbeat', { from: 1, term: 5 }))
    expect(answersTo(group, ask({}))).toMatchObject([{ type: 'MsgPreVoteResp', term: 5, reject: true }])
  })

  it('that is refused at a newer term brings that term', () => {
    const group = new TestGroup({ voters: [1, 2, 3], config: { preVote: true } })
    group.isLost = () => true
    group.elect(2)
    answersTo(group, toTwo('MsgPreVoteResp', { term: 7, reject: true }))
    expect(group.node(2).basicStatus()).toMatchObject({ raftState: 'StateFollower', term: 7 })
  })

  it('keeps a node that was cut off from disturbing the others', () => {
    const group = new TestGroup({ voters: [1, 2, 3], config: { preVote: true, checkQuorum: true } })
    group.elect(1)
    group.isolate(3)
    group.tick(3, 100)
    group.settle()
    expect(group.node(3).basicStatus().term).toBe(2)
    group.isolate()
    group.tick(1)
    group.settle()
    expect(group.node(1).basicStatus()).toMatchObject({ raftState: 'StateLeader', term: 2 })
    expect(group.node(3).basicStatus().lead).toBe(1)
  })
})

describe('terms', () => {
  it('go up with any message, which a leader sends in its own name', () => {
    for (const [type, lead] of [
      ['MsgApp', 3],
      ['MsgHeartbeat', 3],
      ['MsgSnap', 3],
      ['MsgAppResp', 0],
      ['MsgVote', 0],
      ['MsgTimeoutNow', 0],
    ] as const) {
      const group = new TestGroup({ voters: [1, 2, 3] })
      group.elect(2)
      group.node(2).step(toTwo(type, { term: 9 }))
      const { term, lead: leader } = group.node(2).basicStatus()
      if (type !== 'MsgTimeoutNow') expect([type, term, leader]).toEqual([type, 9, lead])
      else expect(term).toBe(10)
    }
  })

  it('that are old are ignored', () => {
    const group = new TestGroup({ voters: [1, 2, 3] })
    answersTo(group, toTwo('MsgHeartbeat', { from: 1, term: 5 }))
    const append = { term: 4, index: 1, logTerm: 1, entries: entriesOfTerms([4]) }
    expect(answersTo(group, toTwo('MsgApp', append))).toEqual([])
    expect(coreOf(group.node(2)).log.lastIndex()).toBe(1)
    expect(group.node(2).basicStatus().lead).toBe(1)
  })

  it('that are old are answered with the new one, where votes cannot be', () => {
    for (const config of [{ preVote: true }, { checkQuorum: true }]) {
      const group = new TestGroup({ voters: [1, 2, 3], config })
      answersTo(group, toTwo('MsgHeartbeat', { from: 1, term: 5 }))
      for (const type of ['MsgApp', 'MsgHeartbeat'] as const) {
        expect(answersTo(group, toTwo(type, { term: 4 }))).toMatchObject([{ type: 'MsgAppResp', term: 5 }])
      }
    }
  })
})

describe('a tick', () => {
  it('starts an election when no message came for the timeout, and not before', () => {
    const group = new TestGroup({ voters: [1, 2, 3] })
    group.tick(2, 9)
    expect(group.node(2).basicStatus().raftState).toBe('StateFollower')
    group.tick(2)
    expect(group.node(2).basicStatus().raftState).toBe('StateCandidate')
  })

  it('restarts the timeout when the leader sends something, or a vote was given', () => {
    for (const m of [
      toTwo('MsgHeartbeat', { from: 1, term: 1 }),
      toTwo('MsgApp', { from: 1, term: 1, index: 1, logTerm: 1 }),
      toTwo('MsgVote', { from: 1, term: 1, index: 1, logTerm: 1 }),
    ]) {
      const group = new TestGroup({ voters: [1, 2, 3] })
      group.tick(2, 9)
      group.node(2).step(m)
      group.tick(2, 9)
      expect([m.type, group.node(2).basicStatus().raftState]).toEqual([m.type, 'StateFollower'])
    }
  })

  it('draws the timeout again from one to two election timeouts', () => {
    const drawn: number[] = []
    const random = (bound: number): number => {
      drawn.push(bound)
      return bound - 1
    }
    const group = new TestGroup({ voters: [1, 2, 3], config: { random } })
    group.tick(2, 18)
    expect(group.node(2).basicStatus().raftState).toBe('StateFollower')
    group.tick(2)
    expect(group.node(2).basicStatus().raftState).toBe('StateCandidate')
    expect(new Set(drawn)).toEqual(new Set([10]))
  })

  it('leaves learners and strangers alone', () => {
    const group = new TestGroup({ voters: [1], learners: [2] })
    group.addEmpty(3)
    for (const id of [2, 3]) {
      group.tick(id, 100)
      expect(group.node(id).basicStatus().raftState).toBe('StateFollower')
    }
  })

  it('makes a leader send heartbeats, no more of the commit than the follower has', () => {
    const group = new TestGroup({ voters: [1, 2, 3], config: { heartbeatTick: 2 } })
    group.elect(1)
    group.isolate(3)
    group.node(1).propose(EMPTY_BYTES)
    group.settle()
    group.tick(1)
    expect(group.node(1).hasReady()).toBe(false)
    group.tick(1)
    expect(group.handleReady(1).messages.map((m) => [m.type, m.to, m.commit])).toEqual([
      ['MsgHeartbeat', 2, 3],
      ['MsgHeartbeat', 3, 2],
    ])
  })
})
