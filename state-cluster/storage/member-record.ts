/**
 * The record of a group's members: addresses and data folders.
 *
 * It is one row beside the checkpoint, written when a membership change is applied.
 * Invariant: after a start and the replay of the log after the checkpoint, it names what the last applied
 * change named. It may be ahead of the checkpoint, because the replay gives the same again.
 */
import type { GroupId } from '../../protocol/ids.ts'
import { corrupt, decodeBytes, encodeBytes, membersKey } from './layout.ts'
import { pack, unpack } from './pack.ts'
import type { StoreReader, StoreWrite } from './store.ts'

export interface MemberAddress {
  readonly host: string
  readonly port: number
  /** Of the data folder that is meant; absent while nobody has said which. */
  readonly incarnation?: string
  /** Of a learner: the voter that leaves when it becomes one. */
  readonly replaces?: number
}

/** By node id. */
export type Members = ReadonlyMap<number, MemberAddress>

export function encodeMembers(members: Members): Uint8Array {
  return pack(
    [...members].map(([nodeId, { host, port, incarnation, replaces }]) => [
      nodeId,
      host,
      port,
      incarnation ?? null,
      replaces ?? null,
    ]),
  )
}

/** Throws where the bytes are no list of members. */
export function decodeMembers(bytes: Uint8Array): Map<number, MemberAddress> {
  const list = unpack(bytes)
  if (!Array.isArray(list)) throw corrupt('list of members', 'it is no list')
  return new Map(
    (list as [number, string, number, string | null, number | null][]).map(
      ([nodeId, host, port, incarnation, replaces]) => [
        nodeId,
        {
          host,
          port,
          ...(incarnation !== null && { incarnation }),
          ...(replaces !== null && { replaces }),
        },
      ],
    ),
  )
}

export function writeOfMembers(groupId: GroupId, members: Members): StoreWrite {
  const key = membersKey(groupId)
  return { key, value: encodeBytes(key, encodeMembers(members)) }
}

/** Empty where none were ever named: a replica that is alone. */
export function readMembers(reader: StoreReader, groupId: GroupId): Map<number, MemberAddress> {
  const key = membersKey(groupId)
  const value = reader.get(key)
  return value === undefined ? new Map() : decodeMembers(decodeBytes(key, value, 'list of members'))
}
