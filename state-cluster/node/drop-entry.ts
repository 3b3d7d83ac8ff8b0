/**
 * Replaces one entry of a stopped node's log by an empty one.
 *
 * It is for an entry that ends every replica that applies it. Invariant: index and term stay, so that the logs of the
 * group still match once the same entry was dropped on every node; an entry that a checkpoint covers, or another
 * entry than the one named, is refused and nothing changes. The operator runs it on all nodes.
 * Source: docs/spec.md STORE18.
 */
import type { GroupId } from '../../protocol/ids.ts'
import { EMPTY_BYTES } from '../raft/index.ts'
import { readCheckpoint } from '../storage/checkpoint.ts'
import { lockFolder } from '../storage/folder-lock.ts'
import { finishInstall } from '../storage/incoming-snapshot.ts'
import { commitBeside, decodeEntry, encodeEntry, entryKey } from '../storage/layout.ts'
import { openLmdbStore } from '../storage/lmdb-store.ts'
import { readMeta } from '../storage/meta.ts'
import { type Store, StoreError } from '../storage/store.ts'

export interface DropEntryOptions {
  readonly dataDir: string
  readonly groupId: GroupId
  readonly index: number
  /** Of the entry to drop: another node may hold another entry at this index. */
  readonly term: number
  readonly nowMs: number
}

export interface DroppedEntry {
  readonly nodeId: number
  readonly index: number
  readonly term: number
  /** Bytes of the entry that was replaced; 0 where it was empty already. */
  readonly bytes: number
}

/** Rejects with StoreError `foreign_data` where there is no such entry to drop. The folder must not be in use. */
export async function dropEntry(options: DropEntryOptions): Promise<DroppedEntry> {
  const { dataDir, groupId, index, term, nowMs } = options
  const lock = await lockFolder(dataDir, { nowMs })
  let store: Store | undefined
  try {
    store = openLmdbStore(`${dataDir}/state`)
    const meta = readMeta(store)
    if (meta === undefined || groupId >= meta.groupCount) {
      throw new StoreError('foreign_data', `${dataDir} holds no group ${groupId}`)
    }
    await finishInstall(store, groupId)
    const applied = readCheckpoint(store, groupId)?.index ?? 0
    if (index <= applied) {
      throw new StoreError('foreign_data', `entry ${index} is applied: the checkpoint covers ${applied}`)
    }
    const key = entryKey(groupId, index)
    const value = store.get(key)
    if (value === undefined) throw new StoreError('foreign_data', `there is no entry ${index} in the log`)
    const entry = decodeEntry(key, value)
    if (entry.term !== term) {
      throw new StoreError('foreign_data', `entry ${index} is of term ${entry.term}, not of term ${term}`)
    }
    if (entry.type !== 'EntryNormal') {
      throw new StoreError('foreign_data', `entry ${index} changes the members: it cannot be dropped`)
    }
    await store.commit([
      { key, value: encodeEntry(key, { ...entry, data: EMPTY_BYTES }, commitBeside(value)) },
    ])
    return { nodeId: meta.nodeId, index, term, bytes: entry.data.length }
  } finally {
    await store?.close()
    await lock.release()
  }
}
