/**
 * A snapshot that is being received, from its first row to the installed state.
 *
 *   rows ──► incoming area ──► one commit: log replaced, "installing" ──► old rows removed
 *   (bounded commits)          └─ from here it counts               ──► incoming rows copied to their places
 *                                                                   ──► one commit: checkpoint, "installing" removed
 *
 * Blocks of events replace none that has more; those that came of a transfer that broke serve the next.
 * Invariant: until the commit that says "installing", the old state is untouched; from then on the new one is
 * whole in the incoming area until its checkpoint counts, so that a crash at any point is followed by a start from
 * before or, through `finishInstall`, from after. The replica decides when. Source: docs/raft.md, duty 4.
 */
import type { GroupId } from '../../protocol/ids.ts'
import { newConfState } from '../raft/index.ts'
import { type CheckpointPosition, writeOfCheckpoint } from './checkpoint.ts'
import { eventsInBlock } from './history.ts'
import {
  corrupt,
  decodeBytes,
  encodeBytes,
  incomingKeyOf,
  incomingRange,
  incomingRowRange,
  installingKey,
  isEventKey,
  keyOfIncoming,
  rowRange,
  stagedRange,
} from './layout.ts'
import { pack, unpack } from './pack.ts'
import { pagesOf } from './pages.ts'
import type { Store, StoreRange, StoreReader, StoreRow, StoreWrite } from './store.ts'

const installingVersion = 1

/** Removes the rows that came of an earlier snapshot that was not installed. Its events may serve the next. */
export function clearIncomingRows(store: Store, groupId: GroupId): Promise<void> {
  return clear(store, incomingRowRange(groupId))
}

/** Removes whatever came of an earlier snapshot that was not installed. */
export function clearIncoming(store: Store, groupId: GroupId): Promise<void> {
  return clear(store, incomingRange(groupId))
}

/** Stores some rows of a snapshot. Throws StoreError `corrupt` where one is damaged or belongs elsewhere. */
export async function storeIncoming(
  store: Store,
  groupId: GroupId,
  rows: readonly StoreRow[],
): Promise<void> {
  const writes = rows.map(({ key, value }): StoreWrite => {
    const incoming = incomingKeyOf(groupId, key)
    if (incoming === undefined) throw corrupt('row of a snapshot', 'it belongs to something else')
    decodeBytes(key, value, 'row of a snapshot')
    return { key: incoming, value }
  })
  await store.commit(writes)
}

/** What makes the incoming rows count, together with a log that begins after `position`. */
export function writeOfInstalling(groupId: GroupId, position: CheckpointPosition): StoreWrite {
  const key = installingKey(groupId)
  const { index, term, confState, stateHash } = position
  const { voters, learners, votersOutgoing, learnersNext, autoLeave } = confState
  const conf = [voters, learners, votersOutgoing, learnersNext, autoLeave]
  return { key, value: encodeBytes(key, pack([installingVersion, index, term, conf, stateHash])) }
}

/** Brings an installation to its end, also one that a crash has cut off; does nothing where there is none. */
export async function finishInstall(store: Store, groupId: GroupId): Promise<void> {
  const position = readInstalling(store, groupId)
  if (position === undefined) return
  await clear(store, rowRange(groupId))
  await clear(store, stagedRange(groupId, 0))
  for (const page of pagesOf(store, incomingRange(groupId))) {
    const rows = page.map(({ key, value }) => ({ key: keyOfIncoming(key), value }))
    await store.commit(rows.filter((row) => !isBehind(store, groupId, row)))
  }
  await store.commit([
    writeOfCheckpoint(groupId, position),
    { key: installingKey(groupId), value: undefined },
  ])
  await clearIncoming(store, groupId)
}

/** Whether a block of events has fewer than the one in its place: it came of a transfer that broke long ago. */
function isBehind(reader: StoreReader, groupId: GroupId, { key, value }: StoreRow): boolean {
  if (!isEventKey(groupId, key)) return false
  const own = reader.get(key)
  return own !== undefined && eventsInBlock(key, own) > eventsInBlock(key, value)
}

function readInstalling(reader: StoreReader, groupId: GroupId): CheckpointPosition | undefined {
  const key = installingKey(groupId)
  const value = reader.get(key)
  if (value === undefined) return undefined
  const fields = unpack(decodeBytes(key, value, 'note of an installation'))
  if (!Array.isArray(fields) || fields[0] !== installingVersion || fields.length !== 5) {
    throw corrupt('note of an installation', 'its version is unknown')
  }
  const [, index, term, conf, stateHash] = fields as [
    number,
    number,
    number,
    [number[], number[], number[], number[], boolean],
    string,
  ]
  const [voters, learners, votersOutgoing, learnersNext, autoLeave] = conf
  const confState = { ...newConfState(voters, learners), votersOutgoing, learnersNext, autoLeave }
  return { index, term, confState, stateHash }
}

async function clear(store: Store, range: StoreRange): Promise<void> {
  for (const page of pagesOf(store, range)) {
    await store.commit(page.map(({ key }) => ({ key, value: undefined })))
  }
}
