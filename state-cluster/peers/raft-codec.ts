/**
 * Raft messages as bytes. Payloads of entries and snapshots stand behind the header, so that sending copies
 * none of them, and receiving copies them once, out of the buffer that the network owns.
 *
 *     | version u8 | header length u32 | header: MessagePack tuple | payload of each entry … | snapshot data |
 *
 * header: group, type, to, from, term, logTerm, index, commit, vote, reject, rejectHint, context,
 *         [type, term, index, length, …] of the entries, snapshot or null:
 *         [index, term, voters, learners, votersOutgoing, learnersNext, autoLeave, length]
 *
 * Invariant: a decoded message equals the encoded one, field by field; anything else throws `malformed`. Messages
 * of a node to itself and to its storage threads never leave. Source: raftpb of etcd-io/raft 3.6.
 */
import type { GroupId } from '../../protocol/ids.ts'
import { assert } from '../../runtime/assert.ts'
import { Fields, malformed, packTuple, unpackTuple } from '../../wire/tuples.ts'
import type { ConfState, Entry, EntryType, Message, MessageType, Snapshot } from '../raft/types.ts'
import { EMPTY_BYTES, EMPTY_ENTRIES, EMPTY_MESSAGES } from '../raft/types.ts'

const version = 1
const prefixBytes = 5
/** A read index context, or what a configuration change carries along. */
const contextBytesMax = 64 * 1024
const entriesMax = 1_000_000
const membersMax = 1_000
export const groupIdMax = 65_535

/** What may travel, with stable codes. Never reuse a number. */
export const messageCodes: Readonly<Partial<Record<MessageType, number>>> = {
  MsgProp: 1,
  MsgApp: 2,
  MsgAppResp: 3,
  MsgVote: 4,
  MsgVoteResp: 5,
  MsgSnap: 6,
  MsgHeartbeat: 7,
  MsgHeartbeatResp: 8,
  MsgTransferLeader: 9,
  MsgTimeoutNow: 10,
  MsgReadIndex: 11,
  MsgReadIndexResp: 12,
  MsgPreVote: 13,
  MsgPreVoteResp: 14,
}

const messageTypes: readonly (MessageType | undefined)[] = inverse(messageCodes)

const entryCodes: Readonly<Record<EntryType, number>> = {
  EntryNormal: 0,
  EntryConfChange: 1,
  EntryConfChangeV2: 2,
}

const entryTypes: readonly (EntryType | undefined)[] = inverse(entryCodes)

export interface GroupMessage {
  readonly groupId: GroupId
  readonly message: Message
}

/** The parts of a frame's body. Payloads are in them by reference. */
export function encodeRaftMessage(groupId: GroupId, message: Message): Uint8Array[] {
  const code = messageCodes[message.type]
  assert(
    code !== undefined && message.responses.length === 0,
    `a local raft message never leaves its node: ${message.type}`,
  )
  const payloads: Uint8Array[] = []
  const entries: number[] = []
  for (const entry of message.entries) {
    entries.push(entryCodes[entry.type], entry.term, entry.index, entry.data.length)
    if (entry.data.length > 0) payloads.push(entry.data)
  }
  let snapshot: readonly unknown[] | null = null
  if (message.snapshot !== null) {
    const { data, metadata } = message.snapshot
    const conf = metadata.confState
    snapshot = [
      metadata.index,
      metadata.term,
      conf.voters,
      conf.learners,
      conf.votersOutgoing,
      conf.learnersNext,
      conf.autoLeave,
      data.length,
    ]
    if (data.length > 0) payloads.push(data)
  }
  const header = packTuple([
    groupId,
    code,
    message.to,
    message.from,
    message.term,
    message.logTerm,
    message.index,
    message.commit,
    message.vote,
    message.reject,
    message.rejectHint,
    message.context,
    entries,
    snapshot,
  ])
  const prefix = Buffer.allocUnsafe(prefixBytes)
  prefix[0] = version
  prefix.writeUInt32BE(header.length, 1)
  return [prefix, header, ...payloads]
}

/** Throws `malformed`. The message holds no view of `body`. */
export function decodeRaftMessage(body: Uint8Array): GroupMessage {
  if (body.length < prefixBytes) throw malformed('raft message: too short')
  if (body[0] !== version) throw malformed(`raft message: version ${body[0]}, ${version} is known`)
  const headerEnd = prefixBytes + new DataView(body.buffer, body.byteOffset + 1, 4).getUint32(0)
  if (headerEnd > body.length) throw malformed('raft message: the header is cut off')
  const fields = new Fields(unpackTuple(body.subarray(prefixBytes, headerEnd)), 'raft message')
  const payloads = new Payloads(body.subarray(headerEnd))
  const groupId = fields.integer(0, groupIdMax) as GroupId
  const type = messageTypes[fields.integer()]
  if (type === undefined) throw malformed('raft message: unknown type')
  const message: Message = {
    type,
    to: fields.integer(1),
    from: fields.integer(1),
    term: fields.integer(),
    logTerm: fields.integer(),
    index: fields.integer(),
    entries: EMPTY_ENTRIES,
    commit: 0,
    vote: 0,
    snapshot: null,
    reject: false,
    rejectHint: 0,
    context: EMPTY_BYTES,
    responses: EMPTY_MESSAGES,
  }
  message.commit = fields.integer()
  message.vote = fields.integer()
  message.reject = fields.flag()
  message.rejectHint = fields.integer()
  message.context = fields.bytes(contextBytesMax)
  message.entries = decodeEntries(fields.list(entriesMax * 4), payloads)
  const snapshot = fields.optionalTuple()
  if (snapshot !== undefined) message.snapshot = decodeSnapshot(snapshot, payloads)
  fields.end()
  payloads.end()
  return { groupId, message }
}

function decodeEntries(values: readonly unknown[], payloads: Payloads): readonly Entry[] {
  if (values.length === 0) return EMPTY_ENTRIES
  if (values.length % 4 !== 0) throw malformed('raft message: an entry is cut off')
  const fields = new Fields(values, 'raft entries')
  const entries: Entry[] = []
  for (let at = 0; at < values.length; at += 4) {
    const type = entryTypes[fields.integer()]
    if (type === undefined) throw malformed('raft entries: unknown type')
    entries.push({
      type,
      term: fields.integer(),
      index: fields.integer(),
      data: payloads.next(fields.integer()),
    })
  }
  return entries
}

function decodeSnapshot(values: readonly unknown[], payloads: Payloads): Snapshot {
  const fields = new Fields(values, 'raft snapshot')
  const index = fields.integer()
  const term = fields.integer()
  const confState: ConfState = {
    voters: fields.integers(membersMax, 1),
    learners: fields.integers(membersMax, 1),
    votersOutgoing: fields.integers(membersMax, 1),
    learnersNext: fields.integers(membersMax, 1),
    autoLeave: fields.flag(),
  }
  const data = payloads.next(fields.integer())
  fields.end()
  return { data, metadata: { confState, index, term } }
}

/** Copies the bytes behind the header once and hands them out piece by piece; all of them must be used. */
class Payloads {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes.length === 0 ? EMPTY_BYTES : new Uint8Array(bytes)
  }

  next(length: number): Uint8Array {
    if (length === 0) return EMPTY_BYTES
    const end = this.#at + length
    if (end > this.#bytes.length) throw malformed('raft message: a payload is cut off')
    const piece = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return piece
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw malformed('raft message: bytes are left over')
  }
}

function inverse<Name extends string>(codes: Readonly<Partial<Record<Name, number>>>): (Name | undefined)[] {
  const names: (Name | undefined)[] = []
  for (const [name, code] of Object.entries(codes)) names[code as number] = name as Name
  return names
}
