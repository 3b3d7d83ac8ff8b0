/**
 * The keys and values on the disk.
 *
 * The table of keys is at `tags`. Numbers are big-endian, so that bytes sort as numbers do.
 * Invariant: every key begins with the group that it belongs to, every value with a checksum over its own key and the
 * rest. So a value that was changed, or that is under another key, is found when it is read: StoreError `corrupt`.
 */
import type { AuctionId, GroupId } from '../../protocol/ids.ts'
import { crc32 } from '../../runtime/checksum.ts'
import type { Entry, EntryType, HardState } from '../raft/index.ts'
import { StoreError, type StoreRange } from './store.ts'

/** Reserved for the environment itself: no group has this number. */
const environmentPrefix = 0xffff

/**
 *   key                              value after the checksum (u32)
 *   ffff 00                          meta            the environment's own record (meta.ts)
 *   group:u16 10                     hard state      term:u48 vote:u48 commit:u48
 *   group:u16 11                     log start       index:u48 term:u48, of the entry before the first
 *   group:u16 12                     checkpoint      see checkpoint.ts
 *   group:u16 13                     installing      see incoming-snapshot.ts
 *   group:u16 14                     members         see member-record.ts
 *   group:u16 20 index:u48           log entry       type:u8 term:u48 commit:u48 data…
 *   group:u16 30 kind:u8 key…        state row       opaque bytes
 *   group:u16 31 number:u48          staged rows     (keyLength:u16 key… valueLength:u32 value…)…
 *   group:u16 41 auction… 00 block:u48 events      see history.ts
 *   group:u16 50 tag:u8 rest…        incoming        the value of the key group tag rest, sealed for that key
 *
 * An entry's commit is the commit index that was known when the entry was written (disk-log.ts).
 * A row key is kind and key, at most 200 bytes; a valueLength of ffffffff means that the row is removed.
 */
const tags = {
  meta: 0x00,
  hardState: 0x10,
  logStart: 0x11,
  checkpoint: 0x12,
  installing: 0x13,
  members: 0x14,
  entry: 0x20,
  row: 0x30,
  staged: 0x31,
  events: 0x41,
  incoming: 0x50,
} as const

const headLength = 3
const u48Length = 6
const checksumLength = 4

function prefixed(groupId: number, tag: number, restLength: number): Uint8Array {
  const key = new Uint8Array(headLength + restLength)
  key[0] = groupId >>> 8
  key[1] = groupId & 0xff
  key[2] = tag
  return key
}

function writeU48(bytes: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000)
  bytes[at] = high >>> 8
  bytes[at + 1] = high & 0xff
  bytes[at + 2] = (value >>> 24) & 0xff
  bytes[at + 3] = (value >>> 16) & 0xff
  bytes[at + 4] = (value >>> 8) & 0xff
  bytes[at + 5] = value & 0xff
}

function readU48(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
  const low =
    (((bytes[at + 2] as number) << 24) |
      ((bytes[at + 3] as number) << 16) |
      ((bytes[at + 4] as number) << 8) |
      (bytes[at + 5] as number)) >>>
    0
  return high * 0x1_0000_0000 + low
}

function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = (value >>> 16) & 0xff
  bytes[at + 2] = (value >>> 8) & 0xff
  bytes[at + 3] = value & 0xff
}

function readU32(bytes: Uint8Array, at: number): number {
  const [a, b, c, d] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]] as [
    number,
    number,
    number,
    number,
  ]
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
}

// ── Keys ───────────────────────────────────────────────────────────────────────────────────────────────

export const metaKey: Uint8Array = prefixed(environmentPrefix, tags.meta, 0)

export const hardStateKey = (groupId: GroupId): Uint8Array => prefixed(groupId, tags.hardState, 0)
export const logStartKey = (groupId: GroupId): Uint8Array => prefixed(groupId, tags.logStart, 0)
export const checkpointKey = (groupId: GroupId): Uint8Array => prefixed(groupId, tags.checkpoint, 0)
export const installingKey = (groupId: GroupId): Uint8Array => prefixed(groupId, tags.installing, 0)
export const membersKey = (groupId: GroupId): Uint8Array => prefixed(groupId, tags.members, 0)

function numberedKey(groupId: GroupId, tag: number, number: number): Uint8Array {
  const key = prefixed(groupId, tag, u48Length)
  writeU48(key, headLength, number)
  return key
}

export const entryKey = (groupId: GroupId, index: number): Uint8Array =>
  numberedKey(groupId, tags.entry, index)
export const stagedKey = (groupId: GroupId, number: number): Uint8Array =>
  numberedKey(groupId, tags.staged, number)

/** Entries from ≤ index < to. */
export const entryRange = (groupId: GroupId, from: number, to: number): StoreRange => ({
  from: entryKey(groupId, from),
  to: entryKey(groupId, to),
})

/** Staged pieces from a number on. */
export const stagedRange = (groupId: GroupId, from: number): StoreRange => ({
  from: stagedKey(groupId, from),
  to: prefixed(groupId, tags.staged + 1, 0),
})

export const numberOfKey = (key: Uint8Array): number => readU48(key, headLength)

/** The row key: kind:u8 and ASCII text. */
export function rowName(kind: number, text: string): Uint8Array {
  const name = new Uint8Array(1 + text.length)
  name[0] = kind
  for (let i = 0; i < text.length; i++) name[i + 1] = text.charCodeAt(i)
  return name
}

/** Kind and text of a row's name. */
export function partsOfRowName(name: Uint8Array): [kind: number, text: string] {
  const { buffer, byteOffset, length } = name
  return [name[0] as number, Buffer.from(buffer, byteOffset, length).toString('latin1', 1)]
}

export function rowKey(groupId: GroupId, name: Uint8Array): Uint8Array {
  const key = prefixed(groupId, tags.row, name.length)
  key.set(name, headLength)
  return key
}

export const rowRange = (groupId: GroupId): StoreRange => ({
  from: prefixed(groupId, tags.row, 0),
  to: prefixed(groupId, tags.row + 1, 0),
})

export const nameOfRowKey = (key: Uint8Array): Uint8Array => key.subarray(headLength)

/** Ids are ASCII and hold no zero byte, so that the blocks of one auction are together and in order. */
export function eventBlockKey(groupId: GroupId, auctionId: string, number: number): Uint8Array {
  const key = prefixed(groupId, tags.events, auctionId.length + 1 + u48Length)
  for (let i = 0; i < auctionId.length; i++) key[headLength + i] = auctionId.charCodeAt(i)
  writeU48(key, headLength + auctionId.length + 1, number)
  return key
}

/** The auction of a block's key. */
export function auctionOfBlockKey(key: Uint8Array): AuctionId {
  const { buffer, byteOffset } = key
  const text = Buffer.from(buffer, byteOffset + headLength, key.length - headLength - 1 - u48Length)
  return text.toString('latin1') as AuctionId
}

export const numberOfBlockKey = (key: Uint8Array): number => readU48(key, key.length - u48Length)

/** Blocks of an auction, from ≤ number < to. */
export const eventBlockRange = (
  groupId: GroupId,
  auctionId: string,
  from: number,
  to: number,
): StoreRange => ({
  from: eventBlockKey(groupId, auctionId, from),
  to: eventBlockKey(groupId, auctionId, to),
})

/** All blocks of events of a group, in order of auction and number. */
export const eventsRange = (groupId: GroupId): StoreRange => wholeTag(groupId, tags.events)

/** The rows of a snapshot that is being received, without its events. */
export const incomingRowRange = (groupId: GroupId): StoreRange => ({
  from: incomingPrefix(groupId, tags.row),
  to: incomingPrefix(groupId, tags.row + 1),
})

function incomingPrefix(groupId: GroupId, tag: number): Uint8Array {
  const key = prefixed(groupId, tags.incoming, 1)
  key[headLength] = tag
  return key
}

/** Rows and events of a snapshot that is being received. */
export const incomingRange = (groupId: GroupId): StoreRange => wholeTag(groupId, tags.incoming)

function wholeTag(groupId: GroupId, tag: number): StoreRange {
  return { from: prefixed(groupId, tag, 0), to: prefixed(groupId, tag + 1, 0) }
}

/** Where the value of a row's or an event's key waits to be installed; `undefined` for any other key. */
export function incomingKeyOf(groupId: GroupId, key: Uint8Array): Uint8Array | undefined {
  const tag = key[headLength - 1]
  const isOwn = key[0] === groupId >>> 8 && key[1] === (groupId & 0xff)
  if (!isOwn || (tag !== tags.row && tag !== tags.events)) return undefined
  const incoming = prefixed(groupId, tags.incoming, key.length - (headLength - 1))
  incoming.set(key.subarray(headLength - 1), headLength)
  return incoming
}

/** Whether a key is that of a block of events of a group. */
export function isEventKey(groupId: GroupId, key: Uint8Array): boolean {
  return key[0] === groupId >>> 8 && key[1] === (groupId & 0xff) && key[headLength - 1] === tags.events
}

/** The key that the value of an incoming key is for. */
export function keyOfIncoming(incoming: Uint8Array): Uint8Array {
  const key = new Uint8Array(incoming.length - 1)
  key.set(incoming.subarray(0, headLength - 1))
  key.set(incoming.subarray(headLength), headLength - 1)
  return key
}

/** The first key after this one. */
export function keyAfter(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}

// ── Values ─────────────────────────────────────────────────────────────────────────────────────────────

/** A value with room for its checksum in front; `seal` fills that in. */
function unsealed(restLength: number): Uint8Array {
  return new Uint8Array(checksumLength + restLength)
}

function seal(key: Uint8Array, value: Uint8Array): Uint8Array {
  writeU32(value, 0, crc32(value.subarray(checksumLength), crc32(key)))
  return value
}

/** Any bytes, sealed for their key. */
export function encodeBytes(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  const value = unsealed(bytes.length)
  value.set(bytes, checksumLength)
  return seal(key, value)
}

/** The checksum that stands in a value; whether it matches is not checked. */
export function checksumOf(value: Uint8Array): number {
  return value.length < checksumLength ? 0 : readU32(value, 0)
}

/** The bytes after a checksum that matches; else StoreError `corrupt`, which names `what`. */
export function decodeBytes(key: Uint8Array, value: Uint8Array, what: string): Uint8Array {
  const holds =
    value.length >= checksumLength && readU32(value, 0) === crc32(value.subarray(checksumLength), crc32(key))
  if (!holds) throw corrupt(what, 'its checksum does not match')
  return value.subarray(checksumLength)
}

export function corrupt(what: string, why: string): StoreError {
  return new StoreError('corrupt', `the stored ${what} is damaged: ${why}`)
}

export function encodeNumbers(key: Uint8Array, numbers: readonly number[]): Uint8Array {
  const value = unsealed(numbers.length * u48Length)
  numbers.forEach((number, i) => {
    writeU48(value, checksumLength + i * u48Length, number)
  })
  return seal(key, value)
}

export function decodeNumbers(key: Uint8Array, value: Uint8Array, count: number, what: string): number[] {
  const bytes = decodeBytes(key, value, what)
  if (bytes.length !== count * u48Length) throw corrupt(what, `it has ${bytes.length} bytes`)
  return Array.from({ length: count }, (_, i) => readU48(bytes, i * u48Length))
}

export function encodeHardState(key: Uint8Array, { term, vote, commit }: HardState): Uint8Array {
  return encodeNumbers(key, [term, vote, commit])
}

export function decodeHardState(key: Uint8Array, value: Uint8Array): HardState {
  const [term, vote, commit] = decodeNumbers(key, value, 3, 'hard state') as [number, number, number]
  return { term, vote, commit }
}

const entryTypes: readonly EntryType[] = ['EntryNormal', 'EntryConfChange', 'EntryConfChangeV2']
const entryHeadLength = 1 + 2 * u48Length
const commitAt = checksumLength + 1 + u48Length

/** `commit`: the commit index that is known when the entry is written. */
export function encodeEntry(key: Uint8Array, { type, term, data }: Entry, commit: number): Uint8Array {
  const value = unsealed(entryHeadLength + data.length)
  value[checksumLength] = entryTypes.indexOf(type)
  writeU48(value, checksumLength + 1, term)
  writeU48(value, commitAt, commit)
  value.set(data, checksumLength + entryHeadLength)
  return seal(key, value)
}

export function decodeEntry(key: Uint8Array, value: Uint8Array): Entry {
  const index = numberOfKey(key)
  const bytes = decodeBytes(key, value, `log entry ${index}`)
  const type = entryTypes[bytes[0] ?? -1]
  if (bytes.length < entryHeadLength || type === undefined) {
    throw corrupt(`log entry ${index}`, 'its layout is unknown')
  }
  return { type, term: readU48(bytes, 1), index, data: bytes.subarray(entryHeadLength) }
}

/** The commit index beside an entry. The value is one that `decodeEntry` has taken. */
export function commitBeside(value: Uint8Array): number {
  return readU48(value, commitAt)
}

/** A row by its name; `undefined` where it is gone. The bytes are those of a row's value, not yet sealed. */
export type NamedRow = readonly [name: Uint8Array, bytes: Uint8Array | undefined]

const goneLength = 0xffff_ffff

/** Bytes that a row takes in a staged piece. */
export const stagedSize = ([name, bytes]: NamedRow): number => 2 + name.length + 4 + (bytes?.length ?? 0)

export function encodeStaged(key: Uint8Array, rows: readonly NamedRow[]): Uint8Array {
  const value = unsealed(rows.reduce((sum, row) => sum + stagedSize(row), 0))
  let at = checksumLength
  for (const [name, bytes] of rows) {
    value[at] = name.length >>> 8
    value[at + 1] = name.length & 0xff
    value.set(name, at + 2)
    at += 2 + name.length
    writeU32(value, at, bytes === undefined ? goneLength : bytes.length)
    if (bytes !== undefined) value.set(bytes, at + 4)
    at += 4 + (bytes?.length ?? 0)
  }
  return seal(key, value)
}

export function decodeStaged(key: Uint8Array, value: Uint8Array): NamedRow[] {
  const what = `piece ${numberOfKey(key)} of a checkpoint`
  const bytes = decodeBytes(key, value, what)
  const rows: NamedRow[] = []
  for (let at = 0; at < bytes.length; ) {
    const nameEnd = at + 2 + (((bytes[at] as number) << 8) | (bytes[at + 1] ?? 0))
    if (nameEnd + 4 > bytes.length) throw corrupt(what, 'a row is cut off')
    const name = bytes.subarray(at + 2, nameEnd)
    const length = readU32(bytes, nameEnd)
    at = nameEnd + 4
    if (length === goneLength) rows.push([name, undefined])
    else {
      if (at + length > bytes.length) throw corrupt(what, 'a row is cut off')
      rows.push([name, bytes.subarray(at, at + length)])
      at += length
    }
  }
  return rows
}
