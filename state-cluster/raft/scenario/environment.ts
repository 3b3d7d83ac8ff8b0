/**
 * A group of nodes in one place, driven by hand.
 *
 * Every message in flight, every write and every apply waits until a command of the scenario releases it.
 * Invariant: nothing happens by itself; the same commands give the same text. The commands' grammar is in
 * interaction.ts, the text of what is shown in describe.ts.
 *
 * Source: the behaviour of etcd-io/raft's rafttest, as its scenario files show it.
 */
import { decodeConfChange } from '../confchange-codec.ts'
import { MemoryStorage } from '../memory-storage.ts'
import { type Config, RawNode } from '../rawnode.ts'
import {
  type ConfState,
  type Entry,
  type HardState,
  isEmptyHardState,
  isEmptySnapshot,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type Message,
  type MessageType,
  newMessage,
  type Snapshot,
} from '../types.ts'
import { describeMessage, describeReady, describeStepError } from './describe.ts'
import { Output } from './output.ts'

/** A member of the group with its disk, its unfinished work and its state machine. */
export interface Member {
  readonly id: number
  readonly config: Config
  readonly raft: RawNode
  readonly storage: HistoryStorage
  /** MsgStorageAppend and MsgStorageApply that wait for their thread, oldest first. */
  readonly appendWork: Message[]
  readonly applyWork: Message[]
}

/** Who gets messages, or loses them. */
export interface Recipient {
  readonly id: number
  readonly drop: boolean
}

/**
 * A memory storage whose snapshots are the states that the state machine went through: asked for a snapshot, it
 * gives the newest. The state machine appends every payload to one text.
 */
export class HistoryStorage extends MemoryStorage {
  readonly history: Snapshot[]

  constructor(first: Snapshot) {
    super()
    this.history = [first]
  }

  get latest(): Snapshot {
    return this.history.at(-1) as Snapshot
  }

  override snapshot(): Snapshot {
    return this.latest
  }
}

/** What a new member starts with; `id` and `storage` are given by the environment. */
export type MemberConfig = Omit<Config, 'id' | 'storage'>

export class Environment {
  readonly output = new Output()
  readonly members: Member[] = []
  /** Messages in flight between members, in the order they were sent. */
  messages: Message[] = []

  /** The member with this id. Throws an `Error` for the output when there is none. */
  member(id: number): Member {
    const member = this.members[id - 1]
    if (member === undefined) throw new Error(`there is no node ${id}`)
    return member
  }

  /** Adds members that start from `snapshot`, or from nothing when that is empty. Ids are consecutive. */
  addNodes(count: number, config: MemberConfig, snapshot: Snapshot): void {
    const hasState =
      snapshot.metadata.index > 0 || snapshot.data.length > 0 || snapshot.metadata.confState.voters.length > 0
    for (let i = 0; i < count; i++) {
      const id = this.members.length + 1
      const storage = new HistoryStorage(snapshot)
      if (hasState) {
        if (snapshot.metadata.index <= 1) throw new Error('index must be specified as > 1 due to bootstrap')
        storage.applySnapshot(snapshot)
      }
      const full: Config = { ...config, id, storage }
      this.members.push({ id, config: full, storage, raft: new RawNode(full), appendWork: [], applyWork: [] })
    }
  }

  /** Takes one Ready, prints it, and does what it asks for (or queues it, with asynchronous storage writes). */
  processReady(id: number): void {
    const member = this.member(id)
    const isAsync = member.config.asyncStorageWrites === true
    const ready = member.raft.ready()
    this.output.write(describeReady(ready))
    if (!isAsync) {
      append(member, ready.hardState, ready.entries, ready.snapshot)
      apply(member, ready.committedEntries)
    }
    for (const message of ready.messages) {
      if (message.to === LOCAL_APPEND_THREAD) member.appendWork.push(message)
      else if (message.to === LOCAL_APPLY_THREAD) member.applyWork.push(message)
      else this.messages.push(message)
    }
    if (!isAsync) member.raft.advance()
  }

  /** Does the oldest piece of append work. */
  processAppendThread(id: number): void {
    const member = this.member(id)
    const work = member.appendWork.shift()
    if (work === undefined) {
      this.output.write('no append work to perform')
      return
    }
    const state = { term: work.term, vote: work.vote, commit: work.commit }
    this.#finish(work, () => append(member, state, work.entries, work.snapshot))
  }

  /** Does the oldest piece of apply work. */
  processApplyThread(id: number): void {
    const member = this.member(id)
    const work = member.applyWork.shift()
    if (work === undefined) {
      this.output.write('no apply work to perform')
      return
    }
    this.#finish(work, () => apply(member, work.entries))
  }

  #finish(work: Message, act: () => void): void {
    this.output.write(`Processing:\n${describeMessage({ ...work, responses: [] })}\n`)
    act()
    this.output.write('Responses:\n')
    for (const response of work.responses) this.output.write(`${describeMessage(response)}\n`)
    this.messages.push(...work.responses)
  }

  /** Delivers or drops what is in flight to each recipient in turn. Returns how many messages that were. */
  deliver(recipients: readonly Recipient[], type: MessageType | null = null): number {
    let handled = 0
    for (const { id, drop } of recipients) {
      const taken = this.#inFlightTo(id, type, drop)
      this.messages = this.messages.filter((message) => !taken.includes(message))
      handled += taken.length
      for (const message of taken) {
        this.output.write(`${drop ? 'dropped: ' : ''}${describeMessage(message)}\n`)
        if (drop) continue
        const refusal = this.member(id).raft.step(message)
        if (refusal !== null) this.output.write(`${describeStepError(refusal)}\n`)
      }
    }
    return handled
  }

  /** Messages to a member. What a member says to itself or its threads is reliable and cannot be dropped. */
  #inFlightTo(id: number, type: MessageType | null, drop: boolean): Message[] {
    return this.messages.filter(
      (message) =>
        message.to === id && !(drop && isLocal(message)) && (type === null || message.type === type),
    )
  }

  /** Handles Readys, delivers messages and runs the threads of these members until nothing is left to do. */
  stabilize(ids: readonly number[]): void {
    const members = ids.length > 0 ? ids.map((id) => this.member(id)) : this.members
    for (let isDone = false; !isDone; ) {
      isDone = true
      const work = (title: string, body: () => void): void => {
        this.output.write(`> ${title}\n`)
        this.output.indented(body)
        isDone = false
      }
      for (const { id, raft } of members) {
        if (raft.hasReady()) work(`${id} handling Ready`, () => this.processReady(id))
      }
      for (const { id } of members) {
        if (this.#inFlightTo(id, null, false).length > 0) {
          work(`${id} receiving messages`, () => this.deliver([{ id, drop: false }]))
        }
      }
      for (const { id, appendWork } of members) {
        if (appendWork.length === 0) continue
        work(`${id} processing append thread`, () => {
          while (appendWork.length > 0) this.processAppendThread(id)
        })
      }
      for (const { id, applyWork } of members) {
        if (applyWork.length === 0) continue
        work(`${id} processing apply thread`, () => {
          while (applyWork.length > 0) this.processApplyThread(id)
        })
      }
    }
  }

  /** Puts a snapshot of one member's newest state in flight, as if raft had asked for it. */
  sendSnapshot(from: number, to: number): void {
    const sender = this.member(from)
    const message: Message = {
      ...newMessage('MsgSnap', to),
      from,
      term: sender.raft.basicStatus().term,
      snapshot: sender.storage.latest,
    }
    this.messages.push(message)
    this.output.write(describeMessage(message))
  }
}

function isLocal(message: Message): boolean {
  const isThread = (id: number): boolean => id === LOCAL_APPEND_THREAD || id === LOCAL_APPLY_THREAD
  return message.from === message.to || isThread(message.from) || isThread(message.to)
}

function append(
  member: Member,
  state: HardState | null,
  entries: readonly Entry[],
  snapshot: Snapshot | null,
): void {
  const { storage } = member
  if (state !== null && !isEmptyHardState(state)) storage.setHardState(state)
  if (snapshot === null || isEmptySnapshot(snapshot)) {
    storage.append(entries)
    return
  }
  if (entries.length > 0) throw new Error("can't apply snapshot and entries at the same time")
  storage.applySnapshot(snapshot)
}

/** Applies entries one by one; each makes a state that a snapshot can be taken of. */
function apply(member: Member, entries: readonly Entry[]): void {
  for (const entry of entries) {
    const last = member.storage.latest
    let confState: ConfState = last.metadata.confState
    let update = entry.data
    if (entry.type !== 'EntryNormal') {
      const change = decodeConfChange(entry)
      confState = member.raft.applyConfChange(change)
      update = change.context
    }
    const data = new Uint8Array(last.data.length + update.length)
    data.set(last.data)
    data.set(update, last.data.length)
    member.storage.history.push({ data, metadata: { confState, index: entry.index, term: entry.term } })
  }
}
