/**
 * A Storage in memory.
 *
 * It is for tests, and for callers that keep the tail of their log in memory anyway.
 * Invariant: entries are consecutive after (`#compactedIndex`, `#compactedTerm`), the place of the last
 * snapshot or compaction. Nothing is copied but arrays of references. The caller bounds it: what is not
 * compacted stays. Source: etcd-io/raft storage.go.
 */
import { fail } from './assert.ts'
import { EntryRing } from './entry-ring.ts'
import { StorageError } from './errors.ts'
import type { InitialState, Storage } from './storage.ts'
import {
  type ConfState,
  EMPTY_HARD_STATE,
  EMPTY_SNAPSHOT,
  type Entry,
  type HardState,
  type Snapshot,
} from './types.ts'

export class MemoryStorage implements Storage {
  #hardState: HardState = EMPTY_HARD_STATE
  #snapshot: Snapshot = EMPTY_SNAPSHOT
  #compactedIndex = 0
  #compactedTerm = 0
  readonly #entries = new EntryRing(1)

  initialState(): InitialState {
    return { hardState: this.#hardState, confState: this.#snapshot.metadata.confState }
  }

  setHardState(state: HardState): void {
    this.#hardState = state
  }

  entries(lo: number, hi: number, maxSize: number): Entry[] {
    if (lo <= this.#compactedIndex) throw new StorageError('compacted')
    const end = this.lastIndex() + 1
    if (hi > end) fail('entries are read only up to the last one', { lo, hi, lastIndex: end - 1 })
    if (this.#entries.length === 0) throw new StorageError('unavailable')
    return lo < hi ? this.#entries.slice(lo, hi, maxSize) : []
  }

  term(index: number): number {
    if (index === this.#compactedIndex) return this.#compactedTerm
    if (index < this.#compactedIndex) throw new StorageError('compacted')
    if (index > this.lastIndex()) throw new StorageError('unavailable')
    return this.#entries.at(index).term
  }

  firstIndex(): number {
    return this.#entries.first
  }

  lastIndex(): number {
    return this.#entries.first + this.#entries.length - 1
  }

  snapshot(): Snapshot {
    return this.#snapshot
  }

  /**
   * Replaces everything by `snapshot`. Throws StorageError `snapshot_out_of_date` when the one in place is
   * as new.
   */
  applySnapshot(snapshot: Snapshot): void {
    const { index, term } = snapshot.metadata
    if (this.#snapshot.metadata.index >= index) throw new StorageError('snapshot_out_of_date')
    this.#snapshot = snapshot
    this.#compactedIndex = index
    this.#compactedTerm = term
    this.#entries.reset(index + 1)
  }

  /**
   * Takes a snapshot of the state machine as of `index`, and returns it. `confState` null: as in the last.
   * Throws StorageError `snapshot_out_of_date` when the one in place is as new.
   */
  createSnapshot(index: number, confState: ConfState | null, data: Uint8Array): Snapshot {
    if (index <= this.#snapshot.metadata.index) throw new StorageError('snapshot_out_of_date')
    if (index > this.lastIndex()) {
      fail('a snapshot is not beyond the log', { index, lastIndex: this.lastIndex() })
    }
    const term = this.term(index)
    this.#snapshot = {
      data,
      metadata: { confState: confState ?? this.#snapshot.metadata.confState, index, term },
    }
    return this.#snapshot
  }

  /**
   * Drops the entries up to and including `index`. The caller compacts only what it has applied and can give
   * a snapshot of. Throws StorageError `compacted` when that was done before.
   */
  compact(index: number): void {
    if (index <= this.#compactedIndex) throw new StorageError('compacted')
    if (index > this.lastIndex()) {
      fail('a compaction is not beyond the log', { index, lastIndex: this.lastIndex() })
    }
    this.#compactedTerm = this.term(index)
    this.#compactedIndex = index
    this.#entries.dropBefore(index + 1)
  }

  /** Appends, overwriting from the first entry's index on. Entries that are compacted already are left out. */
  append(entries: readonly Entry[]): void {
    const first = entries[0]
    if (first === undefined) return
    const ring = this.#entries
    const from = Math.max(ring.first - first.index, 0)
    if (from >= entries.length) return
    const index = first.index + from
    const end = ring.first + ring.length
    if (index > end) fail('entries are appended without a gap', { lastIndex: end - 1, first: first.index })
    if (index < end) ring.dropFrom(index)
    ring.pushAll(entries, from)
  }
}
