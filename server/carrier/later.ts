/**
 * Holds work back until no callback of a carrier is running.
 *
 * uWebSockets.js ends the process when a socket is ended, or its subscriptions change, inside some of its callbacks.
 * Invariant: work runs in the order it was given, each in a turn of ours with no callback below it on the stack; work
 * that throws stops no other work. Source: docs/spec.md EDGE8.
 */
export class Later {
  readonly #fault: (error: unknown, where: string) => void
  #work: (() => void)[] = []
  #depth = 0

  constructor(fault: (error: unknown, where: string) => void) {
    this.#fault = fault
  }

  /** Whether a callback is running in which sockets must not be touched. */
  get isInside(): boolean {
    return this.#depth > 0
  }

  /** Runs a callback in which sockets must not be touched. */
  inside(callback: () => void): void {
    this.#depth += 1
    try {
      callback()
    } finally {
      this.#depth -= 1
    }
  }

  /** Runs the work in a later turn. */
  run(work: () => void): void {
    this.#work.push(work)
    if (this.#work.length === 1) setImmediate(() => this.#runAll())
  }

  #runAll(): void {
    const work = this.#work
    this.#work = []
    for (const one of work)
      try {
        one()
      } catch (error) {
        this.#fault(error, 'later')
      }
  }
}
