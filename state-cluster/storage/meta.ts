/**
 * The record that says which node of which cluster a data folder belongs to.
 *
 * There is one for the whole environment, written with its first groups in one commit. Invariant: a folder is only
 * ever used by the node of the cluster that made it, in a format that this version knows; anything else is StoreError
 * `foreign_data`, before anything is written. The incarnation is drawn when the folder is made and never changes, so
 * that another folder under the same number can be distinguished from this one. Source: docs/spec.md IDENT1.
 */
import { randomBytes } from 'node:crypto'
import { corrupt, decodeBytes, encodeBytes, metaKey } from './layout.ts'
import { pack, unpack } from './pack.ts'
import { StoreError, type StoreReader, type StoreWrite } from './store.ts'

/** The layout of layout.ts, checkpoint.ts, history.ts and this file. */
const formatVersion = 1

export interface StoreMeta {
  readonly clusterId: string
  /** Raft id of this node in every group, > 0. */
  readonly nodeId: number
  /** Groups of the cluster, fixed at its creation. */
  readonly groupCount: number
  /** Of this folder, drawn at random when it is made. */
  readonly incarnation: string
  /** A founder of a new cluster that does not know yet that all others know it: it takes no part. */
  readonly isFounding: boolean
}

export function newIncarnation(): string {
  return randomBytes(8).toString('hex')
}

export function writeOfMeta(meta: StoreMeta): StoreWrite {
  const { clusterId, nodeId, groupCount, incarnation, isFounding } = meta
  const fields = [formatVersion, clusterId, nodeId, groupCount, incarnation, isFounding]
  return { key: metaKey, value: encodeBytes(metaKey, pack(fields)) }
}

/** `undefined` where the folder is new. Throws StoreError `foreign_data` for another version, or `corrupt`. */
export function readMeta(reader: StoreReader): StoreMeta | undefined {
  const value = reader.get(metaKey)
  if (value === undefined) return undefined
  const fields = unpack(decodeBytes(metaKey, value, 'description of the data folder'))
  if (!Array.isArray(fields)) throw corrupt('description of the data folder', 'it is no list')
  const [version, clusterId, nodeId, groupCount, incarnation, isFounding] = fields as [
    number,
    string,
    number,
    number,
    string,
    boolean,
  ]
  if (version !== formatVersion) {
    const text = `the data folder has format ${version}, this version reads ${formatVersion}`
    throw new StoreError('foreign_data', `${text}: use the version that wrote it`)
  }
  return { clusterId, nodeId, groupCount, incarnation, isFounding }
}
