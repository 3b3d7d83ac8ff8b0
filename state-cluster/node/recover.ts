/**
 * The last resort when a majority is permanently lost: one folder continues alone.
 * Invariant: what this folder held stays, also what was never acknowledged; what others alone had is lost. The
 * cluster gets another id, so that no old node, and no server that remembers the lost part, takes it for the one it
 * knew: they must be started again. Source: docs/spec.md MEMBER5.
 */
import type { GroupId } from '../../protocol/ids.ts'
import { groupsOf } from '../groups.ts'
import { EMPTY_BYTES, type Entry, newConfState } from '../raft/index.ts'
import { readCheckpoint, writeOfConfState } from '../storage/checkpoint.ts'
import { lockFolder } from '../storage/folder-lock.ts'
import { finishInstall } from '../storage/incoming-snapshot.ts'
import { commitBeside, corrupt, decodeEntry, encodeEntry, entryRange } from '../storage/layout.ts'
import { openLmdbStore } from '../storage/lmdb-store.ts'
import { writeOfMembers } from '../storage/member-record.ts'
import { newIncarnation, readMeta, writeOfMeta } from '../storage/meta.ts'
import { pagesOf } from '../storage/pages.ts'
import { type Store, StoreError, type StoreWrite } from '../storage/store.ts'

export interface RecoverOptions {
  readonly dataDir: string
  /** Of the cluster from now on. */
  readonly clusterId: string
  readonly nowMs: number
}

export interface Recovered {
  readonly nodeId: number
  readonly groups: readonly {
    readonly groupId: GroupId
    /** Everything up to here is there; what was acknowledged after it is lost. */
    readonly lastIndex: number
    readonly lastTerm: number
  }[]
}

const indexEnd = 2 ** 48 - 1

/** Rejects with StoreError. The folder must not be in use. */
export async function recoverFolder({ dataDir, clusterId, nowMs }: RecoverOptions): Promise<Recovered> {
  const lock = await lockFolder(dataDir, { nowMs })
  let store: Store | undefined
  try {
    store = openLmdbStore(`${dataDir}/state`)
    const meta = readMeta(store)
    if (meta === undefined) throw new StoreError('foreign_data', `${dataDir} holds nothing to recover`)
    if (meta.clusterId === clusterId) {
      throw new StoreError('foreign_data', 'a recovered cluster needs another name than it had')
    }
    const { nodeId, groupCount } = meta
    // Alone, it founds nothing with anybody.
    const writes: StoreWrite[] = [
      writeOfMeta({ clusterId, nodeId, groupCount, incarnation: newIncarnation(), isFounding: false }),
    ]
    const groups: Recovered['groups'][number][] = []
    for (const groupId of groupsOf(groupCount)) {
      await finishInstall(store, groupId)
      const checkpoint = readCheckpoint(store, groupId)
      if (checkpoint === undefined) throw corrupt('checkpoint', 'it is not there')
      let { index: lastIndex, term: lastTerm } = checkpoint
      for (const page of pagesOf(store, entryRange(groupId, 0, indexEnd))) {
        for (const { key, value } of page) {
          const entry = decodeEntry(key, value)
          lastIndex = Math.max(lastIndex, entry.index)
          lastTerm = Math.max(lastTerm, entry.term)
          // Changes of the membership say nothing any more; their places in the log stay.
          if (entry.type === 'EntryNormal') continue
          const empty: Entry = { ...entry, type: 'EntryNormal', data: EMPTY_BYTES }
          writes.push({ key, value: encodeEntry(key, empty, commitBeside(value)) })
        }
      }
      writes.push(
        writeOfConfState(store, groupId, newConfState([nodeId])),
        writeOfMembers(groupId, new Map()),
      )
      groups.push({ groupId, lastIndex, lastTerm })
    }
    await store.commit(writes)
    return { nodeId, groups }
  } finally {
    await store?.close()
    await lock.release()
  }
}
