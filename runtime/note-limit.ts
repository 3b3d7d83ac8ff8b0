/**
 * Lets one note of a kind through in a while, and counts the others.
 *
 * For log lines that somebody else can cause as often as they like. Invariant: at most one note of a kind passes in
 * `everyMs`, and each that passes carries how many did not since the one before; memory is bounded by `kindsMax`.
 * Source: docs/spec.md LOG4.
 */
import type { Clock } from './clock.ts'

export interface NoteLimitOptions {
  readonly clock: Clock
  readonly everyMs: number
  /** Kinds that are remembered; beyond, all are forgotten. */
  readonly kindsMax: number
}

interface Noted {
  readonly atMs: number
  omitted: number
}

export class NoteLimit {
  readonly #options: NoteLimitOptions
  readonly #noted = new Map<string, Noted>()

  constructor(options: NoteLimitOptions) {
    this.#options = options
  }

  /** How many of this kind were held back since the last that passed; `undefined`: this one is held back too. */
  pass(kind: string): number | undefined {
    const { clock, everyMs, kindsMax } = this.#options
    const nowMs = clock.monotonicMs()
    const last = this.#noted.get(kind)
    if (last !== undefined && nowMs - last.atMs < everyMs) {
      last.omitted += 1
      return undefined
    }
    if (this.#noted.size >= kindsMax) this.#noted.clear()
    this.#noted.set(kind, { atMs: nowMs, omitted: 0 })
    return last?.omitted ?? 0
  }
}
