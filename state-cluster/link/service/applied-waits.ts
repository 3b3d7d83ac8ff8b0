/**
 * Waits until a group has applied an index, for a limited time.
 *
 * Invariant: each wait ends once, with whether the index was reached; the requests in flight bound their number.
 * Source: docs/spec.md LINK9.
 */
import type { Clock } from '../../../runtime/clock.ts'

interface Wait {
  readonly index: number
  readonly end: (reached: boolean) => void
}

export class AppliedWaits {
  readonly #clock: Clock
  readonly #waits = new Set<Wait>()
  #applied: number

  constructor(clock: Clock, applied: number) {
    this.#clock = clock
    this.#applied = applied
  }

  get applied(): number {
    return this.#applied
  }

  until(index: number, waitMs: number): Promise<boolean> {
    if (index <= this.#applied) return Promise.resolve(true)
    return new Promise((resolve) => {
      const wait: Wait = {
        index,
        end: (reached) => {
          cancel()
          this.#waits.delete(wait)
          resolve(reached)
        },
      }
      const cancel = this.#clock.setTimer(waitMs, () => wait.end(false))
      this.#waits.add(wait)
    })
  }

  reached(index: number): void {
    this.#applied = Math.max(this.#applied, index)
    for (const wait of [...this.#waits]) {
      if (wait.index <= this.#applied) wait.end(true)
    }
  }

  close(): void {
    for (const wait of [...this.#waits]) wait.end(false)
  }
}
