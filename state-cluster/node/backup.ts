/**
 * A node's backup: a stream of bytes, and a new folder made from it.
 *
 *   | "martillo backup 1\n" | record … |      record: | length u32 | crc32 u32 | MessagePack tuple |
 *   ["head", cluster id, groups, taken at ms]
 *   for each group:  ["group", group, index, term, state hash]  ["rows", [key, value, key, value …]] …
 *   ["end", rows]
 *
 * Invariant: a backup is one checkpoint of each group with everything that was applied when it was requested; what
 * is restored has the state hash that the backup names, or is not restored. A restored cluster has another id than
 * the one that was copied, so that nobody who knew the old one takes the new one for it.
 * Source: docs/spec.md BACKUP1, BACKUP2.
 */
import type { GroupId } from '../../protocol/ids.ts'
import { crc32 } from '../../runtime/checksum.ts'
import { systemTiming } from '../../wire/timing.ts'
import { groupsOf } from '../groups.ts'
import { newConfState } from '../raft/index.ts'
import { AppliedState } from '../replica/applied-state.ts'
import { type CheckpointPosition, readCheckpoint, writeOfCheckpoint } from '../storage/checkpoint.ts'
import { writesOfNewLog } from '../storage/disk-log.ts'
import { lockFolder } from '../storage/folder-lock.ts'
import { corrupt, decodeBytes, incomingKeyOf } from '../storage/layout.ts'
import { openLmdbStore } from '../storage/lmdb-store.ts'
import { type Members, writeOfMembers } from '../storage/member-record.ts'
import { newIncarnation, readMeta, writeOfMeta } from '../storage/meta.ts'
import { pack, unpack } from '../storage/pack.ts'
import { snapshotPages } from '../storage/snapshot-rows.ts'
import { type Store, StoreError, type StoreRow, type StoreWrite } from '../storage/store.ts'
import type { ReplicaHost } from './host.ts'

const formatName = 'martillo backup '
const magic = Buffer.from(`${formatName}1\n`)
const recordHeadBytes = 8
const recordBytesMax = 64 * 2 ** 20

export async function* backupOf(host: ReplicaHost): AsyncGenerator<Uint8Array> {
  for (const replica of host.replicas) await replica.checkpointed()
  const view = host.view()
  try {
    const { clusterId, groupCount } = host.meta
    yield magic
    yield record(['head', clusterId, groupCount, host.timing.clock.nowMs()])
    let rowCount = 0
    for (const groupId of host.groups) {
      const position = readCheckpoint(view, groupId)
      if (position === undefined) throw corrupt('checkpoint', 'it is not there')
      yield record(['group', groupId, position.index, position.term, position.stateHash])
      for (const page of snapshotPages(view, groupId)) {
        rowCount += page.length
        yield record(['rows', page.flatMap(({ key, value }) => [key, value])])
      }
    }
    yield record(['end', rowCount])
  } finally {
    view.close()
  }
}

function record(fields: readonly unknown[]): Uint8Array {
  const body = pack(fields)
  const head = Buffer.alloc(recordHeadBytes)
  head.writeUInt32BE(body.length, 0)
  head.writeUInt32BE(crc32(body), 4)
  return Buffer.concat([head, body])
}

export interface RestoreOptions {
  /** Must be empty, or not there. */
  readonly dataDir: string
  readonly nodeId: number
  /** Of the new cluster, not the one that was copied. */
  readonly clusterId: string
  /** All members of the new cluster; each is restored from the same backup. Empty: a single node. */
  readonly members: Members
  readonly nowMs: number
}

export interface Restored {
  readonly takenAtMs: number
  readonly rowCount: number
  readonly groups: readonly {
    readonly groupId: GroupId
    readonly index: number
    readonly stateHash: string
  }[]
}

/** Makes a folder from a backup. Rejects with StoreError; a folder that was begun is then of no use. */
export async function restoreBackup(
  source: AsyncIterable<Uint8Array>,
  options: RestoreOptions,
): Promise<Restored> {
  const lock = await lockFolder(options.dataDir, { nowMs: options.nowMs })
  let store: Store | undefined
  try {
    store = openLmdbStore(`${options.dataDir}/state`)
    if (store.stats().entryCount > 0) {
      const owner = readMeta(store)?.clusterId ?? 'an unfinished restore'
      throw new StoreError(
        'foreign_data',
        `${options.dataDir} is not empty (${owner}): restore into a new folder`,
      )
    }
    return await restoreInto(store, source, options)
  } finally {
    await store?.close()
    await lock.release()
  }
}

async function restoreInto(
  store: Store,
  source: AsyncIterable<Uint8Array>,
  options: RestoreOptions,
): Promise<Restored> {
  const { head, positions, rowCount } = await storeRows(store, source, options)
  const { groupCount, takenAtMs } = head
  const groups = groupsOf(groupCount).map((groupId) => {
    const position = positions.get(groupId)
    if (position === undefined) throw corrupt('backup', `group ${groupId} is missing`)
    return { groupId, position }
  })
  await store.commit(writesOfFolder(groups, groupCount, options))
  const { afterTurn } = systemTiming
  for (const { groupId } of groups) {
    // Loads the state, which compares its hash.
    await AppliedState.open({ store, groupId, afterTurn })
  }
  return {
    takenAtMs,
    rowCount,
    groups: groups.map(({ groupId, position: { index, stateHash } }) => ({ groupId, index, stateHash })),
  }
}

interface GroupOfBackup {
  readonly groupId: GroupId
  readonly position: CheckpointPosition
}

/** What makes a folder of the rows: logs that begin after the checkpoints, members, and whose folder it is. */
function writesOfFolder(
  groups: readonly GroupOfBackup[],
  groupCount: number,
  { clusterId, nodeId, members }: RestoreOptions,
): StoreWrite[] {
  const isFounding = members.size > 1
  return [
    ...groups.flatMap(({ groupId, position }) => [
      ...writesOfNewLog(groupId, position),
      writeOfCheckpoint(groupId, position),
      writeOfMembers(groupId, members),
    ]),
    writeOfMeta({ clusterId, nodeId, groupCount, incarnation: newIncarnation(), isFounding }),
  ]
}

interface StoredRows {
  readonly head: { readonly groupCount: number; readonly takenAtMs: number }
  readonly positions: ReadonlyMap<GroupId, CheckpointPosition>
  readonly rowCount: number
}

/** Stores every row of a backup, and reads what it says of itself. Throws StoreError where it is not whole. */
async function storeRows(
  store: Store,
  source: AsyncIterable<Uint8Array>,
  { clusterId, nodeId, members }: RestoreOptions,
): Promise<StoredRows> {
  const confState = newConfState(members.size === 0 ? [nodeId] : [...members.keys()].sort((a, b) => a - b))
  const positions = new Map<GroupId, CheckpointPosition>()
  let head: StoredRows['head'] | undefined
  let groupId = 0 as GroupId
  let rowCount = 0
  let isWhole = false
  for await (const [kind, ...fields] of recordsOf(source)) {
    if (kind === 'head') head = headOf(fields, clusterId)
    else if (kind === 'group') {
      const [id, index, term, stateHash] = fields as [GroupId, number, number, string]
      groupId = id
      positions.set(id, { index, term, stateHash, confState })
    } else if (kind === 'rows') {
      const rows = checkedRows(groupId, fields)
      rowCount += rows.length
      await store.commit(rows)
    } else if (kind === 'end') isWhole = fields[0] === rowCount
  }
  if (head === undefined || !isWhole) throw corrupt('backup', 'it is not whole')
  return { head, positions, rowCount }
}

function headOf(fields: readonly unknown[], clusterId: string): StoredRows['head'] {
  const [ofCluster, groupCount, takenAtMs] = fields as [string, number, number]
  if (ofCluster === clusterId) {
    const text = 'a restored cluster needs another name than the one that was copied'
    throw new StoreError('foreign_data', text)
  }
  return { groupCount, takenAtMs }
}

/** Rows of a group whose checksums hold. */
function checkedRows(groupId: GroupId, fields: readonly unknown[]): StoreRow[] {
  const [flat] = fields as [Uint8Array[]]
  const rows = Array.from({ length: flat.length / 2 }, (_, at) => ({
    key: flat[at * 2] as Uint8Array,
    value: flat[at * 2 + 1] as Uint8Array,
  }))
  for (const { key, value } of rows) {
    if (incomingKeyOf(groupId, key) === undefined) throw corrupt('backup', 'a row belongs to something else')
    decodeBytes(key, value, 'row of the backup')
  }
  return rows
}

/** Throws StoreError: `corrupt` where this is no backup, `foreign_data` where it is one in another format. */
function checkMagic(bytes: Buffer): void {
  if (bytes.equals(magic)) return
  const text = bytes.toString('latin1')
  if (!text.startsWith(formatName)) throw corrupt('backup', 'this is none')
  const format = text.slice(formatName.length).trim()
  throw new StoreError(
    'foreign_data',
    `the backup has format ${format}, this version reads 1: use the version that wrote it`,
  )
}

/** The records of a stream, each with a checksum that holds. */
async function* recordsOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<readonly unknown[]> {
  let buffered = Buffer.alloc(0)
  let isBegun = false
  for await (const chunk of source) {
    buffered = Buffer.concat([buffered, chunk])
    if (!isBegun) {
      if (buffered.length < magic.length) continue
      checkMagic(buffered.subarray(0, magic.length))
      buffered = buffered.subarray(magic.length)
      isBegun = true
    }
    while (buffered.length >= recordHeadBytes) {
      const length = buffered.readUInt32BE(0)
      if (length > recordBytesMax) throw corrupt('backup', 'a record is too long')
      const end = recordHeadBytes + length
      if (buffered.length < end) break
      const body = buffered.subarray(recordHeadBytes, end)
      if (crc32(body) !== buffered.readUInt32BE(4)) throw corrupt('backup', 'a checksum does not match')
      const fields = unpack(Uint8Array.from(body))
      if (!Array.isArray(fields)) throw corrupt('backup', 'a record is no list')
      yield fields
      buffered = buffered.subarray(end)
    }
  }
  if (buffered.length > 0 || !isBegun) throw corrupt('backup', 'it is cut off')
}
