/**
 * Finds divergence: replicas of a group with different state hashes at one index.
 * Invariant: a replica counts as divergent only when a majority of the voters agree on another hash than its own, so
 * that one damaged state stops one node, also where that node leads. A bounded number of indexes is remembered.
 * Source: docs/design.md; docs/spec.md GUARD1.
 */

/** Replicas send each other their hash as of every so many entries. */
export const hashEveryEntries = 256
/** Indexes that are remembered; older ones are compared no more. */
const indexesMax = 16

/** The state of this replica is not what the log makes. */
export class DivergenceError extends Error {
  override readonly name = 'DivergenceError'
  readonly code = 'state_differs'
  readonly retryable = false
}

export class Divergence {
  /** By index, in order of arrival; then by node. */
  readonly #reported = new Map<number, Map<number, string>>()

  report(nodeId: number, index: number, hash: string): void {
    let hashes = this.#reported.get(index)
    if (hashes === undefined) {
      hashes = new Map()
      this.#reported.set(index, hashes)
      for (const old of this.#reported.keys()) {
        if (this.#reported.size <= indexesMax) break
        this.#reported.delete(old)
      }
    }
    hashes.set(nodeId, hash)
  }

  isDivergent(self: number, index: number, voters: readonly number[]): boolean {
    const hashes = this.#reported.get(index)
    const own = hashes?.get(self)
    if (hashes === undefined || own === undefined) return false
    const counts = new Map<string, number>()
    for (const voter of voters) {
      const hash = hashes.get(voter)
      if (hash !== undefined && hash !== own) counts.set(hash, (counts.get(hash) ?? 0) + 1)
    }
    return [...counts.values()].some((count) => count > voters.length / 2)
  }
}
