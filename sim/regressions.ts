/**
 * Seeds that once found a defect in production code, with what it was.
 *
 * A run changes with every change of the code under test, so a seed is a reminder of a kind of world, not a proof.
 *
 * Invariant: no seed is removed.
 */
export interface Regression {
  readonly seed: number
  readonly minutes: number
  readonly found: string
}

export const regressions: readonly Regression[] = [
  {
    seed: 53,
    minutes: 2,
    found:
      'rows of an abandoned snapshot stayed among those of the next, and the replica could never start again',
  },
  {
    seed: 73,
    minutes: 2,
    found: 'a follower whose disk was full received one snapshot after the other and did not end',
  },
  {
    seed: 28,
    minutes: 2,
    found:
      'a member that was away while others were added could not answer a leader among them, and never caught up',
  },
  {
    seed: 32,
    minutes: 2,
    found:
      'a voter that was away while others were added could not answer them as candidates, and no leader was elected',
  },
  {
    seed: 421,
    minutes: 2,
    found:
      'a server that left a node and came back took the batches of its earlier subscription, and missed those between',
  },
]
