/**
 * One go for all that is left for after a turn. Invariant: what was asked for in one turn runs in order, without
 * anything in between; what is asked for meanwhile runs after the next turn. So the groups of a process hand
 * their writes to the store together, and they share one transaction and one sync.
 */
import type { Timing } from '../../wire/timing.ts'

/** The timing with an `afterTurn` that gathers. What throws in it ends the process, as in any timer. */
export function gatherTurns(timing: Timing): Timing {
  let waiting: (() => void)[] = []
  const runAll = (): void => {
    const now = waiting
    waiting = []
    for (const run of now) run()
  }
  return {
    ...timing,
    afterTurn(run) {
      if (waiting.length === 0) timing.afterTurn(runAll)
      waiting.push(run)
    },
  }
}
