/**
 * What a node is started with, and the checks on it.
 *
 * Invariant: a `Settings` has every field and has passed every check; nothing else in the core looks at
 * defaults. Sizes are bytes, times are ticks (calls of `tick`). Source: etcd-io/raft Config.
 */
import { assert } from './assert.ts'
import type { Storage } from './storage.ts'
import { NO_LIMIT } from './types.ts'

/**
 * How linearizable reads are confirmed.
 *
 * - `ReadOnlySafe`: the leader asks a quorum whether it still leads. Needs no clock.
 * - `ReadOnlyLeaseBased`: the leader answers at once, on the ground that nobody can have been elected while a
 *   quorum answered within the election timeout. The risk: it holds only as long as clocks run at about the
 *   same speed and no process sleeps unnoticed. A leader that was paused (SIGSTOP, VM migration), or whose
 *   ticks fell behind, may serve **stale reads** although another one leads. Needs `checkQuorum`.
 */
export type ReadOnlyOption = 'ReadOnlySafe' | 'ReadOnlyLeaseBased'

export interface Config {
  /** This node. An integer > 0. */
  id: number
  /**
   * Ticks without a word of the leader after which an election may start; the actual timeout is drawn again
   * from [electionTick, 2 × electionTick). Must be greater than `heartbeatTick`; ten times is usual.
   */
  electionTick: number
  /** Ticks between heartbeats of a leader. ≥ 1. */
  heartbeatTick: number
  storage: Storage
  /** The only source of chance: an integer drawn evenly from [0, bound). */
  random: (bound: number) => number
  /** The last index that the state machine has applied, when it keeps its state over a restart. Default 0. */
  applied?: number
  /**
   * Writes go through MsgStorageAppend and MsgStorageApply messages, whose responses take the place of
   * `advance`. Messages to one thread are handled in order and never lost; the threads do not wait for each
   * other. What a MsgStorageAppend with responses carries is durable before these are delivered; a
   * MsgStorageApply need not be. Default false.
   */
  asyncStorageWrites?: boolean
  /** Most bytes (`entrySize`) of entries in one MsgApp; 0 sends one entry at a time. Default no limit. */
  maxSizePerMsg?: number
  /** Most bytes of entries handed out to be applied and not yet acknowledged. Default `maxSizePerMsg`. */
  maxCommittedSizePerReady?: number
  /** Most bytes of payload in a leader's uncommitted tail; proposals beyond are dropped. Default no limit. */
  maxUncommittedEntriesSize?: number
  /** Most MsgApp in flight to a follower. ≥ 1. */
  maxInflightMsgs: number
  /** Most bytes of payload in flight to a follower; at least `maxSizePerMsg`. Default no limit. */
  maxInflightBytes?: number
  /** A leader that no quorum has answered for an election timeout steps down. Default false. */
  checkQuorum?: boolean
  /** Candidates first ask whether they could win, so that a cut-off node disturbs nobody (§9.6). Default false. */
  preVote?: boolean
  /** Default `ReadOnlySafe`. */
  readOnlyOption?: ReadOnlyOption
  /** Followers drop proposals instead of forwarding them. Default false. */
  disableProposalForwarding?: boolean
  /**
   * Proposed configuration changes are not checked against the active configuration. For callers that check
   * and serialize changes themselves: an invalid change that is committed is an assertion. Default false.
   */
  disableConfChangeValidation?: boolean
  /** A leader that is removed, or becomes a learner, steps down when it applies that change. Default false. */
  stepDownOnRemoval?: boolean
}

export type Settings = Readonly<Required<Config>>

/** Fills in defaults and checks. A wrong configuration is an AssertionError. */
export function settingsOf(config: Config): Settings {
  const maxSizePerMsg = config.maxSizePerMsg ?? NO_LIMIT
  const settings: Settings = {
    ...config,
    applied: config.applied ?? 0,
    asyncStorageWrites: config.asyncStorageWrites ?? false,
    maxSizePerMsg,
    // A bound of 0 would be reached before anything is handed out, and nothing ever applied.
    maxCommittedSizePerReady: Math.max(config.maxCommittedSizePerReady || maxSizePerMsg, 1),
    maxUncommittedEntriesSize: config.maxUncommittedEntriesSize || NO_LIMIT,
    maxInflightBytes: config.maxInflightBytes || NO_LIMIT,
    checkQuorum: config.checkQuorum ?? false,
    preVote: config.preVote ?? false,
    readOnlyOption: config.readOnlyOption ?? 'ReadOnlySafe',
    disableProposalForwarding: config.disableProposalForwarding ?? false,
    disableConfChangeValidation: config.disableConfChangeValidation ?? false,
    stepDownOnRemoval: config.stepDownOnRemoval ?? false,
  }
  const { id, electionTick, heartbeatTick, maxInflightMsgs, maxInflightBytes } = settings
  const isPositive = (value: number): boolean => Number.isSafeInteger(value) && value > 0
  assert(isPositive(id), 'the id of a node is an integer > 0', { id })
  assert(isPositive(heartbeatTick), 'heartbeatTick is an integer > 0', { heartbeatTick })
  assert(
    Number.isSafeInteger(electionTick) && electionTick > heartbeatTick,
    'electionTick is an integer greater than heartbeatTick',
    { electionTick, heartbeatTick },
  )
  assert(isPositive(maxInflightMsgs), 'maxInflightMsgs is an integer > 0', { maxInflightMsgs })
  assert(
    maxInflightBytes === NO_LIMIT || maxInflightBytes >= maxSizePerMsg,
    'maxInflightBytes holds at least one message',
    { maxInflightBytes, maxSizePerMsg },
  )
  assert(
    settings.readOnlyOption !== 'ReadOnlyLeaseBased' || settings.checkQuorum,
    'reads on a lease need checkQuorum',
  )
  return settings
}
