/**
 * What travels in a snapshot beside its rows: its position and the members.
 *
 *   data  [state hash, members]     position and configuration are in Raft's own metadata
 *
 * Invariant: what cannot be read is StoreError `corrupt`. Source: docs/raft.md, the caller's duty 9.
 */
import type { Snapshot } from '../raft/index.ts'
import type { CheckpointPosition } from '../storage/checkpoint.ts'
import { corrupt } from '../storage/layout.ts'
import { decodeMembers, encodeMembers, type Members } from '../storage/member-record.ts'
import { pack, unpack } from '../storage/pack.ts'

/** What travels in a snapshot beside its rows. */
export interface SnapshotHead {
  readonly position: CheckpointPosition
  readonly members: Members
}

export function snapshotOf({ position, members }: SnapshotHead): Snapshot {
  const { index, term, confState, stateHash } = position
  return { data: pack([stateHash, encodeMembers(members)]), metadata: { index, term, confState } }
}

/** Throws StoreError `corrupt`. */
export function headOf({ data, metadata }: Snapshot): SnapshotHead {
  const fields = unpack(data)
  if (!Array.isArray(fields) || typeof fields[0] !== 'string' || !(fields[1] instanceof Uint8Array)) {
    throw corrupt('snapshot', 'it does not say what its state is')
  }
  return { position: { ...metadata, stateHash: fields[0] }, members: decodeMembers(fields[1]) }
}
