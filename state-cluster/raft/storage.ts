/**
 * The port through which the core reads log, hard state and snapshot.
 *
 * The core never writes. It reads synchronously, and only what was reported to it as stable (by `advance` or a
 * MsgStorageAppendResp), so an implementation keeps the recent tail of its log in memory.
 * Invariant: entries are consecutive from `firstIndex()` to `lastIndex()`, and the term of
 * `firstIndex() - 1` is known. storage-contract.ts checks an implementation. Source: etcd-io/raft storage.go.
 */
import type { ConfState, Entry, HardState, Snapshot } from './types.ts'

export interface InitialState {
  hardState: HardState
  confState: ConfState
}

export interface Storage {
  /** Hard state and configuration as last written; read once, when a node starts. */
  initialState(): InitialState
  /**
   * The entries lo ≤ index < hi, cut so that their encoded sizes (`entrySize`) sum to at most `maxSize`, but
   * at least one. The array is the caller's to keep; the entries are not to be changed.
   * Throws StorageError `compacted` when lo < firstIndex(), `unavailable` when there are no entries at all;
   * hi > lastIndex() + 1 is an assertion.
   */
  entries(lo: number, hi: number, maxSize: number): Entry[]
  /**
   * The term of the entry at `index`, for firstIndex() - 1 ≤ index ≤ lastIndex().
   * Throws StorageError `compacted` below that range, `unavailable` above it.
   */
  term(index: number): number
  lastIndex(): number
  /** The first index that `entries` can still give; lastIndex() + 1 when there is none. */
  firstIndex(): number
  /**
   * The latest snapshot, at or above firstIndex() - 1.
   * Throws StorageError `snapshot_temporarily_unavailable` where the request is to be repeated later.
   */
  snapshot(): Snapshot
}
