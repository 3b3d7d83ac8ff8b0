/**
 * The pauses between connection attempts: exponential backoff with jitter.
 * Each pause doubles up to a top, and half of it is random, so that a thousand clients that lost one server do not
 * return at one moment. Invariant: a pause is at least half of its step and at most the top. The one exception is
 * `soon`, at most 50 ms, for a client whose sound connection ended.
 */
import type { Random } from './ports.ts'

export interface BackoffOptions {
  /** First step. Default 250. */
  readonly baseMs: number
  /** Longest step. Default 15,000. */
  readonly topMs: number
}

export const defaultBackoff: BackoffOptions = { baseMs: 250, topMs: 15_000 }

const soonMsMax = 50

export class Backoff {
  readonly #options: BackoffOptions
  readonly #random: Random
  #attempt = 0

  constructor(options: BackoffOptions, random: Random) {
    this.#options = options
    this.#random = random
  }

  /** The wait before the next attempt, in ms. `isLate` begins with the longest step (the house is overloaded). */
  next(isLate = false): number {
    const { baseMs, topMs } = this.#options
    const step = isLate ? topMs : Math.min(topMs, baseMs * 2 ** Math.min(this.#attempt, 30))
    this.#attempt += 1
    return Math.round(step / 2 + (step / 2) * this.#random())
  }

  /** The wait before the first attempt after a connection that had held, in ms: short, and never twice in a row. */
  soon(): number {
    return Math.round(soonMsMax * this.#random())
  }

  reset(): void {
    this.#attempt = 0
  }
}
