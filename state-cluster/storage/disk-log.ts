/**
 * The Raft log of one group on disk, with its recent tail in memory.
 *
 * It is the core's `Storage` port over a store. Invariant: entries are consecutive from the log's start to
 * `lastIndex`, and what the core reads here is durable: `writesOf` returns what to commit, and `settle`, called in
 * the same order once that commit has resolved, makes it readable. A hole or a damaged entry is StoreError `corrupt`,
 * never a shorter log. The commit index is the highest of three: that of the hard state, that beside the last entry,
 * and the checkpoint's. The replica decides when to compact. Source: raft/storage.ts; docs/raft.md, the caller's
 * duties; docs/spec.md STORE5.
 */
import type { GroupId } from '../../protocol/ids.ts'
import { assert } from '../../runtime/assert.ts'
import {
  type ConfState,
  EMPTY_BYTES,
  type Entry,
  EntryRing,
  entrySize,
  type HardState,
  type InitialState,
  type Snapshot,
  type Storage,
  StorageError,
} from '../raft/index.ts'
import {
  commitBeside,
  corrupt,
  decodeEntry,
  decodeHardState,
  decodeNumbers,
  encodeEntry,
  encodeHardState,
  encodeNumbers,
  entryKey,
  entryRange,
  hardStateKey,
  logStartKey,
  numberOfKey,
} from './layout.ts'
import { LogBytes } from './log-bytes.ts'
import type { StoreReader, StoreWrite } from './store.ts'

/** What one MsgStorageAppend asks to be written. */
export interface LogAppend {
  readonly entries: readonly Entry[]
  /** The commit index that is known with them, and kept beside each of them: they need no row for it. */
  readonly commit: number
  /** Absent: term and vote are unchanged. */
  readonly hardState?: HardState
}

/** The position of the state machine's checkpoint; the log after it continues from there. */
export interface LogPosition {
  readonly index: number
  readonly term: number
  readonly confState: ConfState
}

/** Of the marks by which kept entries are cut. */
const markBytesMax = 2 ** 20
const marksMin = 16
/** The last possible index, in the layout's 48 bits. */
const indexEnd = 2 ** 48 - 1

export interface DiskLogOptions {
  readonly reader: StoreReader
  readonly groupId: GroupId
  /** The checkpoint in place. Its index is not less than that of the log's start. */
  readonly checkpoint: LogPosition
  /** How much of the log's end stays in memory, and on the disk when the log is compacted. */
  readonly tailBytesMax: number
  /** How much of the log before that compaction may leave on the disk for others. */
  readonly keptBytesMax: number
}

/** The writes of a new group's empty log, which begins after the position that all its members start from. */
export function writesOfNewLog(groupId: GroupId, { index, term }: LogPosition): StoreWrite[] {
  const startKey = logStartKey(groupId)
  const stateKey = hardStateKey(groupId)
  return [
    { key: startKey, value: encodeNumbers(startKey, [index, term]) },
    { key: stateKey, value: encodeHardState(stateKey, { term, vote: 0, commit: index }) },
  ]
}

/** What the disk holds of a log when it is opened. */
interface StoredLog {
  readonly startIndex: number
  readonly startTerm: number
  readonly hardState: HardState
  /** The index of the last entry; that of the start where there is none. */
  readonly last: number
  /** The latest entries, as many as may stay in memory. */
  readonly tail: readonly Entry[]
}

export class DiskLog implements Storage {
  readonly #reader: StoreReader
  readonly #groupId: GroupId
  readonly #tailBytesMax: number
  readonly #keptBytesMax: number
  #hardState: HardState
  #checkpoint: LogPosition
  /** A snapshot must have this index or a later one: an older one does not name all members. */
  #snapshotFrom = 0
  /** The entry before the first one. */
  #startIndex: number
  #startTerm: number
  readonly #tail: EntryRing
  #tailBytes = 0
  /** Of the entries before the tail. */
  readonly #kept: LogBytes
  /** Appends whose writes were returned and that are not settled, oldest first. */
  readonly #unsettled: LogAppend[] = []
  /** The last index of all appends so far; greater than `lastIndex` while a write is under way. */
  #writtenLast: number

  private constructor(options: DiskLogOptions, stored: StoredLog) {
    const { reader, groupId, checkpoint, tailBytesMax, keptBytesMax } = options
    this.#reader = reader
    this.#groupId = groupId
    this.#tailBytesMax = tailBytesMax
    this.#keptBytesMax = keptBytesMax
    this.#kept = new LogBytes(Math.max(1, Math.min(markBytesMax, keptBytesMax / marksMin)))
    this.#checkpoint = checkpoint
    this.#startIndex = stored.startIndex
    this.#startTerm = stored.startTerm
    this.#hardState = stored.hardState
    this.#writtenLast = stored.last
    this.#tail = new EntryRing(stored.tail[0]?.index ?? stored.last + 1)
    for (const entry of stored.tail) this.#remember(entry)
  }

  /** Reads hard state, start and tail. Throws StoreError `corrupt` where they are damaged or do not fit. */
  static open(options: DiskLogOptions): DiskLog {
    const { reader, groupId, checkpoint } = options
    const [startIndex, startTerm] = readNumbersOfStart(reader, groupId)
    const { last, commitKnown, entries } = readTail(options, startIndex)
    const { term, vote, commit: commitOfRow } = readHardState(reader, groupId)
    const commit = Math.max(commitOfRow, commitKnown)
    // The commit index on disk may be less than what was applied and checkpointed.
    const hardState = { term, vote, commit: Math.max(commit, checkpoint.index) }
    if (checkpoint.index < startIndex || hardState.commit > last) {
      const facts = `start ${startIndex}, checkpoint ${checkpoint.index}, commit ${commit}, end ${last}`
      throw corrupt('log', `its parts do not fit together (${facts})`)
    }
    return new DiskLog(options, { startIndex, startTerm, hardState, last, tail: entries })
  }

  // ── What the core reads ──────────────────────────────────────────────────────────────────────────────

  initialState(): InitialState {
    return { hardState: this.#hardState, confState: this.#checkpoint.confState }
  }

  entries(lo: number, hi: number, maxSize: number): Entry[] {
    if (lo <= this.#startIndex) throw new StorageError('compacted')
    const end = this.lastIndex() + 1
    assert(hi <= end, `entries are read up to the last one (${lo} to ${hi} of ${end})`)
    if (lo >= end) throw new StorageError('unavailable')
    const tail = this.#tail
    if (lo >= tail.first) return lo < hi ? tail.slice(lo, hi, maxSize) : []
    const out: Entry[] = []
    let size = 0
    for (const entry of this.#fromDisk(lo, Math.min(hi, tail.first))) {
      size += entrySize(entry)
      if (size > maxSize && out.length > 0) return out
      out.push(entry)
    }
    for (let index = tail.first; index < hi; index++) {
      const entry = tail.at(index)
      size += entrySize(entry)
      if (size > maxSize) return out
      out.push(entry)
    }
    return out
  }

  term(index: number): number {
    if (index === this.#startIndex) return this.#startTerm
    if (index < this.#startIndex) throw new StorageError('compacted')
    if (index > this.lastIndex()) throw new StorageError('unavailable')
    if (index >= this.#tail.first) return this.#tail.at(index).term
    const [entry] = [...this.#fromDisk(index, index + 1)]
    return (entry as Entry).term
  }

  firstIndex(): number {
    return this.#startIndex + 1
  }

  lastIndex(): number {
    return this.#tail.first + this.#tail.length - 1
  }

  /** Names the checkpoint; its rows travel beside the message, read from a view of the store. */
  snapshot(): Snapshot {
    const { index, term, confState } = this.#checkpoint
    if (index < this.#snapshotFrom) throw new StorageError('snapshot_temporarily_unavailable')
    return { data: EMPTY_BYTES, metadata: { index, term, confState } }
  }

  // ── What the replica writes ──────────────────────────────────────────────────────────────────────────

  /** The writes of an append. They replace every entry from the first one's index on. */
  writesOf(append: LogAppend): StoreWrite[] {
    const { entries, commit, hardState } = append
    const groupId = this.#groupId
    this.#unsettled.push(append)
    const writes: StoreWrite[] = []
    for (const entry of entries) {
      if (entry.index <= this.#startIndex) continue
      const key = entryKey(groupId, entry.index)
      writes.push({ key, value: encodeEntry(key, entry, commit) })
    }
    const last = entries.at(-1)?.index
    if (last !== undefined && last > this.#startIndex) {
      for (let index = last + 1; index <= this.#writtenLast; index++) {
        writes.push({ key: entryKey(groupId, index), value: undefined })
      }
      this.#writtenLast = last
    }
    if (hardState !== undefined) {
      const key = hardStateKey(groupId)
      writes.push({ key, value: encodeHardState(key, hardState) })
    }
    return writes
  }

  /** The append is durable: the core may read it. To be called in the order of `writesOf`. */
  settle(append: LogAppend): void {
    assert(this.#unsettled.shift() === append, 'appends become durable in their order')
    const { entries: all, commit, hardState } = append
    if (hardState !== undefined) this.#hardState = hardState
    else if (all.length > 0 && commit > this.#hardState.commit) {
      const { term, vote } = this.#hardState
      this.#hardState = { term, vote, commit }
    }
    const entries = all.filter(({ index }) => index > this.#startIndex)
    const first = entries[0]
    if (first === undefined) return
    const tail = this.#tail
    if (first.index < tail.first) {
      this.#kept.droppedFrom(first.index)
      this.#forgetTail(first.index)
    } else if (first.index <= this.lastIndex()) {
      for (let index = first.index; index <= this.lastIndex(); index++)
        this.#tailBytes -= entrySize(tail.at(index))
      tail.dropFrom(first.index)
    }
    for (const entry of entries) this.#remember(entry)
    this.#trim()
  }

  /** The members changed at this index. */
  membersChanged(index: number): void {
    this.#snapshotFrom = index
  }

  /** A checkpoint is durable. */
  checkpointed(checkpoint: LogPosition): void {
    this.#checkpoint = checkpoint
  }

  /**
   * The next piece of compaction, at most `entriesMax` entries: everything that neither the checkpoint nor the
   * tail in memory needs. Entries after `keepAfter` stay for others, within the bound. `undefined`: there is nothing
   * to do. Commit the writes, then call `compacted`.
   */
  compaction(
    entriesMax: number,
    keepAfter = Number.POSITIVE_INFINITY,
  ): { to: number; term: number; writes: StoreWrite[] } | undefined {
    const wanted = Math.max(keepAfter, this.#kept.cutFor(this.#keptBytesMax))
    const goal = Math.min(this.#checkpoint.index, this.#tail.first - 1, this.lastIndex(), wanted)
    const to = Math.min(goal, this.#startIndex + entriesMax)
    if (to <= this.#startIndex) return undefined
    const groupId = this.#groupId
    const term = this.term(to)
    const startKey = logStartKey(groupId)
    const writes: StoreWrite[] = [{ key: startKey, value: encodeNumbers(startKey, [to, term]) }]
    for (let index = this.#startIndex + 1; index <= to; index++) {
      writes.push({ key: entryKey(groupId, index), value: undefined })
    }
    return { to, term, writes }
  }

  /** A piece of compaction is durable. */
  compacted({ to, term }: { readonly to: number; readonly term: number }): void {
    this.#startIndex = to
    this.#startTerm = term
    this.#kept.removedUpTo(to)
  }

  /** The writes of a log that begins again after a snapshot's position: all its entries go. */
  writesOfReplacement(position: LogPosition): StoreWrite[] {
    const writes = writesOfNewLog(this.#groupId, position)
    for (let index = this.#startIndex + 1; index <= this.#writtenLast; index++) {
      writes.push({ key: entryKey(this.#groupId, index), value: undefined })
    }
    const key = hardStateKey(this.#groupId)
    const hardState = { ...this.#hardState, commit: position.index }
    writes.push({ key, value: encodeHardState(key, hardState) })
    this.#writtenLast = position.index
    return writes
  }

  /** The replacement, and the checkpoint that belongs to it, are durable. */
  replaced(position: LogPosition): void {
    const { index, term } = position
    this.#hardState = { ...this.#hardState, commit: index }
    this.#checkpoint = position
    this.#startIndex = index
    this.#startTerm = term
    this.#kept.clear()
    this.#forgetTail(index + 1)
  }

  // ── Inside ───────────────────────────────────────────────────────────────────────────────────────────

  #remember(entry: Entry): void {
    this.#tail.push(entry)
    this.#tailBytes += entrySize(entry)
  }

  #trim(): void {
    const tail = this.#tail
    let from = tail.first
    const last = this.lastIndex()
    while (this.#tailBytes > this.#tailBytesMax && from <= last) {
      const bytes = entrySize(tail.at(from))
      this.#tailBytes -= bytes
      this.#kept.added(from, bytes)
      from += 1
    }
    if (from > tail.first) tail.dropBefore(from)
  }

  #forgetTail(first: number): void {
    this.#tail.reset(first)
    this.#tailBytes = 0
  }

  *#fromDisk(lo: number, hi: number): Generator<Entry> {
    let expected = lo
    for (const { key, value } of this.#reader.range(entryRange(this.#groupId, lo, hi))) {
      if (numberOfKey(key) !== expected) throw missing(expected)
      yield decodeEntry(key, value)
      expected += 1
    }
    if (expected < hi) throw missing(expected)
  }
}

function missing(index: number): Error {
  return corrupt(`log entry ${index}`, 'it is not there')
}

function readNumbersOfStart(reader: StoreReader, groupId: GroupId): [number, number] {
  const key = logStartKey(groupId)
  const value = reader.get(key)
  if (value === undefined) throw corrupt('start of the log', 'it is not there')
  return decodeNumbers(key, value, 2, 'start of the log') as [number, number]
}

function readHardState(reader: StoreReader, groupId: GroupId): HardState {
  const key = hardStateKey(groupId)
  const value = reader.get(key)
  if (value === undefined) throw corrupt('hard state', 'it is not there')
  return decodeHardState(key, value)
}

/** The last index, the commit index beside the last entry, and the last entries within the bound, in order. */
function readTail(
  { reader, groupId, tailBytesMax }: DiskLogOptions,
  startIndex: number,
): { last: number; commitKnown: number; entries: readonly Entry[] } {
  const entries: Entry[] = []
  let last = startIndex
  let commitKnown = 0
  let size = 0
  const range = entryRange(groupId, startIndex + 1, indexEnd)
  for (const { key, value } of reader.range({ ...range, reverse: true })) {
    const next = entries.at(-1)?.index
    if (next !== undefined && numberOfKey(key) !== next - 1) throw missing(next - 1)
    const entry = decodeEntry(key, value)
    if (last === startIndex) {
      last = entry.index
      commitKnown = commitBeside(value)
    }
    size += entrySize(entry)
    if (size > tailBytesMax) return { last, commitKnown, entries: entries.reverse() }
    entries.push(entry)
  }
  const first = entries.at(-1)?.index ?? startIndex + 1
  if (first !== startIndex + 1) throw missing(first - 1)
  return { last, commitKnown, entries: entries.reverse() }
}
