/**
 * `Store` on LMDB, and the only file that names lmdb.
 *
 * Invariant: at most one transaction is in flight, made of every commit that was waiting when it began, in
 * order; commits resolve when LMDB has synced data and meta page. `overlappingSync` is off, because with it
 * lmdb-js resolves at commit, before the sync. Writes run on a worker thread: the event loop never waits for
 * the disk. It stops short of a full disk, because the library's own handling of a failed write overruns a
 * buffer; after one, nothing of the library is called any more. folder-lock.ts locks the folder against a
 * second process. Source: lmdb-js 3.5 write.js, writer.cpp (txn_begin … txn_commit), liblmdb mdb.c
 * (mdb_env_write_meta goes through an O_DSYNC handle; mdb_page_flush reports a failed write).
 * data-file.ts looks at the file before it is mapped.
 */
import { closeSync, fsyncSync, openSync, statfsSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { open, type RootDatabase } from 'lmdb'
import { checkDataFile, isMade, markMade } from './data-file.ts'
import { makeFolder } from './folder.ts'
import {
  type Store,
  StoreError,
  type StoreErrorCode,
  type StoreRange,
  type StoreReader,
  type StoreRow,
  type StoreStats,
  type StoreView,
  type StoreWrite,
} from './store.ts'

/** Address space that is set aside, not disk: the file grows as needed. The bound on one data folder. */
const mapBytesMax = 256 * 2 ** 30
/** A transaction takes what waits up to this; a bigger single commit goes alone. */
const transactionWritesMax = 4_096
const transactionBytesMax = 8 * 2 ** 20
/** Free space that is never used up, or a twentieth of a smaller disk. */
const reserveBytesMax = 16 * 2 ** 20
/** A transaction may write more than its values: pages on the way to them, and lists of free ones. */
const writeAmplification = 4
/** Seconds of running (a stopped process does not count) after which a commit counts as stalled. */
const stallSecondsMax = 30

type Database = RootDatabase<Uint8Array, Uint8Array>
type ReadTransaction = ReturnType<Database['useReadTransaction']>

interface Waiting {
  readonly writes: readonly StoreWrite[]
  readonly byteCount: number
  readonly resolve: () => void
  readonly reject: (error: StoreError) => void
}

/** Bytes of a disk: what is left for this user, and all. */
export interface DiskSpace {
  readonly freeBytes: number
  readonly totalBytes: number
}

export interface LmdbStoreOptions {
  /** How much space there is; for tests. Default: what the file system says. */
  readonly diskSpace?: (folder: string) => DiskSpace
}

function diskSpaceOf(folder: string): DiskSpace {
  const { bavail, blocks, bsize } = statfsSync(folder)
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
}

/**
 * Opens (or makes) the environment in `folder`. Throws StoreError: `disk_read_only` where the folder cannot be
 * made or written, `disk_full`, `disk_failed`; `data_lost`, `data_damaged` before anything is mapped or written.
 */
export function openLmdbStore(folder: string, { diskSpace = diskSpaceOf }: LmdbStoreOptions = {}): Store {
  try {
    makeFolder(folder)
    const shortage = shortageOf(folder, diskSpace(folder), 0)
    if (shortage) throw shortage
    // Also where the marker was left behind when the folder was moved.
    if (checkDataFile(folder) && !isMade(folder)) markMade(folder)
    const database: Database = open({
      path: folder,
      noSubdir: false,
      keyEncoding: 'binary',
      encoding: 'binary',
      cache: false,
      maxDbs: 1,
      mapSize: mapBytesMax,
      overlappingSync: false,
      eventTurnBatching: false,
    })
    // LMDB syncs the file but not its name: without this a power cut may take the whole new file away.
    syncFolder(folder)
    syncFolder(dirname(resolve(folder)))
    return new LmdbStore(folder, database, diskSpace)
  } catch (error) {
    throw storeError(error, folder)
  }
}

/** Why a transaction of so many bytes must not begin, if so. */
function shortageOf(folder: string, space: DiskSpace, byteCount: number): StoreError | undefined {
  const { freeBytes, totalBytes } = space
  const reserveBytes = Math.min(reserveBytesMax, totalBytes / 20)
  if (freeBytes >= reserveBytes + byteCount * writeAmplification) return undefined
  const left = `${Math.floor(freeBytes / 2 ** 20)} MiB`
  const text = `only ${left} are left for ${folder}: free some space and start again`
  return new StoreError('disk_full', text, { isStoreIntact: true })
}

/** Whether there is so much space that a store which stepped aside for lack of it may be opened again. */
export function hasRoom(folder: string, diskSpace: typeof diskSpaceOf = diskSpaceOf): boolean {
  const { freeBytes, totalBytes } = diskSpace(folder)
  return freeBytes >= 2 * Math.min(reserveBytesMax, totalBytes / 20)
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

class LmdbStore implements Store {
  readonly #folder: string
  readonly #database: Database
  readonly #diskSpace: (folder: string) => DiskSpace
  #waiting: Waiting[] = []
  #inFlight: readonly Waiting[] = []
  #startScheduled = false
  #failure: StoreError | undefined
  /** The folder says that it has data. */
  #isMade: boolean
  #closing: Promise<void> | undefined
  #isClosed = false
  #transactions = 0
  #commits = 0
  /** Whole seconds of running since the transaction in flight began. */
  #secondsInFlight = 0
  readonly #stallTimer: NodeJS.Timeout

  constructor(folder: string, database: Database, diskSpace: (folder: string) => DiskSpace) {
    this.#folder = folder
    this.#database = database
    this.#diskSpace = diskSpace
    this.#isMade = isMade(folder)
    this.#stallTimer = setInterval(() => this.#watchForStall(), 1_000).unref()
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.#assertOpen()
    return read(this.#database, key, undefined)
  }

  range(range: StoreRange): Iterable<StoreRow> {
    this.#assertOpen()
    return scan(this.#database, range, undefined)
  }

  view(): StoreView {
    this.#assertOpen()
    const database = this.#database
    // Taken after a reset, so that it sees every commit that has resolved and shares no earlier moment.
    database.resetReadTxn()
    const transaction = database.useReadTransaction()
    let isOpen = true
    const reader: StoreReader = {
      get: (key) => {
        this.#assertOpen()
        return read(database, key, transaction)
      },
      range: (range) => {
        this.#assertOpen()
        return scan(database, range, transaction)
      },
    }
    return {
      ...reader,
      close: () => {
        // With the environment its readers are gone; to touch one then would end the process.
        if (isOpen && !this.#isClosed) transaction.done()
        isOpen = false
      },
    }
  }

  commit(writes: readonly StoreWrite[]): Promise<void> {
    const refusal = this.#failure ?? (this.#closing ? closedError() : undefined)
    if (refusal) return Promise.reject(refusal)
    const { copies, byteCount } = copyWrites(writes)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ writes: copies, byteCount, resolve, reject })
      this.#scheduleStart()
    })
  }

  stats(): StoreStats {
    this.#assertOpen()
    const stats = this.#database.getStats() as {
      pageSize: number
      lastPageNumber: number
      entryCount: number
      treeBranchPageCount: number
      treeLeafPageCount: number
      overflowPages: number
    }
    const pages = stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages
    return {
      fileBytes: statSync(join(this.#folder, 'data.mdb')).size,
      usedBytes: pages * stats.pageSize,
      entryCount: stats.entryCount,
      backlog: this.#waiting.length + this.#inFlight.length,
      transactions: this.#transactions,
      commits: this.#commits,
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    // The last commit that was accepted ends after all others; its caller gets the failure, not this one.
    await new Promise<void>((resolve) => {
      const end = (): void => resolve()
      if (this.#waiting.length === 0 && this.#inFlight.length === 0) end()
      else this.#waiting.push({ writes: [], byteCount: 0, resolve: end, reject: end })
    })
    clearInterval(this.#stallTimer)
    if (this.#failure !== undefined && !this.#failure.isStoreIntact) return
    this.#isClosed = true
    await this.#database.close()
  }

  #scheduleStart(): void {
    if (this.#startScheduled || this.#inFlight.length > 0) return
    this.#startScheduled = true
    // After the caller's synchronous work, so that all groups that write in one turn share the transaction.
    queueMicrotask(() => {
      this.#startScheduled = false
      this.#start()
    })
  }

  #start(): void {
    if (this.#failure || this.#inFlight.length > 0 || this.#waiting.length === 0) return
    this.#inFlight = this.#takeBatch()
    const writes = this.#inFlight.flatMap((commit) => commit.writes)
    if (writes.length === 0) {
      this.#succeed()
      return
    }
    const byteCount = this.#inFlight.reduce((sum, commit) => sum + commit.byteCount, 0)
    const shortage = shortageOf(this.#folder, this.#diskSpace(this.#folder), byteCount)
    if (shortage) {
      this.#fail(shortage)
      return
    }
    this.#secondsInFlight = 0
    this.#transact(writes).then(
      () => this.#committed(),
      (error: unknown) => this.#fail(storeError(error, this.#folder)),
    )
  }

  /** The commits that go next: all that wait, within the bounds of one transaction. */
  #takeBatch(): readonly Waiting[] {
    let writeCount = 0
    let byteCount = 0
    let taken = 0
    for (const commit of this.#waiting) {
      writeCount += commit.writes.length
      byteCount += commit.byteCount
      if (taken > 0 && (writeCount > transactionWritesMax || byteCount > transactionBytesMax)) break
      taken += 1
    }
    return this.#waiting.splice(0, taken)
  }

  async #transact(writes: readonly StoreWrite[]): Promise<void> {
    const database = this.#database
    try {
      await database.batch(() => {
        for (const { key, value } of writes) {
          if (value === undefined) void database.remove(key)
          else void database.put(key, value)
        }
      })
    } catch (error) {
      // lmdb-js keeps the cause of a failed commit in a promise of its own.
      const cause = (error as { commitError?: Promise<unknown> }).commitError
      if (cause !== undefined) await cause
      throw error
    }
  }

  /** The first commit ever is answered when the folder says that it has data. */
  #committed(): void {
    try {
      if (!this.#isMade) markMade(this.#folder)
      this.#isMade = true
    } catch (error) {
      this.#fail(storeError(error, this.#folder))
      return
    }
    this.#succeed()
  }

  #succeed(): void {
    const done = this.#inFlight
    this.#inFlight = []
    this.#transactions += 1
    this.#commits += done.length
    // Before the next batch begins: one without writes succeeds at once, and must not be reported first. The
    // callers run in microtasks, after the next batch was handed to the disk.
    for (const commit of done) commit.resolve()
    this.#start()
  }

  #fail(error: StoreError): void {
    if (this.#failure) return
    this.#failure = error
    clearInterval(this.#stallTimer)
    const lost = [...this.#inFlight, ...this.#waiting]
    this.#inFlight = []
    this.#waiting = []
    for (const commit of lost) commit.reject(error)
  }

  /** lmdb-js does not report a transaction that could not even begin, and a dying disk may simply hang. */
  #watchForStall(): void {
    if (this.#inFlight.length === 0) return
    this.#secondsInFlight += 1
    if (this.#secondsInFlight <= stallSecondsMax) return
    const text = `a write to ${this.#folder} has not ended in ${stallSecondsMax} s`
    this.#fail(new StoreError('disk_stalled', text))
  }

  #assertOpen(): void {
    if (this.#failure) throw this.#failure
    if (this.#closing) throw closedError()
  }
}

function closedError(): StoreError {
  return new StoreError('closed', 'the store is closed')
}

/** One allocation for all keys and values of a commit; LMDB reads them from there, on its own thread. */
function copyWrites(writes: readonly StoreWrite[]): { copies: StoreWrite[]; byteCount: number } {
  let byteCount = 0
  for (const { key, value } of writes) byteCount += key.length + (value?.length ?? 0)
  const slab = new Uint8Array(byteCount)
  let at = 0
  const copy = (bytes: Uint8Array): Uint8Array => {
    slab.set(bytes, at)
    at += bytes.length
    return slab.subarray(at - bytes.length, at)
  }
  const copies = writes.map(({ key, value }) => ({
    key: copy(key),
    value: value === undefined ? undefined : copy(value),
  }))
  return { copies, byteCount }
}

/** lmdb-js gives copies, but as Buffers, whose `slice` is no copy. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
}

function read(
  database: Database,
  key: Uint8Array,
  transaction: ReadTransaction | undefined,
): Uint8Array | undefined {
  const reader = database as { getBinary(key: Uint8Array, options?: object): Uint8Array | undefined }
  const value = reader.getBinary(key, transaction && { transaction })
  return value && plain(value)
}

function* scan(
  database: Database,
  range: StoreRange,
  transaction: ReadTransaction | undefined,
): Generator<StoreRow> {
  const { from, to, reverse = false, limit } = range
  const rows = database.getRange({
    start: reverse ? to : from,
    end: reverse ? from : to,
    reverse,
    // lmdb-js takes the start in and leaves the end out, whichever way it goes.
    ...(reverse ? { exclusiveStart: true, inclusiveEnd: true } : {}),
    ...(limit === undefined ? {} : { limit }),
    ...(transaction ? { transaction } : {}),
  })
  for (const { key, value } of rows) yield { key: plain(key), value: plain(value) }
}

const codesOfErrno: Readonly<Record<string, StoreErrorCode>> = {
  ENOSPC: 'disk_full',
  EDQUOT: 'disk_full',
  EROFS: 'disk_read_only',
  EACCES: 'disk_read_only',
  EPERM: 'disk_read_only',
  ENOTDIR: 'disk_read_only',
  ENOENT: 'disk_read_only',
}

/** lmdb-js reports an errno as a number (Linux and macOS agree on these), its own codes as −30,7xx. */
const codesOfNumber: Readonly<Record<number, StoreErrorCode>> = {
  1: 'disk_read_only',
  13: 'disk_read_only',
  27: 'disk_full',
  28: 'disk_full',
  30: 'disk_read_only',
  69: 'disk_full',
  122: 'disk_full',
  [-30792]: 'disk_full',
  [-30796]: 'corrupt',
  [-30793]: 'data_damaged',
  [-30797]: 'corrupt',
}

const textOfCode: Readonly<Partial<Record<StoreErrorCode, string>>> = {
  disk_full: 'there is no space left for',
  disk_read_only: 'cannot write to',
  corrupt: 'the data file is damaged in',
  data_damaged: 'the data file is damaged in',
}

function storeError(error: unknown, folder: string): StoreError {
  if (error instanceof StoreError) return error
  const { code, message } = error as { code?: string | number; message?: string }
  const known = typeof code === 'number' ? codesOfNumber[code] : codesOfErrno[code ?? '']
  const storeCode = known ?? 'disk_failed'
  const text = `${textOfCode[storeCode] ?? 'the disk failed under'} ${folder}: ${message ?? String(error)}`
  return new StoreError(storeCode, text, { cause: error })
}
