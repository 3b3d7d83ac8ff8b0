/**
 * Notices when the disk or the event loop of a process stands still.
 *
 *   every 100 ms: was this timer late? has the empty commit of a while ago ended?
 *
 * Invariant: a stall is reported once, when it is over, with its length; the watch writes nothing and keeps one commit
 * in flight at most. What the process does about it is not its business. Source: docs/spec.md RARE1.
 */
import type { CancelTimer, Clock } from '../../runtime/clock.ts'

export const stallKinds = ['disk', 'loop'] as const
export type StallKind = (typeof stallKinds)[number]

export interface StallWatchOptions {
  readonly clock: Clock
  /** Resolves when everything written so far is durable. */
  readonly flushed: () => Promise<void>
  readonly stalled: (kind: StallKind, ms: number) => void
}

const everyMs = 100
/** From here on it is a stall. A commit takes a few milliseconds, a turn of the loop less. */
export const stallMs = 500

export class StallWatch {
  readonly #options: StallWatchOptions
  #cancel: CancelTimer | undefined
  #isFlushing = false

  constructor(options: StallWatchOptions) {
    this.#options = options
  }

  start(): void {
    const { clock } = this.#options
    const dueMs = clock.monotonicMs() + everyMs
    this.#cancel = clock.setTimer(everyMs, () => {
      this.#report('loop', clock.monotonicMs() - dueMs)
      this.#flush()
      this.start()
    })
  }

  stop(): void {
    this.#cancel?.()
  }

  #flush(): void {
    if (this.#isFlushing) return
    this.#isFlushing = true
    const { clock, flushed } = this.#options
    const beganMs = clock.monotonicMs()
    flushed().then(
      () => {
        this.#isFlushing = false
        this.#report('disk', clock.monotonicMs() - beganMs)
      },
      // The disk has failed, which ends the process, or the store is closed.
      () => undefined,
    )
  }

  #report(kind: StallKind, ms: number): void {
    if (ms >= stallMs) this.#options.stalled(kind, Math.round(ms))
  }
}
