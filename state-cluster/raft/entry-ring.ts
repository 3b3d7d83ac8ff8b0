/**
 * Consecutive log entries in memory, in a ring.
 *
 * ```
 *   index   first … first+length-1        slot = index mod capacity (a power of two)
 * ```
 *
 * Entries are appended and truncated at the end, and dropped at the front.
 * Invariant: the entry at a slot has the index that maps to it, and free slots hold nothing, so that payloads can
 * be collected. Every operation costs the entries it touches, never those it keeps. Slices are fresh arrays of the
 * same entries: a slice that was handed out does not change.
 */
import { fail } from './assert.ts'
import { entrySize } from './sizes.ts'
import { type Entry, NO_LIMIT } from './types.ts'

const MIN_CAPACITY = 16
/** Above this an empty ring gives its slots back. */
const MAX_IDLE_CAPACITY = 4096

export class EntryRing {
  /** The index of the first entry, or of the next to come when there is none. */
  first: number
  length = 0
  #slots: (Entry | null)[] = new Array<Entry | null>(MIN_CAPACITY).fill(null)
  #mask = MIN_CAPACITY - 1

  constructor(first: number) {
    this.first = first
  }

  /** The entry at `index`, which must be in the ring. */
  at(index: number): Entry {
    return this.#slots[index & this.#mask] as Entry
  }

  /** Appends; the entry must be the next in line. */
  push(entry: Entry): void {
    const index = this.first + this.length
    if (entry.index !== index) fail('entries are consecutive', { expected: index, got: entry.index })
    if (this.length > this.#mask) this.#resize((this.#mask + 1) * 2)
    this.#slots[index & this.#mask] = entry
    this.length++
  }

  pushAll(entries: readonly Entry[], from: number): void {
    for (let i = from; i < entries.length; i++) this.push(entries[i] as Entry)
  }

  /** Drops all entries below `index`, first ≤ index ≤ first + length. */
  dropBefore(index: number): void {
    for (let at = this.first; at < index; at++) this.#slots[at & this.#mask] = null
    this.length -= index - this.first
    this.first = index
    if (this.length === 0 && this.#mask >= MAX_IDLE_CAPACITY) this.#resize(MIN_CAPACITY)
  }

  /** Drops the entries from `index` on, first ≤ index ≤ first + length. */
  dropFrom(index: number): void {
    const end = this.first + this.length
    for (let at = index; at < end; at++) this.#slots[at & this.#mask] = null
    this.length = index - this.first
  }

  /** Drops everything; the next entry will be `first`. */
  reset(first: number): void {
    this.dropFrom(this.first)
    this.first = first
  }

  /** The entries lo ≤ index < hi, as many as fit into `maxSize` bytes but at least one. Needs lo < hi. */
  slice(lo: number, hi: number, maxSize: number): Entry[] {
    const first = this.at(lo)
    if (hi - lo === 1) return [first]
    const out = [first]
    if (maxSize === NO_LIMIT) {
      for (let at = lo + 1; at < hi; at++) out.push(this.at(at))
      return out
    }
    let size = entrySize(first)
    for (let at = lo + 1; at < hi; at++) {
      const entry = this.at(at)
      size += entrySize(entry)
      if (size > maxSize) break
      out.push(entry)
    }
    return out
  }

  #resize(capacity: number): void {
    const slots = new Array<Entry | null>(capacity).fill(null)
    const end = this.first + this.length
    for (let at = this.first; at < end; at++) slots[at & (capacity - 1)] = this.at(at)
    this.#slots = slots
    this.#mask = capacity - 1
  }
}
