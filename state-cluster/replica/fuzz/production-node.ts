/**
 * One node of the random driver, with production code between core and disk.
 *
 * ```
 *   takeReady ─► LogWriter, DiskLog ─► MemoryDisk ─ sync ─► responses
 *             └► apply ─► PendingCommands              crash: what was not synced is gone
 * ```
 *
 * It runs log-writer.ts, disk-log.ts, pending-commands.ts, fast-election.ts and incoming-snapshot.ts as the replica
 * does, with a hash as its state machine. Invariant: between any two commits anything can happen, power loss
 * included; what this node has answered (votes, terms, and commit indexes known with entries) is on its disk when
 * it starts again. Errors of the code under test are thrown by `settle`. Source: docs/raft.md, the caller's duties.
 */

import type { GroupId } from '../../../protocol/ids.ts'
import { ManualClock } from '../../../runtime/clock.ts'
import { systemTiming } from '../../../wire/timing.ts'
import {
  type DriverNode,
  foldEntry,
  type Machine,
  type NodeConfig,
  readState,
  type World,
  writeState,
} from '../../raft/fuzz/node.ts'
import type { Random } from '../../raft/fuzz/random.ts'
import { Violation } from '../../raft/fuzz/violation.ts'
import {
  type ConfState,
  decodeConfChange,
  type Entry,
  type HardState,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type Message,
  NO_LIMIT,
  newConfState,
  RawNode,
  type Snapshot,
} from '../../raft/index.ts'
import { readCheckpoint, writeOfCheckpoint } from '../../storage/checkpoint.ts'
import { DiskLog, type LogPosition, writesOfNewLog } from '../../storage/disk-log.ts'
import {
  clearIncoming,
  finishInstall,
  storeIncoming,
  writeOfInstalling,
} from '../../storage/incoming-snapshot.ts'
import {
  decodeBytes,
  decodeEntry,
  decodeNumbers,
  encodeBytes,
  entryKey,
  logStartKey,
  rowKey,
  rowName,
  stagedKey,
} from '../../storage/layout.ts'
import { MemoryDisk } from '../../storage/memory-store.ts'
import { type Store, type StoreWrite, withCommit } from '../../storage/store.ts'
import { FastElection } from '../fast-election.ts'
import { LogWriter } from '../log-writer.ts'
import { PendingCommands } from '../pending-commands.ts'
import type { CommandBook } from './command-book.ts'

const groupId = 0 as GroupId
const stateKey = rowKey(groupId, rowName(1, 'state'))
/** Entries of one term that may be in flight, as in production. */
const entriesInFlightMax = 4
const limits = { commandsMax: 64, commandBytesMax: Number.POSITIVE_INFINITY }
/** Ticks that a caller waits. */
const patienceTicks = 200
const tickMs = 25
const noPosition: LogPosition = { index: 0, term: 0, confState: newConfState([]) }

/** What runs between a start and a crash. */
interface Life {
  readonly store: Store
  readonly log: DiskLog
  readonly raft: RawNode
  readonly writer: LogWriter<Machine>
  readonly pending: PendingCommands<number, number>
  readonly election: FastElection
}

export class ProductionNode implements DriverNode {
  readonly id: number
  machine: Machine = { index: 0, term: 0, state: 0, confState: newConfState([]) }
  readonly #world: World
  readonly #config: NodeConfig
  readonly #random: Random
  readonly #book: CommandBook
  readonly #disk = new MemoryDisk()
  readonly #clock = new ManualClock()
  readonly #tailBytesMax: number
  #life: Life | null = null
  #isStarting = false
  /** Changes with each crash: what an earlier life has under way counts no more. */
  #lifeNumber = 0
  #tick = 0
  /** Syncs that the disk has been asked for. */
  #syncs: (() => void)[] = []
  #applyWork: Message[] = []
  #heldSnapshot: Message | null = null
  #heldIsStored = false
  #checkpointIndex = 0
  #isCheckpointing = false
  #wantsCheckpoint = false
  #needsSettling = false
  #failure: unknown = null
  /** Commit index that was known when entries were handed to the writer, by the responses that say they are durable. */
  readonly #knownWith = new Map<readonly Message[], number>()
  #knownCommit = 0
  /** What the disk must say after a crash. */
  #promisedCommit = 0
  #promisedTerm = 0
  /** The last vote that was granted. */
  #promisedVote = { term: 0, vote: 0 }

  constructor(id: number, world: World, config: NodeConfig, random: Random, book: CommandBook) {
    this.id = id
    this.#world = world
    this.#config = { ...config, asyncStorageWrites: true }
    this.#random = random
    this.#book = book
    this.#tailBytesMax = config.keptEntries * 40
  }

  get raft(): RawNode | null {
    return this.#life?.raft ?? null
  }

  get isUp(): boolean {
    return this.#life !== null || this.#isStarting
  }

  get lastIndex(): number {
    return this.#life?.log.lastIndex() ?? 0
  }

  /** Writes what a founder's disk holds; without one, what a node that joins begins with. */
  async prepare(founding: Snapshot | null): Promise<void> {
    const position = founding?.metadata ?? noPosition
    const store = this.#disk.open()
    await store.commit([...writesOfNewLog(groupId, position), ...checkpointWrites({ ...position, state: 0 })])
    await store.close()
  }

  start(): void {
    if (this.isUp) return
    this.#isStarting = true
    const life = this.#lifeNumber
    const store = this.#openStore()
    finishInstall(store, groupId).then(
      () => this.#run(life, () => this.#begin(store)),
      (error: unknown) => this.#run(life, () => this.#fail(error)),
    )
  }

  #openStore(): Store {
    const store = this.#disk.open((_byteCount, done) => this.#syncs.push(done))
    this.#needsSettling = true
    const commit = (writes: readonly StoreWrite[]): Promise<void> => {
      this.#needsSettling = true
      return store.commit(writes)
    }
    return withCommit(store, commit)
  }

  #begin(store: Store): void {
    const checkpoint = readCheckpoint(store, groupId)
    if (checkpoint === undefined) throw new Error('there is no checkpoint')
    const { index, term, confState } = checkpoint
    this.machine = { index, term, state: this.#storedState(store), confState }
    this.#checkpointIndex = index
    const tailBytesMax = this.#tailBytesMax
    const log = DiskLog.open({ reader: store, groupId, checkpoint, tailBytesMax, keptBytesMax: 2 ** 30 })
    const { hardState } = log.initialState()
    this.#mustBeKept(hardState)
    const base = log.firstIndex() - 1
    const entries = log.lastIndex() > base ? log.entries(base + 1, log.lastIndex() + 1, NO_LIMIT) : []
    const metadata = { confState, index: base, term: log.term(base) }
    this.#world.invariants.started(this.id, { data: new Uint8Array(0), metadata }, entries, hardState.commit)
    const raft = new RawNode({
      ...this.#config,
      id: this.id,
      storage: log,
      applied: index,
      random: (bound) => this.#random.below(bound),
    })
    const number = this.#lifeNumber
    const run = (work: () => void): void => this.#run(number, work)
    const writer = new LogWriter<Machine>({
      store,
      log,
      installer: {
        begin: (snapshot) => ({
          position: snapshot.metadata,
          writes: [writeOfInstalling(groupId, { ...snapshot.metadata, stateHash: '' })],
        }),
        finish: async () => {
          await finishInstall(store, groupId)
          const installed = readCheckpoint(store, groupId)
          if (installed === undefined) throw new Error('a snapshot was installed without a checkpoint')
          return { ...installed, state: this.#storedState(store) }
        },
      },
      written: (responses) => this.#written(responses),
      installed: (machine) => this.#installed(machine),
      run,
      failed: (error) => run(() => this.#fail(error)),
    })
    const timing = {
      ...systemTiming,
      clock: this.#clock,
      afterTurn: (work: () => void) => work(),
      random: () => this.#random.unit(),
    }
    this.#life = {
      store,
      log,
      raft,
      writer,
      pending: new PendingCommands(limits),
      election: new FastElection({ nodeId: this.id, raft, timing, run }),
    }
    this.#isStarting = false
    this.#knownCommit = hardState.commit
    this.#world.precautions?.started(raft, hardState)
    this.#world.fault.started?.(raft)
  }

  #mustBeKept({ term, vote, commit }: HardState): void {
    const promised = this.#promisedVote
    const isVoteKept = term > promised.term || vote === promised.vote
    if (term >= this.#promisedTerm && commit >= this.#promisedCommit && isVoteKept) return
    throw new Violation(
      'answers are kept',
      `node ${this.id} answered in term ${this.#promisedTerm} with commit ${this.#promisedCommit} beside its ` +
        `entries, and voted for ${promised.vote} in term ${promised.term}; its disk says term ${term}, ` +
        `vote ${vote}, commit ${commit}`,
    )
  }

  #storedState(store: Store): number {
    const value = store.get(stateKey)
    return value === undefined ? 0 : readState(decodeBytes(stateKey, value, 'state of the driver'))
  }

  /** Power loss: a write in flight survives or does not, later ones are lost. */
  crash(): void {
    this.#lifeNumber += 1
    this.#life?.election.end()
    this.#life = null
    this.#isStarting = false
    this.#isCheckpointing = false
    this.#wantsCheckpoint = false
    this.#heldSnapshot = null
    this.#applyWork = []
    this.#knownWith.clear()
    this.#book.crashed(this.id)
    if (this.#syncs.length > 0) this.#world.count('writesLost')
    this.#syncs = []
    this.#disk.crash(this.#random.chance(0.5))
  }

  /** A snapshot has to wait until the one before it is installed. */
  accepts(message: Message): boolean {
    if (message.type !== 'MsgSnap') return true
    return this.#heldSnapshot === null && this.#life?.writer.isInstalling === false
  }

  step(message: Message): void {
    const life = this.#life
    if (life === null) return
    if (message.type === 'MsgSnap') this.#receive(message, life.store)
    else {
      life.raft.step(message)
      this.#world.fault.stepped?.(life.raft, message)
    }
  }

  tick(): void {
    this.#tick += 1
    this.#clock.advance(tickMs)
    const life = this.#life
    if (life === null) return
    life.raft.tick()
    life.pending.expire(this.#tick)
  }

  /** Whether the command was queued: on a leader alone, as in production. */
  propose(payload: Uint8Array): boolean {
    const life = this.#life
    if (life === null || life.raft.basicStatus().raftState !== 'StateLeader') return false
    const number = readState(payload)
    this.#book.proposed(number, this.id)
    life.pending.add(number, 0, this.#tick + patienceTicks).then(
      (reply) => this.#book.replied(number, reply),
      ({ code }: { code: string }) => this.#book.refused(number, code),
    )
    this.#needsSettling = true
    this.#proposeQueued(life)
    return true
  }

  /** The process of another node has ended. */
  peerGone(id: number): void {
    const life = this.#life
    if (life === null || life.raft.basicStatus().lead !== id) return
    life.raft.forgetLeader()
    life.election.begin(this.machine.confState.voters, id)
  }

  /** Whether a promise of this node is still open although nothing is left to do. */
  get openPromises(): number {
    const pending = this.#life?.pending
    return (pending?.inFlightEntries ?? 0) + (pending?.queuedCommands ?? 0) + this.#book.openOf(this.id)
  }

  work(): string | null {
    const life = this.#life
    const choices: [string, () => void][] = []
    if (this.#syncs.length > 0) choices.push(['sync', () => this.#sync()])
    if (life !== null) {
      if (life.raft.hasReady()) choices.push(['takeReady', () => this.#takeReady(life)])
      if (this.#applyWork.length > 0) choices.push(['apply', () => this.#apply(life)])
      if (this.#maySnapshot()) choices.push(['stepSnapshot', () => this.#stepSnapshot(life)])
      if (this.#wantsCheckpoint && this.#mayCheckpoint())
        choices.push(['checkpoint', () => this.checkpoint()])
    }
    if (choices.length === 0) return null
    const [name, act] = this.#random.pick(choices)
    act()
    return name
  }

  /** Resolves when all that follows without the disk has happened; null when nothing can. */
  settle(): Promise<void> | null {
    if (!this.#needsSettling && this.#failure === null) return null
    this.#needsSettling = false
    return this.#settle()
  }

  async #settle(): Promise<void> {
    await new Promise<void>((resolve) => {
      setImmediate(resolve)
    })
    if (this.#failure !== null) throw this.#failure
  }

  holdsDurably(index: number, term: number): boolean {
    const start = this.#disk.read(logStartKey(groupId))
    if (start === undefined) return false
    const [startIndex] = decodeNumbers(logStartKey(groupId), start, 2, 'start of the log') as [number]
    if (index <= startIndex) return true
    const key = entryKey(groupId, index)
    const value = this.#disk.read(key)
    return value !== undefined && decodeEntry(key, value).term === term
  }

  /** Begins a checkpoint of several commits, and compacts the log after it. */
  checkpoint(): boolean {
    const life = this.#life
    if (life === null || !this.#mayCheckpoint()) return false
    if (this.machine.index <= this.#checkpointIndex) return false
    this.#wantsCheckpoint = false
    this.#isCheckpointing = true
    const number = this.#lifeNumber
    this.#writeCheckpoint(life, { ...this.machine }).then(
      () =>
        this.#run(number, () => {
          this.#isCheckpointing = false
        }),
      (error: unknown) => this.#run(number, () => this.#fail(error)),
    )
    return true
  }

  async #writeCheckpoint({ store, log }: Life, machine: Machine): Promise<void> {
    for (let pieces = this.#random.below(4); pieces > 0; pieces--) {
      const key = stagedKey(groupId, pieces)
      await store.commit([{ key, value: encodeBytes(key, new Uint8Array(8)) }])
    }
    await store.commit(checkpointWrites(machine))
    log.checkpointed(machine)
    this.#checkpointIndex = machine.index
    for (;;) {
      const piece = log.compaction(1 + this.#random.below(8))
      if (piece === undefined) return
      await store.commit(piece.writes)
      log.compacted(piece)
    }
  }

  #mayCheckpoint(): boolean {
    return !this.#isCheckpointing && this.#heldSnapshot === null && this.#life?.writer.isInstalling === false
  }

  #sync(): void {
    this.#needsSettling = true
    this.#syncs.shift()?.()
  }

  #takeReady(life: Life): void {
    this.#proposeQueued(life)
    const { raft } = life
    const ready = raft.ready()
    const { invariants, precautions } = this.#world
    invariants.handedOut(this.id, raft.basicStatus().term, ready)
    precautions?.handedOut(raft, ready)
    for (const { requestCtx, index } of ready.readStates) {
      invariants.readConfirmed(readState(requestCtx), index)
      this.#world.count('readsConfirmed')
    }
    if (ready.softState?.raftState === 'StateLeader') this.#world.count('elections')
    else if (ready.softState !== null) life.pending.dropQueued('this node leads no more')
    for (const message of ready.messages) {
      if (message.to === LOCAL_APPEND_THREAD) this.#append(life, message)
      else if (message.to === LOCAL_APPLY_THREAD) this.#applyWork.push(message)
      else this.#send(life, message)
    }
  }

  #append({ log, writer }: Life, message: Message): void {
    const { entries, commit, snapshot, responses } = message
    const [first] = entries
    if (first !== undefined && first.index <= log.lastIndex()) this.#world.count('truncations')
    this.#knownCommit = Math.max(this.#knownCommit, commit, snapshot?.metadata.index ?? 0)
    if (first !== undefined) this.#knownWith.set(responses, this.#knownCommit)
    this.#needsSettling = true
    writer.append(message)
  }

  /** Everything before these responses is durable: from now on a crash must leave it. */
  #written(responses: readonly Message[]): void {
    const life = this.#life as Life
    const known = this.#knownWith.get(responses)
    this.#knownWith.delete(responses)
    if (known !== undefined) this.#promisedCommit = Math.max(this.#promisedCommit, known)
    for (const message of responses) {
      if (message.to === this.id) {
        this.#noteVote(message)
        life.raft.step(message)
      } else {
        // A pre-vote is for a term that nobody is in yet.
        if (message.type !== 'MsgPreVoteResp') this.#promisedTerm = Math.max(this.#promisedTerm, message.term)
        this.#send(life, message)
      }
    }
  }

  #send({ store }: Life, message: Message): void {
    this.#noteVote(message)
    if (message.type !== 'MsgSnap') {
      this.#world.send(message)
      return
    }
    // The newest checkpoint, which may be newer than the one that the message names.
    const position = readCheckpoint(store, groupId)
    if (position === undefined) throw new Error('there is no checkpoint to send')
    const { index, term, confState } = position
    const data = writeState(this.#storedState(store))
    this.#world.send({ ...message, snapshot: { data, metadata: { index, term, confState } } })
  }

  #noteVote({ type, term, to, reject }: Message): void {
    if (type !== 'MsgVoteResp' || reject) return
    this.#promisedVote = { term, vote: to }
    this.#world.precautions?.voted(this.id, term, to)
  }

  // ── Snapshots ──────────────────────────────────────────────────────────────────────────────────────

  #receive(message: Message, store: Store): void {
    const number = this.#lifeNumber
    const { data } = message.snapshot as Snapshot
    this.#heldSnapshot = message
    this.#heldIsStored = false
    const row = { key: stateKey, value: encodeBytes(stateKey, data) }
    clearIncoming(store, groupId)
      .then(() => storeIncoming(store, groupId, [row]))
      .then(
        () =>
          this.#run(number, () => {
            this.#heldIsStored = true
          }),
        (error: unknown) => this.#run(number, () => this.#fail(error)),
      )
  }

  /** The core takes on a snapshot's members at once, so everything older must have been applied. */
  #maySnapshot(): boolean {
    return (
      this.#heldSnapshot !== null &&
      this.#heldIsStored &&
      this.#applyWork.length === 0 &&
      !this.#isCheckpointing
    )
  }

  #stepSnapshot(life: Life): void {
    const message = this.#heldSnapshot as Message
    this.#heldSnapshot = null
    life.raft.step(message)
    this.#world.fault.stepped?.(life.raft, message)
    this.#configured(life.raft)
    // As in production: what the core makes of it is drained at once, so that nothing comes between.
    while (life.raft.hasReady()) this.#takeReady(life)
  }

  #installed(machine: Machine): void {
    const { log, pending } = this.#life as Life
    const { index, term, state, confState } = machine
    this.machine = { index, term, state, confState }
    this.#checkpointIndex = index
    log.membersChanged(0)
    this.#world.invariants.restored(this.id, index, state)
    this.#world.count('snapshotsInstalled')
    pending.skipTo(index, term)
  }

  // ── Applying ───────────────────────────────────────────────────────────────────────────────────────

  #apply(life: Life): void {
    const work = this.#applyWork.shift() as Message
    for (const entry of work.entries) this.#applyEntry(life, entry)
    for (const message of work.responses) life.raft.step(message)
    this.#needsSettling = true
  }

  #applyEntry({ raft, log, pending }: Life, entry: Entry): void {
    const { machine } = this
    if (entry.type !== 'EntryNormal') {
      const wasJoint = machine.confState.votersOutgoing.length > 0
      machine.confState = raft.applyConfChange(decodeConfChange(entry))
      if (!wasJoint && machine.confState.votersOutgoing.length > 0) this.#world.count('jointConfigs')
      this.#world.count('confChanges')
      this.#configured(raft)
      // A snapshot must name all members: the next one waits for a checkpoint that does.
      log.membersChanged(entry.index)
      this.#wantsCheckpoint = true
    }
    machine.index = entry.index
    machine.term = entry.term
    machine.state = foldEntry(machine.state, entry)
    this.#world.invariants.applied(this.id, entry, machine.state)
    this.#world.count('applied')
    const hasCommand = entry.type === 'EntryNormal' && entry.data.length > 0
    const number = readState(entry.data)
    if (hasCommand) this.#book.applied(number)
    pending.applied(entry.index, entry.term, hasCommand ? [number] : [])
  }

  #configured(raft: RawNode): void {
    this.#world.precautions?.configured(raft)
    this.#world.fault.configured?.(raft)
  }

  #proposeQueued({ raft, pending }: Life): void {
    const { term, raftState } = raft.basicStatus()
    if (raftState !== 'StateLeader') return
    while (pending.queuedCommands > 0 && pending.inFlightEntriesOf(term) < entriesInFlightMax) {
      const [next] = pending.peek(1)
      if (next === undefined || raft.propose(writeState(next.command)) !== null) return
      pending.proposed(1, raft.lastIndex, term)
    }
  }

  #run(life: number, work: () => void): void {
    if (life !== this.#lifeNumber) return
    try {
      work()
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= error
    this.#needsSettling = true
  }
}

function checkpointWrites(machine: {
  readonly index: number
  readonly term: number
  readonly confState: ConfState
  readonly state: number
}): StoreWrite[] {
  const { index, term, confState, state } = machine
  return [
    writeOfCheckpoint(groupId, { index, term, confState, stateHash: '' }),
    { key: stateKey, value: encodeBytes(stateKey, writeState(state)) },
  ]
}
