import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { GroupId } from '../../protocol/ids.ts'
import { type Entry, newConfState } from '../raft/index.ts'
import { storageContract } from '../raft/storage-contract.ts'
import { DiskLog, type LogAppend, type LogPosition, writesOfNewLog } from './disk-log.ts'
import { entryKey, hardStateKey, logStartKey } from './layout.ts'
import { MemoryDisk } from './memory-store.ts'
import type { Store } from './store.ts'

const groupId = 3 as GroupId
const empty: LogPosition = { index: 0, term: 0, confState: newConfState([]) }

async function makeLog(tailBytesMax: number, checkpoint = empty, keptBytesMax = 2 ** 30) {
  const disk = new MemoryDisk()
  const store = disk.open()
  await store.commit(writesOfNewLog(groupId, checkpoint))
  const open = (at = checkpoint): DiskLog =>
    DiskLog.open({ reader: store, groupId, checkpoint: at, tailBytesMax, keptBytesMax })
  return { disk, store, log: open(), reopen: open }
}

async function append(store: Store, log: DiskLog, what: LogAppend): Promise<void> {
  await store.commit(log.writesOf(what))
  log.settle(what)
}

async function compactAll(store: Store, log: DiskLog, entriesMax = 1_000, keepAfter?: number): Promise<void> {
  for (;;) {
    const piece = log.compaction(entriesMax, keepAfter)
    if (piece === undefined) return
    await store.commit(piece.writes)
    log.compacted(piece)
  }
}

const entry = (index: number, term: number, size = 1): Entry => ({
  type: 'EntryNormal',
  term,
  index,
  data: new Uint8Array(size).fill(index),
})

describe('disk log as the core’s storage', () => {
  for (const tailBytesMax of [0, 1_000_000]) {
    const contract = storageContract(async () => {
      const { store, log } = await makeLog(tailBytesMax)
      const { confState } = { confState: newConfState([1, 2, 3]) }
      return {
        storage: log,
        append: (entries) => append(store, log, { entries, commit: 0 }),
        setHardState: (hardState) => append(store, log, { entries: [], commit: 0, hardState }),
        async applySnapshot({ metadata }) {
          await store.commit(log.writesOfReplacement(metadata))
          log.replaced(metadata)
        },
        createSnapshot(index) {
          log.checkpointed({ index, term: log.term(index), confState })
        },
        async compact(index) {
          log.checkpointed({ index, term: log.term(index), confState })
          await compactAll(store, log)
        },
        release: () => store.close(),
      }
    })
    for (const { name, run } of contract) {
      // The state of a snapshot is streamed from the store, not carried in its data.
      const isItsOwn = name.startsWith('a snapshot is the latest')
      const needsNoTail = tailBytesMax > 0 && name.includes('compact')
      if (!isItsOwn && !needsNoTail) it(`${name} (${tailBytesMax} bytes in memory)`, run)
    }
  }

  it('a snapshot names the checkpoint', async () => {
    const { log } = await makeLog(0, { index: 7, term: 2, confState: newConfState([1]) })
    expect(log.snapshot().metadata).toEqual({ index: 7, term: 2, confState: newConfState([1]) })
    log.checkpointed({ index: 9, term: 3, confState: newConfState([1, 2]) })
    expect(log.snapshot().metadata.index).toBe(9)
  })
})

describe('disk log', () => {
  it('STORE5: what was settled is what is there, in memory, on the disk and after opening it again', async () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('append' as const),
        back: fc.nat(6),
        count: fc.integer({ min: 1, max: 8 }),
        size: fc.nat(60),
        commitShare: fc.nat(100),
      }),
      fc.record({
        kind: fc.constant('compact' as const),
        share: fc.nat(100),
        entriesMax: fc.integer({ min: 1, max: 5 }),
      }),
      fc.record({ kind: fc.constant('reopen' as const) }),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.constantFrom(0, 40, 200, 1e6),
        async (steps, tail) => {
          const { store, log: first, reopen } = await makeLog(tail)
          let log = first
          let model: Entry[] = []
          let start = { index: 0, term: 0 }
          let checkpoint = empty
          let term = 1
          let commit = 0
          for (const one of steps) {
            if (one.kind === 'append') {
              const last = start.index + model.length
              const from = Math.max(commit + 1, last + 1 - one.back)
              term += one.back > 0 ? 1 : 0
              const entries = Array.from({ length: one.count }, (_, i) => entry(from + i, term, one.size))
              model = [...model.slice(0, from - start.index - 1), ...entries]
              commit += Math.floor(((from - 1 + one.count - commit) * one.commitShare) / 100)
              await append(store, log, { entries, commit })
            } else if (one.kind === 'compact') {
              const index =
                checkpoint.index +
                Math.floor(((start.index + model.length - checkpoint.index) * one.share) / 100)
              checkpoint = { index, term: log.term(index), confState: empty.confState }
              commit = Math.max(commit, index)
              log.checkpointed(checkpoint)
              await compactAll(store, log, one.entriesMax)
              const firstIndex = log.firstIndex()
              expect(firstIndex - 1).toBeLessThanOrEqual(checkpoint.index)
              if (tail === 0) expect(firstIndex - 1).toBe(checkpoint.index)
              const dropped = model.splice(0, firstIndex - 1 - start.index).at(-1)
              if (dropped) start = dropped
            } else {
              log = reopen(checkpoint)
              expect(log.initialState().hardState).toEqual({ term: 0, vote: 0, commit })
            }
            expect([log.firstIndex(), log.lastIndex()]).toEqual([start.index + 1, start.index + model.length])
            expect(log.term(start.index)).toBe(start.term)
            for (const { index, term: own } of model) expect(log.term(index)).toBe(own)
            if (model.length === 0) continue
            const all = log.entries(log.firstIndex(), log.lastIndex() + 1, Number.POSITIVE_INFINITY)
            expect(all).toEqual(model)
          }
          expect([...store.range({ from: entryKey(groupId, 0), to: entryKey(groupId, 1e6) })].length).toBe(
            model.length,
          )
        },
      ),
      { numRuns: 150 },
    )
  })

  it('STORE5: hard state survives, and a commit index behind the checkpoint is brought up to it', async () => {
    const { store, log, reopen } = await makeLog(0)
    await append(store, log, {
      entries: [entry(1, 4), entry(2, 4)],
      commit: 1,
      hardState: { term: 4, vote: 2, commit: 1 },
    })
    expect(reopen().initialState().hardState).toEqual({ term: 4, vote: 2, commit: 1 })
    const later = reopen({ index: 2, term: 4, confState: newConfState([1]) })
    expect(later.initialState()).toEqual({
      hardState: { term: 4, vote: 2, commit: 2 },
      confState: newConfState([1]),
    })
  })

  it('SNAP5: entries that others need stay on the disk, but not beyond the bound', async () => {
    const { store, log } = await makeLog(0, empty, 10_000)
    let last = 0
    const add = async (count: number): Promise<void> => {
      for (const end = last + count; last < end; )
        await append(store, log, { entries: [entry(++last, 1, 100)], commit: 0 })
      log.checkpointed({ index: last, term: 1, confState: empty.confState })
    }
    await add(50)
    await compactAll(store, log, 7, 20)
    expect(log.firstIndex()).toBe(21)
    expect(log.entries(21, 51, Number.POSITIVE_INFINITY)).toHaveLength(30)
    await add(950)
    await compactAll(store, log, 7, 20)
    const kept = log.lastIndex() - log.firstIndex() + 1
    expect(kept, 'about 10,000 bytes of entries of 100').toBeLessThanOrEqual(100)
    expect(kept).toBeGreaterThan(80)
    await append(store, log, { entries: [entry(960, 2, 100)], commit: 0 })
    last = 960
    expect(log.entries(log.firstIndex(), 961, Number.POSITIVE_INFINITY)).toHaveLength(961 - log.firstIndex())
    await add(40)
    await compactAll(store, log, 7, 950)
    expect(log.firstIndex()).toBe(951)
    await compactAll(store, log)
    expect(log.firstIndex(), 'nobody needs any').toBe(1_001)
  })

  it('STORE5: a commit index that is known with entries needs no row, and goes with entries that are replaced', async () => {
    for (const tailBytesMax of [0, 1e6]) {
      const { store, log, reopen } = await makeLog(tailBytesMax)
      const row = store.get(hardStateKey(groupId))
      await append(store, log, { entries: [entry(1, 4), entry(2, 4), entry(3, 4)], commit: 0 })
      await append(store, log, { entries: [entry(3, 5), entry(4, 5)], commit: 2 })
      expect(reopen().initialState().hardState).toEqual({ term: 0, vote: 0, commit: 2 })
      await append(store, log, { entries: [entry(3, 6)], commit: 2 })
      expect(reopen().initialState().hardState).toEqual({ term: 0, vote: 0, commit: 2 })
      expect(log.initialState().hardState).toEqual(reopen().initialState().hardState)
      expect(store.get(hardStateKey(groupId))).toEqual(row)
    }
  })

  it('STORE6: a damaged entry, a hole, a lost end and a lost record are found', async () => {
    const damages: ((disk: MemoryDisk, store: Store) => Promise<unknown> | unknown)[] = [
      (disk) => disk.flipBit(entryKey(groupId, 2), 70),
      (disk) => disk.flipBit(entryKey(groupId, 2), 3),
      (disk) => disk.flipBit(hardStateKey(groupId), 40),
      (disk) => disk.flipBit(logStartKey(groupId), 40),
      (_, store) => store.commit([{ key: entryKey(groupId, 2), value: undefined }]),
      (_, store) => store.commit([{ key: entryKey(groupId, 1), value: undefined }]),
      (_, store) => store.commit([{ key: entryKey(groupId, 3), value: undefined }]),
      (_, store) => store.commit([{ key: hardStateKey(groupId), value: undefined }]),
      (_, store) => store.commit([{ key: logStartKey(groupId), value: undefined }]),
      (_, store) =>
        store.commit([{ key: entryKey(groupId, 2), value: store.get(entryKey(groupId, 1)) as Uint8Array }]),
    ]
    for (const damage of damages) {
      for (const tailBytesMax of [0, 1e6]) {
        const { disk, store, log, reopen } = await makeLog(tailBytesMax)
        await append(store, log, {
          entries: [entry(1, 1, 20), entry(2, 1, 20), entry(3, 1, 20)],
          commit: 3,
          hardState: { term: 1, vote: 1, commit: 3 },
        })
        await damage(disk, store)
        expect(() => reopen().entries(1, 4, Number.POSITIVE_INFINITY)).toThrow(
          expect.objectContaining({ code: 'corrupt' }),
        )
      }
    }
  })
})
