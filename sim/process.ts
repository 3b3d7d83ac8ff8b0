/**
 * One process on a host: it runs while it lives and is not paused.
 *
 * Its `timing` is the only time and chance that the code under test gets.
 *
 * Invariant: after `kill` nothing of it runs; while it is paused (SIGSTOP), everything that falls due waits, and
 * happens in order when it resumes.
 */
import type { CancelTimer } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import type { Timing } from '../wire/timing.ts'
import type { HostClock } from './clock.ts'
import type { World } from './world.ts'

export class Process {
  readonly name: string
  readonly timing: Timing
  isAlive = true
  isPaused = false
  readonly #world: World
  readonly #held: (() => void)[] = []

  constructor(world: World, name: string, host: HostClock, random: Random) {
    this.#world = world
    this.name = name
    this.timing = {
      clock: {
        nowMs: () => host.nowMs(),
        monotonicMs: () => host.monotonicMs(),
        setTimer: (delayMs, fire) => this.after(delayMs / host.rate, fire),
      },
      afterTurn: (run) => {
        this.after(0, run)
      },
      random: () => random.unit(),
      randomBytes: (length) => Uint8Array.from({ length }, () => Math.floor(random.unit() * 256)),
    }
  }

  /** Calls in this process, `delayMs` of true time from now. */
  after(delayMs: number, run: () => void): CancelTimer {
    let isCancelled = false
    const cancel = this.#world.schedule(delayMs, () => {
      if (!isCancelled) this.enter(() => isCancelled || run())
    })
    return () => {
      isCancelled = true
      cancel()
    }
  }

  /** Runs now in this process, or when it resumes; never when it was killed. */
  enter(run: () => void): void {
    if (!this.isAlive) return
    if (this.isPaused) this.#held.push(run)
    else run()
  }

  kill(): void {
    this.isAlive = false
    this.#held.length = 0
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    const held = this.#held.splice(0)
    for (const run of held) this.after(0, run)
  }
}
