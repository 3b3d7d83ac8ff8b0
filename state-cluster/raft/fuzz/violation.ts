/**
 * The names of the checks, and the error of one that fails.
 *
 * The meaning of a name is explained where it is checked: invariants.ts, precautions.ts, episode.ts.
 * Invariant: every failed check throws a `Violation` that has one of these names.
 */

export type RuleName =
  | 'one leader a term'
  | 'log matching'
  | 'leader completeness'
  | 'state machine safety'
  | 'commit never goes back'
  | 'reads see commits'
  | 'one vote a term'
  | 'votes are kept'
  | 'leaders are elected'
  | 'own term commits'
  | 'commits are kept'
  | 'answers are kept'
  | 'promises settle'
  | 'progress'

/** A rule that does not hold, with the facts. */
export class Violation extends Error {
  override readonly name = 'Violation'
  readonly rule: RuleName

  constructor(rule: RuleName, facts: string) {
    super(`${rule}: ${facts}`)
    this.rule = rule
  }
}
