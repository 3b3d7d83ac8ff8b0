/**
 * The bounds of snapshot transfers, shared by both halves. Invariant: memory per transfer stays below
 * `windowChunks` × (`chunkBytes` + `rowBytesMax`) on either side. Source: docs/spec.md PEER12.
 */
import type { FrameKind } from '../../wire/kinds.ts'

export interface SnapshotLimits {
  /** A chunk is sent once it has this many bytes; its last row may go beyond. */
  readonly chunkBytes: number
  /** Chunks that were sent and are not stored yet. */
  readonly windowChunks: number
  /** A longer row (key, value and 8 bytes) aborts the transfer. */
  readonly rowBytesMax: number
  /** A transfer without progress for this long is aborted. */
  readonly stallMs: number
  /** Transfers that one node receives at a time, from one peer. */
  readonly incomingMax: number
}

export const snapshotLimits: SnapshotLimits = {
  chunkBytes: 256 * 1024,
  windowChunks: 4,
  rowBytesMax: 8 * 1024 * 1024,
  stallMs: 20_000,
  incomingMax: 16,
}

/** Where frames of a transfer go. `false`: not taken now. */
export interface FrameChannel {
  send(kind: FrameKind, parts: readonly Uint8Array[]): boolean
}
