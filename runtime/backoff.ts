/**
 * How long to wait before the next attempt: doubling from a base up to a bound, spread by chance, so that a
 * cluster that restarts does not knock in step. Invariant: from half the step to the step, never above the bound.
 */

export interface BackoffLimits {
  readonly baseMs: number
  readonly maxMs: number
}

export class Backoff {
  readonly #limits: BackoffLimits
  readonly #random: () => number
  #attempts = 0

  constructor(limits: BackoffLimits, random: () => number) {
    this.#limits = limits
    this.#random = random
  }

  nextMs(): number {
    const stepMs = Math.min(this.#limits.maxMs, this.#limits.baseMs * 2 ** Math.min(this.#attempts, 30))
    this.#attempts++
    return stepMs * (0.5 + this.#random() / 2)
  }

  /** The next wait is one at the bound: for a refusal, which only an operator can end. */
  atBound(): void {
    this.#attempts = 30
  }

  reset(): void {
    this.#attempts = 0
  }
}
