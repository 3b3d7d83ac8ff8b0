/**
 * The contract suite of `Storage`, for any test runner.
 *
 * ```ts
 *   for (const { name, run } of storageContract(make)) it(name, run)
 * ```
 *
 * Invariant: a case builds what it needs by itself, from a fresh storage, and ends in an AssertionError if
 * the storage breaks a rule. Crashes, and what is durable when, are the implementations' own tests.
 */
import { assert } from './assert.ts'
import { StorageError, type StorageErrorCode } from './errors.ts'
import { entriesSize, entrySize } from './sizes.ts'
import type { Storage } from './storage.ts'
import { type Entry, type HardState, NO_LIMIT, newConfState, type Snapshot } from './types.ts'

/** A storage together with what its owner does to it. Each call has taken effect when it returns or resolves. */
export interface StorageUnderTest {
  readonly storage: Storage
  /** Appends consecutive entries, overwriting from the first one's index on. */
  append(entries: readonly Entry[]): void | Promise<void>
  setHardState(state: HardState): void | Promise<void>
  /** Replaces log and snapshot by what came from a leader. */
  applySnapshot(snapshot: Snapshot): void | Promise<void>
  /** Takes a snapshot of the state machine, with these bytes, as of an entry of the log. */
  createSnapshot(index: number, data: Uint8Array): void | Promise<void>
  /** Drops the entries up to and including `index`. */
  compact(index: number): void | Promise<void>
  release(): void | Promise<void>
}

export interface ContractCase {
  readonly name: string
  readonly run: () => Promise<void>
}

const VOTERS = newConfState([1, 2, 3])

/** The cases, with a fresh storage from `make` for each. */
export function storageContract(make: () => StorageUnderTest | Promise<StorageUnderTest>): ContractCase[] {
  return Object.entries(cases).map(([name, body]) => ({
    name,
    run: async () => {
      const under = await make()
      try {
        await body(under)
      } finally {
        await under.release()
      }
    },
  }))
}

const cases: Readonly<Record<string, (under: StorageUnderTest) => Promise<void>>> = {
  'a new storage is an empty log from index 1, and no state': async ({ storage }) => {
    const { hardState, confState } = storage.initialState()
    equal('hard state', [hardState.term, hardState.vote, hardState.commit], [0, 0, 0])
    equal('voters', confState.voters, [])
    equal('first and last', [storage.firstIndex(), storage.lastIndex()], [1, 0])
    equal('the term before the log', storage.term(0), 0)
    refuses('unavailable', () => storage.term(1))
    refuses('compacted', () => storage.entries(0, 1, NO_LIMIT))
  },

  'hard state and configuration are read back': async (under) => {
    await under.applySnapshot(snapshotAt(3, 2))
    await under.setHardState({ term: 5, vote: 2, commit: 3 })
    const { hardState, confState } = under.storage.initialState()
    equal('hard state', [hardState.term, hardState.vote, hardState.commit], [5, 2, 3])
    equal('voters', confState.voters, VOTERS.voters)
  },

  'terms are known from the entry before the first to the last': async (under) => {
    await seed(under)
    const { storage } = under
    equal(
      'terms',
      [3, 4, 5, 6].map((index) => storage.term(index)),
      [2, 2, 3, 4],
    )
    refuses('compacted', () => storage.term(2))
    refuses('unavailable', () => storage.term(7))
  },

  'entries are given from the first to the last, in order and as they were': async (under) => {
    await seed(under)
    const { storage } = under
    equal('first and last', [storage.firstIndex(), storage.lastIndex()], [4, 6])
    equal('all', describe(storage.entries(4, 7, NO_LIMIT)), ['2/4 4', '3/5 5', '4/6 6'])
    equal('some', describe(storage.entries(5, 6, NO_LIMIT)), ['3/5 5'])
    refuses('compacted', () => storage.entries(3, 5, NO_LIMIT))
    breaks(() => storage.entries(5, 8, NO_LIMIT))
  },

  'entries are cut to a size, but never to none': async (under) => {
    await seed(under)
    const { storage } = under
    const all = storage.entries(4, 7, NO_LIMIT)
    const two = entriesSize(all.slice(0, 2))
    equal('nothing fits', describe(storage.entries(4, 7, 0)), ['2/4 4'])
    equal('one fits', storage.entries(4, 7, entrySize(all[0] as Entry)).length, 1)
    equal('two less a byte', storage.entries(4, 7, two - 1).length, 1)
    equal('two', storage.entries(4, 7, two).length, 2)
    equal('all', storage.entries(4, 7, entriesSize(all)).length, 3)
  },

  'what was handed out does not change': async (under) => {
    await seed(under)
    const before = under.storage.entries(4, 7, NO_LIMIT)
    await under.append([entry(5, 9), entry(6, 9)])
    await under.compact(4)
    equal('the slice', describe(before), ['2/4 4', '3/5 5', '4/6 6'])
  },

  'an append continues at the end': async (under) => {
    await seed(under)
    await under.append([entry(7, 4), entry(8, 5)])
    equal('last', under.storage.lastIndex(), 8)
    equal(
      'terms',
      [6, 7, 8].map((index) => under.storage.term(index)),
      [4, 4, 5],
    )
  },

  'an append in the middle replaces all that follows': async (under) => {
    await seed(under)
    await under.append([entry(5, 8)])
    equal('log', describe(under.storage.entries(4, 6, NO_LIMIT)), ['2/4 4', '8/5 5'])
    equal('last', under.storage.lastIndex(), 5)
    refuses('unavailable', () => under.storage.term(6))
  },

  'an append of what is compacted keeps only the rest': async (under) => {
    await seed(under)
    await under.compact(5)
    await under.append([entry(4, 2), entry(5, 3), entry(6, 7), entry(7, 7)])
    equal('first and last', [under.storage.firstIndex(), under.storage.lastIndex()], [6, 7])
    equal('log', describe(under.storage.entries(6, 8, NO_LIMIT)), ['7/6 6', '7/7 7'])
    await under.append([entry(4, 2), entry(5, 3)])
    equal('log after old news', describe(under.storage.entries(6, 8, NO_LIMIT)), ['7/6 6', '7/7 7'])
  },

  'an append of nothing does nothing': async (under) => {
    await seed(under)
    await under.append([])
    equal('last', under.storage.lastIndex(), 6)
  },

  'a compaction drops what it says, and keeps the term of its end': async (under) => {
    await seed(under)
    await under.compact(5)
    const { storage } = under
    equal('first and last', [storage.firstIndex(), storage.lastIndex()], [6, 6])
    equal(
      'terms',
      [5, 6].map((index) => storage.term(index)),
      [3, 4],
    )
    refuses('compacted', () => storage.term(4))
    refuses('compacted', () => storage.entries(5, 7, NO_LIMIT))
    equal('the rest', describe(storage.entries(6, 7, NO_LIMIT)), ['4/6 6'])
  },

  'a log that is compacted to its end continues from there': async (under) => {
    await seed(under)
    await under.compact(6)
    const { storage } = under
    equal('first and last', [storage.firstIndex(), storage.lastIndex()], [7, 6])
    equal('the last term', storage.term(6), 4)
    refuses('unavailable', () => storage.entries(7, 7, NO_LIMIT))
    await under.append([entry(7, 5)])
    equal('log', describe(storage.entries(7, 8, NO_LIMIT)), ['5/7 7'])
  },

  'a snapshot is the latest that was taken, with its term and configuration': async (under) => {
    await seed(under)
    await under.createSnapshot(5, Uint8Array.of(7, 7))
    const { data, metadata } = under.storage.snapshot()
    equal('metadata', [metadata.index, metadata.term], [5, 3])
    equal('voters', metadata.confState.voters, VOTERS.voters)
    equal('data', [...data], [7, 7])
    equal('the log stays', [under.storage.firstIndex(), under.storage.lastIndex()], [4, 6])
  },

  'a snapshot from a leader replaces the log': async (under) => {
    await seed(under)
    await under.applySnapshot(snapshotAt(9, 6))
    const { storage } = under
    equal('first and last', [storage.firstIndex(), storage.lastIndex()], [10, 9])
    equal('its term', storage.term(9), 6)
    equal('its index', storage.snapshot().metadata.index, 9)
    refuses('compacted', () => storage.term(6))
    refuses('unavailable', () => storage.term(10))
    await under.append([entry(10, 6)])
    equal('log', describe(storage.entries(10, 11, NO_LIMIT)), ['6/10 10'])
  },
}

/** A snapshot at (3, term 2), then entries 4, 5, 6 of the terms 2, 3, 4. */
async function seed(under: StorageUnderTest): Promise<void> {
  await under.applySnapshot(snapshotAt(3, 2))
  await under.append([entry(4, 2), entry(5, 3), entry(6, 4)])
}

function entry(index: number, term: number): Entry {
  return { type: 'EntryNormal', term, index, data: Uint8Array.of(index) }
}

function snapshotAt(index: number, term: number): Snapshot {
  return { data: Uint8Array.of(index), metadata: { confState: VOTERS, index, term } }
}

function describe(entries: readonly Entry[]): string[] {
  return entries.map(({ term, index, data }) => `${term}/${index} ${data.join(' ')}`)
}

function equal(what: string, got: unknown, expected: unknown): void {
  assert(JSON.stringify(got) === JSON.stringify(expected), `${what} is as expected`, { expected, got })
}

function refuses(code: StorageErrorCode, act: () => unknown): void {
  const error = thrownBy(act)
  assert(error instanceof StorageError && error.code === code, `this is refused as ${code}`, { error })
}

function breaks(act: () => unknown): void {
  const error = thrownBy(act)
  assert(error instanceof Error && !(error instanceof StorageError), 'this breaks a rule', { error })
}

function thrownBy(act: () => unknown): unknown {
  try {
    return { returned: act() }
  } catch (error) {
    return error
  }
}
