/**
 * Seeds that once found something in production code, with what it was. Invariant: none is taken out; a run changes
 * with every change of the code under test, so a seed is a reminder of a kind of world, not a proof.
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
      'rows of a snapshot that was given up lay among those of the next, and the replica could never start again',
  },
  {
    seed: 73,
    minutes: 2,
    found: 'a follower whose disk was full took one snapshot after the other and lived on',
  },
  {
    seed: 28,
    minutes: 2,
    found:
      'a member that was away while others were let in could not answer one that led: it stayed behind for ever',
  },
  {
    seed: 32,
    minutes: 2,
    found:
      'a voter that was away while others were let in could not answer when they stood for election: nobody ever led',
  },
]
