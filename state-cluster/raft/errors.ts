/**
 * The errors of the Raft core that are not broken rules.
 *
 * A step that is refused returns one of the frozen `StepError`s: a lawful refusal, cheap enough for thousands a
 * second. Storage throws `StorageError`. Broken rules are in assert.ts.
 * Invariant: none of these errors means that the node's state is damaged; the caller may continue.
 */

/** Why a proposal was dropped. */
export type ProposalDropReason =
  | 'no_leader'
  | 'forwarding_disabled'
  | 'not_a_member'
  | 'transferring_leadership'
  | 'too_many_uncommitted_bytes'

export type StepError =
  | {
      readonly code: 'proposal_dropped'
      readonly reason: ProposalDropReason
      readonly message: 'raft proposal dropped'
    }
  | { readonly code: 'step_local_message'; readonly message: string }
  | { readonly code: 'step_peer_not_found'; readonly message: string }

function dropped(reason: ProposalDropReason): StepError {
  return Object.freeze({ code: 'proposal_dropped', reason, message: 'raft proposal dropped' })
}

export const DROPPED_NO_LEADER = dropped('no_leader')
export const DROPPED_FORWARDING_DISABLED = dropped('forwarding_disabled')
export const DROPPED_NOT_A_MEMBER = dropped('not_a_member')
export const DROPPED_TRANSFERRING = dropped('transferring_leadership')
export const DROPPED_TOO_MANY_BYTES = dropped('too_many_uncommitted_bytes')

/** A message that only the node itself may make was handed to `step`. */
export const STEP_LOCAL_MESSAGE: StepError = Object.freeze({
  code: 'step_local_message',
  message: 'a local message cannot be stepped from outside',
})
/** A response from a node that is not in the configuration. */
export const STEP_PEER_NOT_FOUND: StepError = Object.freeze({
  code: 'step_peer_not_found',
  message: 'the sender is not in the configuration',
})

export type StorageErrorCode =
  /** The index is at or below the last compaction. */
  | 'compacted'
  /** The index is above the last entry. */
  | 'unavailable'
  /** The snapshot offered is older than the one in place. */
  | 'snapshot_out_of_date'
  /** A snapshot is needed and being made: repeat the request later. */
  | 'snapshot_temporarily_unavailable'

const STORAGE_ERROR_TEXT: Readonly<Record<StorageErrorCode, string>> = {
  compacted: 'the index is compacted away',
  unavailable: 'the entry at the index is not there',
  snapshot_out_of_date: 'the snapshot is older than the one in place',
  snapshot_temporarily_unavailable: 'the snapshot is not ready yet',
}

/** Thrown by implementations of `Storage`. Anything else that they throw ends the caller's turn as it is. */
export class StorageError extends Error {
  override readonly name = 'StorageError'
  readonly code: StorageErrorCode
  readonly retryable: boolean

  constructor(code: StorageErrorCode) {
    super(STORAGE_ERROR_TEXT[code])
    this.code = code
    this.retryable = code === 'snapshot_temporarily_unavailable'
  }
}

/**
 * A configuration change that cannot be applied to the configuration at hand; `message` says why. Thrown by
 * `Changer`, so that a caller may try a change before proposing it. Once committed it is a broken rule.
 */
export class ConfChangeError extends Error {
  override readonly name = 'ConfChangeError'
  readonly code = 'conf_change_invalid'
  readonly retryable = false
}

export function isStorageError(error: unknown, code: StorageErrorCode): error is StorageError {
  return error instanceof StorageError && error.code === code
}
