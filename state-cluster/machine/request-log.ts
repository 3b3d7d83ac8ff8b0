/**
 * Remembered requests in order of their running number, 64 to a row.
 *
 * All but the newest block are kept as one JSON text each. Half a million objects of a dozen words would cost three
 * times the memory, and the garbage collector would walk over all of them. Leaves to request-memory.ts whose the
 * requests are and how long they are remembered.
 *
 * Invariant: rows do not depend on how a block is kept. Numbers rise by one, a block without live requests has no row,
 * and one that lost most of its requests frees their text by the next checkpoint.
 * Source: docs/spec.md REQUEST1, REQUEST4, HASH1.
 */
import { fail } from './assert.ts'
import { type Changes, type RowKind, Stored } from './changes.ts'
import type { Plain } from './plain.ts'

/*
 * requests, refusals
 *           key: block number in 14 digits   value: 64 or fewer [number, subject, request id, digest a, digest b,
 *                                                   atMs, reply], `null` where there is none
 */

/** As a row holds it. */
export type RequestTuple = readonly Plain[]

const requestsPerBlock = 64
/** A text is built again when only this part of its requests is live. */
const keptPart = 1 / 4

const numberOf = (tuple: RequestTuple): number => tuple[0] as number
const stampAt = 5
export const atMsOf = (tuple: RequestTuple): number => tuple[stampAt] as number

/** Requests that were accepted, or refused: two logs with rows and numbers of their own. */
export type RequestKind = 'requests' | 'refusals'

class RequestBlock extends Stored {
  readonly kind: RequestKind
  readonly at: number
  /** No request in it has an earlier stamp. */
  fromMs: number
  live = 0
  /** Places that are live, a bit each. */
  private low = 0
  private high = 0
  /** Absent while only the text is there. */
  private tuples: (RequestTuple | null)[] | undefined = []
  /** All tuples that were live when it was made, as JSON. Absent while the block takes new ones. */
  private text: string | undefined = undefined
  private liveInText = 0
  /** Its tuples stay in memory only until its row is made. */
  private isReleased = false

  constructor(kind: RequestKind, at: number, fromMs: number) {
    super()
    this.kind = kind
    this.at = at
    this.fromMs = fromMs
  }

  rowKind(): RowKind {
    return this.kind
  }

  rowKey(): string {
    return String(this.at).padStart(14, '0')
  }

  rowValue(): readonly Plain[] {
    const value = (this.tuples ?? this.parsed()).slice()
    while (value.length > 0 && value[value.length - 1] === null) value.pop()
    // The next checkpoint writes this row again, so parsing the text here costs nothing extra.
    if (this.text !== undefined && this.live <= this.liveInText * keptPart) this.write(value)
    if (this.isReleased) this.tuples = undefined
    return value
  }

  has(place: number): boolean {
    return (((place < 32 ? this.low : this.high) >>> (place & 31)) & 1) === 1
  }

  /** Tuples by place; they stay in memory until `release`. */
  open(): readonly (RequestTuple | null)[] {
    this.tuples ??= this.parsed()
    this.isReleased = false
    return this.tuples
  }

  put(tuple: RequestTuple): void {
    const place = numberOf(tuple) % requestsPerBlock
    this.tuples ??= this.parsed()
    this.text = undefined
    this.isReleased = false
    while (this.tuples.length < place) this.tuples.push(null)
    this.tuples[place] = tuple
    this.mark(place)
    this.live++
  }

  /** Gives every request another stamp. */
  restamp(stampOf: (atMs: number) => number): void {
    this.tuples = this.open().map((tuple) =>
      tuple === null ? null : tuple.map((field, at) => (at === stampAt ? stampOf(field as number) : field)),
    )
    this.text = undefined
    this.fromMs = stampOf(this.fromMs)
  }

  remove(place: number): void {
    this.mark(place)
    this.live--
    if (this.tuples !== undefined) this.tuples[place] = null
  }

  /** Takes no new tuples for now: all of them are in the text. */
  release(): void {
    if (this.text === undefined) this.write(this.rowValue())
    // The row of a full block is made soon after: it would have to parse what was written just now.
    if (this.isUnsaved) this.isReleased = true
    else this.tuples = undefined
  }

  private write(value: readonly Plain[]): void {
    this.text = JSON.stringify(value)
    this.liveInText = this.live
  }

  private parsed(): (RequestTuple | null)[] {
    const tuples = JSON.parse(this.text as string) as (RequestTuple | null)[]
    for (let place = 0; place < tuples.length; place++) if (!this.has(place)) tuples[place] = null
    return tuples
  }

  private mark(place: number): void {
    if (place < 32) this.low ^= 1 << place
    else this.high ^= 1 << (place - 32)
  }
}

export class RequestLog {
  private readonly blocks = new Map<number, RequestBlock>()
  private readonly changes: Changes
  private readonly kind: RequestKind
  /** The block of the highest number. While it is empty it has no row, but it may fill again. */
  private newest: RequestBlock | undefined = undefined
  /** The one block beside the newest whose tuples are in memory. */
  private opened: RequestBlock | undefined = undefined
  /** No live request has a smaller number. */
  private lowest = Number.POSITIVE_INFINITY
  private highest = -1
  private count = 0

  constructor(changes: Changes, kind: RequestKind) {
    this.changes = changes
    this.kind = kind
  }

  get size(): number {
    return this.count
  }

  /** Adds a request with a number above all earlier ones. Amortised O(1). */
  append(tuple: RequestTuple): void {
    if (numberOf(tuple) <= this.highest) fail('numbers of requests rise', { number: numberOf(tuple) })
    this.changes.touch(this.put(tuple))
  }

  remove(number: number): void {
    const block = this.blockOf(number)
    if (block === undefined || !block.has(number % requestsPerBlock))
      fail('a removed request is in its block', { number })
    block.remove(number % requestsPerBlock)
    this.count--
    if (block.live === 0) {
      this.blocks.delete(block.at)
      this.changes.drop(block)
    } else this.changes.touch(block)
  }

  /** The live request with this number. O(a block) when another block was read last. */
  get(number: number): RequestTuple {
    const block = this.blockOf(number)
    const tuple = block && this.open(block)[number % requestsPerBlock]
    return tuple ?? fail('a request that is known is in its block', { number })
  }

  /** The live request with the smallest number. Amortised O(1): every number is passed once. */
  first(): RequestTuple | undefined {
    return this.firstBlock() && this.get(this.lowest)
  }

  /** No live request has a stamp before this. Parses no text. */
  get fromMs(): number {
    return this.firstBlock()?.fromMs ?? Number.POSITIVE_INFINITY
  }

  /** Gives every request another stamp; the order of stamps must stay. O(requests). */
  restamp(stampOf: (atMs: number) => number): void {
    for (const block of this.blocks.values()) {
      block.restamp(stampOf)
      this.changes.touch(block)
      if (block !== this.newest) block.release()
    }
    this.opened = undefined
  }

  /** Loads the requests of one saved row. Rows may come in any order. */
  load(tuples: readonly RequestTuple[]): void {
    let block: RequestBlock | undefined
    for (const tuple of tuples) block = this.put(tuple)
    if (block === undefined) return
    this.changes.load(block)
    block.release()
  }

  /** Live requests in order of their number. */
  *all(): Generator<RequestTuple> {
    for (const block of this.sorted()) for (const tuple of this.open(block)) if (tuple !== null) yield tuple
  }

  /** Blocks in order. */
  sorted(): RequestBlock[] {
    return [...this.blocks.values()].sort((x, y) => x.at - y.at)
  }

  /** The block of the first live request, whose number is `lowest` then. */
  private firstBlock(): RequestBlock | undefined {
    if (this.count === 0) return undefined
    for (let number = this.lowest; number <= this.highest; ) {
      const block = this.blockOf(number)
      if (block?.has(number % requestsPerBlock) === true) {
        this.lowest = number
        return block
      }
      number += block === undefined ? requestsPerBlock - (number % requestsPerBlock) : 1
    }
    return fail('a log that is not empty has a first request', { count: this.count })
  }

  private blockOf(number: number): RequestBlock | undefined {
    return this.blocks.get(Math.floor(number / requestsPerBlock))
  }

  private open(block: RequestBlock): readonly (RequestTuple | null)[] {
    if (block !== this.newest && block !== this.opened) {
      if (this.opened !== this.newest) this.opened?.release()
      this.opened = block
    }
    return block.open()
  }

  private put(tuple: RequestTuple): RequestBlock {
    const number = numberOf(tuple)
    const at = Math.floor(number / requestsPerBlock)
    let block = this.blocks.get(at)
    if (block === undefined) {
      block = this.newest?.at === at ? this.newest : new RequestBlock(this.kind, at, atMsOf(tuple))
      this.blocks.set(at, block)
    }
    if (this.newest === undefined || at > this.newest.at) {
      this.newest?.release()
      this.newest = block
    }
    block.put(tuple)
    this.count++
    if (number > this.highest) this.highest = number
    if (number < this.lowest) this.lowest = number
    return block
  }
}
