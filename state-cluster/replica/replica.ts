/**
 * One replica of one group: it joins Raft, the state machine and the disk.
 *
 *   propose ─► queue ─► one entry a turn ─► Raft ─┬─► MsgStorageAppend ─► store ─► responses ─┐
 *   tick, step ──────────────────────────────────►│                                           ├─► Raft
 *                 replies, feed ◄── machine ◄─────┴─◄ MsgStorageApply ◄───────────────────────┘
 *
 * This file is the trunk: each turn it drains Ready, writes, sends and applies. Invariant: nothing is acknowledged,
 * and no promise to a peer leaves, before what it rests on is durable; every committed entry is applied once, in
 * order. A failing disk, a damaged value or a broken invariant ends the replica: it answers nothing more, and reports
 * why, once, to `onFatal`. Clock, randomness, disk and peers are ports, so the simulator runs this very code.
 * Source: docs/raft.md, the caller's duties and the replica's turn.
 */
import type { GroupId } from '../../protocol/ids.ts'
import { type CancelTimer, sleep } from '../../runtime/clock.ts'
import { ClusterError } from '../cluster.ts'
import type { Command } from '../machine/commands.ts'
import { deadlinesOf } from '../machine/deadlines.ts'
import type { Reply } from '../machine/events.ts'
import { clockBoundMs, ownWallClock, type WallClocks } from '../peers/peer-clocks.ts'
import type { SnapshotSink } from '../peers/peer-transport.ts'
import {
  type Entry,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type Message,
  RawNode,
  type StateType,
} from '../raft/index.ts'
import { DiskLog } from '../storage/disk-log.ts'
import type { Members } from '../storage/member-record.ts'
import { StoreError } from '../storage/store.ts'
import { AppliedState } from './applied-state.ts'
import { Checkpointing } from './checkpointing.ts'
import { Divergence, DivergenceError, hashEveryEntries } from './divergence.ts'
import { FastElection } from './fast-election.ts'
import { Feed, type FeedListener, type GroupWatcher, type LeaderView } from './feed.ts'
import { Leading } from './leading.ts'
import { LogKeeping } from './log-keeping.ts'
import { LogWriter } from './log-writer.ts'
import { GroupMembers } from './members.ts'
import { type ChangeOutcome, type MemberChange, type MemberView, refused } from './membership.ts'
import type { RareEvent } from './rare-events.ts'
import { ReadIndex } from './read-index.ts'
import {
  type ReplicaPorts,
  type ReplicaSettings,
  type ReplicaStart,
  type ReplicaStatus,
  raftSettingsOf,
} from './settings.ts'
import { SnapshotArrival } from './snapshot-arrival.ts'
import { type InstalledState, snapshotInstaller } from './snapshot-installer.ts'
import { SnapshotTransfer } from './snapshot-transfer.ts'
import { checkStaleFolder, type OwnLog } from './stale-folder.ts'
import { type HouseTime, StampClock } from './stamp-clock.ts'
import { checkStartClock } from './start-clock.ts'

export class Replica {
  readonly groupId: GroupId
  readonly #nodeId: number
  readonly #settings: ReplicaSettings
  readonly #ports: ReplicaPorts
  #applied: AppliedState
  readonly #log: DiskLog
  readonly #raft: RawNode
  readonly #leading: Leading
  readonly #stampClock: StampClock
  readonly #wallClocks: WallClocks
  readonly #writer: LogWriter<InstalledState>
  readonly #logKeeping: LogKeeping
  readonly #checkpointing: Checkpointing
  readonly #fastElection: FastElection
  readonly #feed = new Feed()
  readonly #reads = new ReadIndex()
  readonly #transfers: SnapshotTransfer
  readonly #arrival: SnapshotArrival
  readonly #members: GroupMembers
  /** A MsgSnap whose rows are here; stepped when everything handed out is applied. */
  #heldSnapshot: Message | undefined
  readonly #divergence = new Divergence()
  readonly #onProgress: ReplicaStart['onProgress']
  /** Batches of committed entries that Raft has handed out and the machine has not seen. */
  readonly #applyQueue: Message[] = []
  readonly #replayUpTo: number
  #tick = 0
  /** Role and unknown outcomes as they were last noted. */
  #notedRole: StateType = 'StateFollower'
  #notedUnknown = 0
  #cancelTick: CancelTimer | undefined
  #turnIsDeferred = false
  #turnIsSoon = false
  #readyWaiters: { resolve: () => void; reject: (error: Error) => void }[] = []
  #end: ClusterError | undefined
  readonly #failed = (error: unknown): void => this.#fail(asError(error))

  /**
   * Loads the checkpoint. The log after it is replayed by turns once `start` is called. Rejects with StoreError.
   */
  static async open(start: ReplicaStart): Promise<Replica> {
    const { groupId, ports, onProgress } = start
    const { store, machine, timing } = ports
    const applied = await AppliedState.open({
      store,
      groupId,
      machine,
      afterTurn: timing.afterTurn,
      onProgress: (done) => onProgress?.({ phase: 'rows', done }),
    })
    return new Replica(start, applied)
  }

  private constructor(start: ReplicaStart, appliedState: AppliedState) {
    const { groupId, nodeId, settings, ports, onProgress } = start
    const { store, timing } = ports
    this.groupId = groupId
    this.#nodeId = nodeId
    this.#settings = settings
    this.#ports = ports
    this.#onProgress = onProgress
    this.#applied = appliedState
    this.#log = DiskLog.open({
      reader: store,
      groupId,
      checkpoint: appliedState.position,
      tailBytesMax: settings.logTailBytesMax,
      keptBytesMax: settings.logKeptBytesMax,
    })
    this.#raft = new RawNode({
      ...raftSettingsOf(settings),
      id: nodeId,
      storage: this.#log,
      random: (bound) => Math.floor(timing.random() * bound),
      applied: appliedState.appliedIndex,
    })
    this.#members = this.#newMembers()
    this.#transfers = this.#newTransfers()
    this.#arrival = new SnapshotArrival({ store, groupId, failed: this.#failed })
    this.#writer = this.#newWriter()
    const applied = (): AppliedState => this.#applied
    this.#stampClock = new StampClock(timing.clock)
    this.#stampClock.applied(appliedState.state.house.lastAtMs)
    this.#wallClocks = ports.wallClocks ?? ownWallClock(timing)
    this.#leading = new Leading({
      raft: this.#raft,
      settings,
      clock: timing.clock,
      stampClock: this.#stampClock,
      wallClocks: this.#wallClocks,
      voters: () => this.#members.voters,
      applied,
    })
    this.#logKeeping = new LogKeeping({
      raft: this.#raft,
      silenceTicks: Math.ceil(settings.memberSilenceMs / settings.tickMs),
      sentTo: (member) => this.#transfers.sentTo(member),
    })
    this.#checkpointing = new Checkpointing({
      store,
      log: this.#log,
      settings,
      applied,
      keepAfter: () => this.#logKeeping.keepAfter(this.#log.firstIndex(), this.#tick),
      done: () => {
        if (this.#heldSnapshot !== undefined) this.#deferTurn()
      },
      failed: this.#failed,
    })
    const run = (work: () => void): void => this.#guardedTurn(work)
    this.#fastElection = new FastElection({ nodeId, raft: this.#raft, timing, run })
    this.#replayUpTo = this.#log.lastIndex()
  }

  #newMembers(): GroupMembers {
    const { store, onMembers } = this.#ports
    return new GroupMembers({
      groupId: this.groupId,
      nodeId: this.#nodeId,
      raft: this.#raft,
      log: this.#log,
      store,
      silentTicks: this.#settings.electionTicks,
      freshTicks: 3 * this.#settings.heartbeatTicks,
      onMembers: (members) => onMembers?.(members),
      handedOver: (to) => this.#note({ type: 'handover', to }),
      failed: this.#failed,
    })
  }

  #newTransfers(): SnapshotTransfer {
    const { store, transport } = this.#ports
    return new SnapshotTransfer({
      store,
      groupId: this.groupId,
      transport,
      members: () => this.#members.addresses,
      firstIndex: () => this.#log.firstIndex(),
      resumeTicks: Math.ceil(this.#settings.snapshotResumeMs / this.#settings.tickMs),
      isNew: (to) => this.#members.isNew(to),
      note: (event) => this.#note(event),
      sent: (to, isStored) =>
        this.#guardedTurn(() =>
          this.#raft.reportSnapshot(to, isStored ? 'SnapshotFinish' : 'SnapshotFailure'),
        ),
      failed: this.#failed,
    })
  }

  #newWriter(): LogWriter<InstalledState> {
    const { store, machine, timing } = this.#ports
    return new LogWriter({
      store,
      log: this.#log,
      installer: snapshotInstaller({
        store,
        groupId: this.groupId,
        arrival: this.#arrival,
        machine,
        afterTurn: timing.afterTurn,
      }),
      written: (responses) => {
        this.#deliver(responses)
        this.#turnSoon()
      },
      installed: ({ applied, members }) => this.#installed(applied, members),
      run: (work) => this.#guard(work),
      failed: this.#failed,
    })
  }

  /** Begins to take part. A replica that is the only voter campaigns at once. */
  start(): void {
    this.#guard(() => {
      this.#checkpointing.finish()
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
    const reply = this.#leading.propose(command, this.#tick)
    this.#deferTurn()
    return reply
  }

  /** A message of a peer's replica. A MsgSnap comes after its rows went to `receiveSnapshot`. */
  step(message: Message): void {
    if (this.#end) return
    this.#guard(() => {
      this.#members.received(message.from, this.#tick)
      this.#logKeeping.heard(message.from, this.#tick)
      if (message.type === 'MsgSnap') this.#heldSnapshot = message
      else {
        checkStaleFolder(message, this.#ownLog())
        this.#raft.step(message)
      }
      this.#deferTurn()
    })
  }

  /** Where the rows of a peer's snapshot go; `undefined`: not now. */
  receiveSnapshot({ snapshot }: Message): SnapshotSink | undefined {
    const isBusy = this.#end !== undefined || this.#heldSnapshot !== undefined
    if (isBusy || this.#writer.isInstalling || snapshot === null) return undefined
    return this.#arrival.receive(snapshot)
  }

  /** What was sent to a node did not arrive. */
  unreachable(nodeId: number): void {
    this.#guard(() => {
      this.#raft.reportUnreachable(nodeId)
      this.#deferTurn()
    })
  }

  /**
   * The process of a node has ended, as its closed connection shows. If it led, a fast election begins.
   */
  peerGone(nodeId: number): void {
    this.#members.gone(nodeId)
    if (this.#end || nodeId !== this.#raft.basicStatus().lead || nodeId === this.#nodeId) return
    this.#guard(() => {
      this.#raft.forgetLeader()
      this.#deferTurn()
    })
    this.#fastElection.begin(this.#members.voters, nodeId)
  }

  /** Reports what happens here from now on, in order. Returns the function that ends the watch. */
  watch(watcher: GroupWatcher): () => void {
    return this.#feed.watch(watcher)
  }

  get leader(): LeaderView {
    return this.#feed.leader
  }

  /** The index that a linearizable read waits for; `undefined` where this replica cannot say. */
  readIndex(): Promise<number | undefined> {
    if (this.#end || !this.#leading.isLeader) return Promise.resolve(undefined)
    const { context, index } = this.#reads.add(this.#tick + 2 * this.#settings.electionTicks)
    this.#guard(() => {
      this.#raft.readIndex(context)
      this.#deferTurn()
    })
    return index
  }

  /** The hash of another replica's state at an index. A replica that differs from a majority stops serving. */
  hashOf(nodeId: number, index: number, hash: string): void {
    this.#guard(() => this.#compare(nodeId, index, hash))
  }

  #ownLog(): OwnLog {
    const { term, lastIndex } = this.#raft
    return { nodeId: this.#nodeId, groupId: this.groupId, term, lastIndex }
  }

  #noteHash({ index }: Entry): void {
    if (index % hashEveryEntries !== 0) return
    const hash = this.#applied.hash()
    this.#ports.onHash?.(index, hash)
    this.#compare(this.#nodeId, index, hash)
  }

  #compare(nodeId: number, index: number, hash: string): void {
    this.#divergence.report(nodeId, index, hash)
    if (!this.#divergence.isDivergent(this.#nodeId, index, this.#members.voters)) return
    throw new DivergenceError(
      `the state of node ${this.#nodeId} in group ${this.groupId} differs from that of a majority as of ` +
        `entry ${index}: it must not be used`,
    )
  }

  /** Resolves when all that is applied now is in a checkpoint. Rejects when the replica ends before. */
  async checkpointed(): Promise<void> {
    const { appliedIndex } = this.#applied
    const { clock } = this.#ports.timing
    while (this.#applied.checkpointer.position.index < appliedIndex) {
      if (this.#end) throw this.#end
      this.#checkpointing.want()
      this.#deferTurn()
      await sleep(clock, this.#settings.tickMs)
    }
  }

  // ── Members ──────────────────────────────────────────────────────────────────────────────────────────

  get addresses(): Members {
    return this.#members.addresses
  }

  members(): MemberView[] {
    return this.#members.view(this.#tick)
  }

  /** Records which folder a member has, where the log has not named it. Resolves when that is durable. */
  noteIncarnation(nodeId: number, incarnation: string): Promise<void> {
    return this.#members.note(nodeId, incarnation)
  }

  /** Changes the membership by one node. Resolves when that is applied here, or with the reason why it is not. */
  change(change: MemberChange): Promise<ChangeOutcome> {
    if (this.#end || !this.#leading.isReady) {
      return Promise.resolve(refused('not_leader', 'this replica does not lead the group: ask again'))
    }
    const outcome = this.#members.change(change, this.#tick)
    this.#deferTurn()
    return outcome
  }

  /** Transfers leadership to another voter, if there is one. */
  handOver(): void {
    if (!this.#leading.isLeader) return
    this.#guard(() => {
      this.#members.handOver(this.#tick)
      this.#deferTurn()
    })
  }

  // ── Time ─────────────────────────────────────────────────────────────────────────────────────────────

  get voters(): readonly number[] {
    return this.#members.voters
  }

  /** What it says of house time to the others, while it leads or where it has counted it. */
  houseTime(): HouseTime | undefined {
    const { isCounted } = this.#stampClock
    if (this.#end || !(this.#leading.isReady || isCounted)) return undefined
    const houseMs = this.#stampClock.nowMs()
    const { shifts } = this.#applied.state.house
    return houseMs === 0 ? undefined : { houseMs, isCounted, shifts }
  }

  /** What another node says of house time, give or take `errorMs`: the leader counts, and who has counted where this has not. */
  heardHouseTime(nodeId: number, time: HouseTime, errorMs: number): void {
    const isOfLeader = nodeId === this.#raft.basicStatus().lead
    // Another has applied a shift that this has not, or the other way round.
    if (time.shifts !== this.#applied.state.house.shifts) return
    if (this.#end || !(isOfLeader || (time.isCounted && !this.#stampClock.isCounted))) return
    this.#stampClock.heard(time, errorMs, this.#applied.state.house.lastAtMs)
  }

  /** A lone voter that has time to take over from its own clock looks at it first. Throws ClockError. */
  #checkClock(): void {
    if (this.#settings.acceptClock || this.#members.voters.length > 1 || this.#stampClock.isCounted) return
    checkStartClock(this.#applied.state.house.lastAtMs, this.#ports.timing.clock.nowMs())
  }

  /** How far house time is from what the voters' wall clocks agree on (ms, positive: ahead), on its leader. */
  houseOffsetMs(): number | undefined {
    const agreed = this.#wallClocks.agreed(this.#members.voters)
    return agreed && this.#leading.isReady ? this.#stampClock.nowMs() - agreed.wallMs : undefined
  }

  /** A leader whose own clock is off hands over to a node whose clock is not. */
  #leadByRightClock(): void {
    const { voters } = this.#members
    const isRight = (nodeId: number): boolean => {
      const offMs = this.#wallClocks.offsetOf(nodeId, voters)
      return offMs !== undefined && Math.abs(offMs) <= clockBoundMs
    }
    const ownMs = this.#wallClocks.offsetOf(this.#nodeId, voters)
    if (ownMs !== undefined && !isRight(this.#nodeId)) this.#members.handOver(this.#tick, isRight)
  }

  /** Calls the listener for each applied entry with events or outbox entries, in order; gives what ends that. */
  subscribe(listener: FeedListener): () => void {
    return this.#feed.subscribe(listener)
  }

  // ── Reads and status ────────────────────────────────────────────────────────────────────────────────

  /** The state as far as it is applied, for status and tests; also when the replica has ended. */
  get applied(): AppliedState {
    return this.#applied
  }

  /** Reads the applied state. Throws ClusterError when the replica has ended, as it does by a damaged value. */
  read<T>(work: (applied: AppliedState) => T): T {
    if (this.#end) throw this.#end
    if (this.#writer.isInstalling) {
      throw new ClusterError('unavailable', 'this replica is installing a snapshot')
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
    if (this.#leading.isReady) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#readyWaiters.push({ resolve, reject })
    })
  }

  status(): ReplicaStatus {
    const { term, commit, lead } = this.#raft.basicStatus()
    return {
      isLeader: this.#leading.isLeader,
      leader: lead,
      ready: this.#end === undefined && this.#leading.isReady,
      term,
      commitIndex: commit,
      appliedIndex: this.#applied.appliedIndex,
      firstIndex: this.#log.firstIndex(),
      lastIndex: this.#log.lastIndex(),
      checkpointIndex: this.#applied.checkpointer.position.index,
      isInstalling: this.#writer.isInstalling,
      queuedCommands: this.#leading.pending.queuedCommands,
      inFlightCommands: this.#leading.pending.inFlightCommands,
      inFlightEntries: this.#leading.pending.inFlightEntries,
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
    try {
      await this.#checkpointing.ended()
      // A snapshot that is half installed is finished at the next start.
      if (this.#writer.isInstalling) return
      if (this.#applied.unsavedCount > 0) await this.#applied.checkpoint(() => undefined)
    } catch (error) {
      this.#ports.onFatal(asError(error))
    }
  }

  // ── Turns ────────────────────────────────────────────────────────────────────────────────────────────

  /** After the caller's turn, together with everything that comes in until then. */
  #deferTurn(): void {
    if (this.#turnIsDeferred || this.#end) return
    this.#turnIsDeferred = true
    this.#ports.timing.afterTurn(() => {
      this.#turnIsDeferred = false
      this.#guard(() => this.#turn())
    })
  }

  /** As soon as this call is over: a write has ended, and callers wait for what follows. */
  #turnSoon(): void {
    if (this.#turnIsSoon || this.#end) return
    this.#turnIsSoon = true
    queueMicrotask(() => {
      this.#turnIsSoon = false
      this.#guard(() => this.#turn())
    })
  }

  #turn(): void {
    this.#leading.proposeQueued()
    this.#drain()
    this.#stepHeldSnapshot()
    const batch = this.#applyQueue.shift()
    if (batch !== undefined) {
      this.#applyBatch(batch)
      this.#leading.proposeQueued()
      this.#drain()
    }
    this.#applied.gather()
    if (!this.#writer.isInstalling && this.#heldSnapshot === undefined) this.#checkpointing.look(this.#tick)
    if (this.#applyQueue.length > 0) this.#deferTurn()
  }

  #scheduleTick(): void {
    this.#cancelTick = this.#ports.timing.clock.setTimer(this.#settings.tickMs, () => {
      this.#guard(() => {
        this.#tick += 1
        this.#raft.tick()
        this.#leading.correctTime()
        this.#leading.expire(this.#tick)
        this.#reads.expire(this.#tick)
        this.#noteUnknown()
        this.#transfers.expire(this.#tick)
        if (this.#tick % this.#settings.electionTicks === 0 && this.#leading.isReady) {
          this.#members.promote(this.#tick)
          this.#leadByRightClock()
        }
        this.#deferTurn()
        this.#scheduleTick()
      })
    })
  }

  /** Hands out every Ready of Raft. */
  #drain(): void {
    while (this.#raft.hasReady()) {
      const { messages, softState, readStates } = this.#raft.ready()
      if (softState !== null) this.#noteRole()
      this.#reads.answered(readStates)
      for (const message of messages) {
        if (message.to === LOCAL_APPEND_THREAD) this.#writer.append(message)
        else if (message.to === LOCAL_APPLY_THREAD) this.#applyQueue.push(message)
        else this.#send(message)
      }
    }
    const { lead, term } = this.#raft.basicStatus()
    this.#feed.leads(lead, term)
  }

  #send(message: Message): void {
    if (message.type === 'MsgSnap') this.#transfers.send(message)
    else this.#ports.transport.send(this.groupId, message)
  }

  #note(event: RareEvent): void {
    this.#ports.onRare?.(event)
  }

  #noteUnknown(): void {
    const { unknownCount } = this.#leading.pending
    const count = unknownCount - this.#notedUnknown
    this.#notedUnknown = unknownCount
    if (count > 0) this.#note({ type: 'unknown_outcomes', count })
  }

  #noteElection(): void {
    const { raftState, term } = this.#raft.basicStatus()
    const before = this.#notedRole
    this.#notedRole = raftState
    if (raftState === before) return
    if (raftState === 'StateLeader') this.#note({ type: 'elected', term })
    // A pre-vote and the vote after it are one campaign.
    else if (
      raftState === 'StatePreCandidate' ||
      (raftState === 'StateCandidate' && before !== 'StatePreCandidate')
    )
      this.#note({ type: 'campaign', term })
  }

  #noteRole(): void {
    this.#noteElection()
    this.#leading.noteRole()
    this.#logKeeping.noteRole(this.#leading.isLeader, this.#tick)
    if (this.#leading.isLeader) return
    this.#reads.drop()
    this.#members.drop()
  }

  #deliver(responses: readonly Message[]): void {
    for (const message of responses) {
      if (message.to === this.#nodeId) this.#raft.step(message)
      else this.#send(message)
    }
  }

  // ── Installing a snapshot ───────────────────────────────────────────────────────────────────────────

  /** The core takes on a snapshot's members at once, so everything older must have been applied. */
  #stepHeldSnapshot(): void {
    const message = this.#heldSnapshot
    if (message === undefined || this.#applyQueue.length > 0 || this.#checkpointing.isBusy) return
    this.#heldSnapshot = undefined
    this.#raft.step(message)
    this.#drain()
    // The core had no use for it: its log has the entries.
    if (!this.#writer.isInstalling) this.#arrival.done()
  }

  #installed(applied: AppliedState, members: Members): void {
    const { index, term, confState } = applied.position
    const reason = this.#applied.appliedIndex === 0 ? 'new_member' : 'compacted'
    this.#note({ type: 'snapshot_installed', index, reason })
    this.#applied = applied
    this.#stampClock.applied(applied.state.house.lastAtMs)
    this.#members.replaced(confState, members)
    this.#leading.pending.skipTo(index, term)
    this.#feed.gap(index)
    this.#turnSoon()
  }

  // ── Applying ─────────────────────────────────────────────────────────────────────────────────────────

  /** MsgStorageApply: all of its entries, then its responses, then what they brought is reported. */
  #applyBatch(message: Message): void {
    const wasReady = this.#leading.isReady
    for (const entry of message.entries) {
      this.#applyEntry(entry)
      this.#noteHash(entry)
    }
    this.#feed.applied(this.#applied.appliedIndex)
    this.#deliver(message.responses)
    const done = this.#applied.appliedIndex
    if (done <= this.#replayUpTo) this.#onProgress?.({ phase: 'entries', done, total: this.#replayUpTo })
    if (wasReady || !this.#leading.isReady) return
    this.#checkClock()
    const waiters = this.#readyWaiters
    this.#readyWaiters = []
    for (const { resolve } of waiters) resolve()
  }

  #applyEntry(entry: Entry): void {
    const { index, term } = entry
    if (entry.type !== 'EntryNormal') {
      this.#applied.pass(entry, this.#members.apply(entry))
      this.#checkpointing.want()
      this.#leading.pending.applied(index, term, [])
      return
    }
    if (entry.data.length === 0) {
      this.#applied.pass(entry)
      this.#leading.pending.applied(index, term, [])
      this.#members.passed(entry)
      return
    }
    const { replies, events, outboxCount, gained } = this.#applied.apply(entry)
    this.#stampClock.applied(this.#applied.state.house.lastAtMs)
    this.#leading.pending.applied(index, term, replies)
    if (events.length === 0 && outboxCount === 0 && gained.length === 0) return
    const { state } = this.#applied
    const deadlines = deadlinesOf(state, events)
    this.#feed.batch({
      groupId: this.groupId,
      index,
      atMs: state.house.lastAtMs,
      events,
      hasOutboxEntries: outboxCount > 0,
      ...(gained.length > 0 && { gained }),
      ...(deadlines.length > 0 && { deadlines }),
    })
  }

  // ── The end ──────────────────────────────────────────────────────────────────────────────────────────

  /** Work of a timer or a transfer, and the turn that follows from it. */
  #guardedTurn(work: () => void): void {
    this.#guard(() => {
      work()
      this.#deferTurn()
    })
  }

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
    this.#cancelTick?.()
    this.#fastElection.end()
    this.#checkpointing.stop()
    this.#transfers.end()
    this.#leading.end(end)
    this.#noteUnknown()
    this.#reads.drop()
    this.#members.drop(refused('stopped', end.message))
    for (const { reject } of this.#readyWaiters.splice(0)) reject(end)
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
