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

/** The wait after `failures` (1, 2, 3 …) failed attempts, in ms. */
export function backoffMs({ baseMs, maxMs }: BackoffLimits, failures: number, random: () => number): number {
  return Math.min(maxMs, baseMs * 2 ** Math.min(failures - 1, 30)) * (0.5 + random() / 2)
}

/** Counts the attempts of one thing that is repeated. */
export class Backoff {
  readonly #limits: BackoffLimits
  readonly #random: () => number
  #attempts = 0

  constructor(limits: BackoffLimits, random: () => number) {
    this.#limits = limits
    this.#random = random
  }

  nextMs(): number {
    this.#attempts++
    return backoffMs(this.#limits, this.#attempts, this.#random)
  }

  /** The next wait is one at the bound: for a refusal, which only an operator can end. */
  atBound(): void {
    this.#attempts = 30
  }

  reset(): void {
    this.#attempts = 0
  }
}
