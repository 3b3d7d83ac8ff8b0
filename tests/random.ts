/**
 * Random numbers with a seed, for tests.
 *
 * Invariant: equal seeds give equal numbers; the seed goes into the title or the message, so that a failure can be
 * repeated.
 */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    // mulberry32: short, and good enough to choose moments and amounts.
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
