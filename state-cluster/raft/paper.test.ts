/**
 * The rules of the Raft paper (Ongaro and Ousterhout, extended version), one test a rule, with the section in the
 * title: elections, replication, safety. Membership, compaction and clients are in paper-members.test.ts.
 */

import { describe, expect, it } from 'vitest'
import { coreOf } from './inner-state.ts'
import { answers, bytes, commitOf, ids, inRole, message, state, terms } from './paper-words.ts'
import { RawNode } from './rawnode.ts'
import { entriesOfTerms, nodeConfig, TestGroup } from './test-group.ts'
import type { Message, StateType } from './types.ts'

const roles: StateType[] = ['StateFollower', 'StateCandidate', 'StateLeader']

describe('§5.1 terms', () => {
  for (const role of roles) {
    it(`§5.1: a ${role} that learns of a higher term takes it on and is a follower`, () => {
      const group = inRole(role)
      group.node(1).step(message('MsgApp', 3, 5, { index: 1, logTerm: 1 }))
      expect(group.node(1).basicStatus()).toMatchObject({ raftState: 'StateFollower', term: 5, lead: 3 })
    })

    it(`§5.1: a ${role} takes no notice of a request of an older term`, () => {
      const group = inRole(role)
      const before = group.node(1).status()
      for (const type of ['MsgApp', 'MsgVote', 'MsgHeartbeat', 'MsgSnap'] as const) {
        expect(answers(group, message(type, 3, 1, { index: 9, logTerm: 9, commit: 9 }))).toEqual([])
      }
      expect(group.node(1).status()).toEqual(before)
    })
  }

  it('§5.1: a term never goes back, not by any message', () => {
    const group = inRole('StateFollower')
    for (const term of [7, 3, 7, 1]) group.node(1).step(message('MsgHeartbeat', 2, term))
    expect(group.node(1).basicStatus().term).toBe(7)
  })
})

describe('§5.2 leader election', () => {
  it('§5.2: a server starts as a follower', () => {
    expect(state(new TestGroup({ voters: [1, 2, 3] }), 1)).toBe('StateFollower')
  })

  it('§5.2: a follower stays one for as long as a leader sends in time', () => {
    const group = inRole('StateFollower')
    for (let i = 0; i < 20; i++) {
      group.tick(1, 9)
      group.node(1).step(message('MsgHeartbeat', 2, 2))
    }
    expect(state(group, 1)).toBe('StateFollower')
    group.tick(1, 10)
    expect(state(group, 1)).toBe('StateCandidate')
  })

  it('§5.2: a leader sends heartbeats without entries to all others, again and again', () => {
    const group = inRole('StateLeader')
    for (let i = 0; i < 3; i++) {
      group.tick(1)
      expect(group.handleReady(1).messages).toMatchObject(
        [2, 3].map((to) => ({ type: 'MsgHeartbeat', to, term: 2, entries: [] })),
      )
    }
  })

  for (const role of ['StateFollower', 'StateCandidate'] as const) {
    it(`§5.2: a ${role} whose election timeout elapses starts an election in the next term`, () => {
      const group = inRole(role)
      group.tick(1, 10)
      expect(group.node(1).basicStatus()).toMatchObject({ raftState: 'StateCandidate', term: 3, vote: 1 })
      expect(group.handleReady(1).messages).toMatchObject(
        [2, 3].map((to) => ({ type: 'MsgVote', to, term: 3, index: 1, logTerm: 1 })),
      )
    })
  }

  it.each<[number, number[], number[], StateType]>([
    // size, who grants, who refuses, what becomes of it
    [1, [], [], 'StateLeader'],
    [3, [2, 3], [], 'StateLeader'],
    [3, [2], [], 'StateLeader'],
    [3, [2], [3], 'StateLeader'],
    [5, [2, 3], [], 'StateLeader'],
    [5, [2, 3], [4, 5], 'StateLeader'],
    [3, [], [2, 3], 'StateFollower'],
    [5, [2], [3, 4, 5], 'StateFollower'],
    [3, [], [], 'StateCandidate'],
    [3, [], [2], 'StateCandidate'],
    [5, [2], [3, 4], 'StateCandidate'],
  ])(
    '§5.2: of %i servers, %j vote for a candidate and %j do not: %s',
    (size, granting, refusing, expected) => {
      const group = new TestGroup({ voters: ids(size) })
      group.node(1).campaign()
      group.handleReady(1)
      for (const from of granting) group.node(1).step(message('MsgVoteResp', from, 2))
      for (const from of refusing) group.node(1).step(message('MsgVoteResp', from, 2, { reject: true }))
      expect(state(group, 1)).toBe(expected)
    },
  )

  it('§5.2: a vote counts once, however often it is sent', () => {
    const group = new TestGroup({ voters: ids(5) })
    group.node(1).campaign()
    group.handleReady(1)
    for (let i = 0; i < 5; i++) group.node(1).step(message('MsgVoteResp', 2, 2))
    expect(state(group, 1)).toBe('StateCandidate')
  })

  it('§5.2: a server votes for one candidate a term, the first that asks, and may repeat it', () => {
    const group = new TestGroup({ voters: [1, 2, 3] })
    const asks = (from: number): Message => message('MsgVote', from, 2, { index: 1, logTerm: 1 })
    expect(answers(group, asks(3))).toMatchObject([{ type: 'MsgVoteResp', to: 3, reject: false }])
    expect(answers(group, asks(2))).toMatchObject([{ type: 'MsgVoteResp', to: 2, reject: true }])
    expect(answers(group, asks(3))).toMatchObject([{ type: 'MsgVoteResp', to: 3, reject: false }])
    expect(answers(group, message('MsgVote', 2, 3, { index: 1, logTerm: 1 }))).toMatchObject([
      { reject: false },
    ])
  })

  it('§5.2: a vote survives a restart, for it is on disk before it is sent', () => {
    const group = new TestGroup({ voters: [1, 2, 3] })
    answers(group, message('MsgVote', 3, 2, { index: 1, logTerm: 1 }))
    const { storage } = group.member(1)
    expect(storage.initialState().hardState).toMatchObject({ term: 2, vote: 3 })
    const restarted = new RawNode(nodeConfig(1, storage))
    restarted.step(message('MsgVote', 2, 2, { index: 1, logTerm: 1 }))
    expect(restarted.ready().messages).toMatchObject([{ type: 'MsgVoteResp', to: 2, reject: true }])
  })

  it('§5.2: a new leader sends to all others at once, so that nobody starts another election', () => {
    const group = new TestGroup({ voters: [1, 2, 3] })
    group.node(1).campaign()
    group.handleReady(1)
    group.node(1).step(message('MsgVoteResp', 2, 2))
    expect(group.handleReady(1).messages).toMatchObject([2, 3].map((to) => ({ type: 'MsgApp', to, term: 2 })))
    group.tick(2, 9)
    group.settle()
    group.tick(2, 9)
    expect(state(group, 2)).toBe('StateFollower')
  })

  it.each([2, 3])('§5.2: a candidate gives way to a leader of its own term or a later one (%i)', (term) => {
    const group = inRole('StateCandidate')
    group.node(1).step(message('MsgApp', 2, term, { index: 1, logTerm: 1 }))
    expect(group.node(1).basicStatus()).toMatchObject({ raftState: 'StateFollower', lead: 2, term })
  })

  it('§5.2: a candidate does not give way to a leader of an earlier term', () => {
    const group = inRole('StateCandidate')
    group.node(1).step(message('MsgApp', 2, 1, { index: 1, logTerm: 1 }))
    expect(state(group, 1)).toBe('StateCandidate')
  })

  it('§5.2: election timeouts are drawn again, from the whole of [T, 2T)', () => {
    const seen = new Set<number>()
    let drawn = 0
    const group = new TestGroup({ voters: [1, 2, 3], config: { random: (bound) => drawn++ % bound } })
    for (let round = 0; round < 30; round++) {
      const { term } = group.node(1).basicStatus()
      let ticks = 0
      for (; group.node(1).basicStatus().term === term; ticks++) group.tick(1)
      seen.add(ticks)
    }
    expect([...seen].sort((a, b) => a - b)).toEqual(ids(10).map((i) => i + 9))
  })

  it('§5.2: a split vote is resolved by the node that times out first', () => {
    const group = new TestGroup({ voters: ids(4) })
    group.isLost = ({ from, to }) => from <= 2 !== to <= 2
    group.node(1).campaign()
    group.node(3).campaign()
    group.settle()
    expect([1, 3].map((id) => state(group, id))).toEqual(['StateCandidate', 'StateCandidate'])
    group.isolate()
    group.tick(3, 10)
    group.settle()
    expect(ids(4).map((id) => group.node(id).basicStatus().lead)).toEqual([3, 3, 3, 3])
  })
})

describe('§5.3 log replication', () => {
  it('§5.3: a leader appends a command to its log and sends it to all others, with the entry before it', () => {
    const group = inRole('StateLeader')
    group.node(1).propose(bytes(7))
    const { entries, messages } = group.handleReady(1)
    expect(entries).toMatchObject([{ term: 2, index: 3, data: bytes(7) }])
    expect(messages).toMatchObject(
      [2, 3].map((to) => ({ type: 'MsgApp', to, index: 2, logTerm: 2, entries: [{ term: 2, index: 3 }] })),
    )
  })

  it.each([
    // size, who answers, whether it is committed
    [1, [], true],
    [3, [], false],
    [3, [2], true],
    [5, [2], false],
    [5, [2, 3], true],
    [5, [2, 3, 4, 5], true],
  ])(
    '§5.3: of %i servers, %j have an entry besides its leader: committed %j',
    (size, having, isCommitted) => {
      const group = new TestGroup({ voters: ids(size) })
      group.elect(1)
      const before = commitOf(group, 1)
      group.isLost = ({ from, to }) => !having.includes(from) && !having.includes(to)
      group.node(1).propose(bytes(1))
      group.settle()
      expect(commitOf(group, 1) > before).toBe(isCommitted)
    },
  )

  it('§5.3: committing an entry commits all before it, those of earlier leaders too', () => {
    const group = new TestGroup({ voters: [1, 2, 3], terms: { 1: [2, 2, 3], 2: [2], 3: [] } })
    group.elect(1)
    expect(terms(group, 1)).toEqual([2, 2, 3, 4])
    expect(commitOf(group, 1)).toBe(5)
  })

  it('§5.3: a leader sends the commit index, and followers apply it in the order of the log', () => {
    const group = inRole('StateLeader')
    for (let i = 1; i <= 4; i++) group.node(1).propose(bytes(i))
    group.settle()
    for (const id of [1, 2, 3]) {
      const applied = group.member(id).applied
      expect(applied.map(({ index }) => index)).toEqual([2, 3, 4, 5, 6])
      expect(applied.slice(1).map(({ data }) => data[0])).toEqual([1, 2, 3, 4])
    }
  })

  it('§5.3: nothing is applied before it is committed', () => {
    const group = inRole('StateLeader')
    group.isolate(2, 3)
    group.node(1).propose(bytes(1))
    group.settle()
    expect(group.member(1).applied.map(({ index }) => index)).toEqual([2])
  })

  it.each([
    // the entry before the append: index, term; whether the follower (log 1:1, 2:1, 3:2) takes it
    [1, 1, true],
    [2, 1, true],
    [3, 2, true],
    [2, 2, false],
    [3, 1, false],
    [4, 2, false],
  ])(
    '§5.3: a follower takes an append only after an entry that it has: (%i, term %i) %j',
    (index, logTerm, ok) => {
      const group = new TestGroup({ voters: [1, 2, 3], terms: { 1: [1, 2] } })
      expect(answers(group, message('MsgApp', 2, 2, { index, logTerm }))).toMatchObject([
        { type: 'MsgAppResp', to: 2, reject: !ok },
      ])
    },
  )

  it.each([
    // the append's entries after index 1; the log after it
    [[2], [2, 2]],
    [
      [2, 2],
      [2, 2],
    ],
    [
      [2, 2, 3],
      [2, 2, 3],
    ],
    [[3], [3]],
    [
      [2, 3],
      [2, 3],
    ],
    [[], [2, 2]],
  ])('§5.3: what conflicts is cut off, and nothing else is: %j after index 1 makes %j', (sent, expected) => {
    const group = new TestGroup({ voters: [1, 2, 3], terms: { 1: [2, 2] } })
    answers(group, message('MsgApp', 2, 4, { index: 1, logTerm: 1, entries: entriesOfTerms(sent) }))
    expect(terms(group, 1)).toEqual(expected)
  })

  // The logs of figure 7, one index later because ours begin after a snapshot.
  const leaderOfFigure7 = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
  it.each([
    ['a', [1, 1, 1, 4, 4, 5, 5, 6, 6]],
    ['b', [1, 1, 1, 4]],
    ['c', [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]],
    ['d', [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]],
    ['e', [1, 1, 1, 4, 4, 4, 4]],
    ['f', [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]],
  ])('§5.3: a leader makes every log like its own: figure 7 (%s)', (_, log) => {
    const group = new TestGroup({ voters: [1, 2, 3], terms: { 1: leaderOfFigure7, 2: log, 3: [1] } })
    // The leader of the figure is that of term 8.
    for (const id of [1, 2, 3]) group.node(id).step(message('MsgHeartbeat', 9, 7, { to: id }))
    group.elect(1)
    const { term } = group.node(1).basicStatus()
    for (const id of [1, 2, 3]) expect(terms(group, id)).toEqual([...leaderOfFigure7, term])
  })

  it('§5.3: a leader never overwrites or deletes what is in its own log', () => {
    const group = inRole('StateLeader')
    group.node(1).propose(bytes(1))
    group.handleReady(1)
    for (const rejectHint of [1, 2, 0]) {
      group.node(1).step(message('MsgAppResp', 2, 2, { reject: true, index: 2, rejectHint, logTerm: 1 }))
      group.handleReady(1)
    }
    expect(terms(group, 1)).toEqual([2, 2])
  })

  it('§5.3: a leader gives an index once a term', () => {
    const group = inRole('StateLeader')
    const seen = new Map<number, Uint8Array>()
    for (let i = 0; i < 20; i++) {
      group.node(1).propose(bytes(i))
      for (const { index, data } of group.handleReady(1).entries) {
        expect(seen.has(index)).toBe(false)
        seen.set(index, data)
      }
    }
    expect([...seen.keys()]).toEqual(ids(20).map((i) => i + 2))
  })

  it('§5.3: at first a leader assumes that others have all that it has', () => {
    const group = new TestGroup({ voters: [1, 2, 3], terms: { 1: [2, 3] } })
    group.node(1).campaign()
    group.handleReady(1)
    group.node(1).step(message('MsgVoteResp', 2, 4))
    expect(group.handleReady(1).messages).toMatchObject([2, 3].map((to) => ({ to, index: 3, logTerm: 3 })))
  })

  it('§5.3: a rejected append names its term, so that one probe is enough for each conflicting term', () => {
    const group = new TestGroup({
      voters: [1, 2, 3],
      terms: { 1: [2, 4, 4, 4, 4], 2: [2, 3, 3, 3, 3], 3: [2] },
    })
    group.isolate(2)
    group.elect(1)
    group.isolate()
    group.sent.length = 0
    group.tick(1)
    group.settle()
    const probes = group.sent.filter(({ type, to }) => type === 'MsgApp' && to === 2)
    expect(terms(group, 2)).toEqual(terms(group, 1))
    expect(probes.length).toBeLessThanOrEqual(4)
  })
})

describe('§5.4 safety', () => {
  it.each([
    // the voter's log, the candidate's last (index, term), whether it gets the vote
    [[1, 1], 3, 1, true],
    [[1, 1], 4, 1, true],
    [[1, 1], 2, 1, false],
    [[1, 1], 2, 2, true],
    [[1, 2], 2, 2, false],
    [[1, 2], 9, 1, false],
    [[2], 2, 3, true],
  ])(
    '§5.4.1: a voter with terms %j, asked by a log that ends in (%i, term %i): %j',
    (log, index, logTerm, isGranted) => {
      const group = new TestGroup({ voters: [1, 2, 3], terms: { 1: log } })
      expect(answers(group, message('MsgVote', 2, 9, { index, logTerm }))).toMatchObject([
        { type: 'MsgVoteResp', reject: !isGranted },
      ])
    },
  )

  it('§5.4.1: nobody is elected without all that is committed', () => {
    const group = new TestGroup({ voters: ids(5) })
    group.elect(1)
    group.isolate(4, 5)
    group.node(1).propose(bytes(1))
    group.settle()
    expect(commitOf(group, 1)).toBe(3)
    group.isolate()
    group.node(4).campaign()
    group.settle()
    expect(state(group, 4)).not.toBe('StateLeader')
    group.elect(2)
    expect(state(group, 2)).toBe('StateLeader')
    expect(commitOf(group, 4)).toBe(4)
  })

  it.each([
    // a majority has the log up to this index; what that commits for a leader of term 4 with terms 2 2 3 4
    [2, 1],
    [3, 1],
    [4, 1],
    [5, 5],
  ])(
    '§5.4.2: only entries of the own term are committed by counting: a majority has %i, committed %i',
    (match, commit) => {
      const group = new TestGroup({ voters: [1, 2, 3], terms: { 1: [2, 2, 3] } })
      group.node(1).campaign()
      group.handleReady(1)
      group.node(1).step(message('MsgVoteResp', 2, 4))
      group.handleReady(1)
      group.node(1).step(message('MsgAppResp', 2, 4, { index: match }))
      expect(commitOf(group, 1)).toBe(commit)
    },
  )

  it('§5.5: requests that arrive again change nothing, even out of order', () => {
    const group = new TestGroup({ voters: [1, 2, 3] })
    const first = message('MsgApp', 2, 2, { index: 1, logTerm: 1, entries: entriesOfTerms([2]) })
    const second = message('MsgApp', 2, 2, { index: 2, logTerm: 2, entries: entriesOfTerms([2, 2], 3) })
    for (const m of [first, second, first, second, first]) answers(group, m)
    expect(terms(group, 1)).toEqual([2, 2, 2])
  })

  it('§5.5: a leader tries again until a follower that was down has everything', () => {
    const group = inRole('StateLeader')
    group.isolate(3)
    for (let i = 0; i < 5; i++) {
      group.node(1).propose(bytes(i))
      group.settle()
      group.tick(1)
    }
    group.isolate()
    group.tick(1)
    group.settle()
    expect(terms(group, 3)).toEqual(terms(group, 1))
    expect(commitOf(group, 3)).toBe(commitOf(group, 1))
  })

  it('§5.5: term, vote and log survive a restart', () => {
    const group = inRole('StateLeader')
    group.node(1).propose(bytes(1))
    group.handleReady(1)
    const restarted = new RawNode(nodeConfig(1, group.member(1).storage))
    expect(restarted.basicStatus()).toMatchObject({ raftState: 'StateFollower', term: 2, vote: 1, lead: 0 })
    expect(coreOf(restarted).log.lastIndex()).toBe(3)
  })
})
