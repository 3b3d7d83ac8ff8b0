/**
 * The one thread of a run: a queue of what falls due, in virtual time.
 *
 * Timers, disk, network and the turns of processes are all scheduled here.
 *
 * Invariant: the next step depends on the seed alone. Promises that can settle have settled before it, so the order
 * of microtasks is part of the run and real time is not.
 */
/** Waits until every promise that can settle has settled: one turn of the real event loop. */
export type SettlePromises = () => Promise<void>

interface Due {
  readonly atMs: number
  readonly ordinal: number
  run: (() => void) | undefined
}

/** Cancels a scheduled call; has no effect after the call, or the second time. */
export type Cancel = () => void

export class World {
  /** Virtual milliseconds since the beginning, with a fraction. */
  elapsedMs = 0
  /** Steps that have happened. */
  stepCount = 0
  readonly #settlePromises: SettlePromises
  readonly #onError: (error: unknown) => void
  /** A binary heap, by time and then by order of scheduling. */
  readonly #heap: Due[] = []
  #ordinal = 0
  #isStopped = false

  /** `onError` receives what a step throws. */
  constructor(settlePromises: SettlePromises, onError: (error: unknown) => void) {
    this.#settlePromises = settlePromises
    this.#onError = onError
  }

  /** Calls once, `delayMs` from now, never before this call returns. */
  schedule(delayMs: number, run: () => void): Cancel {
    this.#ordinal += 1
    const due: Due = { atMs: this.elapsedMs + Math.max(0, delayMs), ordinal: this.#ordinal, run }
    this.#push(due)
    return () => {
      due.run = undefined
    }
  }

  /** No further step happens: `runUntil` returns. */
  stop(): void {
    this.#isStopped = true
  }

  /** Runs all steps due until `endMs`. Afterwards `elapsedMs` is `endMs`, unless it was stopped. */
  async runUntil(endMs: number): Promise<void> {
    await this.#settlePromises()
    for (;;) {
      if (this.#isStopped) return
      const next = this.#heap[0]
      if (next === undefined || next.atMs > endMs) break
      this.#pop()
      const { run } = next
      if (run === undefined) continue
      this.elapsedMs = next.atMs
      this.stepCount += 1
      try {
        run()
      } catch (error) {
        this.#onError(error)
      }
      await this.#settlePromises()
    }
    this.elapsedMs = endMs
  }

  #push(due: Due): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(due)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(due, heap[parent] as Due)) break
      heap[at] = heap[parent] as Due
      at = parent
    }
    heap[at] = due
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop() as Due
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Due, heap[child] as Due)) child += 1
      if (!isBefore(heap[child] as Due, last)) break
      heap[at] = heap[child] as Due
      at = child
    }
    heap[at] = last
  }
}

function isBefore(a: Due, b: Due): boolean {
  return a.atMs === b.atMs ? a.ordinal < b.ordinal : a.atMs < b.atMs
}
