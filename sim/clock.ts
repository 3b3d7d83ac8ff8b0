/**
 * The clocks of one host: wrong, too fast or slow, and sometimes reset.
 *
 * The host believes what it reads here. True time is the time of the world, which no code under test sees.
 *
 * Invariant: the monotonic clock never falls; the wall clock may do anything.
 */
import type { World } from './world.ts'

/** The true wall-clock time when a run begins (epoch ms): an arbitrary moment. */
export const beginningMs = 1_800_000_000_000

export class HostClock {
  readonly #world: World
  /** Seconds that it counts per true second. */
  readonly rate: number
  #skewMs: number
  #hasJumped = false

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

  /** How far it is from true time. */
  get errorMs(): number {
    return Math.abs(this.nowMs() - beginningMs - this.#world.elapsedMs)
  }

  /** The wall clock was set to a wrong time, and nobody has set it right. */
  get hasJumped(): boolean {
    return this.#hasJumped
  }

  /** The wall clock is set to another time. */
  jump(byMs: number): void {
    this.#hasJumped = true
    this.#skewMs += byMs
  }

  /** The wall clock is set to true time. */
  correct(): void {
    this.#hasJumped = false
    this.#skewMs = this.#world.elapsedMs * (1 - this.rate)
  }
}
