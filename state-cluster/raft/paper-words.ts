/**
 * Helpers for the tests of the paper's rules.
 *
 * They build a message to node 1, its answer, a node in a role, and the terms of a log. For tests only.
 * Invariant: all of them work on a `TestGroup`, whose logs begin after a snapshot at (index 1, term 1).
 */
import { assert } from './assert.ts'
import type { Config } from './config.ts'
import { TestGroup } from './test-group.ts'
import { type Message, NO_LIMIT, newMessage, type StateType } from './types.ts'

/** The numbers from 1 on. */
export function ids(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1)
}

export function bytes(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values)
}

/** A message to node 1, with nothing in it but what is given. */
export function message(
  type: Message['type'],
  from: number,
  term: number,
  rest: Partial<Message> = {},
): Message {
  return { ...newMessage(type, 1), from, term, ...rest }
}

/** What node 1 sends in answer to a message. */
export function answers(group: TestGroup, m: Message): Message[] {
  group.node(1).step(m)
  return group.node(1).hasReady() ? [...group.handleReady(1).messages] : []
}

/** Node 1 of a group of three, in a role, in term 2. */
export function inRole(role: StateType, config: Partial<Config> = {}): TestGroup {
  const group = new TestGroup({ voters: [1, 2, 3], config })
  if (role === 'StateFollower') group.node(1).step(message('MsgHeartbeat', 2, 2))
  else group.node(1).campaign()
  if (role === 'StateLeader') group.settle()
  else group.handleReady(1)
  group.messages = []
  const { raftState, term } = group.node(1).basicStatus()
  assert(raftState === role && term === 2, 'node 1 is in the role that was asked for', { raftState, term })
  return group
}

/** The terms of a node's log on disk, from index 2 on. */
export function terms(group: TestGroup, id: number): number[] {
  const { storage } = group.member(id)
  const last = storage.lastIndex()
  return last < 2 ? [] : storage.entries(2, last + 1, NO_LIMIT).map((entry) => entry.term)
}

export function state(group: TestGroup, id: number): StateType {
  return group.node(id).basicStatus().raftState
}

export function commitOf(group: TestGroup, id: number): number {
  return group.node(id).basicStatus().commit
}
