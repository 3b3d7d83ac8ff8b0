/**
 * A snapshot that is being received, from its first row to the installed state.
 *
 *   history ──► its place, where it follows what is there already
 *   rows ──► incoming area ──► one commit: log replaced, "installing" ──► old rows removed
 *   (bounded commits)          └─ from here it counts               ──► incoming rows copied to their places
 *                                                                   ──► one commit: checkpoint, "installing" removed
 *
 * Blocks of events are written once: they only continue what is there, and nobody reads beyond the last applied event.
 * Invariant: until the commit that says "installing", the old state is untouched; from then on the new one is
 * whole in the incoming area until its checkpoint counts, so that a crash at any point is followed by a start from
 * before or, through `finishInstall`, from after. The replica decides when. Source: docs/raft.md, duty 4.
 */
import type { GroupId } from '../../protocol/ids.ts'
import { newConfState } from '../raft/index.ts'
import { type CheckpointPosition, writeOfCheckpoint } from './checkpoint.ts'
import {
  corrupt,
  decodeBytes,
  encodeBytes,
  incomingKeyOf,
  incomingRange,
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
    if (isEventKey(groupId, key)) {
      decodeBytes(key, value, 'block of events of a snapshot')
      return { key, value }
    }
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
    await store.commit(page.map(({ key, value }) => ({ key: keyOfIncoming(key), value })))
  }
  await store.commit([
    writeOfCheckpoint(groupId, position),
    { key: installingKey(groupId), value: undefined },
  ])
  await clearIncoming(store, groupId)
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
