/**
 * The recent feed of one group, encoded once for all who listen, bounded in bytes. Invariant: every batch with an
 * index above `floor` is in it, in order; whoever stands below the floor has missed something and is told so.
 * Source: docs/spec.md LINK8.
 */

interface Kept {
  readonly index: number
  readonly body: Uint8Array
}

export class FeedRing {
  readonly #bytesMax: number
  /** The first `#start` places are empty. */
  #kept: (Kept | undefined)[] = []
  #start = 0
  #bytes = 0
  #floor: number

  /** Nothing is known up to `floor`. */
  constructor(bytesMax: number, floor: number) {
    this.#bytesMax = bytesMax
    this.#floor = floor
  }

  /** Batches up to here are no longer here. */
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

  /** What happened up to `index` cannot be told one by one. */
  restart(index: number): void {
    this.#kept = []
    this.#start = 0
    this.#bytes = 0
    this.#floor = index
  }

  /** The first batch behind `index`, or `undefined` at the end. O(log batches). */
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
    // Halving now and then keeps the work per batch constant.
    if (this.#start > 64 && this.#start * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#start)
      this.#start = 0
    }
  }
}
