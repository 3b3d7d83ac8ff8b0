/**
 * Seeded random numbers, for runs that can be repeated.
 *
 * Simulator, drivers, drills and tests draw from it. Production code takes `random: () => number` as a port instead.
 * Invariant: the same seeds give the same numbers, on any platform and engine: 32-bit integer arithmetic only. Kept
 * seeds of the simulator depend on this stream.
 *
 * Source: sfc32 (Chris Doty-Humphrey, PractRand), seeded through splitmix32.
 */

/** A generator with 128 bits of state. Not for secrets. */
export class Random {
  #a: number
  #b: number
  #c: number
  #counter = 1

  /** `seeds` are integers; their low 32 bits count, and any of them changes everything. */
  constructor(...seeds: readonly number[]) {
    let state = 0x9e3779b9
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0
      let z = state
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
      return z ^ (z >>> 16)
    }
    for (const seed of seeds) {
      state = (state ^ seed ^ Math.floor(seed / 2 ** 32)) | 0
      state = next()
    }
    this.#a = next()
    this.#b = next()
    this.#c = next()
    for (let i = 0; i < 12; i++) this.bits()
  }

  /** An integer in [0, 2^32). */
  bits(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** A number in [0, 1). */
  unit(): number {
    return this.bits() / 2 ** 32
  }

  /** An integer in [0, bound); `bound` ≥ 1. */
  below(bound: number): number {
    return Math.floor(this.unit() * bound)
  }

  chance(probability: number): boolean {
    return this.unit() < probability
  }

  /** One of the items, which must not be empty. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }
}
