/**
 * Runs all work that was deferred to the end of a turn, together.
 *
 * So the groups of a process give their writes to the store together, and share one transaction and one sync.
 * Invariant: work deferred in one turn runs in order, without anything in between; work that is deferred meanwhile
 * runs after the next turn.
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
