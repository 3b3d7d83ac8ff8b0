/**
 * A disk of the random driver, which can lose power.
 *
 * ```
 *   write ──► written (what raft reads)       sync ──► durable
 *                                             crash ──► durable + a random prefix of what was written since
 * ```
 *
 * Writes can be read at once. After a crash, what was synced is there, and some prefix of the rest.
 * Invariant: `written` is `durable` plus the unsynced writes, in order. Both are MemoryStorages.
 */
import { MemoryStorage } from '../memory-storage.ts'
import {
  type Entry,
  type HardState,
  isEmptyHardState,
  isEmptySnapshot,
  NO_LIMIT,
  type Snapshot,
} from '../types.ts'
import type { Random } from './random.ts'

type Write = (storage: MemoryStorage) => void

/** What a node finds when it starts. */
export interface DiskContent {
  readonly hardState: HardState
  /** The state machine as of the last checkpoint. */
  readonly checkpoint: Snapshot
  /** Where the log begins: everything up to here is compacted. */
  readonly base: Snapshot
  readonly entries: readonly Entry[]
}

export class Disk {
  written = new MemoryStorage()
  #durable = new MemoryStorage()
  #unsynced: Write[] = []

  /** Writes what a Ready or a MsgStorageAppend asks for. */
  append(hardState: HardState | null, entries: readonly Entry[], snapshot: Snapshot | null): void {
    this.#write((storage) => {
      if (hardState !== null && !isEmptyHardState(hardState)) storage.setHardState(hardState)
      if (snapshot !== null && !isEmptySnapshot(snapshot)) storage.applySnapshot(snapshot)
      storage.append(entries)
    })
  }

  /** Writes the state machine as of `index`, so that a restart begins there. */
  checkpoint({ data, metadata }: Snapshot): void {
    this.#write((storage) => {
      storage.createSnapshot(metadata.index, metadata.confState, data)
    })
  }

  /** Drops the log up to `index`, at most the checkpoint's. */
  compact(index: number): void {
    this.#write((storage) => storage.compact(index))
  }

  /** Everything written so far survives from now on. */
  sync(): void {
    for (const write of this.#unsynced) write(this.#durable)
    this.#unsynced = []
  }

  /** Whether the entry would survive a power loss now. */
  holdsDurably(index: number, term: number): boolean {
    const durable = this.#durable
    if (index > durable.lastIndex()) return false
    return index < durable.firstIndex() || durable.term(index) === term
  }

  /** The power goes: any prefix of the unsynced writes may have arrived. Returns how many were lost. */
  crash(random: Random): number {
    const arrived = random.below(this.#unsynced.length + 1)
    const lost = this.#unsynced.length - arrived
    for (const write of this.#unsynced.slice(0, arrived)) write(this.#durable)
    this.#unsynced = []
    this.written = copyOf(this.#durable)
    return lost
  }

  /** What is on the disk now, as a starting node reads it. */
  content(): DiskContent {
    const { written } = this
    const { hardState, confState } = written.initialState()
    const baseIndex = written.firstIndex() - 1
    const empty = new Uint8Array(0)
    return {
      hardState,
      checkpoint: written.snapshot(),
      base: { data: empty, metadata: { confState, index: baseIndex, term: written.term(baseIndex) } },
      entries: entriesOf(written),
    }
  }

  #write(write: Write): void {
    write(this.written)
    this.#unsynced.push(write)
  }
}

function entriesOf(storage: MemoryStorage): readonly Entry[] {
  const first = storage.firstIndex()
  const last = storage.lastIndex()
  return last < first ? [] : storage.entries(first, last + 1, NO_LIMIT)
}

function copyOf(storage: MemoryStorage): MemoryStorage {
  const copy = new MemoryStorage()
  const checkpoint = storage.snapshot()
  const base = storage.firstIndex() - 1
  if (base > 0) {
    const metadata = { ...checkpoint.metadata, index: base, term: storage.term(base) }
    copy.applySnapshot({ data: checkpoint.data, metadata })
  }
  copy.append(entriesOf(storage))
  const { index, confState } = checkpoint.metadata
  if (index > base) copy.createSnapshot(index, confState, checkpoint.data)
  copy.setHardState(storage.initialState().hardState)
  return copy
}
