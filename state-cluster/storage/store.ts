/**
 * The port to a disk: an ordered map of bytes with durable commits.
 *
 * One store serves all groups of a process; the meaning of keys and values is in layout.ts.
 * Invariant: when `commit` resolves, its writes and all earlier ones survive a power cut; a crash before that
 * leaves all of a commit's writes or none, and never a later commit without the earlier. Bytes are copied both
 * ways. A failed commit ends the store: nothing is tried again, nothing later is written or answered.
 * store-contract.ts checks an implementation.
 */

export type StoreErrorCode =
  /** No space, quota or map left. */
  | 'disk_full'
  /** The folder cannot be written, or not by this user. */
  | 'disk_read_only'
  /** A write or a sync failed: the state of the disk is no longer known. */
  | 'disk_failed'
  /** A commit has not ended for far too long. */
  | 'disk_stalled'
  /** A value does not match its checksum or its layout. */
  | 'corrupt'
  /** The folder had data, and its file is missing or empty. */
  | 'data_lost'
  /** The file is cut short, or its pages do not fit together: it may not be read. */
  | 'data_damaged'
  /** The folder belongs to another cluster or node, or to a version that this one cannot read. */
  | 'foreign_data'
  /** Another process holds the folder. */
  | 'folder_in_use'
  | 'closed'

/** What a disk did. Never retryable: a caller that gets one stops serving from this store. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: StoreErrorCode
  readonly retryable = false
  /** Nothing was tried that could have failed half way: the store may be closed, and opened again later. */
  readonly isStoreIntact: boolean

  constructor(
    code: StoreErrorCode,
    message: string,
    options?: ErrorOptions & { readonly isStoreIntact?: boolean },
  ) {
    super(message, options)
    this.code = code
    this.isStoreIntact = options?.isStoreIntact ?? false
  }
}

export interface StoreRow {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** One change; `value: undefined` removes the key, and may name a key that is not there. */
export interface StoreWrite {
  readonly key: Uint8Array
  readonly value: Uint8Array | undefined
}

/** `from` ≤ key < `to`, in order of bytes, at most `limit` rows; `reverse` gives the last first. */
export interface StoreRange {
  readonly from: Uint8Array
  readonly to: Uint8Array
  readonly reverse?: boolean
  readonly limit?: number
}

/** Reads see every commit that has resolved. Keys are 1 to 511 bytes. */
export interface StoreReader {
  get(key: Uint8Array): Uint8Array | undefined
  /** Read it to its end, or break out of the loop, before the turn ends. */
  range(range: StoreRange): Iterable<StoreRow>
}

/** The store as it was at one moment, for as long as it is open. Pages that it sees are not reused: close it. */
export interface StoreView extends StoreReader {
  close(): void
}

export interface StoreStats {
  /** Bytes of the data file. */
  readonly fileBytes: number
  /** Bytes in use inside it; the rest is reused before the file grows. */
  readonly usedBytes: number
  readonly entryCount: number
  /** Commits that wait for the disk, the one in flight included. */
  readonly backlog: number
  /** Transactions that became durable, and the commits that they carried. */
  readonly transactions: number
  readonly commits: number
}

export interface Store extends StoreReader {
  /**
   * Applies the writes in order, atomically; resolves when they are durable, in order of the calls. Commits that
   * wait at the same time share one transaction and one sync. No writes: resolves when the earlier are durable.
   * Rejects with StoreError, then and for ever.
   */
  commit(writes: readonly StoreWrite[]): Promise<void>
  view(): StoreView
  stats(): StoreStats
  /** Waits for what is in flight. Later commits reject with `closed`. */
  close(): Promise<void>
}

/** The same store with another `commit`, which is given the true one: simulator and tests watch or fail writes so. */
export function withCommit(
  store: Store,
  commit: (writes: readonly StoreWrite[], commit: Store['commit']) => Promise<void>,
): Store {
  return {
    get: (key) => store.get(key),
    range: (range) => store.range(range),
    view: () => store.view(),
    stats: () => store.stats(),
    close: () => store.close(),
    commit: (writes) => commit(writes, (all) => store.commit(all)),
  }
}
