/**
 * Time and chance for the code that talks to other processes.
 *
 * They are passed in, so that the same code runs on real sockets and in the simulator's virtual time. Invariant: in
 * `wire/`, `state-cluster/peers` and `state-cluster/link` only `systemTiming` reads a clock, sets a timer or draws a
 * random number.
 */
import { randomBytes } from 'node:crypto'
import { type Clock, systemClock } from '../runtime/clock.ts'

export interface Timing {
  readonly clock: Clock
  /** Calls once, after this turn of the event loop: what was gathered leaves then. */
  readonly afterTurn: (run: () => void) => void
  /** A number from 0 (included) to 1 (excluded). Spreads reconnects; never decides anything. */
  readonly random: () => number
  /** So many fresh bytes that nobody can foresee. */
  readonly randomBytes: (length: number) => Uint8Array
}

export const systemTiming: Timing = {
  clock: systemClock,
  afterTurn: (run) => {
    setImmediate(run)
  },
  random: Math.random,
  randomBytes,
}
