import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AssertionError } from './assert.ts'
import { NOT_APPENDED, RaftLog, UNKNOWN_TERM } from './log.ts'
import { MemoryStorage } from './memory-storage.ts'
import { entriesSize } from './sizes.ts'
import { entriesOfTerms } from './test-group.ts'
import { type Entry, NO_LIMIT, newConfState, type Snapshot } from './types.ts'

const snapshotAt = (index: number, term: number): Snapshot => ({
  data: Uint8Array.of(),
  metadata: { confState: newConfState([1]), index, term },
})

/** A log of these terms from index 1 on: some in storage, the rest unstable. */
function logOf(stable: readonly number[], unstable: readonly number[] = [], maxApplying = NO_LIMIT): RaftLog {
  const storage = new MemoryStorage()
  storage.append(entriesOfTerms(stable, 1))
  const log = new RaftLog(storage, maxApplying)
  for (const entry of entriesOfTerms(unstable, stable.length + 1)) log.append(entry)
  return log
}

const termsOf = (log: RaftLog): number[] =>
  (log.entries(log.firstIndex(), NO_LIMIT) ?? []).map(({ term }) => term)

/** Terms that never go down, as in any log. */
const terms = fc.array(fc.nat(2), { maxLength: 12 }).map((steps) => {
  let term = 1
  return steps.map((step) => {
    term += step === 2 ? 1 : 0
    return term
  })
})

describe('RaftLog.maybeAppend', () => {
  it.each([
    // previous (index, term), appended terms, leader's commit → last new index, log, commit
    ['the previous entry has another term', 3, 2, [4], 3, NOT_APPENDED, [1, 2, 3], 1],
    ['the previous entry is missing', 4, 3, [4], 3, NOT_APPENDED, [1, 2, 3], 1],
    ['nothing to append', 3, 3, [], 3, 3, [1, 2, 3], 3],
    ['the commit index goes only up to what is known to agree', 2, 2, [], 3, 2, [1, 2, 3], 2],
    ['commit never goes back', 3, 3, [], 0, 3, [1, 2, 3], 1],
    ['a new entry', 3, 3, [4], 4, 4, [1, 2, 3, 4], 4],
    ['a new entry, not committed', 3, 3, [4], 3, 4, [1, 2, 3, 4], 3],
    ['commit beyond what came', 3, 3, [4], 9, 4, [1, 2, 3, 4], 4],
    ['known and new entries', 1, 1, [2, 3, 4], 1, 4, [1, 2, 3, 4], 1],
    ['known entries only: what follows stays', 0, 0, [1, 2], 2, 2, [1, 2, 3], 2],
    ['a conflict: what follows goes', 1, 1, [4], 1, 2, [1, 4], 1],
    ['a conflict in the middle', 1, 1, [2, 4, 4], 3, 4, [1, 2, 4, 4], 3],
  ])('%s', (_name, index, term, appended, commit, lastNew, left, committed) => {
    for (const stableCount of [0, 1, 2, 3]) {
      const log = logOf([1, 2, 3].slice(0, stableCount), [1, 2, 3].slice(stableCount))
      log.commitTo(1)
      expect(log.maybeAppend(index, term, entriesOfTerms(appended, index + 1), commit)).toBe(lastNew)
      expect([termsOf(log), log.committed]).toEqual([left, committed])
    }
  })

  it('asserts that what is committed stays', () => {
    const log = logOf([1, 2, 3])
    log.commitTo(2)
    expect(() => log.maybeAppend(1, 1, entriesOfTerms([3], 2), 1)).toThrow(
      expect.objectContaining({ facts: { index: 2, committed: 2, term: 2, offered: 3 } }),
    )
    expect(termsOf(log)).toEqual([1, 2, 3])
  })

  it('asserts that entries are consecutive', () => {
    const log = logOf([1])
    expect(() => log.maybeAppend(1, 1, entriesOfTerms([1], 3), 0)).toThrow(AssertionError)
  })
})

describe('RaftLog.findConflictByTerm', () => {
  it('finds the highest index that may agree', () => {
    fc.assert(
      fc.property(terms, fc.nat(14), fc.integer({ min: 1, max: 8 }), (stored, index, term) => {
        const log = logOf(stored)
        const known = (at: number): number => (at > stored.length ? UNKNOWN_TERM : (stored[at - 1] ?? 0))
        let expected = index
        while (expected > 0 && known(expected) > term) expected--
        expect(log.findConflictByTerm(index, term)).toBe(expected)
      }),
    )
  })

  it('stops at what is compacted', () => {
    const log = new RaftLog(
      (() => {
        const storage = new MemoryStorage()
        storage.append(entriesOfTerms([1, 3, 3, 3], 1))
        storage.compact(2)
        return storage
      })(),
    )
    expect(log.findConflictByTerm(4, 2)).toBe(1)
    expect(log.term(1)).toBe(UNKNOWN_TERM)
  })
})

describe('RaftLog.slice', () => {
  it('gives the same whatever is stable, and cuts at the size', () => {
    const bounds = fc.tuple(fc.nat(12), fc.nat(12), fc.nat(12), fc.oneof(fc.nat(120), fc.constant(NO_LIMIT)))
    fc.assert(
      fc.property(terms, bounds, (all, [split, a, b, maxSize]) => {
        const log = logOf(all.slice(0, split), all.slice(split))
        const lo = Math.min(a, b, all.length) + 1
        const hi = Math.min(Math.max(a, b), all.length) + 1
        const entries = entriesOfTerms(all, 1).slice(lo - 1, hi - 1)
        let fitting: Entry[] = entries
        while (fitting.length > 1 && entriesSize(fitting) > maxSize) fitting = fitting.slice(0, -1)
        expect(log.slice(lo, hi, maxSize)).toEqual(fitting)
      }),
    )
  })

  it('gives null for compacted entries, and asserts that the rest is there', () => {
    const storage = new MemoryStorage()
    storage.append(entriesOfTerms([1, 1, 1], 1))
    storage.compact(2)
    const log = new RaftLog(storage)
    expect(log.slice(2, 4, NO_LIMIT)).toBeNull()
    expect(log.entries(2, NO_LIMIT)).toBeNull()
    expect(log.entries(4, NO_LIMIT)).toEqual([])
    expect(() => log.slice(3, 5, NO_LIMIT)).toThrow(AssertionError)
  })

  it('gives null when storage compacts by itself', () => {
    const storage = new MemoryStorage()
    storage.append(entriesOfTerms([1, 1, 1], 1))
    const log = new RaftLog(storage)
    storage.firstIndex = () => 1
    storage.compact(2)
    expect(log.slice(1, 3, NO_LIMIT)).toBeNull()
  })

  it('does not swallow a failing storage', () => {
    const storage = new MemoryStorage()
    storage.append(entriesOfTerms([1, 1], 1))
    const log = new RaftLog(storage)
    const broken = (): never => {
      throw new Error('disk')
    }
    storage.entries = broken
    storage.term = broken
    expect(() => log.slice(1, 3, NO_LIMIT)).toThrow('disk')
    expect(() => log.term(1)).toThrow('disk')
  })
})

describe('RaftLog.maybeCommit', () => {
  it('commits entries of the own term only, and those before along with them', () => {
    const log = logOf([1, 1, 2, 2])
    expect([log.maybeCommit(2, 2), log.committed]).toEqual([false, 0])
    expect([log.maybeCommit(3, 2), log.committed]).toEqual([true, 3])
    expect([log.maybeCommit(3, 2), log.maybeCommit(2, 1)]).toEqual([false, false])
    expect([log.maybeCommit(9, 2), log.maybeCommit(4, 0), log.committed]).toEqual([false, false, 3])
  })

  it('asserts that a commit is within the log', () => {
    const log = logOf([1, 1])
    log.commitTo(1)
    expect(() => log.commitTo(3)).toThrow(AssertionError)
    log.commitTo(0)
    expect(log.committed).toBe(1)
  })
})

describe('RaftLog.isUpToDate', () => {
  it.each([
    [4, 3, true],
    [3, 3, true],
    [2, 3, false],
    [1, 4, true],
    [9, 2, false],
  ])('(%i, term %i) against (3, term 3): %s', (index, term, isUpToDate) => {
    expect(logOf([1, 2], [3]).isUpToDate(index, term)).toBe(isUpToDate)
  })
})

describe('RaftLog and applying', () => {
  it('hands out committed entries once, and unstable ones only if allowed', () => {
    const log = logOf([1, 1], [1, 1])
    log.commitTo(3)
    expect(log.nextCommittedEnts(false).map(({ index }) => index)).toEqual([1, 2])
    expect(log.nextCommittedEnts(true).map(({ index }) => index)).toEqual([1, 2, 3])
    log.acceptApplying(3, 0, true)
    expect([log.hasNextCommittedEnts(true), log.nextCommittedEnts(true)]).toEqual([false, []])
  })

  it('waits when as many bytes are out as may be, until some are acknowledged', () => {
    const [entry] = entriesOfTerms([1], 1)
    const size = entriesSize([entry as Entry])
    const log = logOf([1, 1, 1, 1], [], 2 * size)
    log.commitTo(4)
    expect(log.nextCommittedEnts(false)).toHaveLength(2)
    log.acceptApplying(2, 2 * size, false)
    expect(log.hasNextCommittedEnts(false)).toBe(false)
    log.appliedTo(1, size)
    expect(log.nextCommittedEnts(false).map(({ index }) => index)).toEqual([3])
    log.acceptApplying(3, size, false)
    log.appliedTo(3, 2 * size)
    expect(log.nextCommittedEnts(false).map(({ index }) => index)).toEqual([4])
  })

  it('waits when the next entry did not fit, although there is room', () => {
    const [entry] = entriesOfTerms([1], 1)
    const size = entriesSize([entry as Entry])
    const log = logOf([1, 1, 1], [], 2 * size + 1)
    log.commitTo(3)
    const entries = log.nextCommittedEnts(false)
    log.acceptApplying(2, entriesSize(entries), false)
    expect([entries.length, log.hasNextCommittedEnts(false)]).toEqual([2, false])
  })

  it('waits for a snapshot to be installed', () => {
    const log = logOf([1, 1, 1])
    log.commitTo(1)
    log.restore(snapshotAt(9, 4))
    expect([log.committed, log.firstIndex(), log.lastIndex(), log.lastTerm()]).toEqual([9, 10, 9, 4])
    log.maybeAppend(9, 4, entriesOfTerms([4], 10), 10)
    expect([log.committed, log.hasNextCommittedEnts(true)]).toEqual([10, false])
    expect(log.snapshot().metadata.index).toBe(9)
    log.stableSnapTo(9)
    log.appliedTo(9, 0)
    expect(log.nextCommittedEnts(true).map(({ index }) => index)).toEqual([10])
  })

  it('asserts that applied goes up, and not beyond commit', () => {
    const log = logOf([1, 1, 1])
    log.commitTo(2)
    log.appliedTo(1, 0)
    expect(() => log.appliedTo(0, 0)).toThrow(AssertionError)
    expect(() => log.appliedTo(3, 0)).toThrow(AssertionError)
    expect(() => log.acceptApplying(3, 0, true)).toThrow(AssertionError)
    expect([log.applied, log.applying]).toEqual([1, 1])
  })
})

describe('RaftLog.scan', () => {
  it('goes through a range in pages, until the callback ends it', () => {
    const log = logOf([1, 1], [1, 1])
    const pages: number[][] = []
    const note = (page: readonly Entry[]): boolean => pages.push(page.map(({ index }) => index)) > 0
    log.scan(1, 5, 0, note)
    expect(pages).toEqual([[1], [2], [3], [4]])
    pages.length = 0
    log.scan(2, 4, NO_LIMIT, note)
    expect(pages).toEqual([[2, 3]])
    let count = 0
    log.scan(1, 5, 0, () => ++count < 2)
    expect(count).toBe(2)
  })
})
