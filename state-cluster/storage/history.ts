/**
 * The history of every auction: its public events by `seq`, on the disk for ever, the latest in memory until a
 * checkpoint has written them.
 *
 * Invariant: per auction, memory holds consecutive events that begin where the disk's end, so a read that joins
 * both has no gap and no repeat. Writing an event again (after a crash, from the log) writes the same bytes.
 * Leaves to the caller what an event is and how it becomes bytes, and never to read beyond the last applied one.
 */
import type { AuctionId, GroupId } from '../../protocol/ids.ts'
import { corrupt, decodeBytes, encodeBytes, eventKey, eventRange } from './layout.ts'
import type { StoreReader, StoreWrite } from './store.ts'

export interface HistoryCodec<Event> {
  encode(event: Event): Uint8Array
  /** Throws when the bytes are no event. */
  decode(bytes: Uint8Array, auctionId: AuctionId): Event
}

interface Numbered {
  readonly auctionId: AuctionId
  readonly seq: number
}

type Pending<Event> = Map<AuctionId, Event[]>

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
  freeze(): Iterable<StoreWrite> {
    this.#frozen = this.#fresh
    this.#fresh = new Map()
    this.#freshCount = 0
    return this.#writes(this.#frozen)
  }

  /** All that was frozen is durable. */
  thaw(): void {
    this.#frozen = new Map()
  }

  /** Events with from ≤ seq < to, in order. Throws StoreError `corrupt` where one is damaged or missing. */
  read(auctionId: AuctionId, from: number, to: number): Event[] {
    if (from >= to) return []
    const out: Event[] = []
    const frozen = this.#frozen.get(auctionId) ?? []
    const fresh = this.#fresh.get(auctionId) ?? []
    const inMemoryFrom = (frozen[0] ?? fresh[0])?.seq ?? to
    const onDiskTo = Math.min(to, inMemoryFrom)
    let expected = from
    for (const event of this.#fromDisk(auctionId, from, onDiskTo)) {
      if (event.seq !== expected) break
      out.push(event)
      expected += 1
    }
    if (expected < onDiskTo) throw corrupt(`event ${expected} of ${auctionId}`, 'it is not there')
    for (const events of [frozen, fresh]) {
      const first = events[0]?.seq ?? to
      for (let at = Math.max(0, from - first); at < events.length && first + at < to; at++) {
        out.push(events[at] as Event)
      }
    }
    return out
  }

  *#fromDisk(auctionId: AuctionId, from: number, to: number): Generator<Event> {
    for (const { key, value } of this.#reader.range(eventRange(this.#groupId, auctionId, from, to))) {
      const what = `event of ${auctionId}`
      const bytes = decodeBytes(key, value, what)
      let event: Event
      try {
        event = this.#codec.decode(bytes, auctionId)
      } catch (error) {
        throw corrupt(what, error instanceof Error ? error.message : String(error))
      }
      yield event
    }
  }

  *#writes(pending: Pending<Event>): Generator<StoreWrite> {
    for (const [auctionId, events] of pending) {
      for (const event of events) {
        const key = eventKey(this.#groupId, auctionId, event.seq)
        yield { key, value: encodeBytes(key, this.#codec.encode(event)) }
      }
    }
  }
}
