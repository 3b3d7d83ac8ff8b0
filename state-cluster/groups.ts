/**
 * Which Raft group holds an auction.
 *
 * Invariant: the same id and number of groups give the same group in every version, because the auction's history is
 * stored there: the function never changes, and the number is fixed when the cluster is made. The hash is the CRC-32
 * of runtime/checksum.ts, the same on every platform. Source: docs/spec.md STORE15.
 */
import type { AuctionId, GroupId } from '../protocol/ids.ts'
import { crc32 } from '../runtime/checksum.ts'

/** Every group costs a log, ticks and a state; keys leave room for more. */
export const groupCountMax = 1_024

const ascii = new Uint8Array(256)

/** All groups of a cluster: 0 to `groupCount` − 1. Buyers live in the first. */
export function groupsOf(groupCount: number): GroupId[] {
  return Array.from({ length: groupCount }, (_, number) => number as GroupId)
}

export function groupOf(auctionId: AuctionId, groupCount: number): GroupId {
  if (groupCount === 1) return 0 as GroupId
  const { length } = auctionId
  for (let i = 0; i < length; i++) ascii[i] = auctionId.charCodeAt(i)
  return (crc32(ascii.subarray(0, length)) % groupCount) as GroupId
}
