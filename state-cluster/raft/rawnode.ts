/**
 * The interface between the pure core and its caller, which does the I/O.
 *
 * Messages, ticks and requests go in; what there is to write, send and apply comes out as a `Ready`.
 *
 * ```
 *   step / tick / propose … ──► hasReady? ──► ready() ──► write, send, apply ──► advance()
 *          (asyncStorageWrites: MsgStorageAppend/Apply ──► step(response))
 * ```
 *
 * Invariant: nothing is handed out twice, and nothing counts as durable or applied before the caller has reported
 * it. Calls must not nest. Tests and the fuzzer reach the inner state through inner-state.ts. Source: etcd-io/raft.
 */
import { fail } from './assert.ts'
import { asV2, encodeConfChange } from './confchange-codec.ts'
import { type Config, settingsOf } from './config.ts'
import { STEP_LOCAL_MESSAGE, STEP_PEER_NOT_FOUND, type StepError } from './errors.ts'
import { Raft } from './raft.ts'
import { entriesSize } from './sizes.ts'
import { type BasicStatus, basicStatusOf, type Status, statusOf } from './status.ts'
import { applied, step, stored, tick } from './step.ts'
import {
  type AnyConfChange,
  type ConfState,
  EMPTY_ENTRIES,
  EMPTY_MESSAGES,
  EMPTY_READ_STATES,
  type Entry,
  type HardState,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type Message,
  type MessageType,
  NONE,
  newEntry,
  newMessage,
  type Ready,
  type Snapshot,
  type SoftState,
} from './types.ts'

export type { Config } from './config.ts'

export type SnapshotStatus = 'SnapshotFinish' | 'SnapshotFailure'

/** What is true once the caller has done all that the last Ready contains. */
interface PendingAdvance {
  isSet: boolean
  /** The node's own votes and acknowledgements. */
  acknowledgements: readonly Message[]
  /** See `stored`. */
  term: number
  index: number
  logTerm: number
  snapshot: Snapshot | null
  committedEntries: readonly Entry[]
}

let coreOf: (node: RawNode) => Raft

export class RawNode {
  static {
    coreOf = (node) => node.#raft
  }

  readonly #raft: Raft
  readonly #isAsync: boolean
  #prevSoftState: SoftState
  #prevHardState: HardState
  readonly #pendingAdvance: PendingAdvance = {
    isSet: false,
    acknowledgements: EMPTY_MESSAGES,
    term: 0,
    index: 0,
    logTerm: 0,
    snapshot: null,
    committedEntries: EMPTY_ENTRIES,
  }

  /** Starts from what `config.storage` holds. A new group starts from a snapshot with its configuration. */
  constructor(config: Config) {
    const settings = settingsOf(config)
    this.#raft = new Raft(settings)
    this.#isAsync = settings.asyncStorageWrites
    this.#prevSoftState = { lead: this.#raft.lead, raftState: this.#raft.state }
    this.#prevHardState = this.#raft.hardState()
  }

  /** One tick of time has passed. */
  tick(): void {
    tick(this.#raft)
  }

  /** Starts an election, if this node may. */
  campaign(): StepError | null {
    return step(this.#raft, newMessage('MsgHup', this.#raft.id))
  }

  /** Proposes an entry. Null means that it was taken, not that it will be committed. */
  propose(data: Uint8Array): StepError | null {
    return this.#proposeEntries([newEntry('EntryNormal', data)])
  }

  /** Proposes entries that are to be appended next to each other, in one message: all or none. */
  proposeAll(payloads: readonly Uint8Array[]): StepError | null {
    return this.#proposeEntries(payloads.map((data) => newEntry('EntryNormal', data)))
  }

  /**
   * Proposes a change of the configuration. If it may not be made now, an empty entry is proposed in its
   * place: what is committed shows which.
   */
  proposeConfChange(change: AnyConfChange): StepError | null {
    return this.#proposeEntries([encodeConfChange(change)])
  }

  /**
   * Applies a committed change, and returns the configuration to store with snapshots. To be called for every
   * committed entry that holds a change, when it is applied; or not, if the caller decides to ignore it on all
   * nodes alike.
   */
  applyConfChange(change: AnyConfChange): ConfState {
    return this.#raft.applyConfChange(asV2(change))
  }

  /** Handles a message from another node, or from a local storage thread. */
  step(m: Message): StepError | null {
    const isFromThread = m.from === LOCAL_APPEND_THREAD || m.from === LOCAL_APPLY_THREAD
    if (!isFromThread) {
      const origin = originOf(m.type)
      if (origin === 'local') return STEP_LOCAL_MESSAGE
      if (origin === 'member' && this.#raft.trk.get(m.from) === undefined) return STEP_PEER_NOT_FOUND
    }
    return step(this.#raft, m)
  }

  hasReady(): boolean {
    const raft = this.#raft
    const { log } = raft
    return (
      raft.msgs.length > 0 ||
      raft.msgsAfterAppend.length > 0 ||
      log.hasNextUnstableEnts() ||
      log.hasNextCommittedEnts(!this.#isAsync) ||
      this.#isSoftStateChanged() ||
      this.#isHardStateChanged() ||
      log.nextUnstableSnapshot() !== null ||
      raft.readStates.length > 0
    )
  }

  /** Hands out what there is to do. All of it must be done, see `Ready`. */
  ready(): Ready {
    const ready = this.readyWithoutAccept()
    this.acceptReady(ready)
    return ready
  }

  /** What `ready` would hand out. Changes nothing. */
  readyWithoutAccept(): Ready {
    const raft = this.#raft
    const { log } = raft
    const entries = log.nextUnstableEnts()
    const hardState = this.#isHardStateChanged() ? raft.hardState() : null
    const ready: Ready = {
      softState: this.#isSoftStateChanged() ? { lead: raft.lead, raftState: raft.state } : null,
      hardState,
      readStates: raft.readStates.length > 0 ? raft.readStates : EMPTY_READ_STATES,
      entries,
      snapshot: log.nextUnstableSnapshot(),
      committedEntries: log.nextCommittedEnts(!this.#isAsync),
      messages: EMPTY_MESSAGES,
      mustSync: entries.length > 0 || (hardState !== null && this.#isVoteOrTermChanged(hardState)),
    }
    ready.messages = this.#isAsync ? this.#asyncMessages(ready) : this.#syncMessages()
    return ready
  }

  /** Records that `ready` was handed out; nothing may have happened since it was made. */
  acceptReady(ready: Ready): void {
    const raft = this.#raft
    const { committedEntries } = ready
    if (ready.softState !== null) this.#prevSoftState = ready.softState
    if (ready.hardState !== null) this.#prevHardState = ready.hardState
    if (raft.readStates.length > 0) raft.readStates = []
    if (!this.#isAsync) this.#prepareAdvance(ready)
    // Even when empty: the Ready holds these very arrays, and what comes later must not show up in it.
    raft.msgs = []
    raft.msgsAfterAppend = []
    raft.log.acceptUnstable()
    if (committedEntries.length > 0) {
      const last = committedEntries[committedEntries.length - 1] as Entry
      raft.log.acceptApplying(last.index, entriesSize(committedEntries), !this.#isAsync)
    }
  }

  /** The last Ready is written, sent and applied. Not with asynchronous storage writes. */
  advance(): void {
    if (this.#isAsync) fail('with asynchronous storage writes their responses take the place of advance')
    const raft = this.#raft
    const pending = this.#pendingAdvance
    if (!pending.isSet) fail('there is a Ready to advance', raft.facts())
    pending.isSet = false
    const { acknowledgements } = pending
    for (let i = 0; i < acknowledgements.length; i++) step(raft, acknowledgements[i] as Message)
    stored(raft, pending.term, pending.index, pending.logTerm, pending.snapshot)
    applied(raft, pending.committedEntries)
  }

  get term(): number {
    return this.#raft.term
  }

  get isLeader(): boolean {
    return this.#raft.state === 'StateLeader'
  }

  /** Of the last entry in the log, durable or not. */
  get lastIndex(): number {
    return this.#raft.log.lastIndex()
  }

  status(): Status {
    return statusOf(this.#raft)
  }

  basicStatus(): BasicStatus {
    return basicStatusOf(this.#raft)
  }

  /** The last message to a node could not be sent. */
  reportUnreachable(id: number): void {
    this.#stepFrom('MsgUnreachable', id, false)
  }

  /**
   * How the sending of a snapshot to a node ended. Must be called for each MsgSnap: until then, or until the
   * node acknowledges, nothing is sent to it.
   */
  reportSnapshot(id: number, status: SnapshotStatus): void {
    this.#stepFrom('MsgSnapStatus', id, status === 'SnapshotFailure')
  }

  /** Requests a leader transfer to a voter. It may fail; `status` shows whether it has happened. */
  transferLeadership(transferee: number): void {
    this.#stepFrom('MsgTransferLeader', transferee, false)
  }

  /** Makes a follower forget its leader, so that it will vote; for callers that know that the leader is dead. */
  forgetLeader(): StepError | null {
    return step(this.#raft, newMessage('MsgForgetLeader', this.#raft.id))
  }

  /**
   * Asks for the index at which a read would be linearizable. The answer comes in `readStates` with the same
   * context; or, if leadership changes or a message is lost, never: the caller repeats the request.
   */
  readIndex(requestCtx: Uint8Array): void {
    const m = newMessage('MsgReadIndex', NONE)
    m.entries = [newEntry('EntryNormal', requestCtx)]
    step(this.#raft, m)
  }

  #proposeEntries(entries: readonly Entry[]): StepError | null {
    const m = newMessage('MsgProp', NONE)
    m.from = this.#raft.id
    m.entries = entries
    return step(this.#raft, m)
  }

  #stepFrom(type: MessageType, from: number, reject: boolean): void {
    const m = newMessage(type, this.#raft.id)
    m.from = from
    m.reject = reject
    step(this.#raft, m)
  }

  #isSoftStateChanged(): boolean {
    const raft = this.#raft
    return raft.lead !== this.#prevSoftState.lead || raft.state !== this.#prevSoftState.raftState
  }

  #isHardStateChanged(): boolean {
    const raft = this.#raft
    const prev = this.#prevHardState
    return raft.log.committed !== prev.commit || raft.term !== prev.term || raft.vote !== prev.vote
  }

  #isVoteOrTermChanged(state: HardState): boolean {
    return state.vote !== this.#prevHardState.vote || state.term !== this.#prevHardState.term
  }

  // ── Synchronous writes: the caller writes before it sends ──────────────────────────────────────────

  #syncMessages(): readonly Message[] {
    const { msgs, msgsAfterAppend } = this.#raft
    const others = this.#addressed(msgsAfterAppend, false)
    if (msgs.length === 0) return others
    return others.length === 0 ? msgs : msgs.concat(others)
  }

  /** Those of `messages` that go to this node, or those that go to others. */
  #addressed(messages: readonly Message[], toSelf: boolean): readonly Message[] {
    const { id } = this.#raft
    let count = 0
    for (let i = 0; i < messages.length; i++) if (((messages[i] as Message).to === id) === toSelf) count++
    if (count === 0) return EMPTY_MESSAGES
    return count === messages.length ? messages : messages.filter((m) => (m.to === id) === toSelf)
  }

  /** Keeps what `advance` will report: the same as the responses of the storage threads would. */
  #prepareAdvance(ready: Ready): void {
    const raft = this.#raft
    const { log } = raft
    const pending = this.#pendingAdvance
    if (pending.isSet) fail('a Ready is advanced before the next one', raft.facts())
    pending.isSet = true
    pending.acknowledgements = this.#addressed(raft.msgsAfterAppend, true)
    pending.term = raft.term
    const hasUnstable = log.hasNextOrInProgressUnstableEnts()
    pending.index = hasUnstable ? log.lastIndex() : 0
    pending.logTerm = hasUnstable ? log.lastTerm() : 0
    pending.snapshot = ready.snapshot
    pending.committedEntries = ready.committedEntries
  }

  // ── Asynchronous writes: the caller sends at once, and answers when it has written ─────────────────

  #asyncMessages(ready: Ready): readonly Message[] {
    const { msgs } = this.#raft
    const append = this.#storageAppend(ready)
    const apply = this.#storageApply(ready)
    if (append === null && apply === null) return msgs.length === 0 ? EMPTY_MESSAGES : msgs
    const messages = msgs.slice()
    if (append !== null) messages.push(append)
    if (apply !== null) messages.push(apply)
    return messages
  }

  #storageAppend(ready: Ready): Message | null {
    const raft = this.#raft
    const { entries, hardState, snapshot } = ready
    const waiting = raft.msgsAfterAppend
    if (entries.length === 0 && hardState === null && snapshot === null && waiting.length === 0) return null
    const m = newMessage('MsgStorageAppend', LOCAL_APPEND_THREAD)
    m.from = raft.id
    m.entries = entries
    m.snapshot = snapshot
    if (hardState !== null) {
      m.term = hardState.term
      m.vote = hardState.vote
      m.commit = hardState.commit
    }
    // The node's own acknowledgement comes before the one that empties the unstable log, so that terms are
    // still looked up in memory.
    m.responses = this.#needsStorageAppendResp(ready) ? [...waiting, this.#storageAppendResp(ready)] : waiting
    return m
  }

  #needsStorageAppendResp(ready: Ready): boolean {
    return this.#raft.log.hasNextOrInProgressUnstableEnts() || ready.snapshot !== null
  }

  /**
   * The response that reports that everything up to here is durable. It names the end of the whole unstable log, not
   * only of the entries in this Ready, and the term it was written in. A response of an older term is not
   * believed, because its entries may have been overwritten, and overwritten back, by writes still under way;
   * but then a write of the newer term is under way as well, and its response covers all that is left.
   */
  #storageAppendResp(ready: Ready): Message {
    const raft = this.#raft
    const { log } = raft
    const m = newMessage('MsgStorageAppendResp', raft.id)
    m.from = LOCAL_APPEND_THREAD
    m.term = raft.term
    if (log.hasNextOrInProgressUnstableEnts()) {
      m.index = log.lastIndex()
      m.logTerm = log.lastTerm()
    }
    m.snapshot = ready.snapshot
    return m
  }

  #storageApply(ready: Ready): Message | null {
    if (ready.committedEntries.length === 0) return null
    const m = newMessage('MsgStorageApply', LOCAL_APPLY_THREAD)
    m.from = this.#raft.id
    m.entries = ready.committedEntries
    m.responses = [this.#storageApplyResp(ready.committedEntries)]
    return m
  }

  #storageApplyResp(entries: readonly Entry[]): Message {
    const m = newMessage('MsgStorageApplyResp', this.#raft.id)
    m.from = LOCAL_APPLY_THREAD
    m.entries = entries
    return m
  }
}

/** The inner state of a node. Only inner-state.ts may call this. */
export function innerState(node: RawNode): Raft {
  return coreOf(node)
}

/**
 * Who may send a message: any node, a member (answers mean nothing from others), or this node and its storage
 * threads alone. The common ones come first.
 */
function originOf(type: MessageType): 'node' | 'member' | 'local' {
  switch (type) {
    case 'MsgApp':
      return 'node'
    case 'MsgAppResp':
    case 'MsgHeartbeatResp':
    case 'MsgVoteResp':
    case 'MsgPreVoteResp':
    case 'MsgReadIndexResp':
      return 'member'
    case 'MsgHup':
    case 'MsgBeat':
    case 'MsgUnreachable':
    case 'MsgSnapStatus':
    case 'MsgCheckQuorum':
    case 'MsgStorageAppend':
    case 'MsgStorageAppendResp':
    case 'MsgStorageApply':
    case 'MsgStorageApplyResp':
      return 'local'
    default:
      return 'node'
  }
}
