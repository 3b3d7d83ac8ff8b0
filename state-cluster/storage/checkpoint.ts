/**
 * Checkpoints: the machine's rows at one applied index, written in small transactions.
 *
 *   gather ──► events ──► staged pieces ──► record {applied, pieces n} ──► rows ──► record {applied, pieces 0}
 *              (bounded commits)            └─ here it counts, atomically (bounded)  pieces removed
 *
 * The staged pieces are explained at `pieceBytesMax`. The replica decides when a checkpoint begins, and what rows are.
 * Invariant: the record's applied index and what `loadRows` gives belong together at every moment, also when a
 * crash comes between any two commits. Events may be on the disk ahead of the record; the log gives the same
 * again.
 */
import type { GroupId } from '../../protocol/ids.ts'
import { assert } from '../../runtime/assert.ts'
import { type ConfState, newConfState } from '../raft/index.ts'
import {
  checkpointKey,
  corrupt,
  decodeBytes,
  decodeStaged,
  encodeBytes,
  encodeStaged,
  type NamedRow,
  nameOfRowKey,
  rowKey,
  rowRange,
  stagedKey,
  stagedRange,
  stagedSize,
} from './layout.ts'
import { pack, unpack } from './pack.ts'
import { pagesOf } from './pages.ts'
import type { Store, StoreReader, StoreRow, StoreWrite } from './store.ts'

/** What the state machine had applied, and what it was then. */
export interface CheckpointPosition {
  readonly index: number
  readonly term: number
  readonly confState: ConfState
  /** The machine's hash of the state, to be compared after loading. */
  readonly stateHash: string
}

/** What a checkpoint brings to the history. */
export interface PendingEvents {
  readonly count: number
  /** Made as they are taken, which is what takes time. */
  readonly writes: Iterable<EventsWrite>
}

export interface EventsWrite extends StoreWrite {
  readonly eventCount: number
}

interface CheckpointRecord extends CheckpointPosition {
  /** Pieces 0 … pieceCount − 1 win over the rows. */
  readonly pieceCount: number
}

const recordVersion = 1
/**
 * One staged piece: written in order, it costs about its bytes.
 *
 * Rows are scattered over the file, and a scattered row costs a page: thousands of them in one transaction would
 * keep every log append waiting. So a checkpoint is first written in order, in pieces of bounded size. One small
 * record makes it count. Only then the rows move to their places, a few with each commit. Until the last has moved,
 * a load reads the pieces as well as the rows, and a piece wins over a row. A small checkpoint needs no pieces: it
 * writes rows and record at once.
 */
const pieceBytesMax = 128 * 1024
/** Scattered rows with one commit: about a millisecond of the disk. */
const scatteredWritesMax = 128
/** Events with one commit, in as many blocks or fewer: half a millisecond of packing them, in one turn. */
const pieceEventsMax = 256
/**
 * So many rows and events share the pieces above; with more, pieces grow in proportion. A checkpoint then takes a
 * bounded number of commits, whatever has come together, and what comes meanwhile is bounded with it.
 */
const changesPerShare = 16_384
/** Up to here a checkpoint is one commit. */
const directWritesMax = 128

function encodeRecord(groupId: GroupId, record: CheckpointRecord): StoreWrite {
  const key = checkpointKey(groupId)
  const { voters, learners, votersOutgoing, learnersNext, autoLeave } = record.confState
  const confState = [voters, learners, votersOutgoing, learnersNext, autoLeave]
  const { index, term, stateHash, pieceCount } = record
  return {
    key,
    value: encodeBytes(key, pack([recordVersion, index, term, confState, stateHash, pieceCount])),
  }
}

/** The record on the disk for a group, or `undefined` where there is no such group. */
function readRecord(reader: StoreReader, groupId: GroupId): CheckpointRecord | undefined {
  const key = checkpointKey(groupId)
  const value = reader.get(key)
  if (value === undefined) return undefined
  const fields = unpack(decodeBytes(key, value, 'checkpoint'))
  if (!Array.isArray(fields) || fields[0] !== recordVersion || fields.length !== 6) {
    throw corrupt('checkpoint', 'its version is unknown')
  }
  const [, index, term, confState, stateHash, pieceCount] = fields as [
    number,
    number,
    number,
    [number[], number[], number[], number[], boolean],
    string,
    number,
  ]
  const [voters, learners, votersOutgoing, learnersNext, autoLeave] = confState
  return {
    index,
    term,
    confState: { ...newConfState(voters, learners), votersOutgoing, learnersNext, autoLeave },
    stateHash,
    pieceCount,
  }
}

/** The checkpoint of a group that counts, or `undefined` where there is no such group. Throws `corrupt`. */
export function readCheckpoint(reader: StoreReader, groupId: GroupId): CheckpointPosition | undefined {
  return readRecord(reader, groupId)
}

/** What makes a checkpoint count whose rows are all in their places. */
export function writeOfCheckpoint(groupId: GroupId, position: CheckpointPosition): StoreWrite {
  return encodeRecord(groupId, { ...position, pieceCount: 0 })
}

/** The write that gives the checkpoint other members; all else stays. */
export function writeOfConfState(reader: StoreReader, groupId: GroupId, confState: ConfState): StoreWrite {
  const record = readRecord(reader, groupId)
  if (record === undefined) throw corrupt('checkpoint', 'it is not there')
  return encodeRecord(groupId, { ...record, confState })
}

/** The writes of a new group's first checkpoint, rows included. */
export function writesOfFirstCheckpoint(
  groupId: GroupId,
  position: CheckpointPosition,
  rows: readonly (readonly [name: Uint8Array, bytes: Uint8Array])[] = [],
): StoreWrite[] {
  const writes = rows.map(([name, bytes]): StoreWrite => {
    const key = rowKey(groupId, name)
    return { key, value: encodeBytes(key, bytes) }
  })
  return [...writes, writeOfCheckpoint(groupId, position)]
}

/**
 * The rows of the checkpoint, in order of kind and key: those in their places, with the staged ones before
 * them. Taken page by page: while nothing writes rows, or from a view, this is consistent however long it takes.
 * Throws StoreError `corrupt`.
 */
export function* loadRows(
  reader: StoreReader,
  groupId: GroupId,
): Generator<readonly [Uint8Array, Uint8Array]> {
  const staged = stagedRows(reader, groupId)
  let at = 0
  for (const { key, value } of rowsOf(reader, groupId)) {
    const name = nameOfRowKey(key)
    for (; at < staged.length && compareNames((staged[at] as NamedRow)[0], name) < 0; at++) {
      const [stagedName, bytes] = staged[at] as NamedRow
      if (bytes !== undefined) yield [stagedName, bytes]
    }
    const over = staged[at]
    if (over !== undefined && compareNames(over[0], name) === 0) {
      if (over[1] !== undefined) yield [name, over[1]]
      at += 1
    } else yield [name, decodeBytes(key, value, 'row of the state')]
  }
  for (; at < staged.length; at++) {
    const [name, bytes] = staged[at] as NamedRow
    if (bytes !== undefined) yield [name, bytes]
  }
}

function* rowsOf(reader: StoreReader, groupId: GroupId): Generator<StoreRow> {
  for (const page of pagesOf(reader, rowRange(groupId))) yield* page
}

/** The staged rows, which win over the rows in their places, in order. */
export function stagedRows(reader: StoreReader, groupId: GroupId): NamedRow[] {
  const pieceCount = readRecord(reader, groupId)?.pieceCount ?? 0
  const rows: NamedRow[] = []
  for (let number = 0; number < pieceCount; number++) {
    const key = stagedKey(groupId, number)
    const value = reader.get(key)
    if (value === undefined) throw corrupt(`piece ${number} of a checkpoint`, 'it is not there')
    rows.push(...decodeStaged(key, value))
  }
  return rows.sort(([a], [b]) => compareNames(a, b))
}

export function compareNames(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

export class Checkpointer {
  readonly #store: Store
  readonly #groupId: GroupId
  #record: CheckpointRecord
  /** By kind, then by key: a key of both would be made, and hashed, for every change. */
  #gathered = new Map<number, Map<string, NamedRow>>()
  #gatheredCount = 0
  #isRunning = false
  #isHurried = false

  /** Continues from the checkpoint on the disk. Throws StoreError `corrupt` where there is no checkpoint. */
  constructor(store: Store, groupId: GroupId) {
    this.#store = store
    this.#groupId = groupId
    const record = readRecord(store, groupId)
    if (record === undefined) throw corrupt('checkpoint', 'it is not there')
    this.#record = record
  }

  get position(): CheckpointPosition {
    return this.#record
  }

  /** Rows that wait for the next checkpoint. */
  get gatheredCount(): number {
    return this.#gatheredCount
  }

  /** Takes over a row that has changed; a later change of the same row takes the place of the earlier. */
  gather(kind: number, key: string, row: NamedRow): void {
    let rows = this.#gathered.get(kind)
    if (rows === undefined) {
      rows = new Map()
      this.#gathered.set(kind, rows)
    }
    const countBefore = rows.size
    rows.set(key, row)
    this.#gatheredCount += rows.size - countBefore
  }

  /**
   * Removes the pieces of an unfinished checkpoint, and moves the rows of one that counted but had not moved
   * them all. To be called once, before the first `run`.
   */
  resume(): Promise<void> {
    const strays = [...this.#store.range(stagedRange(this.#groupId, this.#record.pieceCount))]
    const removals = strays.map(({ key }) => ({ key, value: undefined }))
    const rows = stagedRows(this.#store, this.#groupId)
    return this.#alone(async () => {
      if (removals.length > 0) await this.#store.commit(removals)
      if (this.#record.pieceCount > 0) await this.#moveRows(rows, Math.ceil(rows.length / changesPerShare))
    })
  }

  /**
   * Makes a checkpoint of all that was gathered, which must be the whole of what changed up to `position`, with
   * the events up to there. `onHeld` is called when it counts; the promise resolves when its rows are in their
   * places. Rejects with StoreError. Not to be called while one runs.
   */
  run(position: CheckpointPosition, events: PendingEvents, onHeld: () => void): Promise<void> {
    const rows = [...this.#gathered.values()].flatMap((ofKind) => [...ofKind.values()])
    this.#gathered = new Map()
    this.#gatheredCount = 0
    return this.#alone(async () => {
      const share = Math.ceil((rows.length + events.count + 1) / changesPerShare)
      const eventsInOrder = new Pieces(events)
      let piece = eventsInOrder.take(share)
      if (eventsInOrder.areTaken && rows.length + piece.length <= directWritesMax) {
        const record = { ...position, pieceCount: 0 }
        await this.#store.commit([
          ...piece,
          ...rows.map((row) => this.#rowWrite(row)),
          encodeRecord(this.#groupId, record),
        ])
        this.#record = record
        onHeld()
        return
      }
      for (; piece.length > 0; piece = eventsInOrder.take(share)) await this.#store.commit(piece)
      const pieceCount = await this.#stage(rows, share)
      const record = { ...position, pieceCount }
      await this.#store.commit([encodeRecord(this.#groupId, record)])
      this.#record = record
      onHeld()
      await this.#moveRows(rows, share)
    })
  }

  /** The process is stopping: what holds is enough, rows may move to their places after the next start. */
  hurry(): void {
    this.#isHurried = true
  }

  async #alone(work: () => Promise<void>): Promise<void> {
    assert(!this.#isRunning, 'one checkpoint runs at a time')
    this.#isRunning = true
    try {
      await work()
    } finally {
      this.#isRunning = false
    }
  }

  async #stage(rows: readonly NamedRow[], share: number): Promise<number> {
    let number = 0
    for (let from = 0; from < rows.length; number++) {
      let to = from
      for (let size = 0; to < rows.length; to++) {
        size += stagedSize(rows[to] as NamedRow)
        if (size > pieceBytesMax * share && to > from) break
      }
      const key = stagedKey(this.#groupId, number)
      await this.#store.commit([{ key, value: encodeStaged(key, rows.slice(from, to)) }])
      from = to
    }
    return number
  }

  async #moveRows(rows: readonly NamedRow[], share: number): Promise<void> {
    const countMax = scatteredWritesMax * share
    for (let from = 0; from < rows.length; from += countMax) {
      if (this.#isHurried) return
      const some = rows.slice(from, from + countMax)
      await this.#store.commit(some.map((row) => this.#rowWrite(row)))
    }
    const { pieceCount } = this.#record
    const record = { ...this.#record, pieceCount: 0 }
    const removals = Array.from({ length: pieceCount }, (_, number) => ({
      key: stagedKey(this.#groupId, number),
      value: undefined,
    }))
    await this.#store.commit([encodeRecord(this.#groupId, record), ...removals])
    this.#record = record
  }

  #rowWrite([name, bytes]: NamedRow): StoreWrite {
    const key = rowKey(this.#groupId, name)
    return { key, value: bytes === undefined ? undefined : encodeBytes(key, bytes) }
  }
}

/** Writes of events in order, by pieces. */
class Pieces {
  readonly #writes: Iterator<EventsWrite>
  areTaken = false

  constructor({ writes }: PendingEvents) {
    this.#writes = writes[Symbol.iterator]()
  }

  take(share: number): StoreWrite[] {
    const piece: StoreWrite[] = []
    let eventCount = 0
    let byteCount = 0
    while (
      piece.length < scatteredWritesMax * share &&
      eventCount < pieceEventsMax * share &&
      byteCount < pieceBytesMax * share
    ) {
      const next = this.#writes.next()
      this.areTaken = next.done === true
      if (next.done) break
      const { key, value } = next.value
      piece.push({ key, value })
      eventCount += next.value.eventCount
      byteCount += key.length + (value?.length ?? 0)
    }
    return piece
  }
}
