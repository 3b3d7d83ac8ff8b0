/**
 * The public interface of the Raft core.
 *
 * It exports what the replica and the transport need, and nothing else.
 * Invariant: the core is pure: no clock, no I/O, no randomness but what `Config.random` gives, no dependency.
 */
export { AssertionError } from './assert.ts'
export { asV2, changesOf, decodeConfChange } from './confchange-codec.ts'
export type { Config, ReadOnlyOption } from './config.ts'
export { EntryRing } from './entry-ring.ts'
export {
  ConfChangeError,
  isStorageError,
  type ProposalDropReason,
  type StepError,
  StorageError,
  type StorageErrorCode,
} from './errors.ts'
export { MemoryStorage } from './memory-storage.ts'
export type { Progress } from './progress.ts'
export { RawNode, type SnapshotStatus } from './rawnode.ts'
export { entriesSize, entrySize } from './sizes.ts'
export type { BasicStatus, Status } from './status.ts'
export type { InitialState, Storage } from './storage.ts'
export * from './types.ts'
