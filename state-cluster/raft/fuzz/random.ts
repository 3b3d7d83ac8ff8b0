/**
 * The random numbers of the driver, as a port, and the hash of a run.
 *
 * The generator is the caller's, since the core imports nothing: runtime/random.ts has this shape.
 *
 * Invariant: the hash depends on the integers and their order alone.
 *
 * Source: FNV-1a, in two lanes.
 */
export interface Random {
  /** A number in [0, 1). */
  unit(): number
  /** An integer in [0, bound); `bound` ≥ 1. */
  below(bound: number): number
  chance(probability: number): boolean
  /** One of the items, which must not be empty. */
  pick<T>(items: readonly T[]): T
}

/** Folds integers into 64 bits; equal sequences give equal hex. */
export class TraceHash {
  #low = 0x811c9dc5
  #high = 0x9747b28c

  add(value: number): void {
    const word = value | 0
    this.#low = Math.imul(this.#low ^ word, 0x01000193)
    this.#high = Math.imul(this.#high ^ (word + (this.#low >>> 15)), 0x85ebca6b)
  }

  /** 16 hexadecimal digits. */
  hex(): string {
    return [this.#high, this.#low].map((lane) => (lane >>> 0).toString(16).padStart(8, '0')).join('')
  }
}
