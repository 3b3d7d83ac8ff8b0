/**
 * The types of the Raft core: entries, messages, states, configuration changes, Ready.
 *
 * Names follow etcd-io/raft 3.6 (raftpb and node.go), camelCased. Ids are integers > 0. Terms and indexes are safe
 * integers ≥ 0. Sizes are bytes. Payloads are opaque `Uint8Array`s that are handed through by reference: a caller
 * that gave bytes to the core must not change them.
 *
 * Invariant: every object that travels has all of its fields, always, in one order. Build messages with
 * `newMessage`, so that the engine sees one shape.
 */

/** No node: the value of `lead`, `vote` and `leadTransferee` when there is none. */
export const NONE = 0
/** Target of `MsgStorageAppend`: the thread that writes the log and the hard state. Negative, so never a node. */
export const LOCAL_APPEND_THREAD = -1
/** Target of `MsgStorageApply`: the thread that applies committed entries. Negative, so never a node. */
export const LOCAL_APPLY_THREAD = -2
/** No bound, for every limit in bytes. */
export const NO_LIMIT = Number.POSITIVE_INFINITY

export type EntryType = 'EntryNormal' | 'EntryConfChange' | 'EntryConfChangeV2'

/** One position of the log. Immutable once it has a term and an index. */
export interface Entry {
  type: EntryType
  term: number
  index: number
  data: Uint8Array
}

/** What must survive a crash besides the log. `commit` may lag: it is an optimisation, not a promise. */
export interface HardState {
  term: number
  vote: number
  commit: number
}

/** The membership as of some index. All lists ascend; `votersOutgoing` is empty unless it is joint. */
export interface ConfState {
  voters: readonly number[]
  learners: readonly number[]
  votersOutgoing: readonly number[]
  /** Voters of the outgoing half that become learners when the joint configuration is left. */
  learnersNext: readonly number[]
  /** Whether a leader leaves the joint configuration by itself as soon as it may. */
  autoLeave: boolean
}

export interface SnapshotMetadata {
  confState: ConfState
  index: number
  term: number
}

/** The state machine as of `metadata.index`. `data` is the caller's. */
export interface Snapshot {
  data: Uint8Array
  metadata: SnapshotMetadata
}

export type MessageType =
  | 'MsgHup'
  | 'MsgBeat'
  | 'MsgProp'
  | 'MsgApp'
  | 'MsgAppResp'
  | 'MsgVote'
  | 'MsgVoteResp'
  | 'MsgSnap'
  | 'MsgHeartbeat'
  | 'MsgHeartbeatResp'
  | 'MsgUnreachable'
  | 'MsgSnapStatus'
  | 'MsgCheckQuorum'
  | 'MsgTransferLeader'
  | 'MsgTimeoutNow'
  | 'MsgReadIndex'
  | 'MsgReadIndexResp'
  | 'MsgPreVote'
  | 'MsgPreVoteResp'
  | 'MsgStorageAppend'
  | 'MsgStorageAppendResp'
  | 'MsgStorageApply'
  | 'MsgStorageApplyResp'
  | 'MsgForgetLeader'

/**
 * Everything that nodes (and the local storage threads) say to each other. Fields that a type does not use
 * hold 0, `false`, `null` or an empty value.
 *
 * - `term`: the sender's term; 0 on local messages and on forwarded `MsgProp` and `MsgReadIndex`.
 * - `logTerm`, `index`: on MsgApp the entry before `entries`; on (pre-)votes the candidate's last entry; on
 *   MsgAppResp `index` is what was accepted or rejected; on MsgStorageAppendResp the last entry written.
 * - `rejectHint`: on a rejecting MsgAppResp the highest index that may agree, with its term in `logTerm`.
 * - `vote`: on MsgStorageAppend the vote to persist, together with `term` and `commit` (all 0: no change).
 * - `responses`: on MsgStorageAppend and MsgStorageApply, what to deliver once the work is done.
 */
export interface Message {
  type: MessageType
  to: number
  from: number
  term: number
  logTerm: number
  index: number
  entries: readonly Entry[]
  commit: number
  vote: number
  snapshot: Snapshot | null
  reject: boolean
  rejectHint: number
  context: Uint8Array
  responses: readonly Message[]
}

export type StateType = 'StateFollower' | 'StateCandidate' | 'StateLeader' | 'StatePreCandidate'

/** What is worth telling but need not be kept. */
export interface SoftState {
  lead: number
  raftState: StateType
}

/** A read request may be served once the state machine has applied `index`. */
export interface ReadState {
  index: number
  /** The context that `readIndex` was called with. */
  requestCtx: Uint8Array
}

/**
 * What the caller has to do before it calls `advance()`. Without asynchronous storage writes, in this order:
 * persist `entries`, `hardState` and `snapshot` (durably when `mustSync`, and always when there is a snapshot),
 * then send `messages`, then apply `snapshot` and `committedEntries`; docs/raft.md has the details. With them, `messages` carries MsgStorageAppend and MsgStorageApply,
 * which repeat the other fields and say what to answer; the fields themselves are then only for reading.
 */
export interface Ready {
  /** Set when leader or role changed. */
  softState: SoftState | null
  /** Set when term, vote or commit changed. */
  hardState: HardState | null
  readStates: readonly ReadState[]
  /** To be written to stable storage. May overwrite a tail that was written earlier. */
  entries: readonly Entry[]
  snapshot: Snapshot | null
  /** To be applied. Always on stable storage, or being written to it, on a majority. */
  committedEntries: readonly Entry[]
  messages: readonly Message[]
  /** Whether `hardState` and `entries` must be durable before `messages` leave; a `snapshot` always must. */
  mustSync: boolean
}

export type ConfChangeType =
  | 'ConfChangeAddNode'
  | 'ConfChangeRemoveNode'
  | 'ConfChangeUpdateNode'
  | 'ConfChangeAddLearnerNode'

export type ConfChangeTransition =
  /** Joint only when more than one voter changes; a joint configuration is then left by itself. */
  | 'ConfChangeTransitionAuto'
  /** Always joint, left by itself. */
  | 'ConfChangeTransitionJointImplicit'
  /** Always joint, left when the caller proposes an empty ConfChangeV2. */
  | 'ConfChangeTransitionJointExplicit'

/** The first form of a configuration change: one node at a time, never joint. */
export interface ConfChange {
  type: ConfChangeType
  nodeId: number
  /** The caller's bytes, handed back when the change is committed. */
  context: Uint8Array
}

export interface ConfChangeSingle {
  type: ConfChangeType
  nodeId: number
}

/** The second form: any number of changes at once. Without changes it leaves a joint configuration. */
export interface ConfChangeV2 {
  transition: ConfChangeTransition
  changes: readonly ConfChangeSingle[]
  context: Uint8Array
}

/** `'changes' in change` distinguishes the two forms. */
export type AnyConfChange = ConfChange | ConfChangeV2

export const EMPTY_BYTES: Uint8Array = new Uint8Array(0)
export const EMPTY_ENTRIES: readonly Entry[] = Object.freeze([])
export const EMPTY_MESSAGES: readonly Message[] = Object.freeze([])
export const EMPTY_READ_STATES: readonly ReadState[] = Object.freeze([])
const EMPTY_IDS: readonly number[] = Object.freeze([])

export const EMPTY_HARD_STATE: Readonly<HardState> = Object.freeze({ term: 0, vote: 0, commit: 0 })
const EMPTY_CONF_STATE: Readonly<ConfState> = Object.freeze({
  voters: EMPTY_IDS,
  learners: EMPTY_IDS,
  votersOutgoing: EMPTY_IDS,
  learnersNext: EMPTY_IDS,
  autoLeave: false,
})
export const EMPTY_SNAPSHOT: Readonly<Snapshot> = Object.freeze({
  data: EMPTY_BYTES,
  metadata: Object.freeze({ confState: EMPTY_CONF_STATE, index: 0, term: 0 }),
})

/** A message with every field at its empty value. The one place that gives messages their shape. */
export function newMessage(type: MessageType, to: number): Message {
  return {
    type,
    to,
    from: NONE,
    term: 0,
    logTerm: 0,
    index: 0,
    entries: EMPTY_ENTRIES,
    commit: 0,
    vote: NONE,
    snapshot: null,
    reject: false,
    rejectHint: 0,
    context: EMPTY_BYTES,
    responses: EMPTY_MESSAGES,
  }
}

/** An entry to propose; the leader gives it term and index. */
export function newEntry(type: EntryType, data: Uint8Array): Entry {
  return { type, term: 0, index: 0, data }
}

/** A configuration from plain lists, for bootstrapping and tests. */
export function newConfState(voters: readonly number[], learners: readonly number[] = EMPTY_IDS): ConfState {
  return { voters, learners, votersOutgoing: EMPTY_IDS, learnersNext: EMPTY_IDS, autoLeave: false }
}

export function isEmptyHardState(state: HardState): boolean {
  return state.term === 0 && state.vote === NONE && state.commit === 0
}

export function isEmptySnapshot(snapshot: Snapshot): boolean {
  return snapshot.metadata.index === 0
}
