/**
 * How long to wait before the next attempt.
 *
 * The wait doubles from a base up to a bound; half of it is random, so that processes of a cluster that restarts do
 * not retry in step. Waiting is left to the caller. Invariant: a wait is from half the step to the step, and never
 * above the bound. Source: docs/spec.md PEER16, CLIENT3.
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
