import { describe, expect, it } from 'vitest'
import { AssertionError } from './assert.ts'
import { entriesOfTerms } from './test-group.ts'
import { NO_LIMIT, newConfState, type Snapshot } from './types.ts'
import { UNKNOWN_TERM, Unstable } from './unstable.ts'

const snapshotAt = (index: number, term: number): Snapshot => ({
  data: Uint8Array.of(),
  metadata: { confState: newConfState([1]), index, term },
})

/** Entries of these terms from index 5 on, the first `inProgress` of them being written. */
function unstable(terms: readonly number[], inProgress = 0): Unstable {
  const u = new Unstable(5)
  const entries = entriesOfTerms(terms, 5)
  if (inProgress > 0) {
    u.truncateAndAppend(entries.slice(0, inProgress), 0)
    u.acceptInProgress()
  }
  if (entries.length > inProgress) u.truncateAndAppend(entries, inProgress)
  return u
}

const indexes = (u: Unstable): number[] =>
  u.length === 0 ? [] : u.slice(u.offset, u.offset + u.length, NO_LIMIT).map(({ index }) => index)

describe('Unstable', () => {
  it('knows its bounds from entries, else from a snapshot, else not at all', () => {
    expect([new Unstable(5).maybeFirstIndex(), new Unstable(5).maybeLastIndex()]).toEqual([-1, -1])
    expect([unstable([1, 1]).maybeFirstIndex(), unstable([1, 1]).maybeLastIndex()]).toEqual([-1, 6])
    const u = unstable([1])
    u.restore(snapshotAt(8, 3))
    expect([u.maybeFirstIndex(), u.maybeLastIndex(), u.offset, u.length]).toEqual([9, 8, 9, 0])
    u.truncateAndAppend(entriesOfTerms([3], 9), 0)
    expect([u.maybeFirstIndex(), u.maybeLastIndex()]).toEqual([9, 9])
  })

  it('knows the terms of its entries and of its snapshot', () => {
    const u = unstable([1, 2])
    expect([4, 5, 6, 7].map((index) => u.maybeTerm(index))).toEqual([UNKNOWN_TERM, 1, 2, UNKNOWN_TERM])
    u.restore(snapshotAt(8, 3))
    expect([7, 8, 9].map((index) => u.maybeTerm(index))).toEqual([UNKNOWN_TERM, 3, UNKNOWN_TERM])
  })

  it('hands out what is not being written yet, once', () => {
    const u = unstable([1, 1, 1], 2)
    expect(u.nextEntries().map(({ index }) => index)).toEqual([7])
    u.acceptInProgress()
    expect([u.nextEntries().length, u.hasNextEntries()]).toEqual([0, false])
    u.restore(snapshotAt(8, 3))
    expect(u.nextSnapshot()?.metadata.index).toBe(8)
    u.acceptInProgress()
    expect([u.nextSnapshot(), u.snapshot?.metadata.index]).toEqual([null, 8])
  })

  it.each([
    // index, term → what is left
    [5, 1, [6, 7]],
    [7, 2, []],
    [4, 1, [5, 6, 7]],
    [8, 2, [5, 6, 7]],
    [6, 1, [5, 6, 7]],
  ])(
    'lets go of what is stable up to %i of term %i, if that is what is here: %j left',
    (index, term, left) => {
      const u = unstable([1, 2, 2], 3)
      u.stableTo(index, term)
      expect(indexes(u)).toEqual(left)
    },
  )

  it('moves the writes in progress along when stable entries were never handed out', () => {
    const u = unstable([1, 1, 1])
    u.stableTo(6, 1)
    expect([u.offset, u.offsetInProgress]).toEqual([7, 7])
    expect(u.nextEntries().map(({ index }) => index)).toEqual([7])
  })

  it('ignores a stable index that only its snapshot has', () => {
    const u = unstable([])
    u.restore(snapshotAt(8, 3))
    u.stableTo(8, 3)
    expect([u.offset, u.snapshot?.metadata.index]).toEqual([9, 8])
  })

  it('lets go of the snapshot that was installed, and of no other', () => {
    const u = unstable([])
    u.restore(snapshotAt(8, 3))
    u.acceptInProgress()
    u.stableSnapTo(7)
    expect(u.snapshot).not.toBeNull()
    u.stableSnapTo(8)
    expect([u.snapshot, u.snapshotInProgress]).toEqual([null, false])
  })

  it.each([
    // first index appended, entries being written → offset, being written up to, indexes
    [8, 2, 5, 7, [5, 6, 7, 8]],
    [7, 3, 5, 7, [5, 6, 7]],
    [6, 3, 5, 6, [5, 6]],
    [5, 3, 5, 5, [5]],
    [3, 3, 3, 3, [3]],
    [6, 1, 5, 6, [5, 6]],
  ])('an append at %i with %i being written', (first, inProgress, offset, offsetInProgress, left) => {
    const u = unstable([1, 1, 1], inProgress)
    u.truncateAndAppend(entriesOfTerms([9], first), 0)
    expect([u.offset, u.offsetInProgress, indexes(u)]).toEqual([offset, offsetInProgress, left])
    expect(u.maybeTerm(first)).toBe(9)
  })

  it('asserts that a slice lies within', () => {
    const u = unstable([1, 1])
    for (const [lo, hi] of [
      [4, 6],
      [5, 8],
      [6, 6],
    ] as const) {
      expect(() => u.slice(lo, hi, NO_LIMIT)).toThrow(AssertionError)
    }
  })
})
