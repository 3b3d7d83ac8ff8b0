/**
 * Numbered records, stored 64 to a row; the outbox keeps its entries in them.
 *
 * Outbox entries come and go at the rate of bids, and a row for each would cost the disk more than the bids do.
 * Leaves the meaning of a record to its codec.
 *
 * Invariant: numbers rise by one and are never reused; a block without live records has no row.
 * Source: docs/spec.md OUTBOX1, HASH3.
 */
import { fail } from './assert.ts'
import { type Changes, type RowKind, Stored } from './changes.ts'
import type { Plain } from './plain.ts'

/*
 * number  …  │ 128 129 … 191 │ 192 193 …      block = number / 64; a removed record leaves a hole
 */

const recordsPerBlock = 64

export interface Numbered {
  readonly number: number
}

export interface RecordCodec<T extends Numbered> {
  readonly kind: RowKind
  encode(record: T): readonly Plain[]
}

/** Row: key = block number in 14 digits, value = 64 or fewer records, `null` where there is none. */
class Block<T extends Numbered> extends Stored {
  readonly records: (T | undefined)[] = []
  readonly at: number
  readonly codec: RecordCodec<T>
  live = 0

  constructor(codec: RecordCodec<T>, at: number) {
    super()
    this.codec = codec
    this.at = at
  }

  rowKind(): RowKind {
    return this.codec.kind
  }

  rowKey(): string {
    return String(this.at).padStart(14, '0')
  }

  rowValue(): readonly Plain[] {
    const value: Plain[] = []
    for (const record of this.records) value.push(record === undefined ? null : this.codec.encode(record))
    while (value.length > 0 && value[value.length - 1] === null) value.pop()
    return value
  }
}

export class BlockLog<T extends Numbered> {
  private readonly blocks = new Map<number, Block<T>>()
  private readonly codec: RecordCodec<T>
  private readonly changes: Changes
  /** The block of the highest number. While it is empty it has no row, but it may fill again. */
  private newest: Block<T> | undefined = undefined
  /** No live record has a smaller number. */
  private lowest = Number.POSITIVE_INFINITY
  private highest = -1
  private count = 0

  constructor(codec: RecordCodec<T>, changes: Changes) {
    this.codec = codec
    this.changes = changes
  }

  get size(): number {
    return this.count
  }

  /** Adds a record with a number above all earlier ones. O(1). */
  append(record: T): void {
    if (record.number <= this.highest) fail('numbers of records rise', { number: record.number })
    this.changes.touch(this.put(record))
  }

  remove(record: T): void {
    const at = Math.floor(record.number / recordsPerBlock)
    const block = this.blocks.get(at)
    if (block === undefined || block.records[record.number % recordsPerBlock] !== record)
      fail('a removed record is in its block', { number: record.number })
    block.records[record.number % recordsPerBlock] = undefined
    block.live--
    this.count--
    if (block.live === 0) {
      this.blocks.delete(at)
      this.changes.drop(block)
    } else this.changes.touch(block)
  }

  /** Replaces a record by one with the same number. */
  replace(record: T, next: T): void {
    const block = this.blocks.get(Math.floor(record.number / recordsPerBlock))
    const place = record.number % recordsPerBlock
    if (block === undefined || block.records[place] !== record || next.number !== record.number)
      fail('a replaced record is in its block', { number: record.number })
    block.records[place] = next
    this.changes.touch(block)
  }

  /** The live record with the smallest number. Amortised O(1): every number is passed once. */
  first(): T | undefined {
    if (this.count === 0) return undefined
    for (let number = this.lowest; number <= this.highest; ) {
      const block = this.blocks.get(Math.floor(number / recordsPerBlock))
      const record = block?.records[number % recordsPerBlock]
      if (record !== undefined) {
        this.lowest = number
        return record
      }
      number += block === undefined ? recordsPerBlock - (number % recordsPerBlock) : 1
    }
    return fail('a log that is not empty has a first record', { count: this.count })
  }

  /** Loads the records of one saved row. Rows may come in any order. */
  load(records: readonly T[]): void {
    let block: Block<T> | undefined
    for (const record of records) block = this.put(record)
    if (block !== undefined) this.changes.load(block)
  }

  /** Live records in order of their number. */
  *all(): Generator<T> {
    for (const block of this.sorted())
      for (const record of block.records) if (record !== undefined) yield record
  }

  /** Blocks in order. */
  sorted(): Block<T>[] {
    return [...this.blocks.values()].sort((x, y) => x.at - y.at)
  }

  private put(record: T): Block<T> {
    const { number } = record
    const at = Math.floor(number / recordsPerBlock)
    let block = this.blocks.get(at)
    if (block === undefined) {
      block = this.newest?.at === at ? this.newest : new Block(this.codec, at)
      this.blocks.set(at, block)
    }
    if (this.newest === undefined || at >= this.newest.at) this.newest = block
    const slot = number % recordsPerBlock
    while (block.records.length < slot) block.records.push(undefined)
    block.records[slot] = record
    block.live++
    this.count++
    if (number > this.highest) this.highest = number
    if (number < this.lowest) this.lowest = number
    return block
  }
}
