/**
 * Counts work in progress, so that a drain can wait for zero.
 *
 * Invariant: each `add` has exactly one `remove`. Source: docs/spec.md FLOW10.
 */
import type { Clock } from '../runtime/clock.ts'

export class Tally {
  readonly #clock: Clock
  #count = 0
  readonly #waiters = new Set<() => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get count(): number {
    return this.#count
  }

  add(): void {
    this.#count += 1
  }

  remove(): void {
    this.#count -= 1
    if (this.#count > 0) return
    for (const end of this.#waiters) end()
  }

  /** Resolves when the count is zero, or after `ms`. */
  async untilZero(ms: number): Promise<void> {
    if (this.#count === 0 || ms === 0) return
    await new Promise<void>((resolve) => {
      const end = (): void => {
        cancel()
        this.#waiters.delete(end)
        resolve()
      }
      const cancel = this.#clock.setTimer(ms, end)
      this.#waiters.add(end)
    })
  }
}
