/**
 * How big entries are, for every limit in bytes.
 *
 * `entrySize` is the size of the reference's protobuf encoding (raftpb.Entry), whatever encoding the transport uses.
 * `payloadSize` counts the data alone: it is what an application can foresee, and an empty payload is free.
 * Invariant: a limit given in bytes cuts at the same entry as in etcd-io/raft.
 */
import type { Entry } from './types.ts'

/** Bytes of `value` as a base-128 varint. `value` is a safe integer ≥ 0. */
function varintSize(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x20_0000) return 3
  if (value < 0x1000_0000) return 4
  let size = 5
  for (let rest = value / 0x8_0000_0000; rest >= 1; rest /= 0x80) size++
  return size
}

/** Encoded bytes of an entry: three tagged numbers and, if there is any, the tagged and counted data. */
export function entrySize(entry: Entry): number {
  const dataLength = entry.data.length
  const header = 4 + varintSize(entry.term) + varintSize(entry.index)
  return dataLength === 0 ? header : header + 1 + varintSize(dataLength) + dataLength
}

export function entriesSize(entries: readonly Entry[]): number {
  let sum = 0
  for (let i = 0; i < entries.length; i++) sum += entrySize(entries[i] as Entry)
  return sum
}

export function payloadsSize(entries: readonly Entry[]): number {
  let sum = 0
  for (let i = 0; i < entries.length; i++) sum += (entries[i] as Entry).data.length
  return sum
}
