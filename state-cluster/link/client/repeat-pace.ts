/**
 * When commands may go back to a leader that did not take or answer them.
 *
 *   open ──trouble──► closed for a pause ──pause over──► one attempt ──answered──► the next one at once
 *                            ▲                                └──trouble──┘ (a longer pause)
 *
 * Open, everything may be sent. Invariant: while it is closed, one attempt at most is open, and the pauses between
 * attempts that failed grow, spread by chance, until the leader or its term is another one or nothing is left to
 * repeat. Source: docs/spec.md LINK13.
 */
import { Backoff } from '../../../runtime/backoff.ts'
import type { CancelTimer } from '../../../runtime/clock.ts'
import type { Timing } from '../../../wire/timing.ts'

const pauses = { baseMs: 20, maxMs: 500 }

export class RepeatPace<Attempt> {
  readonly #timing: Timing
  readonly #backoff: Backoff
  readonly #ready: () => void
  #isOpen = true
  #attempt: Attempt | undefined
  #cancelPause: CancelTimer | undefined

  /** `ready` is called when a pause is over. */
  constructor(timing: Timing, ready: () => void) {
    this.#timing = timing
    this.#backoff = new Backoff(pauses, timing.random)
    this.#ready = ready
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Closed, but one attempt may be made now. */
  get mayTry(): boolean {
    return this.#attempt === undefined && this.#cancelPause === undefined
  }

  /** While it is closed, this is the one attempt. */
  tries(attempt: Attempt): void {
    this.#attempt = attempt
  }

  /** An attempt failed. What was sent before it closed says nothing new. */
  trouble(attempt: Attempt): void {
    if (!this.#isOpen && attempt !== this.#attempt) return
    this.#isOpen = false
    this.#attempt = undefined
    this.#cancelPause?.()
    this.#cancelPause = this.#timing.clock.setTimer(this.#backoff.nextMs(), () => {
      this.#cancelPause = undefined
      this.#ready()
    })
  }

  /** The leader took and answered the attempt. */
  answered(attempt: Attempt): void {
    if (attempt === this.#attempt) this.#attempt = undefined
  }

  /** Another leader, another term, or nothing left to repeat. */
  open(): void {
    this.#isOpen = true
    this.#attempt = undefined
    this.#backoff.reset()
    this.#cancelPause?.()
    this.#cancelPause = undefined
  }
}
