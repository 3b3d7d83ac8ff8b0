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
import type { Command } from './machine/commands.ts'
import type { Reply } from './machine/events.ts'
import { encodeEntry, entryVersion } from './machine/index.ts'
import { Proposals, type Waiting } from './proposals.ts'
import {
  decodeConfChange,
  type Entry,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type Message,
  NONE,
  RawNode,
} from './raft/index.ts'
import { DiskLog, type LogAppend } from './storage/disk-log.ts'
import { pack } from './storage/pack.ts'
import { type Store, StoreError } from './storage/store.ts'
import type { PeerTransport } from './transport/peer-transport.ts'
import type { Timing } from './transport/timing.ts'

export interface ReplicaPorts {
  readonly store: Store
  /** What is left for after a turn by all groups of a process runs in one go, so that their writes share a sync. */
  readonly timing: Timing
  /** To the replicas of the same group on other nodes. */
  readonly transport: Pick<PeerTransport, 'send'>
  /** The replica has ended and cannot go on; called once. The process is to end. */
  readonly onFatal: (error: Error) => void
  /** Default the auction machine as it is. */
  readonly machine?: Machine
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
  readonly #applied: AppliedState
  readonly #log: DiskLog
  readonly #raft: RawNode
  readonly #proposals: Proposals
  readonly #listeners = new Set<FeedListener>()
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

  /** A message of a peer's replica. */
  step(message: Message): void {
    if (this.#end) return
    this.#guard(() => {
      this.#raft.step(message)
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

  /** Reads the applied state. Throws ClusterError when the replica has ended; a damaged value ends it. */
  read<T>(work: (applied: AppliedState) => T): T {
    if (this.#end) throw this.#end
    try {
      return work(this.#applied)
    } catch (error) {
      if (error instanceof StoreError) this.#fail(error)
      throw error
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
        if (!this.#isLeader()) this.#proposals.dropQueued('another replica leads the group')
        this.#deferTurn()
        this.#scheduleTick()
      })
    })
  }

  /** Hands out all that Raft has to say. */
  #drain(): void {
    while (this.#raft.hasReady()) {
      const { messages, softState } = this.#raft.ready()
      if (softState !== null) this.#noteRole()
      for (const message of messages) {
        if (message.to === LOCAL_APPEND_THREAD) this.#append(message)
        else if (message.to === LOCAL_APPLY_THREAD) this.#applyQueue.push(message)
        else this.#ports.transport.send(this.groupId, message)
      }
    }
  }

  #deliver(responses: readonly Message[]): void {
    for (const message of responses) {
      if (message.to === this.#nodeId) this.#raft.step(message)
      else this.#ports.transport.send(this.groupId, message)
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
    const { entries, term, vote, commit, responses, snapshot } = message
    if (snapshot !== null)
      throw new Error('a snapshot came, and no transport that could have brought its rows')
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

  // ── Applying ─────────────────────────────────────────────────────────────────────────────────────────

  /** MsgStorageApply: all of its entries, then its responses, then what they brought is told. */
  #applyBatch(message: Message): void {
    const wasReady = this.#isReady()
    for (const entry of message.entries) this.#applyEntry(entry)
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
      this.#applied.pass(entry, this.#raft.applyConfChange(decodeConfChange(entry)))
      this.#proposals.settle(index, NONE, [])
      return
    }
    if (entry.data.length === 0) {
      this.#applied.pass(entry)
      this.#proposals.settle(index, NONE, [])
      return
    }
    const { replies, events, noticeCount } = this.#applied.apply(entry)
    this.#proposals.settle(index, term, replies)
    if (events.length === 0 && noticeCount === 0) return
    const atMs = this.#applied.state.house.lastAtMs
    const batch: FeedBatch = { groupId: this.groupId, index, atMs, events, hasNotices: noticeCount > 0 }
    for (const listener of this.#listeners) listener(batch)
  }

  // ── Upkeep: checkpoints and compaction, beside everything else ───────────────────────────────────────

  /** Brings to its end what a crash has interrupted. */
  #finishCheckpoint(): void {
    this.#keepBusy(this.#applied.checkpointer.resume())
  }

  #keepUp(): void {
    if (this.#upkeep !== undefined) return
    const { checkpointRows, checkpointBytes, checkpointMs, tickMs } = this.#settings
    const unsaved = this.#applied.unsavedCount
    const isDue =
      unsaved >= checkpointRows ||
      this.#applied.bytesSinceCheckpoint >= checkpointBytes ||
      (unsaved > 0 && (this.#tick - this.#checkpointAtTick) * tickMs >= checkpointMs)
    if (!isDue) return
    this.#checkpointAtTick = this.#tick
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
    this.#cancelTick?.()
    this.#proposals.end(end)
    for (const { reject } of this.#readyWaiters) reject(end)
    this.#readyWaiters = []
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
