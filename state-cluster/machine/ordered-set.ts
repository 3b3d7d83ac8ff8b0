/**
 * A sorted set of numbers or strings, for pages in a stable order.
 *
 * Sorted chunks of at most 128 values are in a sorted list. Insert, remove and "first after" cost O(log n) comparisons
 * and one move within a chunk; a set of one value costs one small array. Leaves what the values mean to its callers.
 *
 * Invariant: no chunk is empty, chunks rise, and two neighbours together hold more than half a chunk. Strings compare by
 * UTF-16 units, never by locale.
 * Source: docs/spec.md AUCTION5, BUYER1.
 */
const chunkMax = 128

export class OrderedSet<T extends number | string> {
  private readonly chunks: T[][] = []
  private count = 0

  get size(): number {
    return this.count
  }

  /** Adds a value; `false` when it is there already. */
  add(value: T): boolean {
    const { chunks } = this
    const at = this.chunkOf(value)
    const chunk = chunks[at]
    if (chunk === undefined) {
      const last = chunks[at - 1]
      if (last !== undefined && last.length < chunkMax) last.push(value)
      else chunks.push([value])
    } else {
      const index = lowerBound(chunk, value)
      if (chunk[index] === value) return false
      chunk.splice(index, 0, value)
      if (chunk.length > chunkMax) chunks.splice(at + 1, 0, chunk.splice(chunkMax >> 1))
    }
    this.count++
    return true
  }

  /** Removes a value; `false` when it is not there. */
  delete(value: T): boolean {
    const { chunks } = this
    const at = this.chunkOf(value)
    const chunk = chunks[at]
    if (chunk === undefined) return false
    const index = lowerBound(chunk, value)
    if (chunk[index] !== value) return false
    chunk.splice(index, 1)
    this.count--
    if (chunk.length === 0) chunks.splice(at, 1)
    else if (!this.joinNext(at)) this.joinNext(at - 1)
    return true
  }

  has(value: T): boolean {
    const chunk = this.chunks[this.chunkOf(value)]
    return chunk !== undefined && chunk[lowerBound(chunk, value)] === value
  }

  /** The smallest value greater than `value`, or of all for `undefined`. */
  firstAfter(value: T | undefined): T | undefined {
    const { chunks } = this
    if (value === undefined) return chunks[0]?.[0]
    const at = this.chunkOf(value)
    const chunk = chunks[at]
    if (chunk === undefined) return undefined
    const index = lowerBound(chunk, value)
    if (chunk[index] !== value) return chunk[index]
    return index + 1 < chunk.length ? chunk[index + 1] : chunks[at + 1]?.[0]
  }

  /** Index of the first chunk whose last value is at or above `value`; the number of chunks when there is none. */
  private chunkOf(value: T): number {
    const { chunks } = this
    let low = 0
    let high = chunks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const chunk = chunks[middle] as T[]
      if ((chunk[chunk.length - 1] as T) < value) low = middle + 1
      else high = middle
    }
    return low
  }

  private joinNext(at: number): boolean {
    const chunk = this.chunks[at]
    const next = this.chunks[at + 1]
    if (chunk === undefined || next === undefined || (chunk.length + next.length) * 2 > chunkMax) return false
    for (const value of next) chunk.push(value)
    this.chunks.splice(at + 1, 1)
    return true
  }
}

function lowerBound<T extends number | string>(chunk: readonly T[], value: T): number {
  let low = 0
  let high = chunk.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((chunk[middle] as T) < value) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * The union of several sets after a value, in order, each value once, at most `limit` values.
 * O(limit × sets), whatever the sizes.
 */
export function mergeAfter<T extends number | string>(
  sets: readonly OrderedSet<T>[],
  after: T | undefined,
  limit: number,
): T[] {
  const heads = sets.map((set) => set.firstAfter(after))
  const merged: T[] = []
  while (merged.length < limit) {
    let least: T | undefined
    for (const head of heads) if (head !== undefined && (least === undefined || head < least)) least = head
    if (least === undefined) break
    merged.push(least)
    for (let i = 0; i < heads.length; i++)
      if (heads[i] === least) heads[i] = (sets[i] as OrderedSet<T>).firstAfter(least)
  }
  return merged
}
