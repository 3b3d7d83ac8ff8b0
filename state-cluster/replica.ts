/**
 * The one shell that joins Raft, the machine and the disk, for one group: it drains Ready, writes, sends,
 * applies, stamps time and answers.
 *
 *   propose ─► queue ─► one entry a turn ─► Raft ─┬─► MsgStorageAppend ─► store ─► responses ─┐
 *   tick, step ──────────────────────────────────►│                                           ├─► Raft
 *                 replies, feed ◄── machine ◄─────┴─◄ MsgStorageApply ◄───────────────────────┘
 *
 * Invariant: nothing is acknowledged, and no promise to a peer leaves, before what it rests on is durable; every
 * committed entry is applied once, in order; a stamp is never less than one before it. A disk that fails, a
 * damaged value or a broken invariant ends the replica: it answers nothing more and says why, once, to `onFatal`.
 * Clock, chance, timers, disk and peers are ports, so that the simulator runs this very code. All of it happens
 * on turns of the caller's queue or when a write has ended. Source: docs/raft.md, the caller's duties.
 */
import type { GroupId } from '../protocol/ids.ts'
import type { CancelTimer } from '../runtime/clock.ts'
import { AppliedState, type Machine } from './applied-state.ts'
import { ClusterError, type FeedBatch } from './cluster.ts'
import { GroupMembers, refused } from './group-members.ts'
import { ConsistencyError, HashCompare, hashEveryEntries } from './hash-compare.ts'
import type { GroupWatcher, LeaderView } from './link/backend.ts'
import type { ChangeOutcome } from './link/member-wire.ts'
import type { Command } from './machine/commands.ts'
import type { Reply } from './machine/events.ts'
import { encodeEntry, entryVersion } from './machine/index.ts'
import type { MemberChange, MemberView } from './membership.ts'
import { PendingReads } from './pending-reads.ts'
import { Proposals, type Waiting } from './proposals.ts'
import {
  type Entry,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type Message,
  NONE,
  RawNode,
} from './raft/index.ts'
import { headOf, SnapshotTransfers } from './snapshots.ts'
import { DiskLog, type LogAppend } from './storage/disk-log.ts'
import { finishInstall, writeOfInstalling } from './storage/incoming-snapshot.ts'
import { type Members, writeOfMembers } from './storage/members.ts'
import { pack } from './storage/pack.ts'
import { type Store, StoreError } from './storage/store.ts'
import type { PeerTransport, SnapshotSink } from './transport/peer-transport.ts'
import type { Timing } from './transport/timing.ts'

export interface ReplicaPorts {
  readonly store: Store
  /** What is left for after a turn by all groups of a process runs in one go, so that their writes share a sync. */
  readonly timing: Timing
  /** To the replicas of the same group on other nodes. */
  readonly transport: Pick<PeerTransport, 'send' | 'sendSnapshot'>
  /** The replica has ended and cannot go on; called once. The process is to end. */
  readonly onFatal: (error: Error) => void
  /** Default the auction machine as it is. */
  readonly machine?: Machine
  /** The state's hash as of an index that all replicas tell theirs of. */
  readonly onHash?: (index: number, hash: string) => void
  /** Where the members of this group are, after each change. */
  readonly onMembers?: (members: Members) => void
}

export interface ReplicaSettings {
  /** Raft's clock. Default 25 ms. */
  readonly tickMs: number
  /** Ticks between a leader's heartbeats. Default 2. */
  readonly heartbeatTicks: number
  /** Ticks without a leader before an election, up to twice as many. Default 12. */
  readonly electionTicks: number
  /** Commands that may wait, queued and in flight together; beyond: `overloaded`. Default 20,000. */
  readonly commandsMax: number
  /** How long a command waits for its reply. Default 5 s. */
  readonly proposalTimeoutMs: number
  /** Entries that are proposed and not yet applied; while so many are, commands gather for the next. Default 4. */
  readonly entriesInFlightMax: number
  /** Commands in one entry. Default 1,000. */
  readonly commandsPerEntryMax: number
  /** Bytes of one entry, unless one command alone is bigger. Default 1 MiB. */
  readonly entryBytesMax: number
  /** The end of the log that stays in memory, and on the disk after compaction. Default 16 MiB. */
  readonly logTailBytesMax: number
  /** Unsaved rows and events at which a checkpoint begins. Default 50,000. */
  readonly checkpointRows: number
  /** Bytes of log at which one begins. Default 32 MiB. */
  readonly checkpointBytes: number
  /** Age of the last one at which one begins, if anything changed. Default 30 s. */
  readonly checkpointMs: number
}

export const defaultReplicaSettings: ReplicaSettings = {
  tickMs: 25,
  heartbeatTicks: 2,
  electionTicks: 12,
  commandsMax: 20_000,
  proposalTimeoutMs: 5_000,
  entriesInFlightMax: 4,
  commandsPerEntryMax: 1_000,
  entryBytesMax: 2 ** 20,
  logTailBytesMax: 16 * 2 ** 20,
  checkpointRows: 50_000,
  checkpointBytes: 32 * 2 ** 20,
  checkpointMs: 30_000,
}

/** Bytes of entries that are applied in one turn, so that a long replay lets others in. */
const applyBytesPerTurn = 256 * 1024
/** Bytes of a leader's uncommitted entries; beyond, commands stay queued. */
const uncommittedBytesMax = 64 * 2 ** 20
/** Between two voters that stand for a leader whose process has ended: enough for an election over a network. */
const successionMs = 80
/** How often a voter stands so before it leaves the rest to the election timeout. */
const successionsMax = 3
/** Entries that one commit of compaction removes. */
const compactionEntriesMax = 1_000

export interface ReplicaStart {
  readonly groupId: GroupId
  /** This node's Raft id, > 0. */
  readonly nodeId: number
  readonly settings: ReplicaSettings
  readonly ports: ReplicaPorts
  /** Progress of a start: rows of the checkpoint, then entries of the log behind it. */
  readonly onProgress?: (progress: ReplicaProgress) => void
}

export interface ReplicaProgress {
  readonly phase: 'rows' | 'entries'
  readonly done: number
  /** Of entries; unknown for rows. */
  readonly total?: number
}

export interface ReplicaStatus {
  readonly isLeader: boolean
  /** Raft id of the leader; 0: none known. */
  readonly leader: number
  /** Whether commands are taken: it leads and has applied what was there before. */
  readonly ready: boolean
  readonly term: number
  readonly commitIndex: number
  readonly appliedIndex: number
  readonly firstIndex: number
  readonly lastIndex: number
  readonly checkpointIndex: number
  /** A snapshot is being taken over: nothing is read here until it is. */
  readonly isInstalling: boolean
  readonly queuedCommands: number
  readonly inFlightCommands: number
  readonly inFlightEntries: number
  /** Committed entries that wait to be applied. */
  readonly unappliedEntries: number
}

type FeedListener = (batch: FeedBatch) => void

export class Replica {
  readonly groupId: GroupId
  readonly #nodeId: number
  readonly #settings: ReplicaSettings
  readonly #ports: ReplicaPorts
  #applied: AppliedState
  readonly #log: DiskLog
  readonly #raft: RawNode
  readonly #proposals: Proposals
  readonly #listeners = new Set<FeedListener>()
  readonly #watchers = new Set<GroupWatcher>()
  readonly #reads = new PendingReads()
  readonly #transfers: SnapshotTransfers
  readonly #members: GroupMembers
  /** A MsgSnap whose rows are here; stepped when everything handed out is applied. */
  #heldSnapshot: Message | undefined
  #installing: Promise<void> | undefined
  /** MsgStorageAppends that came while a snapshot is installed. */
  readonly #heldAppends: Message[] = []
  #leader: LeaderView = { leaderId: NONE, term: 0 }
  #cancelCampaign: CancelTimer | undefined
  readonly #hashes = new HashCompare()
  #isCheckpointWanted = false
  readonly #onProgress: ReplicaStart['onProgress']
  /** Batches of committed entries that Raft has handed out and the machine has not seen. */
  readonly #applyQueue: Message[] = []
  readonly #replayUpTo: number
  #tick = 0
  #cancelTick: CancelTimer | undefined
  #turnIsDeferred = false
  #turnIsSoon = false
  /** The first entry of this leader's term; when it is applied, so is all that was before. */
  #leadsFrom: number | undefined
  #lastStampMs = 0
  #checkpointAtTick = 0
  #writtenTerm: number
  #writtenVote: number
  #upkeep: Promise<void> | undefined
  #readyWaiters: { resolve: () => void; reject: (error: Error) => void }[] = []
  #end: ClusterError | undefined

  /** Loads the checkpoint; the log behind it is replayed by turns once `start` is called. Throws StoreError. */
  constructor({ groupId, nodeId, settings, ports, onProgress }: ReplicaStart) {
    this.groupId = groupId
    this.#nodeId = nodeId
    this.#settings = settings
    this.#ports = ports
    this.#onProgress = onProgress
    this.#applied = new AppliedState({
      store: ports.store,
      groupId,
      machine: ports.machine,
      onProgress: (done) => onProgress?.({ phase: 'rows', done }),
    })
    this.#log = new DiskLog({
      reader: ports.store,
      groupId,
      checkpoint: this.#applied.position,
      tailBytesMax: settings.logTailBytesMax,
    })
    this.#raft = new RawNode({
      id: nodeId,
      electionTick: settings.electionTicks,
      heartbeatTick: settings.heartbeatTicks,
      storage: this.#log,
      random: (bound) => Math.floor(ports.timing.random() * bound),
      applied: this.#applied.appliedIndex,
      asyncStorageWrites: true,
      maxSizePerMsg: settings.entryBytesMax,
      maxCommittedSizePerReady: applyBytesPerTurn,
      maxUncommittedEntriesSize: uncommittedBytesMax,
      maxInflightMsgs: 256,
      maxInflightBytes: 16 * settings.entryBytesMax,
      checkQuorum: true,
      preVote: true,
      disableProposalForwarding: true,
      stepDownOnRemoval: true,
    })
    const { hardState } = this.#log.initialState()
    this.#members = new GroupMembers({
      groupId,
      nodeId,
      raft: this.#raft,
      log: this.#log,
      store: ports.store,
      silentTicks: settings.electionTicks,
      onMembers: (members) => ports.onMembers?.(members),
      failed: (error) => this.#fail(asError(error)),
    })
    this.#transfers = new SnapshotTransfers({
      store: ports.store,
      groupId,
      transport: ports.transport,
      members: () => this.#members.addresses,
      sent: (to, isStored) =>
        this.#guard(() => {
          this.#raft.reportSnapshot(to, isStored ? 'SnapshotFinish' : 'SnapshotFailure')
          this.#deferTurn()
        }),
      failed: (error) => this.#fail(error),
    })
    this.#writtenTerm = hardState.term
    this.#writtenVote = hardState.vote
    this.#replayUpTo = this.#log.lastIndex()
    this.#proposals = new Proposals(settings.commandsMax)
  }

  /** Begins to take part. A replica that is the only voter stands for election at once. */
  start(): void {
    this.#guard(() => {
      this.#finishCheckpoint()
      const { voters, learners, votersOutgoing } = this.#log.initialState().confState
      const isAlone = voters.length === 1 && learners.length === 0 && votersOutgoing.length === 0
      if (isAlone && voters[0] === this.#nodeId) this.#raft.campaign()
      this.#scheduleTick()
      this.#deferTurn()
    })
  }

  // ── What comes in ────────────────────────────────────────────────────────────────────────────────────

  /** Resolves with the reply when the command is committed and applied. Rejects with ClusterError. */
  propose(command: Command): Promise<Reply> {
    if (this.#end) return Promise.reject(this.#end)
    if (!this.#isLeader()) {
      return Promise.reject(new ClusterError('unavailable', 'this replica does not lead the group'))
    }
    const { proposalTimeoutMs, tickMs } = this.#settings
    const reply = this.#proposals.add(command, this.#tick + Math.ceil(proposalTimeoutMs / tickMs))
    this.#deferTurn()
    return reply
  }

  /** A message of a peer's replica. A MsgSnap comes after its rows went to `receiveSnapshot`. */
  step(message: Message): void {
    if (this.#end) return
    this.#guard(() => {
      this.#members.heard(message.from, this.#tick)
      if (message.type === 'MsgSnap') this.#heldSnapshot = message
      else this.#raft.step(message)
      this.#deferTurn()
    })
  }

  /** Where the rows of a peer's snapshot go; `undefined`: not now. */
  receiveSnapshot(): SnapshotSink | undefined {
    const isBusy = this.#end !== undefined || this.#heldSnapshot !== undefined
    return isBusy || this.#installing !== undefined ? undefined : this.#transfers.receive()
  }

  /** What was sent to a node did not arrive. */
  unreachable(nodeId: number): void {
    this.#guard(() => {
      this.#raft.reportUnreachable(nodeId)
      this.#deferTurn()
    })
  }

  /**
   * The process of a node has ended, as far as its closed connection tells. If it led, nobody waits for the election
   * timeout: the voters stand one after the other, so that they do not split the votes. Pre-vote sees to it that
   * this disturbs nobody while the leader lives.
   */
  peerGone(nodeId: number): void {
    this.#members.gone(nodeId)
    if (this.#end || nodeId !== this.#raft.basicStatus().lead || nodeId === this.#nodeId) return
    this.#guard(() => {
      this.#raft.forgetLeader()
      this.#deferTurn()
    })
    const heirs = this.#members.voters.filter((voter) => voter !== nodeId)
    const rank = heirs.indexOf(this.#nodeId)
    if (rank < 0) return
    const { random } = this.#ports.timing
    const delayMs = rank * successionMs + random() * (successionMs / 4)
    this.#succeedAfter(delayMs, heirs.length * successionMs, successionsMax)
  }

  /** Stands now and then again: the first time, others may not have heard yet. Then the election timeout sees to it. */
  #succeedAfter(delayMs: number, everyMs: number, triesLeft: number): void {
    this.#cancelCampaign?.()
    this.#cancelCampaign = this.#ports.timing.clock.setTimer(delayMs, () =>
      this.#guard(() => {
        if (this.#raft.basicStatus().lead !== NONE) return
        this.#raft.campaign()
        this.#deferTurn()
        if (triesLeft > 1) this.#succeedAfter(everyMs, everyMs, triesLeft - 1)
      }),
    )
  }

  /** Tells from now on what happens here, in order. Gives what ends that. */
  watch(watcher: GroupWatcher): () => void {
    this.#watchers.add(watcher)
    return () => {
      this.#watchers.delete(watcher)
    }
  }

  get leader(): LeaderView {
    return this.#leader
  }

  /** The index that a linearizable read waits for; `undefined` where this replica cannot say. */
  readIndex(): Promise<number | undefined> {
    if (this.#end || !this.#isLeader()) return Promise.resolve(undefined)
    const { context, index } = this.#reads.add(this.#tick + 2 * this.#settings.electionTicks)
    this.#guard(() => {
      this.#raft.readIndex(context)
      this.#deferTurn()
    })
    return index
  }

  /** What another replica's state hashed to at an index. The one that a majority contradicts stops serving. */
  hashOf(nodeId: number, index: number, hash: string): void {
    this.#guard(() => {
      this.#hashes.told(nodeId, index, hash)
      this.#checkHashes(index)
    })
  }

  #noteHash({ index }: Entry): void {
    if (index % hashEveryEntries !== 0) return
    const hash = this.#applied.hash()
    this.#hashes.told(this.#nodeId, index, hash)
    this.#ports.onHash?.(index, hash)
    this.#checkHashes(index)
  }

  #checkHashes(index: number): void {
    if (!this.#hashes.isContradicted(this.#nodeId, index, this.#members.voters)) return
    throw new ConsistencyError(
      `the state of node ${this.#nodeId} in group ${this.groupId} differs from that of a majority as of ` +
        `entry ${index}: it must not be used; replace this node`,
    )
  }

  /** Resolves when all that is applied now is in a checkpoint. Rejects when the replica ends before. */
  async checkpointed(): Promise<void> {
    const { appliedIndex } = this.#applied
    const { clock } = this.#ports.timing
    while (this.#applied.checkpointer.position.index < appliedIndex) {
      if (this.#end) throw this.#end
      this.#isCheckpointWanted = true
      this.#deferTurn()
      await new Promise<void>((resolve) => {
        clock.setTimer(this.#settings.tickMs, resolve)
      })
    }
  }

  // ── Members ──────────────────────────────────────────────────────────────────────────────────────────

  get addresses(): Members {
    return this.#members.addresses
  }

  members(): MemberView[] {
    return this.#members.view(this.#tick)
  }

  /** Changes the membership by one node. Resolves when that is applied here, or with the reason why it is not. */
  change(change: MemberChange): Promise<ChangeOutcome> {
    if (this.#end || !this.#isReady()) return refused('this replica does not lead the group')
    const outcome = this.#members.change(change, this.#tick)
    this.#deferTurn()
    return outcome
  }

  /** Hands leadership to another voter, if there is one, so that nobody has to miss this one. */
  handOver(): void {
    if (!this.#isLeader()) return
    this.#guard(() => {
      this.#members.handOver(this.#tick)
      this.#deferTurn()
    })
  }

  /** Calls the listener for each applied entry with events or notices, in order; gives what ends that. */
  subscribe(listener: FeedListener): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  // ── What can be asked ────────────────────────────────────────────────────────────────────────────────

  /** The state as far as it is applied, for status and tests; also when the replica has ended. */
  get applied(): AppliedState {
    return this.#applied
  }

  /** Reads the applied state. Throws ClusterError when the replica has ended, as it does by a damaged value. */
  read<T>(work: (applied: AppliedState) => T): T {
    if (this.#end) throw this.#end
    if (this.#installing !== undefined) {
      throw new ClusterError('unavailable', 'this replica is taking over a snapshot')
    }
    try {
      return work(this.#applied)
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      this.#fail(error)
      throw new ClusterError('unavailable', `this replica has failed: ${error.message}`, { cause: error })
    }
  }

  /** Resolves when commands are taken here. Rejects when the replica ends before. */
  whenReady(): Promise<void> {
    if (this.#end) return Promise.reject(this.#end)
    if (this.#isReady()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#readyWaiters.push({ resolve, reject })
    })
  }

  status(): ReplicaStatus {
    const { term, commit, lead } = this.#raft.basicStatus()
    return {
      isLeader: this.#isLeader(),
      leader: lead,
      ready: this.#end === undefined && this.#isReady(),
      term,
      commitIndex: commit,
      appliedIndex: this.#applied.appliedIndex,
      firstIndex: this.#log.firstIndex(),
      lastIndex: this.#log.lastIndex(),
      checkpointIndex: this.#applied.checkpointer.position.index,
      isInstalling: this.#installing !== undefined,
      queuedCommands: this.#proposals.queuedCommands,
      inFlightCommands: this.#proposals.inFlightCommands,
      inFlightEntries: this.#proposals.inFlightEntries,
      unappliedEntries: this.#applyQueue.reduce((sum, message) => sum + message.entries.length, 0),
    }
  }

  /**
   * Takes no more commands, makes a last checkpoint, and ends. Commands in flight get `unknown`. The store is the
   * caller's to close, afterwards.
   */
  async stop(): Promise<void> {
    if (this.#end) return
    this.#finish(new ClusterError('stopped', 'this process is stopping'))
    this.#applied.checkpointer.hurry()
    try {
      await this.#upkeep
      // A snapshot that is half taken over is brought to its end at the next start.
      if (this.#installing !== undefined) return
      if (this.#applied.unsavedCount > 0) await this.#applied.checkpoint(() => undefined)
    } catch (error) {
      this.#ports.onFatal(asError(error))
    }
  }

  // ── Turns ────────────────────────────────────────────────────────────────────────────────────────────

  /** After the caller's turn: gathers whatever else comes in until then. */
  #deferTurn(): void {
    if (this.#turnIsDeferred || this.#end) return
    this.#turnIsDeferred = true
    this.#ports.timing.afterTurn(() => {
      this.#turnIsDeferred = false
      this.#guard(() => this.#turn())
    })
  }

  /** As soon as this call is over: a write has ended, and somebody waits for what follows. */
  #turnSoon(): void {
    if (this.#turnIsSoon || this.#end) return
    this.#turnIsSoon = true
    queueMicrotask(() => {
      this.#turnIsSoon = false
      this.#guard(() => this.#turn())
    })
  }

  #turn(): void {
    this.#proposeQueued()
    this.#drain()
    this.#stepHeldSnapshot()
    const batch = this.#applyQueue.shift()
    if (batch !== undefined) {
      this.#applyBatch(batch)
      this.#proposeQueued()
      this.#drain()
    }
    this.#applied.gather()
    this.#keepUp()
    if (this.#applyQueue.length > 0) this.#deferTurn()
  }

  #scheduleTick(): void {
    this.#cancelTick = this.#ports.timing.clock.setTimer(this.#settings.tickMs, () => {
      this.#guard(() => {
        this.#tick += 1
        this.#raft.tick()
        this.#proposals.expire(this.#tick)
        this.#reads.expire(this.#tick)
        if (this.#tick % this.#settings.electionTicks === 0 && this.#isReady()) this.#members.promote()
        if (!this.#isLeader()) this.#proposals.dropQueued('another replica leads the group')
        this.#deferTurn()
        this.#scheduleTick()
      })
    })
  }

  /** Hands out all that Raft has to say. */
  #drain(): void {
    while (this.#raft.hasReady()) {
      const { messages, softState, readStates } = this.#raft.ready()
      if (softState !== null) this.#noteRole()
      this.#reads.answered(readStates)
      for (const message of messages) {
        if (message.to === LOCAL_APPEND_THREAD) this.#append(message)
        else if (message.to === LOCAL_APPLY_THREAD) this.#applyQueue.push(message)
        else this.#send(message)
      }
    }
    this.#tellLeader()
  }

  #send(message: Message): void {
    if (message.type === 'MsgSnap') this.#transfers.send(message)
    else this.#ports.transport.send(this.groupId, message)
  }

  #tellLeader(): void {
    const { lead, term } = this.#raft.basicStatus()
    if (lead === this.#leader.leaderId && term === this.#leader.term) return
    this.#leader = { leaderId: lead, term }
    for (const watcher of this.#watchers) watcher.leader(this.#leader)
  }

  #deliver(responses: readonly Message[]): void {
    for (const message of responses) {
      if (message.to === this.#nodeId) this.#raft.step(message)
      else this.#send(message)
    }
  }

  // ── Leading ──────────────────────────────────────────────────────────────────────────────────────────

  #isLeader(): boolean {
    return this.#leadsFrom !== undefined
  }

  /** A new leader knows the last stamp only when it has applied everything before its own first entry. */
  #isReady(): boolean {
    return this.#leadsFrom !== undefined && this.#applied.appliedIndex >= this.#leadsFrom
  }

  #noteRole(): void {
    const { raft } = this.#raft
    if (raft.state !== 'StateLeader') {
      this.#leadsFrom = undefined
      this.#proposals.dropQueued('this replica does not lead the group any more')
      this.#reads.drop()
      this.#members.drop()
    } else if (this.#leadsFrom === undefined) this.#leadsFrom = raft.log.lastIndex()
  }

  /** What is queued becomes entries, one for as many commands as fit. */
  #proposeQueued(): void {
    const { entriesInFlightMax, commandsPerEntryMax } = this.#settings
    if (!this.#isReady()) return
    while (this.#proposals.queuedCommands > 0 && this.#proposals.inFlightEntries < entriesInFlightMax) {
      const { raft } = this.#raft
      const atMs = this.#stampMs()
      const { data, count } = this.#encode(this.#proposals.peek(commandsPerEntryMax), atMs)
      // Dropped while leadership is handed over, or while too much is uncommitted: it stays queued.
      if (this.#raft.propose(data) !== null) return
      this.#lastStampMs = atMs
      this.#proposals.proposed(count, raft.log.lastIndex(), raft.term)
    }
  }

  #stampMs(): number {
    return Math.max(this.#ports.timing.clock.nowMs(), this.#lastStampMs, this.#applied.state.house.lastAtMs)
  }

  /** One entry of the first commands, of at most `entryBytesMax` bytes unless a single command is bigger. */
  #encode(waiting: readonly Waiting[], atMs: number): { data: Uint8Array; count: number } {
    for (let count = waiting.length; ; count = Math.ceil(count / 2)) {
      const commands = waiting.slice(0, count).map((one) => one.command)
      const data = pack(encodeEntry({ version: entryVersion, atMs, commands }))
      if (data.length <= this.#settings.entryBytesMax || count === 1) return { data, count }
    }
  }

  // ── Writing ──────────────────────────────────────────────────────────────────────────────────────────

  /** MsgStorageAppend: its responses leave when it, and all before it, are durable. */
  #append(message: Message): void {
    if (this.#installing !== undefined) {
      this.#heldAppends.push(message)
      return
    }
    if (message.snapshot !== null) {
      this.#installing = this.#install(message)
      return
    }
    const { entries, term, vote, commit, responses } = message
    // A commit index alone is not worth a sync: whoever reads an older one finds the newer from the leader.
    const isNewTermOrVote = term > 0 && (term !== this.#writtenTerm || vote !== this.#writtenVote)
    const append: LogAppend = isNewTermOrVote ? { entries, hardState: { term, vote, commit } } : { entries }
    if (entries.length === 0 && !isNewTermOrVote && responses.length === 0) return
    if (isNewTermOrVote) {
      this.#writtenTerm = term
      this.#writtenVote = vote
    }
    this.#ports.store.commit(this.#log.writesOf(append)).then(
      () =>
        this.#guard(() => {
          this.#log.settle(append)
          this.#deliver(responses)
          this.#turnSoon()
        }),
      (error: unknown) => this.#fail(asError(error)),
    )
  }

  // ── Taking over a snapshot ───────────────────────────────────────────────────────────────────────────

  /** The core takes on a snapshot's members at once, so everything older must have been applied. */
  #stepHeldSnapshot(): void {
    const message = this.#heldSnapshot
    if (message === undefined || this.#applyQueue.length > 0 || this.#upkeep !== undefined) return
    this.#heldSnapshot = undefined
    this.#raft.step(message)
    this.#drain()
    // The core had no use for it: its log has the entries.
    if (this.#installing === undefined) this.#transfers.done()
  }

  /** MsgStorageAppend with a snapshot, and those that come behind it. */
  async #install(message: Message): Promise<void> {
    try {
      await this.#replaceState(message)
    } catch (error) {
      this.#installing = undefined
      this.#fail(asError(error))
      return
    }
    this.#installing = undefined
    this.#transfers.done()
    this.#guard(() => {
      const { index } = this.#applied.position
      this.#proposals.skipTo(index)
      for (const watcher of this.#watchers) watcher.gap(index)
      this.#append({ ...message, snapshot: null })
      for (const held of this.#heldAppends.splice(0)) this.#append(held)
      this.#turnSoon()
    })
  }

  async #replaceState({ snapshot, term, vote, commit }: Message): Promise<void> {
    const { store } = this.#ports
    const { groupId } = this
    if (snapshot === null || !this.#transfers.hasArrived) throw new Error('a snapshot without its rows')
    const { position, members } = headOf(snapshot)
    const hardState = {
      term: Math.max(term, this.#writtenTerm),
      vote: term > 0 ? vote : this.#writtenVote,
      commit: Math.max(commit, position.index),
    }
    this.#writtenTerm = hardState.term
    this.#writtenVote = hardState.vote
    await store.commit([
      ...this.#log.writesOfReplacement(position),
      ...this.#log.writesOf({ entries: [], hardState }),
      writeOfMembers(groupId, members),
      writeOfInstalling(groupId, position),
    ])
    this.#log.replaced(position)
    this.#log.settle({ entries: [], hardState })
    await finishInstall(store, groupId)
    const { machine } = this.#ports
    this.#applied = new AppliedState({ store, groupId, machine })
    this.#members.replaced(position.confState, members)
  }

  // ── Applying ─────────────────────────────────────────────────────────────────────────────────────────

  /** MsgStorageApply: all of its entries, then its responses, then what they brought is told. */
  #applyBatch(message: Message): void {
    const wasReady = this.#isReady()
    for (const entry of message.entries) {
      this.#applyEntry(entry)
      this.#noteHash(entry)
    }
    const { appliedIndex } = this.#applied
    for (const watcher of this.#watchers) watcher.applied(appliedIndex)
    this.#deliver(message.responses)
    const done = this.#applied.appliedIndex
    if (done <= this.#replayUpTo) this.#onProgress?.({ phase: 'entries', done, total: this.#replayUpTo })
    if (wasReady || !this.#isReady()) return
    const waiters = this.#readyWaiters
    this.#readyWaiters = []
    for (const { resolve } of waiters) resolve()
  }

  #applyEntry(entry: Entry): void {
    const { index, term } = entry
    if (entry.type !== 'EntryNormal') {
      this.#applied.pass(entry, this.#members.apply(entry))
      this.#isCheckpointWanted = true
      this.#proposals.settle(index, NONE, [])
      return
    }
    if (entry.data.length === 0) {
      this.#applied.pass(entry)
      this.#proposals.settle(index, NONE, [])
      this.#members.passed(entry)
      return
    }
    const { replies, events, noticeCount, gained } = this.#applied.apply(entry)
    this.#proposals.settle(index, term, replies)
    if (events.length === 0 && noticeCount === 0 && gained.length === 0) return
    const atMs = this.#applied.state.house.lastAtMs
    const batch: FeedBatch = {
      groupId: this.groupId,
      index,
      atMs,
      events,
      hasNotices: noticeCount > 0,
      ...(gained.length > 0 && { gained }),
    }
    for (const listener of this.#listeners) listener(batch)
    for (const watcher of this.#watchers) watcher.batch(batch)
  }

  // ── Upkeep: checkpoints and compaction, beside everything else ───────────────────────────────────────

  /** Brings to its end what a crash has interrupted. */
  #finishCheckpoint(): void {
    this.#keepBusy(this.#applied.checkpointer.resume())
  }

  #keepUp(): void {
    if (this.#upkeep !== undefined || this.#installing !== undefined) return
    if (this.#heldSnapshot !== undefined) return
    const { checkpointRows, checkpointBytes, checkpointMs, tickMs } = this.#settings
    const unsaved = this.#applied.unsavedCount
    const isDue =
      this.#isCheckpointWanted ||
      unsaved >= checkpointRows ||
      this.#applied.bytesSinceCheckpoint >= checkpointBytes ||
      (unsaved > 0 && (this.#tick - this.#checkpointAtTick) * tickMs >= checkpointMs)
    if (!isDue) return
    this.#checkpointAtTick = this.#tick
    this.#isCheckpointWanted = false
    this.#keepBusy(this.#checkpointAndCompact())
  }

  async #checkpointAndCompact(): Promise<void> {
    await this.#applied.checkpoint((position) => this.#log.checkpointed(position))
    for (;;) {
      const piece = this.#log.compaction(compactionEntriesMax)
      if (piece === undefined || this.#end) return
      await this.#ports.store.commit(piece.writes)
      this.#log.compacted(piece)
    }
  }

  #keepBusy(work: Promise<void>): void {
    this.#upkeep = work.then(
      () => {
        this.#upkeep = undefined
        if (this.#heldSnapshot !== undefined) this.#deferTurn()
      },
      (error: unknown) => {
        this.#upkeep = undefined
        this.#fail(asError(error))
      },
    )
  }

  // ── The end ──────────────────────────────────────────────────────────────────────────────────────────

  /** Everything that runs by itself runs in here: what it throws ends the replica. */
  #guard(work: () => void): void {
    if (this.#end) return
    try {
      work()
    } catch (error) {
      this.#fail(asError(error))
    }
  }

  #fail(error: Error): void {
    if (this.#end) return
    this.#finish(
      new ClusterError('unavailable', `this replica has failed: ${error.message}`, { cause: error }),
    )
    this.#ports.onFatal(error)
  }

  #finish(end: ClusterError): void {
    this.#end = end
    this.#leadsFrom = undefined
    this.#cancelTick?.()
    this.#cancelCampaign?.()
    this.#proposals.end(end)
    this.#reads.drop()
    this.#members.drop(end.message)
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
