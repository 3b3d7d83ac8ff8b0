/**
 * The recent feed of one group, encoded once for all clients.
 *
 * Clients keep their own positions. Invariant: every batch with an index above `floor` is here, in order, and their
 * bytes are bounded; a client below the floor has missed batches and needs a gap. Source: docs/spec.md LINK8.
 */

interface Kept {
  readonly index: number
  readonly body: Uint8Array
}

export class FeedRing {
  readonly #bytesMax: number
  /** The first `#start` elements are evicted. */
  #kept: (Kept | undefined)[] = []
  #start = 0
  #bytes = 0
  #floor: number

  /** Begins empty, after the index `floor`. */
  constructor(bytesMax: number, floor: number) {
    this.#bytesMax = bytesMax
    this.#floor = floor
  }

  /** Batches up to this index are not kept. */
  get floor(): number {
    return this.#floor
  }

  get bytes(): number {
    return this.#bytes
  }

  push(index: number, body: Uint8Array): void {
    this.#kept.push({ index, body })
    this.#bytes += body.length
    while (this.#bytes > this.#bytesMax) this.#evict()
  }

  /** Drops everything up to `index`: its batches are not available one by one. */
  restart(index: number): void {
    this.#kept = []
    this.#start = 0
    this.#bytes = 0
    this.#floor = index
  }

  /** The first batch after `index`, or `undefined` at the end. O(log batches). */
  after(index: number): Kept | undefined {
    let low = this.#start
    let high = this.#kept.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#kept[middle] as Kept).index <= index) low = middle + 1
      else high = middle
    }
    return this.#kept[low]
  }

  #evict(): void {
    const { index, body } = this.#kept[this.#start] as Kept
    this.#kept[this.#start] = undefined
    this.#start++
    this.#bytes -= body.length
    this.#floor = index
    // Copying only when half is evicted keeps the cost of a batch constant.
    if (this.#start > 64 && this.#start * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#start)
      this.#start = 0
    }
  }
}
