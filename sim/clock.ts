/**
 * The clocks of one host: wrong by a while, too fast or too slow, and set anew now and then. Invariant: the
 * monotonic clock never falls; the wall clock may do anything. What is read here is what the host believes; what is
 * true is the world's time, which no code under test sees.
 */
import type { World } from './world.ts'

/** The true wall-clock time when a run begins (epoch ms): an arbitrary moment. */
export const beginningMs = 1_800_000_000_000

export class HostClock {
  readonly #world: World
  /** Seconds that it counts per true second. */
  readonly rate: number
  #skewMs: number

  constructor(world: World, skewMs: number, rate: number) {
    this.#world = world
    this.#skewMs = skewMs
    this.rate = rate
  }

  nowMs(): number {
    return Math.floor(beginningMs + this.#skewMs + this.#world.elapsedMs * this.rate)
  }

  monotonicMs(): number {
    return this.#world.elapsedMs * this.rate
  }

  /** Somebody sets the clock. */
  jump(byMs: number): void {
    this.#skewMs += byMs
  }

  /** Somebody sets it right. */
  correct(): void {
    this.#skewMs = this.#world.elapsedMs * (1 - this.rate)
  }
}
