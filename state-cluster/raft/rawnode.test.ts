import { describe, expect, it } from 'vitest'
import { AssertionError } from './assert.ts'
import type { Config } from './config.ts'
import { coreOf } from './inner-state.ts'
import { MemoryStorage } from './memory-storage.ts'
import { RawNode } from './rawnode.ts'
import { entriesOfTerms, nodeConfig, TestGroup } from './test-group.ts'
import {
  EMPTY_BYTES,
  type Entry,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type Message,
  newConfState,
  newMessage,
} from './types.ts'

/** A node that is alone in its group, with its storage. */
function lone(config: Partial<Config> = {}): { node: RawNode; storage: MemoryStorage } {
  const storage = new MemoryStorage()
  storage.applySnapshot({ data: EMPTY_BYTES, metadata: { confState: newConfState([1]), index: 1, term: 1 } })
  return { node: new RawNode(nodeConfig(1, storage, config)), storage }
}

const types = (messages: readonly Message[]): string[] => messages.map(({ type }) => type)

describe('RawNode', () => {
  it('has nothing to do when it starts', () => {
    const { node } = lone()
    expect(node.hasReady()).toBe(false)
    expect(node.ready()).toEqual({
      softState: null,
      hardState: null,
      readStates: [],
      entries: [],
      snapshot: null,
      committedEntries: [],
      messages: [],
      mustSync: false,
    })
  })

  it('continues where its storage ended', () => {
    const storage = new MemoryStorage()
    storage.applySnapshot({
      data: EMPTY_BYTES,
      metadata: { confState: newConfState([1, 2, 3], [4]), index: 5, term: 2 },
    })
    storage.append(entriesOfTerms([2, 3, 3], 6))
    storage.setHardState({ term: 4, vote: 2, commit: 7 })
    const node = new RawNode(nodeConfig(1, storage))
    expect(node.basicStatus()).toEqual({
      id: 1,
      term: 4,
      vote: 2,
      commit: 7,
      applied: 5,
      lead: 0,
      raftState: 'StateFollower',
      leadTransferee: 0,
    })
    expect(node.ready()).toMatchObject({
      entries: [],
      hardState: null,
      committedEntries: [{ index: 6 }, { index: 7 }],
    })
    const restarted = new RawNode(nodeConfig(1, storage, { applied: 6 }))
    expect(restarted.ready().committedEntries.map(({ index }) => index)).toEqual([7])
    expect(restarted.status().config.learners).toEqual([4])
  })

  it('asserts that what it starts from is consistent', () => {
    const { storage } = lone()
    storage.setHardState({ term: 1, vote: 0, commit: 9 })
    expect(() => new RawNode(nodeConfig(1, storage))).toThrow('the stored commit lies within the stored log')
    storage.setHardState({ term: 1, vote: 0, commit: 1 })
    expect(() => new RawNode(nodeConfig(1, storage, { applied: 2 }))).toThrow(AssertionError)
    const overlapping = new MemoryStorage()
    overlapping.applySnapshot({
      data: EMPTY_BYTES,
      metadata: { confState: newConfState([1, 2], [2]), index: 1, term: 1 },
    })
    expect(() => new RawNode(nodeConfig(1, overlapping))).toThrow(AssertionError)
  })

  it('refuses local messages from outside, and answers of strangers', () => {
    const { node } = lone()
    for (const type of [
      'MsgHup',
      'MsgBeat',
      'MsgUnreachable',
      'MsgSnapStatus',
      'MsgCheckQuorum',
      'MsgStorageAppend',
      'MsgStorageAppendResp',
      'MsgStorageApply',
      'MsgStorageApplyResp',
    ] as const) {
      expect([type, node.step({ ...newMessage(type, 1), from: 2 })?.code]).toEqual([
        type,
        'step_local_message',
      ])
    }
    for (const type of [
      'MsgAppResp',
      'MsgVoteResp',
      'MsgPreVoteResp',
      'MsgHeartbeatResp',
      'MsgReadIndexResp',
    ] as const) {
      expect([type, node.step({ ...newMessage(type, 1), from: 2 })?.code]).toEqual([
        type,
        'step_peer_not_found',
      ])
    }
    expect(node.hasReady()).toBe(false)
  })

  it('hands nothing out twice, and what it handed out does not change', () => {
    const group = new TestGroup({ voters: [1, 2, 3] })
    group.elect(1)
    const node = group.node(1)
    node.propose(Uint8Array.of(1))
    const first = node.ready()
    const before = structuredClone(first)
    expect([types(first.messages), first.entries.length]).toEqual([['MsgApp', 'MsgApp'], 1])
    expect(node.hasReady()).toBe(false)
    node.propose(Uint8Array.of(2))
    expect(first).toEqual(before)
    expect(node.readyWithoutAccept().entries.map(({ data }) => data[0])).toEqual([2])
    expect(node.readyWithoutAccept()).toEqual(node.readyWithoutAccept())
  })

  it('gives an empty Ready lists of its own', () => {
    const group = new TestGroup({ voters: [1, 2, 3] })
    group.elect(1)
    const ready = group.node(1).ready()
    group.node(1).propose(Uint8Array.of(1))
    group.node(1).readIndex(Uint8Array.of(1))
    expect([ready.messages, ready.entries, ready.readStates]).toEqual([[], [], []])
  })

  it('asserts that each Ready is advanced before the next', () => {
    const { node } = lone()
    expect(() => node.advance()).toThrow(AssertionError)
    node.campaign()
    node.ready()
    expect(() => node.ready()).toThrow(AssertionError)
  })

  it('says what must be synced: entries, term and vote, but not a commit index', () => {
    const { node, storage } = lone()
    node.campaign()
    const vote = node.ready()
    expect([vote.mustSync, vote.hardState]).toEqual([true, { term: 1, vote: 1, commit: 1 }])
    node.advance()
    const entry = node.ready()
    expect([entry.mustSync, entry.hardState, entry.entries.length]).toEqual([true, null, 1])
    storage.append(entry.entries)
    node.advance()
    const commit = node.ready()
    expect([commit.mustSync, commit.hardState?.commit, commit.committedEntries.length]).toEqual([false, 2, 1])
  })
})

describe('RawNode with asynchronous storage writes', () => {
  /** Delivers the responses of a message to the threads. */
  const respond = (node: RawNode, m: Message | undefined): void => {
    for (const response of m?.responses ?? []) if (response.to === 1) node.step(response)
  }

  it('takes a lone voter from vote to applied entry by messages alone', () => {
    const { node, storage } = lone({ asyncStorageWrites: true })
    node.campaign()
    const [vote] = node.ready().messages
    expect(vote).toMatchObject({
      type: 'MsgStorageAppend',
      to: LOCAL_APPEND_THREAD,
      from: 1,
      term: 1,
      vote: 1,
      commit: 1,
      responses: [{ type: 'MsgVoteResp', to: 1 }],
    })
    expect(node.basicStatus().raftState).toBe('StateCandidate')
    respond(node, vote)
    expect(node.basicStatus().raftState).toBe('StateLeader')

    node.propose(Uint8Array.of(7))
    const ready = node.ready()
    const [append] = ready.messages
    expect([types(ready.messages), append?.entries.length, append?.term]).toEqual([
      ['MsgStorageAppend'],
      2,
      0,
    ])
    expect(types(append?.responses ?? [])).toEqual(['MsgAppResp', 'MsgAppResp', 'MsgStorageAppendResp'])
    expect(node.basicStatus().commit).toBe(1)
    storage.append(append?.entries ?? [])
    respond(node, append)
    expect(node.basicStatus().commit).toBe(3)

    const [commit, apply] = node.ready().messages
    expect(commit).toMatchObject({ type: 'MsgStorageAppend', commit: 3, responses: [] })
    expect(apply).toMatchObject({
      type: 'MsgStorageApply',
      to: LOCAL_APPLY_THREAD,
      entries: [{ index: 2 }, { index: 3 }],
    })
    expect(node.basicStatus().applied).toBe(1)
    respond(node, apply)
    expect(node.basicStatus().applied).toBe(3)
    expect(node.hasReady()).toBe(false)
  })

  it('lets writes overlap, and commits what each one makes durable', () => {
    const { node, storage } = lone({ asyncStorageWrites: true })
    const write = (m: Message | undefined): void => {
      storage.append(m?.entries ?? [])
      respond(node, m)
    }
    node.campaign()
    for (let i = 0; i < 3; i++) write(node.ready().messages[0])
    const appends = [1, 2, 3].map((value) => {
      node.propose(Uint8Array.of(value))
      return node.ready().messages[0]
    })
    expect(appends.map((m) => m?.entries.map(({ index }) => index))).toEqual([[3], [4], [5]])
    write(appends[0])
    expect([node.basicStatus().commit, coreOf(node).log.unstable.offset]).toEqual([3, 4])
    write(appends[1])
    write(appends[2])
    expect([node.basicStatus().commit, coreOf(node).log.unstable.offset]).toEqual([5, 6])
  })

  it('applies only what is on its own disk', () => {
    const group = new TestGroup({ voters: [1, 2, 3], config: { asyncStorageWrites: true } })
    group.elect(1)
    const node = group.node(1)
    node.propose(Uint8Array.of(1))
    const { messages } = node.ready()
    for (const from of [2, 3]) {
      node.step({ ...newMessage('MsgAppResp', 1), from, term: 2, index: 3 })
    }
    expect(node.basicStatus().commit).toBe(3)
    expect(node.ready().committedEntries).toEqual([])
    const append = messages.find(({ type }) => type === 'MsgStorageAppend')
    group.member(1).storage.append(append?.entries ?? [])
    respond(node, append)
    expect(node.ready().committedEntries.map(({ index }) => index)).toEqual([3])
  })

  it('replicates as with synchronous writes', () => {
    const group = new TestGroup({ voters: [1, 2, 3], config: { asyncStorageWrites: true } })
    group.elect(1)
    for (let i = 1; i <= 5; i++) group.node(1).propose(Uint8Array.of(i))
    group.settle()
    for (const id of [1, 2, 3]) {
      expect(group.member(id).applied.map(({ data }) => data[0])).toEqual([undefined, 1, 2, 3, 4, 5])
      expect(coreOf(group.node(id)).log.hasNextOrInProgressUnstableEnts()).toBe(false)
    }
  })

  it('does not believe a response of an older term: its entries may have been overwritten and restored', () => {
    const storage = new MemoryStorage()
    storage.applySnapshot({
      data: EMPTY_BYTES,
      metadata: { confState: newConfState([1, 2, 3, 4, 5]), index: 1, term: 1 },
    })
    const node = new RawNode(nodeConfig(1, storage, { asyncStorageWrites: true }))
    const appendFrom = (from: number, term: number, entries: readonly Entry[]): Message => {
      node.step({ ...newMessage('MsgApp', 1), from, term, index: 1, logTerm: 1, entries })
      return node.ready().messages.find(({ type }) => type === 'MsgStorageAppend') as Message
    }
    const ofTermTwo = entriesOfTerms([2, 2])
    const first = appendFrom(2, 2, ofTermTwo)
    appendFrom(3, 3, entriesOfTerms([3, 3]))
    const last = appendFrom(2, 4, ofTermTwo)
    respond(node, first)
    expect([coreOf(node).log.unstable.offset, coreOf(node).log.unstable.length]).toEqual([2, 2])
    storage.append(ofTermTwo)
    respond(node, last)
    expect([coreOf(node).log.unstable.offset, coreOf(node).log.unstable.length]).toEqual([4, 0])
  })

  it('refuses to call stable what storage does not hold: the log would become shorter', () => {
    const storage = new MemoryStorage()
    storage.applySnapshot({
      data: EMPTY_BYTES,
      metadata: { confState: newConfState([1, 2, 3]), index: 1, term: 1 },
    })
    const node = new RawNode(nodeConfig(1, storage, { asyncStorageWrites: true }))
    node.step({
      ...newMessage('MsgApp', 1),
      from: 2,
      term: 2,
      index: 1,
      logTerm: 1,
      entries: entriesOfTerms([2]),
    })
    const append = node.ready().messages.find(({ type }) => type === 'MsgStorageAppend') as Message
    expect(() => respond(node, append)).toThrow('storage holds an entry before it is called stable')
  })

  it('hands a snapshot to the storage, and applies nothing before it is installed', () => {
    const group = new TestGroup({ voters: [1, 2, 3], config: { asyncStorageWrites: true } })
    const node = group.node(1)
    const snapshot = {
      data: EMPTY_BYTES,
      metadata: { confState: newConfState([1, 2, 3]), index: 9, term: 2 },
    }
    node.step({ ...newMessage('MsgSnap', 1), from: 2, term: 2, snapshot })
    const [append] = node.ready().messages
    expect(append).toMatchObject({ type: 'MsgStorageAppend', snapshot, commit: 9 })
    expect(types(append?.responses ?? [])).toEqual(['MsgAppResp', 'MsgStorageAppendResp'])
    expect(node.basicStatus().applied).toBe(1)
    group.member(1).storage.applySnapshot(snapshot)
    respond(node, append)
    expect(node.basicStatus().applied).toBe(9)
    expect(coreOf(node).promotable()).toBe(true)
  })

  it('asserts that advance is not for it', () => {
    expect(() => lone({ asyncStorageWrites: true }).node.advance()).toThrow(AssertionError)
  })

  it('bounds what is out to be applied', () => {
    const { node, storage } = lone({ asyncStorageWrites: true, maxCommittedSizePerReady: 1 })
    node.campaign()
    respond(node, node.ready().messages[0])
    node.propose(Uint8Array.of(1))
    const [append] = node.ready().messages
    storage.append(append?.entries ?? [])
    respond(node, append)
    const apply = node.ready().messages.find(({ type }) => type === 'MsgStorageApply')
    expect(apply?.entries.map(({ index }) => index)).toEqual([2])
    expect(node.hasReady()).toBe(false)
    respond(node, apply)
    expect(node.ready().committedEntries.map(({ index }) => index)).toEqual([3])
  })
})
