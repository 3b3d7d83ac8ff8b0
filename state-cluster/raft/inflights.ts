/**
 * The append messages in flight to one follower: a ring of (last index, bytes).
 *
 * Invariant: indexes ascend from `head`, and `bytes` is the sum of the sizes in the ring. The ring grows
 * by doubling up to `capacity`, because most followers never have many messages in flight. At the bound the
 * window is full and the leader sends no entries until an acknowledgement frees some of it.
 */
import { fail } from './assert.ts'

export class Inflights {
  /** Most messages at once. */
  readonly capacity: number
  /** Bytes at or above which the window is full; `NO_LIMIT` for none. May be exceeded by one message. */
  readonly maxBytes: number
  count = 0
  bytes = 0
  #head = 0
  #indexes: number[] = []
  #sizes: number[] = []

  constructor(capacity: number, maxBytes: number) {
    this.capacity = capacity
    this.maxBytes = maxBytes
  }

  full(): boolean {
    return this.count === this.capacity || this.bytes >= this.maxBytes
  }

  /** A message whose last entry is `index` and whose payloads sum to `bytes` was sent. */
  add(index: number, bytes: number): void {
    if (this.full()) fail('no message may be sent into a full window', { index, count: this.count })
    if (this.count === this.#indexes.length) this.#grow()
    let at = this.#head + this.count
    if (at >= this.#indexes.length) at -= this.#indexes.length
    this.#indexes[at] = index
    this.#sizes[at] = bytes
    this.count++
    this.bytes += bytes
  }

  /** Everything up to `index` has arrived. */
  freeLE(index: number): void {
    while (this.count > 0 && (this.#indexes[this.#head] as number) <= index) {
      this.bytes -= this.#sizes[this.#head] as number
      this.count--
      this.#head++
      if (this.#head === this.#indexes.length) this.#head = 0
    }
    if (this.count === 0) this.#head = 0
  }

  reset(): void {
    this.count = 0
    this.bytes = 0
    this.#head = 0
  }

  copy(): Inflights {
    const copy = new Inflights(this.capacity, this.maxBytes)
    copy.count = this.count
    copy.bytes = this.bytes
    copy.#head = this.#head
    copy.#indexes = this.#indexes.slice()
    copy.#sizes = this.#sizes.slice()
    return copy
  }

  #grow(): void {
    const size = this.#indexes.length
    const grown = Math.min(Math.max(size * 2, 1), this.capacity)
    const indexes = new Array<number>(grown).fill(0)
    const sizes = new Array<number>(grown).fill(0)
    for (let i = 0; i < size; i++) {
      const at = (this.#head + i) % size
      indexes[i] = this.#indexes[at] as number
      sizes[i] = this.#sizes[at] as number
    }
    this.#indexes = indexes
    this.#sizes = sizes
    this.#head = 0
  }
}
