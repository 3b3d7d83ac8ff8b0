/**
 * The outbox: entries that are still to be published to buyers.
 *
 * There is one queue per owner, in order of position. When the outbox is full, NEW_BID and OUTBID are counted in the
 * house row and not queued. The other kinds are bounded by the number of auctions and buyers, and always queued.
 * Leaves recipients and messages to the server that publishes.
 *
 * Invariant: positions rise by one in the group and never repeat; an entry stays until its owner acknowledges it.
 * Source: docs/spec.md OUTBOX1–OUTBOX6; docs/design.md "Notifications".
 */
import type { AuctionId, ServerId, SubjectId } from '../../protocol/ids.ts'
import type { Amount } from '../../protocol/money.ts'
import { BlockLog, type Numbered } from './blocks.ts'
import type { Changes } from './changes.ts'
import type { OutboxKind } from './events.ts'
import type { House } from './group-facts.ts'
import type { Limits } from './limits.ts'
import type { Plain } from './plain.ts'

/*
 * outbox   key: block number   value: a block of [position, owner, kind, atMs, auction id | null, seq | null,
 *                                     recipient | null, price | null]
 */

/** Stable codes of rows. Never reuse a number. */
export const outboxKindCodes = {
  NEW_AUCTION: 1,
  MATCHING_AUCTIONS: 2,
  NEW_BID: 3,
  CANCELED_AUCTION: 4,
  END_OF_AUCTION: 5,
  WON_AUCTION: 6,
  OUTBID: 7,
} as const satisfies Record<OutboxKind, number>

export interface OutboxRecord extends Numbered {
  /** The position. */
  readonly number: number
  readonly owner: ServerId
  readonly kind: OutboxKind
  readonly atMs: number
  readonly auctionId: AuctionId | undefined
  readonly seq: number | undefined
  readonly recipient: SubjectId | undefined
  readonly price: Amount | undefined
}

function encodeOutboxEntry(record: OutboxRecord): readonly Plain[] {
  return [
    record.number,
    record.owner,
    outboxKindCodes[record.kind],
    record.atMs,
    record.auctionId ?? null,
    record.seq ?? null,
    record.recipient ?? null,
    record.price ?? null,
  ]
}

/** The outbox entries of one owner, in order of position. */
interface Queue {
  records: OutboxRecord[]
  /** Index of the first live record; those before it are acknowledged. */
  head: number
}

export class Outbox {
  private readonly log: BlockLog<OutboxRecord>
  private readonly queues = new Map<ServerId, Queue>()
  private readonly house: House
  private readonly limits: Limits

  constructor(changes: Changes, house: House, limits: Limits) {
    this.log = new BlockLog<OutboxRecord>({ kind: 'outbox', encode: encodeOutboxEntry }, changes)
    this.house = house
    this.limits = limits
  }

  get size(): number {
    return this.log.size
  }

  /** Queues an outbox entry; `false` when it was only counted. The caller touches the house row. */
  add(facts: Omit<OutboxRecord, 'number'>): boolean {
    const { kind, owner } = facts
    if (this.log.size >= this.limits.outboxMax && (kind === 'NEW_BID' || kind === 'OUTBID')) {
      this.house.outboxEntriesDropped++
      return false
    }
    const number = ++this.house.outboxEntriesMade
    const record: OutboxRecord = {
      number,
      owner,
      kind,
      atMs: facts.atMs,
      auctionId: facts.auctionId,
      seq: facts.seq,
      recipient: facts.recipient,
      price: facts.price,
    }
    this.log.append(record)
    this.queueOf(owner).records.push(record)
    return true
  }

  /** Removes these outbox entries of the owner; positions rise. O(the outbox entries up to the last of them). */
  acknowledge(owner: ServerId, positions: readonly number[]): void {
    const queue = this.queues.get(owner)
    if (queue === undefined) return
    const { records } = queue
    const kept: OutboxRecord[] = []
    let { head } = queue
    let at = 0
    for (; head < records.length && at < positions.length; ) {
      const record = records[head] as OutboxRecord
      const position = positions[at] as number
      if (position < record.number) at++
      else {
        head++
        if (position === record.number) this.log.remove(record)
        else kept.push(record)
      }
    }
    // Records that were passed over stay: they move up to the new head.
    for (let place = head - 1; kept.length > 0; place--) {
      records[place] = kept.pop() as OutboxRecord
      head = place
    }
    this.settle(owner, queue, head)
  }

  /**
   * Moves outbox entries to other owners. `to` names an entry's new owner, or `undefined` if it stays. Looks at `limit`
   * entries at most, in order; returns how many moved.
   */
  move(from: ServerId, limit: number, to: (outboxEntry: OutboxRecord) => ServerId | undefined): number {
    const queue = this.queues.get(from)
    if (queue === undefined) return 0
    const end = Math.min(queue.records.length, queue.head + limit)
    const kept: OutboxRecord[] = []
    const moved = new Map<ServerId, OutboxRecord[]>()
    let count = 0
    for (const record of queue.records.slice(queue.head, end)) {
      const owner = to(record)
      if (owner === undefined) {
        kept.push(record)
        continue
      }
      const next = { ...record, owner }
      this.log.replace(record, next)
      const own = moved.get(owner) ?? []
      if (own.length === 0) moved.set(owner, own)
      own.push(next)
      count++
    }
    const rest = [...kept, ...queue.records.slice(end)]
    if (rest.length === 0) this.queues.delete(from)
    else this.queues.set(from, { records: rest, head: 0 })
    for (const [owner, own] of moved) this.mergeInto(owner, own)
    return count
  }

  /** Outbox entries that wait for this owner. O(1). */
  lengthOf(owner: ServerId): number {
    const queue = this.queues.get(owner)
    return queue === undefined ? 0 : queue.records.length - queue.head
  }

  /** The owner's outbox entries after a position, in order, at most `limit`. O(log n + limit). */
  page(owner: ServerId, after: number, limit: number): readonly OutboxRecord[] {
    const queue = this.queues.get(owner)
    if (queue === undefined) return []
    const { records } = queue
    let low = queue.head
    let high = records.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((records[middle] as OutboxRecord).number <= after) low = middle + 1
      else high = middle
    }
    return records.slice(low, low + limit)
  }

  /** Loads one saved block. Blocks may come in any order; `indexing` must follow the last one. */
  load(records: readonly OutboxRecord[]): void {
    this.log.load(records)
  }

  /** Builds the owners' queues from the loaded blocks; one step per outbox entry. */
  *indexing(): Generator<void, void> {
    for (const record of this.log.all()) {
      this.queueOf(record.owner).records.push(record)
      yield
    }
  }

  blocks(): ReturnType<BlockLog<OutboxRecord>['sorted']> {
    return this.log.sorted()
  }

  /** Sets the queue's head. The records before it are freed when they are many. */
  private settle(owner: ServerId, queue: Queue, head: number): void {
    const { records } = queue
    queue.head = head
    if (head === records.length) this.queues.delete(owner)
    else if (head > 1_024 && head * 2 > records.length) {
      queue.records = records.slice(head)
      queue.head = 0
    }
  }

  /** Merges entries of another owner into this one's, by position. O(both). */
  private mergeInto(owner: ServerId, own: readonly OutboxRecord[]): void {
    const queue = this.queueOf(owner)
    const merged: OutboxRecord[] = []
    let at = queue.head
    for (const record of own) {
      for (; at < queue.records.length; at++) {
        const there = queue.records[at] as OutboxRecord
        if (there.number > record.number) break
        merged.push(there)
      }
      merged.push(record)
    }
    for (; at < queue.records.length; at++) merged.push(queue.records[at] as OutboxRecord)
    queue.records = merged
    queue.head = 0
  }

  private queueOf(owner: ServerId): Queue {
    let queue = this.queues.get(owner)
    if (queue === undefined) {
      queue = { records: [], head: 0 }
      this.queues.set(owner, queue)
    }
    return queue
  }
}
