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
    found: 'a follower whose disk was full took one snapshot after the other and lived on',
  },
  {
    seed: 4,
    minutes: 1,
    found: 'a damaged event, read for a server, was an error that nobody handled',
  },
]
