/**
 * One node's state, and the steps that change it.
 *
 * The steps are: change role, append, send, commit, switch configuration. When to take one is decided elsewhere, by
 * role: step.ts (terms, votes, ticks), leader.ts, follower.ts, candidate.ts, campaign.ts.
 *
 * Invariant: term and commit never go back, and every message that promises something (a vote, an accepted append)
 * waits in `msgsAfterAppend` until what it promises is durable; the rest waits in `msgs`.
 * Source: Raft dissertation §3; etcd-io/raft raft.go.
 */
import { fail } from './assert.ts'
import { Changer, type Configuration, equivalentConfStates, restore } from './confchange.ts'
import type { Settings } from './config.ts'
import { ConfChangeError, isStorageError } from './errors.ts'
import { RaftLog } from './log.ts'
import type { Progress } from './progress.ts'
import { ReadOnly } from './read-only.ts'
import { payloadsSize } from './sizes.ts'
import { ProgressTracker } from './tracker.ts'
import {
  type ConfChangeV2,
  type ConfState,
  EMPTY_BYTES,
  type Entry,
  type HardState,
  isEmptyHardState,
  isEmptySnapshot,
  type Message,
  NONE,
  newEntry,
  newMessage,
  type ReadState,
  type Snapshot,
  type StateType,
} from './types.ts'

export class Raft {
  readonly id: number
  readonly settings: Settings
  readonly log: RaftLog
  readonly trk: ProgressTracker
  term = 0
  vote = NONE
  state: StateType = 'StateFollower'
  lead = NONE
  isLearner = false
  /** To whom leadership is being transferred (§3.10). */
  leadTransferee = NONE
  /** No configuration change may be proposed until this index is applied. */
  pendingConfIndex = 0
  /** Bytes of payload in the leader's uncommitted tail; may be too small, never too big. */
  uncommittedSize = 0
  readOnly: ReadOnly
  /** Read requests that came before this leader had committed an entry of its term. */
  pendingReadIndexMessages: Message[] = []
  readStates: ReadState[] = []
  /** May leave at once. Addressed to other nodes only. */
  msgs: Message[] = []
  /** Leave when all that is unstable now has become stable. May be addressed to this node. */
  msgsAfterAppend: Message[] = []
  /** Ticks since the last election timeout (leader, candidate) or word of the leader (follower). */
  electionElapsed = 0
  /** Ticks since the leader's last heartbeat. */
  heartbeatElapsed = 0
  /** Drawn from [electionTick, 2 × electionTick) at each change of role. */
  randomizedElectionTimeout = 0

  constructor(settings: Settings) {
    this.id = settings.id
    this.settings = settings
    this.log = new RaftLog(settings.storage, settings.maxCommittedSizePerReady)
    this.trk = new ProgressTracker(settings.maxInflightMsgs, settings.maxInflightBytes)
    this.readOnly = new ReadOnly(settings.readOnlyOption)
    const { hardState, confState } = settings.storage.initialState()
    this.#restoreConfig(confState)
    if (!isEmptyHardState(hardState)) this.#loadState(hardState)
    if (settings.applied > 0) this.log.appliedTo(settings.applied, 0)
    this.becomeFollower(this.term, NONE)
  }

  // ── Roles ──────────────────────────────────────────────────────────────────────────────────────────

  becomeFollower(term: number, lead: number): void {
    this.reset(term)
    this.lead = lead
    this.state = 'StateFollower'
  }

  /** Term and vote stay as they are: nothing is promised yet (§9.6). */
  becomePreCandidate(): void {
    if (this.state === 'StateLeader') fail('a leader does not become a pre-candidate', this.facts())
    this.trk.resetVotes()
    this.lead = NONE
    this.state = 'StatePreCandidate'
  }

  becomeCandidate(): void {
    if (this.state === 'StateLeader') fail('a leader does not become a candidate', this.facts())
    this.reset(this.term + 1)
    this.vote = this.id
    this.state = 'StateCandidate'
  }

  becomeLeader(): void {
    if (this.state === 'StateFollower') fail('a follower does not become leader unelected', this.facts())
    this.reset(this.term)
    this.lead = this.id
    this.state = 'StateLeader'
    const self = this.trk.get(this.id)
    if (self === undefined) fail('a leader is a member when elected', this.facts())
    self.becomeReplicate()
    self.recentActive = true
    // There may be a change in the uncommitted tail. Waiting for all of it is safe, and cheaper than a scan.
    this.pendingConfIndex = this.log.lastIndex()
    if (!this.appendEntries([newEntry('EntryNormal', EMPTY_BYTES)])) {
      fail('an empty entry is never refused', this.facts())
    }
  }

  /** What every change of role or term begins with. */
  reset(term: number): void {
    if (term < this.term) fail('a term never goes back', { ...this.facts(), offered: term })
    if (this.term !== term) {
      this.term = term
      this.vote = NONE
    }
    this.lead = NONE
    this.electionElapsed = 0
    this.heartbeatElapsed = 0
    this.resetRandomizedElectionTimeout()
    this.leadTransferee = NONE
    this.trk.resetVotes()
    const lastIndex = this.log.lastIndex()
    this.trk.resetProgress(lastIndex + 1)
    const self = this.trk.get(this.id)
    if (self !== undefined) self.match = lastIndex
    this.pendingConfIndex = 0
    this.uncommittedSize = 0
    this.readOnly = new ReadOnly(this.settings.readOnlyOption)
    this.pendingReadIndexMessages = []
  }

  resetRandomizedElectionTimeout(): void {
    const { electionTick, random } = this.settings
    this.randomizedElectionTimeout = electionTick + random(electionTick)
  }

  /** Whether this node may start an election: a voter whose state is not being replaced by a snapshot. */
  promotable(): boolean {
    const self = this.trk.get(this.id)
    return self !== undefined && !self.isLearner && !this.log.hasNextOrInProgressSnapshot()
  }

  hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed }
  }

  /** For assertions. */
  facts(): { id: number; term: number; state: StateType; committed: number; lastIndex: number } {
    const { id, term, state, log } = this
    return { id, term, state, committed: log.committed, lastIndex: log.lastIndex() }
  }

  // ── Sending ────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Queues a message. Votes, and answers to votes and appends, are promises: they wait for the storage. So do
   * refusals, which may rest on a vote or an entry that is not durable yet.
   */
  send(m: Message): void {
    if (m.from === NONE) m.from = this.id
    switch (m.type) {
      case 'MsgAppResp':
        this.#checkTerm(m, false)
        m.term = this.term
        this.#sendAfterAppend(m)
        break
      case 'MsgVoteResp':
      case 'MsgPreVoteResp':
        this.#checkTerm(m, true)
        this.#sendAfterAppend(m)
        break
      case 'MsgVote':
      case 'MsgPreVote':
        this.#checkTerm(m, true)
        this.#sendToOther(m)
        break
      case 'MsgProp':
      case 'MsgReadIndex':
        // Forwarded across terms, as if they had been made at the leader.
        this.#checkTerm(m, false)
        this.#sendToOther(m)
        break
      default:
        this.#checkTerm(m, false)
        m.term = this.term
        this.#sendToOther(m)
    }
  }

  #checkTerm(m: Message, isSet: boolean): void {
    if ((m.term !== 0) === isSet) return
    fail('votes say their term, other messages get it on sending', { ...this.facts(), type: m.type })
  }

  #sendAfterAppend(m: Message): void {
    // Mostly there is one: an array made for it saves growing one.
    if (this.msgsAfterAppend.length === 0) this.msgsAfterAppend = [m]
    else this.msgsAfterAppend.push(m)
  }

  #sendToOther(m: Message): void {
    if (m.to === this.id) fail('a node does not send to itself', { ...this.facts(), type: m.type })
    this.msgs.push(m)
  }

  /** Sends what the follower lacks, or a message without entries, unless its flow is paused. */
  sendAppend(pr: Progress): void {
    this.maybeSendAppend(pr, true)
  }

  /**
   * As `sendAppend`; without entries only if `sendIfEmpty`. Returns whether anything was sent. A follower that
   * lacks what is compacted gets a snapshot.
   */
  maybeSendAppend(pr: Progress, sendIfEmpty: boolean): boolean {
    if (pr.isPaused()) return false
    const { log } = this
    const { next } = pr
    if (!sendIfEmpty && next > log.lastIndex()) return false
    const prevTerm = log.term(next - 1)
    if (prevTerm < 0) {
      // Compacted, or else a member would be known to hold more than this log: that is a fault, not a snapshot.
      if (next > log.lastIndex() + 1) this.#failBeyondLog(pr)
      if (next > log.firstIndex()) this.#failUnknownTerm(next - 1)
      return this.maybeSendSnapshot(pr)
    }
    // With a full window an empty append still goes out now and then: if all that filled the window was lost,
    // its rejection is what gets the flow going again.
    const isThrottled = pr.state === 'StateReplicate' && pr.inflights.full()
    const entries = isThrottled ? NO_ENTRIES : log.entries(next, this.settings.maxSizePerMsg)
    const isEmpty = entries === null || entries.length === 0
    if (isEmpty && !sendIfEmpty) return false
    if (entries === null) return this.maybeSendSnapshot(pr)
    const m = newMessage('MsgApp', pr.id)
    m.index = next - 1
    m.logTerm = prevTerm
    m.entries = entries
    m.commit = log.committed
    this.send(m)
    pr.sentEntries(entries.length, isEmpty ? 0 : payloadsSize(entries))
    pr.sentCommit = log.committed
    return true
  }

  #failBeyondLog({ id, match, next }: Progress): never {
    return fail('a member holds no more than the leader', { ...this.facts(), member: id, match, next })
  }

  #failUnknownTerm(index: number): never {
    return fail('the term of every entry of the log is known', { ...this.facts(), index })
  }

  /** Returns whether a snapshot was sent; not if the node seems dead or there is none for now. */
  maybeSendSnapshot(pr: Progress): boolean {
    if (!pr.recentActive) return false
    const snapshot = this.#snapshotIfAvailable()
    if (snapshot === null) return false
    if (isEmptySnapshot(snapshot)) fail('compacted entries are in a snapshot', { ...this.facts(), to: pr.id })
    pr.becomeSnapshot(snapshot.metadata.index)
    const m = newMessage('MsgSnap', pr.id)
    m.snapshot = snapshot
    this.send(m)
    return true
  }

  bcastAppend(): void {
    const { peers } = this.trk
    for (let i = 0; i < peers.length; i++) {
      const pr = peers[i] as Progress
      if (pr.id !== this.id) this.sendAppend(pr)
    }
  }

  bcastHeartbeat(): void {
    const context = this.readOnly.heartbeatCtx()
    for (const pr of this.trk.peers) if (pr.id !== this.id) this.sendHeartbeat(pr, context)
  }

  /** A heartbeat carries no higher commit index than the follower's log is known to hold. */
  sendHeartbeat(pr: Progress, context: Uint8Array): void {
    const commit = Math.min(pr.match, this.log.committed)
    const m = newMessage('MsgHeartbeat', pr.id)
    m.commit = commit
    m.context = context
    this.send(m)
    pr.sentCommit = commit
  }

  // ── Appending and committing, as leader ────────────────────────────────────────────────────────────

  /**
   * Appends proposed entries at this term, as new objects. False, and nothing is appended, when the
   * uncommitted tail would grow too big. The leader's own acknowledgement waits for its storage like any.
   */
  appendEntries(proposed: readonly Entry[]): boolean {
    if (!this.increaseUncommittedSize(payloadsSize(proposed))) return false
    const { log, term } = this
    let index = log.lastIndex()
    for (let i = 0; i < proposed.length; i++) {
      const { type, data } = proposed[i] as Entry
      index++
      log.append({ type, term, index, data })
    }
    const m = newMessage('MsgAppResp', this.id)
    m.index = index
    this.send(m)
    return true
  }

  /** An empty tail takes a proposal of any size, and an empty payload is never refused. */
  increaseUncommittedSize(size: number): boolean {
    if (
      this.uncommittedSize > 0 &&
      size > 0 &&
      this.uncommittedSize + size > this.settings.maxUncommittedEntriesSize
    ) {
      return false
    }
    this.uncommittedSize += size
    return true
  }

  reduceUncommittedSize(size: number): void {
    this.uncommittedSize = Math.max(this.uncommittedSize - size, 0)
  }

  /** Commits what a quorum has, if it is of this term. Returns whether the commit index went up. */
  maybeCommit(): boolean {
    return this.log.maybeCommit(this.trk.committed(), this.term)
  }

  committedEntryInCurrentTerm(): boolean {
    return this.log.term(this.log.committed) === this.term
  }

  // ── Configuration ──────────────────────────────────────────────────────────────────────────────────

  /** Applies a committed change. One that does not fit is a broken rule: every replica would differ. */
  applyConfChange(change: ConfChangeV2): ConfState {
    return this.switchToConfig(
      this.#orFail(() => new Changer(this.trk, this.log.lastIndex()).change(change), { change }),
    )
  }

  /** Takes on a configuration, with what follows from it for a leader. */
  switchToConfig({ config, progress }: Configuration): ConfState {
    const { trk } = this
    trk.use(config, progress)
    const confState = trk.confState()
    const self = progress.get(this.id)
    this.isLearner = self?.isLearner === true
    if (this.state !== 'StateLeader') return confState
    if (self === undefined || this.isLearner) {
      if (this.settings.stepDownOnRemoval) this.becomeFollower(this.term, NONE)
      return confState
    }
    if (confState.voters.length === 0) return confState
    if (this.maybeCommit()) {
      this.bcastAppend()
    } else {
      // New members are probed now rather than at the next heartbeat or proposal.
      for (const pr of trk.peers) if (pr.id !== this.id) this.maybeSendAppend(pr, false)
    }
    if (!config.voters.has(this.leadTransferee)) this.leadTransferee = NONE
    return confState
  }

  /**
   * Makes log and configuration what `snapshot` says. False if that was not done: it is old, or not for this
   * node, or its entries are all here (then its commit is taken over).
   */
  restore(snapshot: Snapshot): boolean {
    const { index, term, confState } = snapshot.metadata
    const { log } = this
    if (index <= log.committed) return false
    if (this.state !== 'StateFollower') fail('only a follower installs a snapshot', this.facts())
    const { voters, learners, votersOutgoing } = confState
    if (![voters, learners, votersOutgoing].some((ids) => ids.includes(this.id))) return false
    if (log.matchTerm(index, term)) {
      log.commitTo(index)
      return false
    }
    log.restore(snapshot)
    this.#restoreConfig(confState)
    return true
  }

  #restoreConfig(confState: ConfState): void {
    const { maxInflight, maxInflightBytes } = this.trk
    const configuration = this.#orFail(
      () => restore(confState, this.log.lastIndex(), maxInflight, maxInflightBytes),
      { confState },
    )
    const restored = this.switchToConfig(configuration)
    if (!equivalentConfStates(confState, restored)) {
      fail('a configuration is restored as it was saved', { id: this.id, confState, restored })
    }
  }

  #orFail(make: () => Configuration, facts: Readonly<Record<string, unknown>>): Configuration {
    try {
      return make()
    } catch (error) {
      if (!(error instanceof ConfChangeError)) throw error
      return fail(error.message, { id: this.id, config: this.trk.confState(), ...facts })
    }
  }

  #loadState({ term, vote, commit }: HardState): void {
    const { log } = this
    if (commit < log.committed || commit > log.lastIndex()) {
      fail('the stored commit lies within the stored log', { ...this.facts(), commit })
    }
    log.committed = commit
    this.term = term
    this.vote = vote
  }

  #snapshotIfAvailable(): Snapshot | null {
    try {
      return this.log.snapshot()
    } catch (error) {
      if (isStorageError(error, 'snapshot_temporarily_unavailable')) return null
      throw error
    }
  }
}

const NO_ENTRIES: readonly Entry[] = []
