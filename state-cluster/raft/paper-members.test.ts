/**
 * The rules of the Raft paper on membership, log compaction and clients, one test a rule, with the section in the
 * title. Where this core, like etcd-io/raft, does otherwise than the paper, the title says so.
 */
import { describe, expect, it } from 'vitest'
import type { Config } from './config.ts'
import { MemoryStorage } from './memory-storage.ts'
import { answers, bytes, commitOf, ids, inRole, message, state, terms } from './paper-words.ts'
import { RawNode } from './rawnode.ts'
import { nodeConfig, TestGroup } from './test-group.ts'
import { type ConfChangeSingle, EMPTY_BYTES } from './types.ts'

describe('§6 membership', () => {
  const change = (group: TestGroup, ...changes: [ConfChangeSingle['type'], number][]): void => {
    group.node(1).proposeConfChange({
      transition: 'ConfChangeTransitionJointExplicit',
      changes: changes.map(([type, nodeId]) => ({ type, nodeId })),
      context: EMPTY_BYTES,
    })
  }
  const leave = (group: TestGroup): void => {
    group
      .node(1)
      .proposeConfChange({ transition: 'ConfChangeTransitionAuto', changes: [], context: EMPTY_BYTES })
  }
  /** Nodes 1 to 3 become 3 to 5: the joint configuration is in force everywhere, node 1 leads. */
  const joint = (config: Partial<Config> = {}): TestGroup => {
    const group = new TestGroup({ voters: [1, 2, 3], learners: [4, 5], config })
    group.elect(1)
    change(
      group,
      ['ConfChangeAddNode', 4],
      ['ConfChangeAddNode', 5],
      ['ConfChangeRemoveNode', 1],
      ['ConfChangeRemoveNode', 2],
    )
    group.settle()
    for (const id of ids(5)) expect(group.node(id).status().config.voters.toString()).toBe('(3 4 5)&&(1 2 3)')
    return group
  }

  it('§6: in a joint configuration entries go to all servers of both', () => {
    const group = joint()
    group.node(1).propose(bytes(1))
    expect(group.handleReady(1).messages.map(({ type, to }) => [type, to])).toEqual(
      [2, 3, 4, 5].map((to) => ['MsgApp', to]),
    )
  })

  it.each([
    // who answers node 1; whether an entry is committed
    [[2], false],
    [[4, 5], false],
    [[2, 4], false],
    [[2, 4, 5], true],
    [[3, 4], true],
    [[3], false],
  ])('§6: committing takes a majority of each: with %j besides node 1, %j', (having, isCommitted) => {
    const group = joint()
    const before = commitOf(group, 1)
    group.isLost = ({ from, to }) => !having.includes(from) && !having.includes(to)
    group.node(1).propose(bytes(1))
    group.settle()
    expect(commitOf(group, 1) > before).toBe(isCommitted)
  })

  it.each([
    // the candidate, who else can be reached, whether it is elected
    [2, [1, 3], false],
    [4, [3, 5], false],
    [4, [3, 5, 1], true],
    [2, [1, 4, 5], true],
    [5, [3, 4, 2], true],
  ])(
    '§6: any server of either may lead, elected by a majority of each: %i, by %j: %j',
    (id, others, isElected) => {
      const group = joint()
      group.isLost = ({ from, to }) => ![id, ...others].includes(from) || ![id, ...others].includes(to)
      group.elect(id)
      expect(state(group, id) === 'StateLeader').toBe(isElected)
    },
  )

  it('§6: when it is left, the old majority decides nothing any more', () => {
    const group = joint()
    leave(group)
    group.settle()
    for (const id of ids(5)) expect(group.node(id).status().config.voters.toString()).toBe('(3 4 5)')
    group.node(2).campaign()
    expect(state(group, 2)).toBe('StateFollower')
    group.isolate(1, 2)
    group.elect(4)
    expect(state(group, 4)).toBe('StateLeader')
  })

  it('§6: a leader that is not in the new configuration steps down when that is committed (as an option here)', () => {
    const group = joint({ stepDownOnRemoval: true })
    leave(group)
    expect(state(group, 1)).toBe('StateLeader')
    group.settle()
    expect(state(group, 1)).toBe('StateFollower')
  })

  it('§6: a leader that is not a member does not count itself', () => {
    const group = joint()
    leave(group)
    group.settle()
    expect(state(group, 1)).toBe('StateLeader')
    const before = commitOf(group, 1)
    // Configurations (3 4 5): node 3 and the leader alone are no majority of it.
    group.isolate(2, 4, 5)
    expect(group.node(1).propose(bytes(1))).toMatchObject({
      code: 'proposal_dropped',
      reason: 'not_a_member',
    })
    group.settle()
    expect(commitOf(group, 1)).toBe(before)
  })

  it('§6: new servers join without a vote, until they have caught up', () => {
    const group = new TestGroup({ voters: [1, 2, 3], learners: [4] })
    group.elect(1)
    group.isolate(2, 3)
    group.node(1).propose(bytes(1))
    group.settle()
    expect(terms(group, 4)).toEqual([2, 2])
    expect(commitOf(group, 1)).toBe(2)
    group.node(4).campaign()
    expect(state(group, 4)).toBe('StateFollower')
  })

  it('§6: servers that believe in a leader ignore candidates (with checkQuorum)', () => {
    const group = inRole('StateLeader', { checkQuorum: true })
    group.node(3).step(message('MsgVote', 9, 50, { to: 3, index: 99, logTerm: 49 }))
    expect(group.node(3).basicStatus()).toMatchObject({ term: 2, lead: 1 })
    group.tick(3, 10)
    group.handleReady(3)
    group.node(3).step(message('MsgVote', 9, 50, { to: 3, index: 99, logTerm: 49 }))
    expect(group.node(3).basicStatus()).toMatchObject({ term: 50, vote: 9 })
  })

  it('§6, done otherwise: a configuration is in force when it is applied, not when it is in the log', () => {
    const group = new TestGroup({ voters: [1, 2, 3] })
    group.elect(1)
    group.addEmpty(4)
    group.isolate(2, 3)
    group.node(1).proposeConfChange({ type: 'ConfChangeAddNode', nodeId: 4, context: EMPTY_BYTES })
    group.settle()
    expect(terms(group, 1)).toEqual([2, 2])
    expect(group.node(1).status().config.voters.toString()).toBe('(1 2 3)')
    group.isolate()
    group.tick(1)
    group.settle()
    for (const id of [1, 2, 3]) expect(group.node(id).status().config.voters.toString()).toBe('(1 2 3 4)')
  })
})

describe('§7 log compaction', () => {
  /** Node 3 was away while node 1 went on; both others have compacted what it lacks. */
  const behind = (): TestGroup => {
    const group = inRole('StateLeader')
    group.isolate(3)
    for (let i = 1; i <= 3; i++) group.node(1).propose(bytes(i))
    group.settle()
    for (const id of [1, 2]) {
      group.member(id).storage.createSnapshot(5, group.member(id).confState, bytes(9))
      group.member(id).storage.compact(4)
    }
    group.isolate()
    group.sent.length = 0
    group.tick(1)
    group.settle()
    return group
  }

  it('§7: a leader sends a snapshot when it has discarded what it would have to send', () => {
    const group = behind()
    const [sent] = group.sent.filter(({ type }) => type === 'MsgSnap')
    expect(sent).toMatchObject({ to: 3, snapshot: { data: bytes(9), metadata: { index: 5, term: 2 } } })
    expect(sent?.snapshot?.metadata.confState.voters).toEqual([1, 2, 3])
  })

  it('§7: the entry after a snapshot is checked against its last index and term', () => {
    const group = behind()
    expect(group.member(3).storage.snapshot().metadata).toMatchObject({ index: 5, term: 2 })
    group.node(1).propose(bytes(4))
    group.settle()
    expect(group.member(3).applied.map(({ index }) => index)).toEqual([2, 6])
    for (const [logTerm, reject] of [
      [1, true],
      [2, false],
    ] as const) {
      const lagging = behind()
      lagging.node(3).step(message('MsgApp', 1, 2, { to: 3, index: 5, logTerm }))
      expect(lagging.handleReady(3).messages).toMatchObject([{ type: 'MsgAppResp', reject }])
    }
  })

  it('§7: a follower whose log is not like the snapshot drops all of its log', () => {
    const group = new TestGroup({ voters: [1, 2, 3], terms: { 1: [1, 1, 1, 1, 1, 1] } })
    const metadata = { index: 5, term: 2, confState: group.member(1).confState }
    const [answer] = answers(group, message('MsgSnap', 2, 2, { snapshot: { data: bytes(9), metadata } }))
    expect(answer).toMatchObject({ type: 'MsgAppResp', index: 5, reject: false })
    expect(group.member(1).storage.lastIndex()).toBe(5)
    expect(commitOf(group, 1)).toBe(5)
  })

  it('§7: a follower whose log has what the snapshot says keeps what is after it', () => {
    const group = new TestGroup({ voters: [1, 2, 3], terms: { 1: [2, 2, 2, 2, 2, 2] } })
    const metadata = { index: 5, term: 2, confState: group.member(1).confState }
    answers(group, message('MsgSnap', 2, 2, { snapshot: { data: bytes(9), metadata } }))
    expect(group.member(1).storage.lastIndex()).toBe(7)
    expect(commitOf(group, 1)).toBe(5)
  })

  it('§7: a snapshot that is older than what is committed changes nothing', () => {
    const group = inRole('StateLeader')
    group.node(1).propose(bytes(1))
    group.settle()
    group.node(1).step(message('MsgHeartbeat', 2, 3))
    const metadata = { index: 2, term: 2, confState: group.member(1).confState }
    const answered = answers(group, message('MsgSnap', 2, 3, { snapshot: { data: bytes(9), metadata } }))
    expect(answered.at(-1)).toMatchObject({ type: 'MsgAppResp', index: 3, reject: false })
    expect(commitOf(group, 1)).toBe(3)
  })

  it('§7: the configuration in force is part of a snapshot, and of what a restart begins with', () => {
    const storage = new MemoryStorage()
    const confState = {
      voters: [3, 4, 5],
      learners: [6],
      votersOutgoing: [1, 2, 3],
      learnersNext: [],
      autoLeave: true,
    }
    storage.applySnapshot({ data: bytes(), metadata: { index: 8, term: 3, confState } })
    const node = new RawNode(nodeConfig(3, storage, { applied: 8 }))
    const { config } = node.status()
    expect(config).toMatchObject({ learners: [6], autoLeave: true })
    expect(config.voters.toString()).toBe('(3 4 5)&&(1 2 3)')
  })
})

describe('§8 clients', () => {
  it('§8: a leader begins its term with an empty entry, to learn what is committed', () => {
    const group = new TestGroup({ voters: [1, 2, 3], terms: { 1: [2], 2: [2], 3: [2] } })
    expect(commitOf(group, 1)).toBe(1)
    group.elect(1)
    expect(group.member(1).applied.at(-1)).toMatchObject({ index: 3, term: 3, data: bytes() })
    expect(commitOf(group, 1)).toBe(3)
  })

  it('§8: a read waits for an entry of the term, and for a majority to say that the leader still leads', () => {
    const group = new TestGroup({ voters: [1, 2, 3] })
    group.node(1).campaign()
    group.handleReady(1)
    group.node(1).step(message('MsgVoteResp', 2, 2))
    group.node(1).readIndex(bytes(7))
    expect(group.handleReady(1).messages.map(({ type }) => type)).toEqual(['MsgApp', 'MsgApp'])
    group.node(1).step(message('MsgAppResp', 2, 2, { index: 2 }))
    const beats = group.handleReady(1).messages.filter(({ type }) => type === 'MsgHeartbeat')
    expect(beats.map(({ to }) => to)).toEqual([2, 3])
    const [beat] = beats
    group.node(1).step(message('MsgHeartbeatResp', 2, 2, { context: beat?.context ?? EMPTY_BYTES }))
    expect(group.handleReady(1).readStates).toEqual([{ index: 2, requestCtx: bytes(7) }])
  })

  it('§8: a follower passes a command on to the leader that it knows', () => {
    const group = inRole('StateLeader')
    group.node(3).propose(bytes(5))
    expect(group.handleReady(3).messages).toMatchObject([{ type: 'MsgProp', to: 1, from: 3 }])
    group.settle()
  })
})
