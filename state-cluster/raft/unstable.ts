/**
 * The end of the log that is not known to be stable yet.
 *
 * ```
 *   storage:   … offset-1 | (what storage holds from offset on is about to be overwritten)
 *   unstable:              offset … offsetInProgress-1 | offsetInProgress … lastIndex
 *                          being written                 not handed out yet
 * ```
 *
 * A snapshot that is not stable yet is kept here too.
 * Invariant: offset ≤ offsetInProgress ≤ lastIndex + 1, and what is kept here wins over storage.
 * Nothing leaves before `stableTo` reports that it is durable. Source: etcd-io/raft log_unstable.go.
 */
import { fail } from './assert.ts'
import { EntryRing } from './entry-ring.ts'
import { EMPTY_ENTRIES, type Entry, NO_LIMIT, type Snapshot } from './types.ts'

/** What `term` answers when it does not know. */
export const UNKNOWN_TERM = -1

export class Unstable {
  snapshot: Snapshot | null = null
  snapshotInProgress = false
  /** Exclusive end of the entries that are being written. */
  offsetInProgress: number
  readonly #entries: EntryRing

  constructor(offset: number) {
    this.offsetInProgress = offset
    this.#entries = new EntryRing(offset)
  }

  /** The index of the first unstable entry, or of the next to come. */
  get offset(): number {
    return this.#entries.first
  }

  get length(): number {
    return this.#entries.length
  }

  /** The first index of the log, if a snapshot decides it; else -1. */
  maybeFirstIndex(): number {
    return this.snapshot === null ? -1 : this.snapshot.metadata.index + 1
  }

  /** The last index of the log, if anything in here decides it; else -1. */
  maybeLastIndex(): number {
    const entries = this.#entries
    if (entries.length > 0) return entries.first + entries.length - 1
    return this.snapshot === null ? -1 : this.snapshot.metadata.index
  }

  /** The term at `index`, or UNKNOWN_TERM when that is not in here. */
  maybeTerm(index: number): number {
    const entries = this.#entries
    const position = index - entries.first
    if (position >= 0) return position < entries.length ? entries.at(index).term : UNKNOWN_TERM
    const metadata = this.snapshot?.metadata
    return metadata !== undefined && metadata.index === index ? metadata.term : UNKNOWN_TERM
  }

  /** What has not been handed out for writing. */
  nextEntries(): readonly Entry[] {
    const end = this.#entries.first + this.#entries.length
    if (this.offsetInProgress === end) return EMPTY_ENTRIES
    return this.#entries.slice(this.offsetInProgress, end, NO_LIMIT)
  }

  hasNextEntries(): boolean {
    return this.offsetInProgress < this.#entries.first + this.#entries.length
  }

  nextSnapshot(): Snapshot | null {
    return this.snapshotInProgress ? null : this.snapshot
  }

  /** Everything in here has been handed out for writing. */
  acceptInProgress(): void {
    this.offsetInProgress = this.#entries.first + this.#entries.length
    if (this.snapshot !== null) this.snapshotInProgress = true
  }

  /**
   * The entries up to `index` are durable and no write under way will overwrite them. Ignored when the entry
   * at `index` has another term by now, or is not in here any more. Returns whether it was believed.
   */
  stableTo(index: number, term: number): boolean {
    if (index < this.offset || this.maybeTerm(index) !== term) return false
    this.#entries.dropBefore(index + 1)
    if (this.offsetInProgress <= index) this.offsetInProgress = index + 1
    return true
  }

  /** The snapshot at `index` was installed. */
  stableSnapTo(index: number): void {
    if (this.snapshot === null || this.snapshot.metadata.index !== index) return
    this.snapshot = null
    this.snapshotInProgress = false
  }

  /** The log becomes what `snapshot` says, and nothing else. */
  restore(snapshot: Snapshot): void {
    this.#entries.reset(snapshot.metadata.index + 1)
    this.offsetInProgress = this.#entries.first
    this.snapshot = snapshot
    this.snapshotInProgress = false
  }

  append(entry: Entry): void {
    this.#entries.push(entry)
  }

  /** Appends entries[from …], replacing what is there from the first one's index. */
  truncateAndAppend(entries: readonly Entry[], from: number): void {
    const ring = this.#entries
    const index = (entries[from] as Entry).index
    if (index < ring.first) {
      ring.reset(index)
      this.offsetInProgress = index
    } else if (index < ring.first + ring.length) {
      ring.dropFrom(index)
      if (this.offsetInProgress > index) this.offsetInProgress = index
    }
    ring.pushAll(entries, from)
  }

  /** The entries lo ≤ index < hi, cut to `maxSize`; all must be in here. */
  slice(lo: number, hi: number, maxSize: number): Entry[] {
    const upper = this.offset + this.length
    if (lo >= hi || lo < this.offset || hi > upper) {
      fail('a slice of the unstable log lies within it', { lo, hi, offset: this.offset, upper })
    }
    return this.#entries.slice(lo, hi, maxSize)
  }
}
