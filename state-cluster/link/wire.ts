/**
 * The frames of the cluster link, as MessagePack tuples.
 *
 * Connections and handshakes are in `wire/`, the arguments and answers of reads in reads.ts, members in
 * member-wire.ts. Replies and feed frames of a group are sent in the order of the node's state: a node sends the
 * events that an answer shows before it sends the answer. Invariant: a decoder returns a whole, checked value or
 * throws `malformed`; codes never change their meaning. Source: docs/spec.md LINK1 to LINK4.
 */
import type { GroupId, ServerId } from '../../protocol/ids.ts'
import { Fields, malformed, packTuple, unpackTuple } from '../../wire/tuples.ts'
import type { ClusterErrorCode, ClusterStatus, FeedBatch } from '../cluster.ts'
import type { Command } from '../machine/commands.ts'
import type { Deadline } from '../machine/deadlines.ts'
import type { Reply } from '../machine/events.ts'
import {
  CodecError,
  decodeCommand,
  decodeEvent,
  decodeReply,
  encodeCommand,
  encodeEvent,
  encodeReply,
} from '../machine/index.ts'
import { groupIdMax } from '../peers/raft-codec.ts'
import type { LeaderView } from '../replica/feed.ts'
import type { MemberChange } from '../replica/membership.ts'
import type { Member, ProposeOutcome } from './backend.ts'
import { changeFields, changeOf } from './member-wire.ts'
import { decodeStatus, encodeStatus } from './view-codec.ts'

/*
 *   state node → client                               client → state node
 *   welcome  [[group …], [[node, host, port] …]]      request  [id, op, …]
 *   leader   [group, leader or 0, term]                 1 propose      [id, 1, group, [command bytes …]]
 *   reply    [id, 0, …] done, [id, code, …] failed      2 read         [id, 2, [group, min index, …], code, …]
 *   feed     [group, index, atMs, outbox, [event …]     3 subscribe    [id, 3, group, after | null]
 *              [, [gained server …], [[server, atMs] …]]]   4 unsubscribe  [id, 4, group]
 *   gap      [group, index]                             5 status       [id, 5]
 *                                                       6 read index   [id, 6, group]
 *                                                       7, 8           members: see member-wire.ts
 *
 *   done:    propose [index, [reply tuple | failure code …]]   read [[group, applied, …], answer]
 *            subscribe [index]   unsubscribe []   status [status, members]   read index [index]
 *   failed:  code of `failureCodes`; not_leader adds [leader or 0, term]
 */

/** Commands in one request; a node takes no more. */
export const commandsPerRequestMax = 1_000
/** Bytes of commands in one request, unless one command alone is longer. */
export const commandBytesPerRequestMax = 1024 * 1024
/** No command is longer, in bytes. */
export const commandBytesMax = 512 * 1024
const groupsMax = groupIdMax + 1
const membersMax = 1_000
const eventsMax = 1_000_000
const hostMax = 255
const serversMax = 10_000
const idMax = 128

/** The reasons for no answer. Never reuse a number. */
const failureCodes = {
  /** Nothing was proposed: another node leads, or none. */
  not_leader: 1,
  unavailable: 2,
  overloaded: 3,
  unknown: 4,
  stopped: 5,
  /** The node did not apply the requested index in time. */
  stale: 6,
} as const

export type Failure = keyof typeof failureCodes

const failures = new Map<number, Failure>(
  Object.entries(failureCodes).map(([name, code]) => [code, name as Failure]),
)

const clusterFailures: Readonly<Record<ClusterErrorCode, Failure>> = {
  unavailable: 'unavailable',
  overloaded: 'overloaded',
  unknown: 'unknown',
  stopped: 'stopped',
}

export type Request =
  | {
      readonly op: 'propose'
      readonly id: number
      readonly groupId: GroupId
      readonly commands: readonly Command[]
    }
  | {
      readonly op: 'read'
      readonly id: number
      readonly minIndexes: readonly GroupIndex[]
      readonly code: number
      /** Positioned at the read's own arguments. */
      readonly args: Fields
    }
  | {
      readonly op: 'subscribe'
      readonly id: number
      readonly groupId: GroupId
      readonly after: number | undefined
    }
  | {
      readonly op: 'change'
      readonly id: number
      readonly groupId: GroupId
      readonly change: MemberChange
    }
  | { readonly op: 'unsubscribe' | 'readIndex' | 'members'; readonly id: number; readonly groupId: GroupId }
  | { readonly op: 'status'; readonly id: number }

export interface GroupIndex {
  readonly groupId: GroupId
  readonly index: number
}

const ops = {
  propose: 1,
  read: 2,
  subscribe: 3,
  unsubscribe: 4,
  status: 5,
  readIndex: 6,
  members: 7,
  change: 8,
} as const

// ── Requests ─────────────────────────────────────────────────────────────────────────────────────────────

export function encodeCommandBytes(command: Command): Uint8Array {
  return packTuple(encodeCommand(command))
}

export function encodePropose(id: number, groupId: GroupId, commands: readonly Uint8Array[]): Uint8Array {
  return packTuple([id, ops.propose, groupId, commands])
}

export function encodeRead(
  id: number,
  minIndexes: readonly GroupIndex[],
  code: number,
  args: readonly unknown[],
): Uint8Array {
  return packTuple([id, ops.read, flatIndexes(minIndexes), code, ...args])
}

export function encodeSubscribe(id: number, groupId: GroupId, after: number | undefined): Uint8Array {
  return packTuple([id, ops.subscribe, groupId, after ?? null])
}

export function encodeGroupRequest(
  id: number,
  op: 'unsubscribe' | 'readIndex' | 'members',
  groupId: GroupId,
): Uint8Array {
  return packTuple([id, ops[op], groupId])
}

export function encodeChangeRequest(id: number, groupId: GroupId, change: MemberChange): Uint8Array {
  return packTuple([id, ops.change, groupId, ...changeFields(change)])
}

export function encodeStatusRequest(id: number): Uint8Array {
  return packTuple([id, ops.status])
}

/** Throws `malformed`. */
export function decodeRequest(body: Uint8Array): Request {
  const fields = new Fields(unpackTuple(body), 'link request')
  const id = fields.integer()
  const op = fields.integer()
  if (op === ops.read) {
    const minIndexes = pairs(fields.integers(groupsMax * 2))
    return { op: 'read', id, minIndexes, code: fields.integer(), args: fields }
  }
  const request = requestOf(op, id, fields)
  fields.end()
  return request
}

function requestOf(op: number, id: number, fields: Fields): Request {
  switch (op) {
    case ops.propose: {
      const groupId = groupIdOf(fields)
      const commands = fields.list(commandsPerRequestMax).map((value) => {
        if (!(value instanceof Uint8Array)) throw malformed('link request: a command is not bytes')
        return understood(() => decodeCommand(unpackTuple(value)))
      })
      return { op: 'propose', id, groupId, commands }
    }
    case ops.subscribe:
      return { op: 'subscribe', id, groupId: groupIdOf(fields), after: fields.optionalInteger() }
    case ops.unsubscribe:
      return { op: 'unsubscribe', id, groupId: groupIdOf(fields) }
    case ops.readIndex:
      return { op: 'readIndex', id, groupId: groupIdOf(fields) }
    case ops.members:
      return { op: 'members', id, groupId: groupIdOf(fields) }
    case ops.change:
      return {
        op: 'change',
        id,
        groupId: groupIdOf(fields),
        change: changeOf(fields),
      }
    case ops.status:
      return { op: 'status', id }
    default:
      throw malformed(`link request: op ${op} is not known`)
  }
}

// ── Replies ──────────────────────────────────────────────────────────────────────────────────────────────

export type ReplyBody =
  | { readonly id: number; readonly failure: undefined; readonly fields: Fields }
  | { readonly id: number; readonly failure: Failure; readonly leader: LeaderView | undefined }

export function encodeDone(id: number, ...values: readonly unknown[]): Uint8Array {
  return packTuple([id, 0, ...values])
}

export function encodeFailure(id: number, failure: Failure, leader?: LeaderView): Uint8Array {
  const code = failureCodes[failure]
  return packTuple(leader === undefined ? [id, code] : [id, code, leader.leaderId, leader.term])
}

export function failureOf(code: ClusterErrorCode): Failure {
  return clusterFailures[code]
}

/** Throws `malformed`. */
export function decodeReplyBody(body: Uint8Array): ReplyBody {
  const fields = new Fields(unpackTuple(body), 'link reply')
  const id = fields.integer()
  const code = fields.integer()
  if (code === 0) return { id, failure: undefined, fields }
  const failure = failureOfCode(code)
  const leader = failure === 'not_leader' ? { leaderId: fields.integer(), term: fields.integer() } : undefined
  fields.end()
  return { id, failure, leader }
}

export function encodeProposeDone(id: number, done: Extract<ProposeOutcome, { kind: 'done' }>): Uint8Array {
  const outcomes = done.outcomes.map((outcome) =>
    typeof outcome === 'string' ? failureCodes[failureOf(outcome)] : encodeReply(outcome),
  )
  return encodeDone(id, done.index, outcomes)
}

export function decodeProposeDone(fields: Fields): {
  readonly index: number
  readonly outcomes: readonly (Reply | Failure)[]
} {
  const index = fields.integer()
  const outcomes = fields
    .list(commandsPerRequestMax)
    .map((value) => (typeof value === 'number' ? failureOfCode(value) : understood(() => decodeReply(value))))
  fields.end()
  return { index, outcomes }
}

export function encodeReadDone(id: number, applied: readonly GroupIndex[], answer: unknown): Uint8Array {
  return encodeDone(id, flatIndexes(applied), answer)
}

/** The read's own decoder decodes the answer. */
export function decodeReadDone(fields: Fields): {
  readonly applied: readonly GroupIndex[]
  readonly answer: unknown
} {
  const applied = pairs(fields.integers(groupsMax * 2))
  const answer = fields.any()
  fields.end()
  return { applied, answer }
}

export function encodeStatusDone(id: number, status: ClusterStatus, members: readonly Member[]): Uint8Array {
  return encodeDone(id, encodeStatus(status), members.map(memberTuple))
}

export function decodeStatusDone(fields: Fields): { status: ClusterStatus; members: readonly Member[] } {
  const status = decodeStatus(fields.any())
  const members = fields.list(membersMax).map(memberOf)
  fields.end()
  return { status, members }
}

export function decodeIndexDone(fields: Fields): number {
  const index = fields.integer()
  fields.end()
  return index
}

// ── Pushed frames ────────────────────────────────────────────────────────────────────────────────────────

export interface Welcome {
  readonly groups: readonly GroupId[]
  readonly members: readonly Member[]
}

export function encodeWelcome(welcome: Welcome): Uint8Array {
  return packTuple([welcome.groups, welcome.members.map(memberTuple)])
}

export function decodeWelcome(body: Uint8Array): Welcome {
  const fields = new Fields(unpackTuple(body), 'link welcome')
  const groups = fields.integers(groupsMax) as GroupId[]
  const members = fields.list(membersMax).map(memberOf)
  fields.end()
  return { groups, members }
}

export function encodeLeader(groupId: GroupId, view: LeaderView): Uint8Array {
  return packTuple([groupId, view.leaderId, view.term])
}

export function decodeLeader(body: Uint8Array): { groupId: GroupId; view: LeaderView } {
  const fields = new Fields(unpackTuple(body), 'link leader')
  const groupId = groupIdOf(fields)
  const view = { leaderId: fields.integer(), term: fields.integer() }
  fields.end()
  return { groupId, view }
}

export function encodeFeed(batch: FeedBatch): Uint8Array {
  const { groupId, index, atMs, hasOutboxEntries, events, gained, deadlines } = batch
  const body = [groupId, index, atMs, hasOutboxEntries, events.map(encodeEvent)]
  if (gained === undefined && deadlines === undefined) return packTuple(body)
  const pairs = (deadlines ?? []).map(({ serverId, atMs }) => [serverId, atMs])
  return packTuple([...body, gained ?? [], pairs])
}

export function decodeFeed(body: Uint8Array): FeedBatch {
  const fields = new Fields(unpackTuple(body), 'link feed')
  const head = { groupId: groupIdOf(fields), index: fields.integer(), atMs: fields.integer() }
  const hasOutboxEntries = fields.flag()
  const events = fields.list(eventsMax).map((value) => understood(() => decodeEvent(value)))
  const hasServers = fields.left > 0
  const gained = hasServers ? (fields.texts(serversMax, idMax) as ServerId[]) : []
  const deadlines = hasServers ? fields.list(serversMax).map(deadlineOf) : []
  fields.end()
  return {
    ...head,
    events,
    hasOutboxEntries,
    ...(gained.length > 0 && { gained }),
    ...(deadlines.length > 0 && { deadlines }),
  }
}

function deadlineOf(value: unknown): Deadline {
  const fields = Fields.of(value, 'deadline')
  const deadline = { serverId: fields.text(idMax) as ServerId, atMs: fields.integer() }
  fields.end()
  return deadline
}

export function encodeGap(groupId: GroupId, index: number): Uint8Array {
  return packTuple([groupId, index])
}

export function decodeGap(body: Uint8Array): GroupIndex {
  const fields = new Fields(unpackTuple(body), 'link gap')
  const gap = { groupId: groupIdOf(fields), index: fields.integer() }
  fields.end()
  return gap
}

// ── Parts ────────────────────────────────────────────────────────────────────────────────────────────────

/** Runs a decoder of the machine, and turns its CodecError into `malformed`. */
export function understood<T>(decode: () => T): T {
  try {
    return decode()
  } catch (thrown) {
    if (thrown instanceof CodecError) throw malformed(thrown.message)
    throw thrown
  }
}

function groupIdOf(fields: Fields): GroupId {
  return fields.integer(0, groupIdMax) as GroupId
}

function failureOfCode(code: number): Failure {
  const failure = failures.get(code)
  if (failure === undefined) throw malformed(`link reply: code ${code} is not known`)
  return failure
}

function flatIndexes(indexes: readonly GroupIndex[]): readonly number[] {
  return indexes.flatMap(({ groupId, index }) => [groupId, index])
}

function pairs(values: readonly number[]): readonly GroupIndex[] {
  if (values.length % 2 !== 0) throw malformed('link: half a pair')
  return Array.from({ length: values.length / 2 }, (_, at) => ({
    groupId: values[at * 2] as GroupId,
    index: values[at * 2 + 1] as number,
  }))
}

function memberTuple({ nodeId, address }: Member): readonly unknown[] {
  return [nodeId, address.host, address.port]
}

function memberOf(value: unknown): Member {
  const fields = Fields.of(value, 'member')
  const nodeId = fields.integer(1)
  const address = { host: fields.text(hostMax), port: fields.integer(0, 65_535) }
  fields.end()
  return { nodeId, address }
}
