/**
 * Time as a port: the time of day, durations, and timers.
 *
 * Code that takes a `Clock` runs unchanged on the machine's clock in production and on a `ManualClock` in tests and in
 * the simulator. Invariant: `monotonicMs` never falls; `nowMs` may jump when the machine's clock is set. Source:
 * docs/spec.md CLOCK1 to CLOCK6.
 */
import { setMaxListeners } from 'node:events'
import { assert } from './assert.ts'

/** Stops a timer that has not fired yet; afterwards, and the second time, it does nothing. */
export type CancelTimer = () => void

export interface Clock {
  /** Epoch milliseconds, an integer. May jump either way. */
  nowMs(): number
  /** Milliseconds since some fixed moment, with a fraction. Never falls: measure durations with it. */
  monotonicMs(): number
  /** Calls once, `delayMs` (0 to 2^31−1; more is cut to that) from now, never before this call returns. */
  setTimer(delayMs: number, fire: () => void): CancelTimer
}

/** Beyond this, setTimeout fires at once instead. */
const delayMsMax = 2 ** 31 - 1

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, fire) {
    const timer = setTimeout(fire, Math.min(Math.max(0, delayMs), delayMsMax))
    return () => clearTimeout(timer)
  },
}

/** Resolves `ms` from now, or as soon as `signal` is aborted. */
export function sleep(clock: Pick<Clock, 'setTimer'>, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve()
    const end = (): void => {
      cancel()
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const cancel = clock.setTimer(ms, end)
    if (signal === undefined) return
    // Many may sleep under one signal: that is no leak, which Node would warn of from the eleventh.
    setMaxListeners(0, signal)
    signal.addEventListener('abort', end)
  })
}

interface PendingTimer {
  readonly dueMs: number
  readonly ordinal: number
  readonly fire: () => void
}

/** A clock that stands still until it is moved. Timers fire in order of due time, then of creation. */
export class ManualClock implements Clock {
  #nowMs: number
  #elapsedMs = 0
  #ordinal = 0
  readonly #timers = new Map<number, PendingTimer>()

  constructor(nowMs = 1_800_000_000_000) {
    this.#nowMs = nowMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#elapsedMs
  }

  setTimer(delayMs: number, fire: () => void): CancelTimer {
    this.#ordinal += 1
    const ordinal = this.#ordinal
    const dueMs = this.#elapsedMs + Math.min(Math.max(0, delayMs), delayMsMax)
    this.#timers.set(ordinal, { dueMs, ordinal, fire })
    return () => {
      this.#timers.delete(ordinal)
    }
  }

  /** Timers that wait to fire. */
  get timerCount(): number {
    return this.#timers.size
  }

  /** Moves time on by `ms` and fires what falls due on the way, each at its own moment. */
  advance(ms: number): void {
    assert(ms >= 0, 'a clock is advanced forwards')
    const endMs = this.#elapsedMs + ms
    for (;;) {
      const next = this.#nextUpTo(endMs)
      if (next === undefined) break
      this.#timers.delete(next.ordinal)
      this.#move(next.dueMs)
      next.fire()
    }
    this.#move(endMs)
  }

  /** Sets the wall clock, as an operator or NTP does: timers and durations do not notice. */
  jump(byMs: number): void {
    this.#nowMs += byMs
  }

  #move(elapsedMs: number): void {
    this.#nowMs += elapsedMs - this.#elapsedMs
    this.#elapsedMs = elapsedMs
  }

  #nextUpTo(endMs: number): PendingTimer | undefined {
    let next: PendingTimer | undefined
    for (const timer of this.#timers.values()) {
      if (timer.dueMs > endMs) continue
      if (next === undefined || timer.dueMs < next.dueMs) next = timer
    }
    return next
  }
}
