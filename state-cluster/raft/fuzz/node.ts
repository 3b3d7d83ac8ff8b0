/**
 * One node of the random driver: core, disk, state machine and unfinished work.
 *
 * It does the caller's duties of docs/raft.md in small steps. Anything can happen between two steps, also a loss of power.
 *
 * ```
 *   synchronous   takeReady: hand out, write │ finishReady: sync, send, apply, advance
 *   asynchronous  takeReady: hand out, queue │ write append work │ sync, then answer │ apply, then answer
 * ```
 *
 * Invariant: nothing that depends on a write leaves before that write is synced. A planted fault that breaks a duty
 * does so through the `Fault` given (faults.ts); this file has no other trace of faults.
 */
import { decodeConfChange } from '../confchange-codec.ts'
import { type Config, RawNode } from '../rawnode.ts'
import {
  type ConfState,
  type Entry,
  type HardState,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type Message,
  type Ready,
  type Snapshot,
} from '../types.ts'
import { Disk } from './disk.ts'
import type { Fault } from './faults.ts'
import type { Invariants } from './invariants.ts'
import type { Precautions } from './precautions.ts'
import type { Random } from './random.ts'

/** The state machine: a hash of everything that was applied, in order. */
export interface Machine {
  index: number
  term: number
  /** 32 bits. */
  state: number
  confState: ConfState
}

/** What a node needs from the world around it. */
export interface World {
  readonly invariants: Invariants
  /** Null where only consequences are looked for. */
  readonly precautions: Precautions | null
  readonly fault: Fault
  /** Puts a message to another node in flight. */
  send(message: Message): void
  count(what: string): void
}

/** Settings that all lives of a node share. */
export interface NodeConfig extends Omit<Config, 'id' | 'storage' | 'applied' | 'random'> {
  /** Entries that a compaction leaves below the checkpoint. */
  readonly keptEntries: number
}

/** A node as an episode drives it: this file's, or one with the production code between core and disk. */
export interface DriverNode {
  readonly id: number
  /** Whether it runs, or is about to. */
  readonly isUp: boolean
  /** Null while the node is down. */
  readonly raft: RawNode | null
  readonly machine: Machine
  /** The end of the log that the core reads from storage. */
  readonly lastIndex: number
  /** Promises of this node that are open; 0 where it makes none. */
  readonly openPromises: number
  /** Fills the disk of a new node: with what a founder begins from, or with nothing. */
  prepare(founding: Snapshot | null): Promise<void> | null
  start(): void
  crash(): void
  accepts(message: Message): boolean
  step(message: Message): void
  tick(): void
  /** Proposes a payload here; whether it was taken. */
  propose(payload: Uint8Array, isBatch: boolean): boolean
  /** The process of another node has ended. */
  peerGone(id: number): void
  /** Does one piece of work, chosen at random. Returns what it was, or null when there is none. */
  work(): string | null
  checkpoint(): boolean
  /** Waits for what follows from the last call without the disk; null when nothing can. Throws what went wrong. */
  settle(): Promise<void> | null
  holdsDurably(index: number, term: number): boolean
}

export type NodeFactory = (id: number, world: World, config: NodeConfig, random: Random) => DriverNode

export class FuzzNode implements DriverNode {
  readonly id: number
  readonly disk = new Disk()
  readonly #world: World
  readonly #config: NodeConfig
  readonly #random: Random
  /** Null while the node is down. */
  raft: RawNode | null = null
  machine: Machine = { index: 0, term: 0, state: 0, confState: emptyConfState }
  /** Synchronous: the Ready that is written and not yet finished. */
  #taken: Ready | null = null
  #appendWork: Message[] = []
  /** Append work that is written but not synced. */
  #written: Message[] = []
  #applyWork: Message[] = []
  /** What the node and its threads say to the node, in order. */
  #inbox: Message[] = []

  constructor(id: number, world: World, config: NodeConfig, random: Random) {
    this.id = id
    this.#world = world
    this.#config = config
    this.#random = random
  }

  get isUp(): boolean {
    return this.raft !== null
  }

  get lastIndex(): number {
    return this.disk.written.lastIndex()
  }

  readonly openPromises = 0

  prepare(founding: Snapshot | null): null {
    if (founding === null) return null
    this.disk.append(null, [], founding)
    this.disk.sync()
    return null
  }

  tick(): void {
    this.raft?.tick()
  }

  propose(payload: Uint8Array, isBatch: boolean): boolean {
    const { raft } = this
    if (raft === null) return false
    const refusal = isBatch ? raft.proposeAll([payload, new Uint8Array(0), payload]) : raft.propose(payload)
    return refusal === null
  }

  /** Finds out by its election timeout. */
  peerGone(): void {}

  settle(): null {
    return null
  }

  holdsDurably(index: number, term: number): boolean {
    return this.disk.holdsDurably(index, term)
  }

  /** Starts from what is on the disk. */
  start(): void {
    const { hardState, checkpoint, base, entries } = this.disk.content()
    const { index, term, confState } = checkpoint.metadata
    // A checkpoint proves that its index was committed, even where the write that said so was lost.
    if (hardState.commit < index) this.disk.append({ ...hardState, commit: index }, [], null)
    this.#world.invariants.started(this.id, base, entries, Math.max(hardState.commit, index))
    this.machine = { index, term, state: readState(checkpoint.data), confState }
    this.raft = new RawNode({
      ...this.#config,
      id: this.id,
      storage: this.disk.written,
      applied: index,
      random: (bound) => this.#random.below(bound),
    })
    this.#world.precautions?.started(this.raft, hardState)
    this.#world.fault.started?.(this.raft)
  }

  /** Power loss: memory is gone, and of the disk what was not synced. */
  crash(): void {
    this.raft = null
    this.#taken = null
    this.#appendWork = []
    this.#written = []
    this.#applyWork = []
    this.#inbox = []
    if (this.disk.crash(this.#random) > 0) this.#world.count('writesLost')
  }

  /** Whether a message may be stepped now. A snapshot has to wait until what was handed out is applied. */
  accepts(message: Message): boolean {
    if (message.type !== 'MsgSnap') return true
    return this.#taken === null && this.#applyWork.length === 0
  }

  step(message: Message): void {
    const { raft } = this
    if (raft === null) return
    raft.step(message)
    this.#world.fault.stepped?.(raft, message)
    if (message.type === 'MsgSnap') this.#configured(raft)
  }

  /** Does one piece of work, chosen at random. Returns what it was, or null when there is none. */
  work(): string | null {
    const { raft } = this
    if (raft === null) return null
    const choices: [string, () => void][] = []
    if (this.#taken !== null) choices.push(['finishReady', () => this.#finishReady(raft)])
    else if (raft.hasReady()) choices.push(['takeReady', () => this.#takeReady(raft)])
    if (this.#appendWork.length > 0) choices.push(['writeAppend', () => this.#writeAppend()])
    if (this.#written.length > 0) choices.push(['syncAppends', () => this.#syncAppends()])
    if (this.#applyWork.length > 0) choices.push(['apply', () => this.#apply(raft)])
    if (this.#inbox.length > 0) choices.push(['stepOwn', () => this.step(this.#inbox.shift() as Message)])
    if (choices.length === 0) return null
    const [name, act] = this.#random.pick(choices)
    act()
    return name
  }

  /**
   * Writes a checkpoint of the state machine and compacts the log below it, keeping some entries, and all that the
   * core does not know to be applied.
   */
  checkpoint(): boolean {
    const { raft } = this
    const { index, term, state, confState } = this.machine
    const { written } = this.disk
    if (raft === null || index <= written.snapshot().metadata.index) return false
    this.disk.checkpoint({ data: writeState(state), metadata: { index, term, confState } })
    const compactTo = Math.min(index - this.#config.keptEntries, raft.basicStatus().applied)
    if (compactTo >= written.firstIndex()) this.disk.compact(compactTo)
    return true
  }

  #takeReady(raft: RawNode): void {
    const ready = raft.ready()
    const { invariants, precautions } = this.#world
    invariants.handedOut(this.id, raft.basicStatus().term, ready)
    precautions?.handedOut(raft, ready)
    for (const { requestCtx, index } of ready.readStates) {
      invariants.readConfirmed(readState(requestCtx), index)
      this.#world.count('readsConfirmed')
    }
    if (ready.softState?.raftState === 'StateLeader') this.#world.count('elections')
    if (this.#config.asyncStorageWrites === true) {
      this.#queue(ready.messages)
      return
    }
    this.#write(ready.hardState, ready.entries, ready.snapshot)
    this.#send(ready.messages.filter(this.#isEarly))
    this.#taken = ready
  }

  #finishReady(raft: RawNode): void {
    const ready = this.#taken as Ready
    this.#taken = null
    // mustSync covers entries, term and vote only: the answer to a snapshot promises the snapshot itself.
    if (ready.mustSync || ready.snapshot !== null) this.disk.sync()
    this.#send(ready.messages.filter(this.#isInTime))
    this.#applyAll(raft, ready.committedEntries)
    raft.advance()
  }

  #queue(messages: readonly Message[]): void {
    for (const message of messages) {
      if (message.to === LOCAL_APPEND_THREAD) {
        this.#appendWork.push(message)
        this.#send(message.responses.filter(this.#isEarly))
      } else if (message.to === LOCAL_APPLY_THREAD) this.#applyWork.push(message)
      else this.#send([message])
    }
  }

  #configured(raft: RawNode): void {
    this.#world.precautions?.configured(raft)
    this.#world.fault.configured?.(raft)
  }

  #writeAppend(): void {
    const work = this.#appendWork.shift() as Message
    const { term, vote, commit } = work
    this.#write({ term, vote, commit }, work.entries, work.snapshot)
    this.#written.push(work)
  }

  #syncAppends(): void {
    const done = this.#written
    this.#written = []
    if (done.some((work) => work.responses.length > 0)) this.disk.sync()
    for (const { responses } of done) this.#send(responses.filter(this.#isInTime))
  }

  #apply(raft: RawNode): void {
    const work = this.#applyWork.shift() as Message
    this.#applyAll(raft, work.entries)
    this.#send(work.responses)
  }

  #write(hardState: HardState | null, entries: readonly Entry[], snapshot: Snapshot | null): void {
    const before = this.disk.written.lastIndex()
    const [first] = entries
    if (first !== undefined && first.index <= before) this.#world.count('truncations')
    this.disk.append(hardState, entries, snapshot)
    if (snapshot === null) return
    const { index, term, confState } = snapshot.metadata
    this.machine = { index, term, state: readState(snapshot.data), confState }
    this.#world.invariants.restored(this.id, index, this.machine.state)
    this.#world.count('snapshotsInstalled')
  }

  #applyAll(raft: RawNode, entries: readonly Entry[]): void {
    for (const entry of entries) {
      const { machine } = this
      if (entry.type !== 'EntryNormal') {
        const wasJoint = machine.confState.votersOutgoing.length > 0
        machine.confState = raft.applyConfChange(decodeConfChange(entry))
        if (!wasJoint && machine.confState.votersOutgoing.length > 0) this.#world.count('jointConfigs')
        this.#world.count('confChanges')
        this.#configured(raft)
      }
      machine.index = entry.index
      machine.term = entry.term
      machine.state = foldEntry(machine.state, entry)
      this.#world.invariants.applied(this.id, entry, machine.state)
      // A snapshot that does not name a new member is no use to it, and would be sent to it again and again.
      if (entry.type !== 'EntryNormal') this.checkpoint()
      this.#world.count('applied')
    }
  }

  /** Only a planted fault sends anything early. */
  readonly #isEarly = (message: Message): boolean => this.#world.fault.sendsBeforeSync?.(message) === true
  readonly #isInTime = (message: Message): boolean => !this.#isEarly(message)

  /** Messages to the node itself stay in order and are never lost; the others go to the network. */
  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      this.#noteVote(message)
      if (message.to === this.id) this.#inbox.push(message)
      else this.#world.send(message)
    }
  }

  /** A candidate's own vote counts when it is durable: at the answer to itself, or else when it asks others. */
  #noteVote({ type, term, to, reject }: Message): void {
    const { precautions } = this.#world
    if (type === 'MsgVoteResp' && !reject) precautions?.voted(this.id, term, to)
    if (type === 'MsgVote' && this.#config.asyncStorageWrites !== true) {
      precautions?.voted(this.id, term, this.id)
    }
  }
}

const emptyConfState: ConfState = {
  voters: [],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
}

/** The state after an entry: a hash of all before it and of this one. */
export function foldEntry(state: number, entry: Entry): number {
  let hash = Math.imul(state ^ entry.index, 0x01000193)
  hash = Math.imul(hash ^ entry.term, 0x85ebca6b)
  for (const byte of entry.data) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}

/** A 32-bit number as four bytes: the state in a snapshot, the number of a proposal or of a read. */
export function writeState(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
}

/** Reads what `writeState` wrote; 0 where there is nothing. */
export function readState(bytes: Uint8Array): number {
  const [a = 0, b = 0, c = 0, d = 0] = bytes
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
}
