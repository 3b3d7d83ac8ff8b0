/**
 * The history of every auction: its public events, by `seq`.
 *
 *   block  number = (seq − 1) / 32          value: 0, then events, each after its length (u32)
 *                                                  1, then deflated columns of 32 events: the block is full
 *
 * The disk keeps the events permanently; memory keeps the latest until a checkpoint has written them. On the disk
 * they form blocks, so that a checkpoint writes one row for many events, and a full block takes little space.
 * Invariant: per auction, memory holds consecutive events that begin where the disk's end, so a read that joins
 * both has no gap and no repeat. Writing events again (after a crash, from the log) leaves the same events.
 * The caller decides what an event is and how it becomes a tuple, and never reads beyond the last applied one.
 */
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib'
import type { AuctionId, GroupId } from '../../protocol/ids.ts'
import type { EventsWrite, PendingEvents } from './checkpoint.ts'
import { fromColumns, type Tuple, toColumns } from './columns.ts'
import {
  corrupt,
  decodeBytes,
  encodeBytes,
  eventBlockKey,
  eventBlockRange,
  numberOfBlockKey,
} from './layout.ts'
import { pack, unpack } from './pack.ts'
import type { StoreReader } from './store.ts'

export interface HistoryCodec<Event> {
  encode(event: Event): Tuple
  /** Throws when the tuple is no event. */
  decode(tuple: unknown, auctionId: AuctionId): Event
}

interface Numbered {
  readonly auctionId: AuctionId
  readonly seq: number
}

type Pending<Event> = Map<AuctionId, Event[]>

/** More would not deflate much better, and a block should fit the page of a B-tree a few times. */
const eventsPerBlock = 32
const openKind = 0
const fullKind = 1
const kindLength = 1
const sizeLength = 4
/** A full block never inflates to more. */
const blockBytesMax = 2 ** 20
/** A window of 4 KiB holds a block; the default's memory would be taken and given back for each. */
const deflation = { level: constants.Z_BEST_SPEED, windowBits: 12, memLevel: 5 }

const blockOf = (seq: number): number => Math.floor((seq - 1) / eventsPerBlock)
const placeOf = (seq: number): number => (seq - 1) % eventsPerBlock

export class History<Event extends Numbered> {
  readonly #reader: StoreReader
  readonly #groupId: GroupId
  readonly #codec: HistoryCodec<Event>
  /** Being written by a checkpoint; older than `#fresh`. */
  #frozen: Pending<Event> = new Map()
  #fresh: Pending<Event> = new Map()
  #freshCount = 0

  constructor(reader: StoreReader, groupId: GroupId, codec: HistoryCodec<Event>) {
    this.#reader = reader
    this.#groupId = groupId
    this.#codec = codec
  }

  /** Events that no checkpoint has begun to write. */
  get freshCount(): number {
    return this.#freshCount
  }

  /** The next event of its auction. */
  add(event: Event): void {
    const events = this.#fresh.get(event.auctionId)
    if (events) events.push(event)
    else this.#fresh.set(event.auctionId, [event])
    this.#freshCount += 1
  }

  /** Begins a checkpoint: gives the writes of all events so far, made one by one as they are taken. */
  freeze(): PendingEvents {
    const count = this.#freshCount
    this.#frozen = this.#fresh
    this.#fresh = new Map()
    this.#freshCount = 0
    return { count, writes: this.#writes(this.#frozen) }
  }

  /** All that was frozen is durable. */
  thaw(): void {
    this.#frozen = new Map()
  }

  /** Events with from ≤ seq < to, in order. Throws StoreError `corrupt` where one is damaged or missing. */
  read(auctionId: AuctionId, from: number, to: number): Event[] {
    if (from >= to) return []
    const frozen = this.#frozen.get(auctionId) ?? []
    const fresh = this.#fresh.get(auctionId) ?? []
    const inMemoryFrom = (frozen[0] ?? fresh[0])?.seq ?? to
    const out = this.#fromDisk(auctionId, from, Math.min(to, inMemoryFrom))
    for (const events of [frozen, fresh]) {
      const first = events[0]?.seq ?? to
      for (let at = Math.max(0, from - first); at < events.length && first + at < to; at++) {
        out.push(events[at] as Event)
      }
    }
    return out
  }

  #fromDisk(auctionId: AuctionId, from: number, to: number): Event[] {
    const out: Event[] = []
    if (from >= to) return out
    let expected = from
    const range = eventBlockRange(this.#groupId, auctionId, blockOf(from), blockOf(to - 1) + 1)
    for (const { key, value } of this.#reader.range(range)) {
      if (numberOfBlockKey(key) !== blockOf(expected)) break
      const tuples = tuplesOf(auctionId, decodeBlock(auctionId, key, value))
      for (const tuple of tuples.slice(placeOf(expected), placeOf(expected) + to - expected)) {
        out.push(this.#eventOf(auctionId, expected, tuple))
        expected += 1
      }
      if (placeOf(expected) !== 0) break
    }
    if (expected < to) throw corrupt(`event ${expected} of ${auctionId}`, 'it is not there')
    return out
  }

  #eventOf(auctionId: AuctionId, seq: number, tuple: unknown): Event {
    const event = attempt(auctionId, () => this.#codec.decode(tuple, auctionId))
    if (event.seq !== seq) throw corrupt(`event ${seq} of ${auctionId}`, `event ${event.seq} stands there`)
    return event
  }

  *#writes(pending: Pending<Event>): Generator<EventsWrite> {
    for (const [auctionId, events] of pending) {
      for (let from = 0; from < events.length; ) {
        const count = eventsPerBlock - placeOf((events[from] as Event).seq)
        yield this.#blockWrite(auctionId, events.slice(from, from + count))
        from += count
      }
    }
  }

  /**
   * A block with these events after those that it has already. One that has these too stays as it is: a snapshot that
   * was not installed has brought it, or a crash came between, and what it has beyond them must stay.
   */
  #blockWrite(auctionId: AuctionId, events: readonly Event[]): EventsWrite {
    const { seq } = events[0] as Event
    const key = eventBlockKey(this.#groupId, auctionId, blockOf(seq))
    const value = this.#reader.get(key)
    const there = value === undefined ? [] : piecesOfBlock(auctionId, decodeBlock(auctionId, key, value))
    const tuples = events.map((event) => this.#codec.encode(event))
    if (value !== undefined && has(there, placeOf(seq), tuples)) {
      return { key, value, eventCount: events.length }
    }
    if (there.length < placeOf(seq)) throw corrupt(`event ${seq - 1} of ${auctionId}`, 'it is not there')
    const before = there.slice(0, placeOf(seq))
    const isFull = before.length + tuples.length === eventsPerBlock
    const bytes = isFull
      ? fullBlock([...before.map(unpack), ...tuples])
      : openBlock([...before, ...tuples.map(pack)])
    return { key, value: encodeBytes(key, bytes), eventCount: events.length }
  }
}

/** Whether a block has these events at their places. */
function has(pieces: readonly Uint8Array[], from: number, tuples: readonly Tuple[]): boolean {
  if (pieces.length < from + tuples.length) return false
  return tuples.every((tuple, at) => Buffer.compare(pieces[from + at] as Uint8Array, pack(tuple)) === 0)
}

/** The events of a block of either kind, as they were packed. */
function piecesOfBlock(auctionId: AuctionId, bytes: Uint8Array): readonly Uint8Array[] {
  return bytes[0] === fullKind ? tuplesOf(auctionId, bytes).map(pack) : piecesOf(bytes)
}

/** How many events a stored block has; 0 for a damaged one. */
export function eventsInBlock(key: Uint8Array, value: Uint8Array): number {
  try {
    const bytes = decodeBytes(key, value, 'block of events')
    return bytes[0] === fullKind ? eventsPerBlock : piecesOf(bytes).length
  } catch {
    return 0
  }
}

function decodeBlock(auctionId: AuctionId, key: Uint8Array, value: Uint8Array): Uint8Array {
  return decodeBytes(key, value, `block of events of ${auctionId}`)
}

/** The events of a block, of either kind. */
function tuplesOf(auctionId: AuctionId, bytes: Uint8Array): readonly unknown[] {
  if (bytes[0] !== fullKind) return piecesOf(bytes).map(unpack)
  const deflated = bytes.subarray(kindLength)
  return attempt(auctionId, () =>
    fromColumns(unpack(inflateRawSync(deflated, { maxOutputLength: blockBytesMax }))),
  )
}

function fullBlock(tuples: readonly unknown[]): Uint8Array {
  const deflated = deflateRawSync(pack(toColumns(tuples as readonly Tuple[])), deflation)
  const bytes = new Uint8Array(kindLength + deflated.length)
  bytes[0] = fullKind
  bytes.set(deflated, kindLength)
  return bytes
}

function openBlock(pieces: readonly Uint8Array[]): Uint8Array {
  const size = pieces.reduce((sum, piece) => sum + sizeLength + piece.length, kindLength)
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  bytes[0] = openKind
  let at = kindLength
  for (const piece of pieces) {
    view.setUint32(at, piece.length)
    bytes.set(piece, at + sizeLength)
    at += sizeLength + piece.length
  }
  return bytes
}

/** The packed events of a block that is not full. Its checksum held, so its lengths do. */
function piecesOf(bytes: Uint8Array): readonly Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const pieces: Uint8Array[] = []
  for (let at = kindLength; at < bytes.length; ) {
    const from = at + sizeLength
    at = from + view.getUint32(at)
    pieces.push(bytes.subarray(from, at))
  }
  return pieces
}

function attempt<T>(auctionId: AuctionId, work: () => T): T {
  try {
    return work()
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw corrupt(`history of ${auctionId}`, why)
  }
}
