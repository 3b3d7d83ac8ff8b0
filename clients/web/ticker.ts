/**
 * One timer for everything on the page that changes with time.
 * Each entry draws itself at the server's time and returns in how many ms it changes again. Invariant: nothing is
 * drawn more often than it changes, and nothing at all while the page is hidden.
 */
import type { Clock } from '../core/index.ts'

/** Draws; returns in how many ms what it drew changes. */
export type Tick = (serverNowMs: number) => number

const tickMsMin = 40
const tickMsMax = 1_000

export class Ticker {
  readonly #clock: Clock
  readonly #serverNowMs: () => number
  readonly #isHidden: () => boolean
  readonly #ticks = new Set<Tick>()
  #cancel: (() => void) | undefined

  constructor(clock: Clock, serverNowMs: () => number, isHidden: () => boolean) {
    this.#clock = clock
    this.#serverNowMs = serverNowMs
    this.#isHidden = isHidden
  }

  /** Draws at once and from then on; returns how to stop. */
  add(tick: Tick): () => void {
    this.#ticks.add(tick)
    this.refresh()
    return () => {
      this.#ticks.delete(tick)
    }
  }

  /** Draws everything now: something else than time has changed, or the page is seen again. */
  refresh(): void {
    this.#cancel?.()
    this.#cancel = undefined
    if (this.#ticks.size === 0 || this.#isHidden()) return
    const nowMs = this.#serverNowMs()
    let nextMs = tickMsMax
    for (const tick of this.#ticks) nextMs = Math.min(nextMs, tick(nowMs))
    this.#cancel = this.#clock.setTimer(Math.max(tickMsMin, nextMs), () => this.refresh())
  }
}
