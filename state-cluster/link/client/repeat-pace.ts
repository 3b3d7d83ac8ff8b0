/**
 * Decides when commands may be sent again to a leader in trouble.
 *
 *   open ──trouble──► closed for a pause ──pause over──► one attempt ──answered──► the next one at once
 *                            ▲                                └──trouble──┘ (a longer pause)
 *
 * While it is open, everything may be sent; sending is left to retry-queue.ts. Invariant: while it is closed, at most
 * one attempt is in progress, and the pauses after failed attempts grow, with jitter, until the leader or its term
 * changes or nothing is left to repeat. Source: docs/spec.md LINK13.
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

  /** Registers the one attempt while it is closed. */
  tries(attempt: Attempt): void {
    this.#attempt = attempt
  }

  /** An attempt failed. Attempts from before it closed are ignored. */
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
