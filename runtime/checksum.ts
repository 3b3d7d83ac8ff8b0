/**
 * The one CRC-32 of Martillo.
 *
 * Rows on disk, frames, snapshots and backups carry it, and it places an auction in its group.
 *
 * Invariant: the same bytes give the same number in every version and on every platform, because stored data and the
 * placement of auctions depend on it. It finds flipped bits; it is no defence against forgery.
 * Source: IEEE 802.3, reflected, as zlib computes it.
 */
import { crc32 as zlibCrc32 } from 'node:zlib'

/** The checksum of `bytes`; `before` is the checksum of the bytes that come before them. 0 to 2^32−1. */
export function crc32(bytes: Uint8Array, before = 0): number {
  // Of no bytes at a null address, zlib gives its initial value whatever came before.
  return bytes.length === 0 ? before : zlibCrc32(bytes, before)
}
