import { describe, expect, it } from 'vitest'
import { AssertionError } from './assert.ts'
import { MemoryStorage } from './memory-storage.ts'
import { storageContract } from './storage-contract.ts'
import { entriesOfTerms } from './test-group.ts'
import { newConfState } from './types.ts'

describe('MemoryStorage as a Storage', () => {
  const contract = storageContract(() => {
    const storage = new MemoryStorage()
    return {
      storage,
      append: (entries) => storage.append(entries),
      setHardState: (state) => storage.setHardState(state),
      applySnapshot: (snapshot) => storage.applySnapshot(snapshot),
      createSnapshot: (index, data) => void storage.createSnapshot(index, null, data),
      compact: (index) => storage.compact(index),
      release: () => undefined,
    }
  })
  for (const { name, run } of contract) it(name, run)
})

describe('MemoryStorage', () => {
  const seeded = (): MemoryStorage => {
    const storage = new MemoryStorage()
    storage.append(entriesOfTerms([1, 1, 2, 3], 1))
    return storage
  }

  it('takes a snapshot with a new configuration, or with that of the last one', () => {
    const storage = seeded()
    storage.createSnapshot(2, newConfState([1, 2]), Uint8Array.of(1))
    expect(storage.snapshot().metadata).toMatchObject({ index: 2, term: 1, confState: { voters: [1, 2] } })
    expect(storage.createSnapshot(3, null, Uint8Array.of(2)).metadata.confState.voters).toEqual([1, 2])
  })

  it('refuses a snapshot or a compaction that goes back', () => {
    const storage = seeded()
    storage.createSnapshot(3, null, Uint8Array.of())
    expect(() => storage.createSnapshot(3, null, Uint8Array.of())).toThrow(
      expect.objectContaining({ code: 'snapshot_out_of_date', retryable: false }),
    )
    expect(() => storage.applySnapshot(storage.snapshot())).toThrow(
      expect.objectContaining({ code: 'snapshot_out_of_date' }),
    )
    storage.compact(2)
    expect(() => storage.compact(2)).toThrow(expect.objectContaining({ code: 'compacted' }))
  })

  it('asserts that nothing reaches beyond the log, and that appends leave no gap', () => {
    const storage = seeded()
    expect(() => storage.createSnapshot(5, null, Uint8Array.of())).toThrow(AssertionError)
    expect(() => storage.compact(5)).toThrow(AssertionError)
    expect(() => storage.append(entriesOfTerms([3], 6))).toThrow(AssertionError)
  })
})
