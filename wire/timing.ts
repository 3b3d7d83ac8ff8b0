/**
 * Everything about time and chance that the transport and the cluster link need, handed in: so that the same
 * code runs on real sockets and in the simulator's virtual time. Invariant: nothing beside this file's
 * `systemTiming` reads a clock, sets a timer or draws a random number in these folders.
 */
import { type Clock, systemClock } from '../runtime/clock.ts'

export interface Timing {
  readonly clock: Clock
  /** Calls once, after everything that this turn of the event loop has to do: what was gathered leaves then. */
  readonly afterTurn: (run: () => void) => void
  /** A number from 0 (included) to 1 (excluded). Spreads reconnects; never decides anything. */
  readonly random: () => number
}

export const systemTiming: Timing = {
  clock: systemClock,
  afterTurn: (run) => {
    setImmediate(run)
  },
  random: Math.random,
}
