/**
 * Rebuilds a node whose folder is lost, damaged or too old, from the other nodes.
 *
 * It keeps its number: it leaves the cluster, gets an empty folder with another incarnation, and joins again with that.
 *
 *   lock ─► leave ─► old folder set aside ─► empty one made ─► join (names its incarnation) ─► start: a snapshot comes
 *
 * Invariant: the old folder is touched only when nobody counts on it any more, and is set aside, not removed; broken
 * off anywhere, the command may be given again. The caller talks to the cluster.
 * Source: docs/spec.md REBUILD1; Raft dissertation §4.2.
 */
import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { newConfState } from '../raft/index.ts'
import { forgetMade } from '../storage/data-file.ts'
import { lockFolder } from '../storage/folder-lock.ts'
import { openLmdbStore } from '../storage/lmdb-store.ts'
import { newIncarnation, readMeta, type StoreMeta } from '../storage/meta.ts'
import { type Store, StoreError, type StoreErrorCode } from '../storage/store.ts'
import { makeBirth } from './host.ts'

export interface RebuildOptions {
  /** Of the node, which must not run. */
  readonly dataDir: string
  readonly nodeId: number
  /** Of the cluster that it comes back to. */
  readonly clusterId: string
  readonly groupCount: number
  readonly nowMs: number
  /** Resolves when the node is a member of no group any more. */
  readonly leave: () => Promise<void>
  /** Resolves when the node is a member of every group, with this folder. */
  readonly join: (incarnation: string) => Promise<void>
}

/** Resolves with where the old folder is now, if there was one. Rejects with StoreError, or as `leave` and `join` do. */
export async function rebuildFolder(options: RebuildOptions): Promise<string | undefined> {
  const { dataDir, nowMs } = options
  const lock = await lockFolder(dataDir, { nowMs })
  try {
    const folder = join(dataDir, 'state')
    const isThere = existsSync(folder)
    if (isThere) await checkOwner(folder, options)
    await options.leave()
    const aside = `${folder}.old-${nowMs}`
    forgetMade(folder)
    if (isThere) renameSync(folder, aside)
    const { clusterId, nodeId, groupCount } = options
    const meta = { clusterId, nodeId, groupCount, incarnation: newIncarnation(), isFounding: false }
    const store = openLmdbStore(folder)
    try {
      const position = { index: 0, term: 0, confState: newConfState([]) }
      await makeBirth(store, { meta, position, members: new Map() })
    } finally {
      await store.close()
    }
    await options.join(meta.incarnation)
    return isThere ? aside : undefined
  } finally {
    await lock.release()
  }
}

/** A folder that is somebody else's stays; one that cannot be read is what this is for. */
async function checkOwner(folder: string, { clusterId, nodeId }: RebuildOptions): Promise<void> {
  const meta = await readOwner(folder)
  if (meta === undefined || (meta.clusterId === clusterId && meta.nodeId === nodeId)) return
  const owner = `node ${meta.nodeId} of cluster ${meta.clusterId}`
  throw new StoreError('foreign_data', `${folder} belongs to ${owner}, not to node ${nodeId} of ${clusterId}`)
}

const unreadable: ReadonlySet<StoreErrorCode> = new Set(['corrupt', 'data_damaged', 'data_lost'])

async function readOwner(folder: string): Promise<StoreMeta | undefined> {
  let store: Store | undefined
  try {
    store = openLmdbStore(folder)
    return readMeta(store)
  } catch (error) {
    if (error instanceof StoreError && unreadable.has(error.code)) return undefined
    throw error
  } finally {
    await store?.close()
  }
}
