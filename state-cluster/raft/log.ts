/**
 * The replicated log as one node sees it: stable storage, then the unstable tail.
 *
 * ```
 *   firstIndex … applied … applying … committed … lastIndex
 * ```
 *
 * Invariant: applied ≤ applying ≤ committed ≤ lastIndex, and committed entries never change. Breaking it
 * is an assertion. Applying is bounded: once `maxApplyingEntsSize` bytes are out, no more are handed out
 * until some are acknowledged. Source: Raft dissertation §3.5; etcd-io/raft log.go.
 */
import { fail } from './assert.ts'
import { isStorageError, StorageError } from './errors.ts'
import { entriesSize, entrySize } from './sizes.ts'
import type { Storage } from './storage.ts'
import { EMPTY_ENTRIES, type Entry, NO_LIMIT, type Snapshot } from './types.ts'
import { UNKNOWN_TERM, Unstable } from './unstable.ts'

export { UNKNOWN_TERM }

/** `maybeAppend`: the previous entry is not in the log. */
export const NOT_APPENDED = -1

export class RaftLog {
  readonly storage: Storage
  readonly unstable: Unstable
  /** Known to be on stable storage of a quorum. */
  committed: number
  /** Handed out to be applied. */
  applying: number
  /** Applied. */
  applied: number
  /** Most bytes to be handed out and not yet acknowledged. */
  readonly maxApplyingEntsSize: number
  applyingEntsSize = 0
  applyingEntsPaused = false

  constructor(storage: Storage, maxApplyingEntsSize = NO_LIMIT) {
    this.storage = storage
    this.maxApplyingEntsSize = maxApplyingEntsSize
    this.unstable = new Unstable(storage.lastIndex() + 1)
    this.committed = storage.firstIndex() - 1
    this.applying = this.committed
    this.applied = this.committed
  }

  /**
   * Appends what a leader sent: entries[…] after (prevIndex, prevTerm). Returns the index of the last of
   * them, or NOT_APPENDED when this log does not have that previous entry.
   */
  maybeAppend(prevIndex: number, prevTerm: number, entries: readonly Entry[], leaderCommit: number): number {
    if (!this.hasPrevious(prevIndex, prevTerm)) return NOT_APPENDED
    const lastNew = prevIndex + entries.length
    const from = this.findConflict(entries)
    if (from < entries.length) {
      const index = (entries[from] as Entry).index
      if (index <= this.committed) {
        fail('a committed entry is never overwritten', {
          index,
          committed: this.committed,
          term: this.term(index),
          offered: (entries[from] as Entry).term,
        })
      }
      if (index !== prevIndex + 1 + from) {
        fail('entries of an append are consecutive', { prevIndex, position: from, index })
      }
      this.unstable.truncateAndAppend(entries, from)
    }
    this.commitTo(Math.min(leaderCommit, lastNew))
    return lastNew
  }

  /** The check on the previous entry (log matching, §3.5), on its own so that a test can break it. */
  hasPrevious(index: number, term: number): boolean {
    return this.matchTerm(index, term)
  }

  /** Appends the leader's own entry, which must be the next in line. */
  append(entry: Entry): void {
    this.unstable.append(entry)
  }

  /** The position of the first entry that the log does not have like this; entries.length if it has all. */
  findConflict(entries: readonly Entry[]): number {
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i] as Entry
      if (!this.matchTerm(entry.index, entry.term)) return i
    }
    return entries.length
  }

  /**
   * The highest index ≤ `index` whose term is ≤ `term`, or unknown: the best guess at where this log agrees
   * with another one that has `term` at `index`.
   */
  findConflictByTerm(index: number, term: number): number {
    let guess = index
    while (guess > 0 && this.term(guess) > term) guess--
    return guess
  }

  nextUnstableEnts(): readonly Entry[] {
    return this.unstable.nextEntries()
  }

  hasNextUnstableEnts(): boolean {
    return this.unstable.hasNextEntries()
  }

  hasNextOrInProgressUnstableEnts(): boolean {
    return this.unstable.length > 0
  }

  /** What may be applied now. With `allowUnstable` also what is not yet on the local stable storage. */
  nextCommittedEnts(allowUnstable: boolean): readonly Entry[] {
    if (!this.hasNextCommittedEnts(allowUnstable)) return EMPTY_ENTRIES
    const maxSize = this.maxApplyingEntsSize - this.applyingEntsSize
    const entries = this.slice(this.applying + 1, this.maxAppliableIndex(allowUnstable) + 1, maxSize)
    if (entries === null) {
      fail('entries are compacted only after they were applied', {
        applying: this.applying,
        firstIndex: this.firstIndex(),
      })
    }
    return entries
  }

  hasNextCommittedEnts(allowUnstable: boolean): boolean {
    // A snapshot is applied before the entries after it.
    if (this.applyingEntsPaused || this.unstable.snapshot !== null) return false
    return this.applying < this.maxAppliableIndex(allowUnstable)
  }

  maxAppliableIndex(allowUnstable: boolean): number {
    return allowUnstable ? this.committed : Math.min(this.committed, this.unstable.offset - 1)
  }

  nextUnstableSnapshot(): Snapshot | null {
    return this.unstable.nextSnapshot()
  }

  hasNextOrInProgressSnapshot(): boolean {
    return this.unstable.snapshot !== null
  }

  /** The latest snapshot. Throws StorageError `snapshot_temporarily_unavailable`. */
  snapshot(): Snapshot {
    return this.unstable.snapshot ?? this.storage.snapshot()
  }

  firstIndex(): number {
    const index = this.unstable.maybeFirstIndex()
    return index >= 0 ? index : this.storage.firstIndex()
  }

  lastIndex(): number {
    const index = this.unstable.maybeLastIndex()
    return index >= 0 ? index : this.storage.lastIndex()
  }

  lastTerm(): number {
    const index = this.lastIndex()
    const term = this.term(index)
    if (term < 0) fail('the last entry of the log is known', { index, firstIndex: this.firstIndex() })
    return term
  }

  commitTo(index: number): void {
    if (index <= this.committed) return
    const lastIndex = this.lastIndex()
    if (index > lastIndex) {
      fail('a commit is never beyond the log: was it corrupted, truncated or lost?', { index, lastIndex })
    }
    this.committed = index
  }

  /** Entries up to `index`, of `size` encoded bytes since the last call, have been applied. */
  appliedTo(index: number, size: number): void {
    if (index < this.applied || index > this.committed) {
      fail('applied goes up and not beyond commit', {
        index,
        applied: this.applied,
        committed: this.committed,
      })
    }
    this.applied = index
    if (this.applying < index) this.applying = index
    this.applyingEntsSize = Math.max(this.applyingEntsSize - size, 0)
    this.applyingEntsPaused = this.applyingEntsSize >= this.maxApplyingEntsSize
  }

  /** Entries up to `index`, of `size` encoded bytes, have been handed out. */
  acceptApplying(index: number, size: number, allowUnstable: boolean): void {
    if (index > this.committed) {
      fail('only committed entries are applied', { index, committed: this.committed })
    }
    this.applying = index
    this.applyingEntsSize += size
    // Having handed out less than there is means that the next entry would not have fitted.
    this.applyingEntsPaused =
      this.applyingEntsSize >= this.maxApplyingEntsSize || index < this.maxAppliableIndex(allowUnstable)
  }

  /** The entries up to `index` are durable: storage must have them by now, or the log would become shorter. */
  stableTo(index: number, term: number): void {
    if (!this.unstable.stableTo(index, term)) return
    const stored = this.storage.lastIndex()
    if (stored < index) fail('storage holds an entry before it is called stable', { index, term, stored })
  }

  stableSnapTo(index: number): void {
    this.unstable.stableSnapTo(index)
  }

  acceptUnstable(): void {
    this.unstable.acceptInProgress()
  }

  /** The term at `index`, for firstIndex-1 ≤ index ≤ lastIndex; else UNKNOWN_TERM. */
  term(index: number): number {
    const term = this.unstable.maybeTerm(index)
    if (term >= 0) return term
    if (index + 1 < this.firstIndex() || index > this.lastIndex()) return UNKNOWN_TERM
    try {
      return this.storage.term(index)
    } catch (error) {
      if (error instanceof StorageError) return UNKNOWN_TERM
      throw error
    }
  }

  /** The entries from `index` on, cut to `maxSize`; null when they are compacted. */
  entries(index: number, maxSize: number): readonly Entry[] | null {
    const lastIndex = this.lastIndex()
    return index > lastIndex ? EMPTY_ENTRIES : this.slice(index, lastIndex + 1, maxSize)
  }

  /** Whether a log that ends in (index, term) is at least as complete as this one (§3.6.1). */
  isUpToDate(index: number, term: number): boolean {
    const lastTerm = this.lastTerm()
    return term > lastTerm || (term === lastTerm && index >= this.lastIndex())
  }

  matchTerm(index: number, term: number): boolean {
    return this.term(index) === term
  }

  /** Commits up to `index` if that entry is of `term`: earlier terms commit only along with it (§3.6.2). */
  maybeCommit(index: number, term: number): boolean {
    if (index <= this.committed || term === 0 || this.term(index) !== term) return false
    this.commitTo(index)
    return true
  }

  /** The log becomes what `snapshot` says. */
  restore(snapshot: Snapshot): void {
    this.committed = snapshot.metadata.index
    this.unstable.restore(snapshot)
  }

  /** Hands the entries lo ≤ index < hi to `visit`, in pages of `pageSize` bytes, until it returns false. */
  scan(lo: number, hi: number, pageSize: number, visit: (page: readonly Entry[]) => boolean): void {
    for (let from = lo; from < hi; ) {
      const page = this.slice(from, hi, pageSize)
      if (page === null || page.length === 0) fail('entries to scan are there', { lo, hi, from })
      if (!visit(page)) return
      from += page.length
    }
  }

  /** The entries lo ≤ index < hi, cut to `maxSize` but at least one; null when `lo` is compacted. */
  slice(lo: number, hi: number, maxSize: number): readonly Entry[] | null {
    const { unstable } = this
    if (lo === hi) return EMPTY_ENTRIES
    if (lo >= unstable.offset) return unstable.slice(lo, hi, maxSize)
    const firstIndex = this.firstIndex()
    if (lo < firstIndex) return null
    if (lo > hi || hi > this.lastIndex() + 1) {
      fail('a slice lies within the log', { lo, hi, firstIndex, lastIndex: this.lastIndex() })
    }
    const cut = Math.min(hi, unstable.offset)
    const stable = this.#stableEntries(lo, cut, maxSize)
    if (stable === null || hi <= unstable.offset || stable.length < cut - lo) return stable
    if (maxSize === NO_LIMIT) return stable.concat(unstable.slice(unstable.offset, hi, NO_LIMIT))
    const left = maxSize - entriesSize(stable)
    if (left <= 0) return stable
    const rest = unstable.slice(unstable.offset, hi, left)
    // A slice holds at least one entry, which may be one too many after those from storage.
    return rest.length === 1 && entrySize(rest[0] as Entry) > left ? stable : stable.concat(rest)
  }

  #stableEntries(lo: number, hi: number, maxSize: number): Entry[] | null {
    try {
      return this.storage.entries(lo, hi, maxSize)
    } catch (error) {
      if (isStorageError(error, 'compacted')) return null
      throw error
    }
  }
}
