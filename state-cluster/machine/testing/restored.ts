/**
 * Restores a state in one go, for tests that have nothing else to do meanwhile.
 *
 * Leaves the loading to restore.ts, which works in steps.
 *
 * Invariant: the steps are those of a replica, so a test loads rows in the way that production does.
 * Source: docs/spec.md HASH1, SNAP4.
 */
import type { Row } from '../changes.ts'
import type { Limits } from '../limits.ts'
import { restoring } from '../restore.ts'
import type { State } from '../state.ts'

/** Throws `CodecError` as `restoring` does. */
export function restored(rows: Iterable<Row>, limits?: Limits): State {
  const steps = restoring(rows, limits)
  let step = steps.next()
  while (step.done !== true) step = steps.next()
  return step.value
}
