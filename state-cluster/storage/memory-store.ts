/**
 * A disk in memory for tests and the simulator, with the faults that disks have. `MemoryDisk` is the platter and
 * survives a crash; a `Store` opened on it does not.
 *
 * Invariant: like LMDB, one transaction is in flight at a time and becomes durable whole or not at all; writes that
 * are not durable when the disk crashes are gone, and its commits never settle. When a sync ends is the caller's
 * choice (`sync`), so that a simulator gives it a virtual latency.
 */
import {
  type Store,
  StoreError,
  type StoreErrorCode,
  type StoreRange,
  type StoreRow,
  type StoreStats,
  type StoreView,
  type StoreWrite,
} from './store.ts'

/** Calls `done` when a transaction of so many bytes has reached the platter. */
export type Sync = (byteCount: number, done: () => void) => void

interface Waiting {
  readonly writes: readonly StoreWrite[]
  readonly resolve: () => void
  readonly reject: (error: StoreError) => void
}

export class MemoryDisk {
  /** By the key's bytes as Latin-1 text, which sorts as the bytes do. */
  #rows = new Map<string, Uint8Array>()
  /** Sorted when a range is read; undefined after keys came or went. */
  #sortedKeys: string[] | undefined
  #byteCount = 0
  #open: MemoryStore | undefined
  #failure: StoreErrorCode | undefined
  #failedIsWritten = false

  /** Opens the disk; it must not be open. The default sync ends in a microtask. */
  open(sync: Sync = (_byteCount, done) => queueMicrotask(done)): Store {
    if (this.#open) throw new StoreError('folder_in_use', 'the memory disk is open')
    this.#open = new MemoryStore(this, sync, () => {
      this.#open = undefined
    })
    return this.#open
  }

  /**
   * Cuts the power: the open store is dead. The transaction in flight reached the platter or did not; what had
   * not begun is lost.
   */
  crash(inFlightSurvives: boolean): void {
    this.#open?.die(inFlightSurvives)
    this.#open = undefined
  }

  /**
   * From now on every transaction fails so; `undefined` ends it (for the next store that is opened). `isWritten`:
   * what fails is on the platter all the same, as after a failed sync nobody knows.
   */
  failWith(code: StoreErrorCode | undefined, isWritten = false): void {
    this.#failure = code
    this.#failedIsWritten = isWritten
  }

  /** Flips one bit of the value at the key, below the checksums. Returns whether there was one to flip. */
  flipBit(key: Uint8Array, bit: number): boolean {
    const value = this.#rows.get(textOf(key))
    if (value === undefined || value.length === 0) return false
    const flipped = value.slice()
    const at = Math.floor(bit / 8) % flipped.length
    flipped[at] = (flipped[at] as number) ^ (1 << (bit % 8))
    this.#rows.set(textOf(key), flipped)
    return true
  }

  /** What is on the platter at a key: what a crash leaves. */
  read(key: Uint8Array): Uint8Array | undefined {
    return this.#rows.get(textOf(key))
  }

  /** For the store: writes a whole transaction, or says why it cannot. */
  apply(writes: readonly StoreWrite[]): StoreErrorCode | undefined {
    if (this.#failure && !this.#failedIsWritten) return this.#failure
    for (const { key, value } of writes) {
      const text = textOf(key)
      const old = this.#rows.get(text)
      this.#byteCount += (value?.length ?? -text.length) - (old?.length ?? -text.length)
      if (value === undefined) this.#rows.delete(text)
      else this.#rows.set(text, value)
      if ((old === undefined) !== (value === undefined)) this.#sortedKeys = undefined
    }
    return this.#failure
  }

  /** For the store: what is on the platter. */
  get rows(): ReadonlyMap<string, Uint8Array> {
    return this.#rows
  }

  get byteCount(): number {
    return this.#byteCount
  }

  sortedKeys(): readonly string[] {
    this.#sortedKeys ??= [...this.#rows.keys()].sort()
    return this.#sortedKeys
  }
}

class MemoryStore implements Store {
  readonly #disk: MemoryDisk
  readonly #sync: Sync
  readonly #onClosed: () => void
  #waiting: Waiting[] = []
  #inFlight: readonly Waiting[] = []
  #startScheduled = false
  #failure: StoreError | undefined
  #isDead = false
  #isClosing = false
  #transactions = 0
  #commits = 0

  constructor(disk: MemoryDisk, sync: Sync, onClosed: () => void) {
    this.#disk = disk
    this.#sync = sync
    this.#onClosed = onClosed
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.#assertOpen()
    return this.#disk.rows.get(textOf(key))?.slice()
  }

  range(range: StoreRange): Iterable<StoreRow> {
    this.#assertOpen()
    return scan(this.#disk.rows, this.#disk.sortedKeys(), range)
  }

  view(): StoreView {
    this.#assertOpen()
    const rows = new Map(this.#disk.rows)
    const keys = this.#disk.sortedKeys()
    return {
      get: (key) => rows.get(textOf(key))?.slice(),
      range: (range) => scan(rows, keys, range),
      close() {},
    }
  }

  commit(writes: readonly StoreWrite[]): Promise<void> {
    const refusal = this.#failure ?? (this.#isClosing ? closedError() : undefined)
    if (refusal) return Promise.reject(refusal)
    const copies = writes.map(({ key, value }) => ({ key: key.slice(), value: value?.slice() }))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ writes: copies, resolve, reject })
      if (this.#startScheduled) return
      this.#startScheduled = true
      queueMicrotask(() => {
        this.#startScheduled = false
        this.#start()
      })
    })
  }

  stats(): StoreStats {
    this.#assertOpen()
    return {
      fileBytes: this.#disk.byteCount,
      usedBytes: this.#disk.byteCount,
      entryCount: this.#disk.rows.size,
      backlog: this.#waiting.length + this.#inFlight.length,
      transactions: this.#transactions,
      commits: this.#commits,
    }
  }

  async close(): Promise<void> {
    if (this.#isClosing) return
    const last = this.#failure || this.#isDead ? undefined : this.commit([])
    this.#isClosing = true
    await last?.catch(() => undefined)
    this.#onClosed()
  }

  /** The power is gone: nothing settles any more. */
  die(inFlightSurvives: boolean): void {
    this.#isDead = true
    if (inFlightSurvives) this.#disk.apply(this.#inFlight.flatMap((commit) => commit.writes))
    this.#inFlight = []
    this.#waiting = []
  }

  #start(): void {
    if (this.#isDead || this.#failure || this.#inFlight.length > 0 || this.#waiting.length === 0) return
    this.#inFlight = this.#waiting
    this.#waiting = []
    const writes = this.#inFlight.flatMap((commit) => commit.writes)
    const byteCount = writes.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0)
    this.#sync(byteCount, () => {
      if (this.#isDead) return
      const failure = this.#disk.apply(writes)
      if (failure === undefined) this.#succeed()
      else this.#fail(new StoreError(failure, `the memory disk was set to fail: ${failure}`))
    })
  }

  #succeed(): void {
    const done = this.#inFlight
    this.#inFlight = []
    this.#transactions += 1
    this.#commits += done.length
    // Before the next batch begins, which may succeed at once: promises resolve in the order of the commits.
    for (const commit of done) commit.resolve()
    this.#start()
  }

  #fail(error: StoreError): void {
    this.#failure = error
    const lost = [...this.#inFlight, ...this.#waiting]
    this.#inFlight = []
    this.#waiting = []
    for (const commit of lost) commit.reject(error)
  }

  #assertOpen(): void {
    if (this.#failure) throw this.#failure
    if (this.#isClosing || this.#isDead) throw closedError()
  }
}

function closedError(): StoreError {
  return new StoreError('closed', 'the store is closed')
}

function textOf(key: Uint8Array): string {
  return String.fromCharCode(...key)
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0))
}

function* scan(
  rows: ReadonlyMap<string, Uint8Array>,
  keys: readonly string[],
  range: StoreRange,
): Generator<StoreRow> {
  const begin = lowerBound(keys, textOf(range.from))
  const end = lowerBound(keys, textOf(range.to))
  const count = Math.min(Math.max(0, end - begin), range.limit ?? Number.POSITIVE_INFINITY)
  for (let i = 0; i < count; i++) {
    const text = keys[range.reverse ? end - 1 - i : begin + i] as string
    yield { key: bytesOf(text), value: (rows.get(text) as Uint8Array).slice() }
  }
}

/** How many keys are below the text. */
function lowerBound(keys: readonly string[], text: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((keys[middle] as string) < text) low = middle + 1
    else high = middle
  }
  return low
}
