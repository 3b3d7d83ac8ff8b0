/**
 * House time as a server knows it, for what it says of the time.
 *
 * Deadlines are judged by stamps, so clients count down by stamps as well, whatever the wall clock of the server shows.
 * A pulse is answered with its stamp, which is late by the way of the answer: of the last pulses the one with the
 * shortest way counts. The conductor sends pulses.
 *
 * Invariant: durations and timers are those of the machine's clock; before the first pulse, so is the time of day.
 * Source: docs/spec.md TIME9, OWNER9.
 */
import type { CancelTimer, Clock } from '../../runtime/clock.ts'

/** Pulses that count: those of half a minute or less. */
const pulsesMax = 30
/** No answer comes so late: house time was shifted. */
const shiftMs = 10_000

export class HouseTime implements Clock {
  readonly #clock: Clock
  /** Stamps less the monotonic clock at their arrival, of the last pulses. */
  #offsets: readonly number[] = []
  #offsetMs: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A pulse was answered with this stamp, at `heardMs` of the monotonic clock. */
  stamped(stampMs: number, heardMs: number): void {
    const offsetMs = stampMs - heardMs
    const isShifted = this.#offsetMs !== undefined && offsetMs < this.#offsetMs - shiftMs
    this.#offsets = isShifted ? [offsetMs] : [...this.#offsets.slice(1 - pulsesMax), offsetMs]
    this.#offsetMs = Math.max(...this.#offsets)
  }

  nowMs(): number {
    return this.#offsetMs === undefined
      ? this.#clock.nowMs()
      : Math.round(this.#offsetMs + this.#clock.monotonicMs())
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs()
  }

  setTimer(delayMs: number, fire: () => void): CancelTimer {
    return this.#clock.setTimer(delayMs, fire)
  }
}
