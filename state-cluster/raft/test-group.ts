/**
 * A group of nodes for tests.
 *
 * It has memory storages, a network that can be cut, and a state machine that keeps what it was given.
 * Invariant: nothing happens by itself; the same calls have the same effects. All logs begin after a snapshot at
 * (index 1, term 1) that holds the configuration, so the first entry has index 2.
 */
import { decodeConfChange } from './confchange-codec.ts'
import type { Config } from './config.ts'
import { MemoryStorage } from './memory-storage.ts'
import { RawNode } from './rawnode.ts'
import {
  type ConfState,
  type Entry,
  isEmptySnapshot,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  type Message,
  newConfState,
  type Ready,
} from './types.ts'

export interface GroupOptions {
  readonly voters: readonly number[]
  readonly learners?: readonly number[]
  /** The terms of the entries that a node starts with, from index 2 on. */
  readonly terms?: Readonly<Record<number, readonly number[]>>
  readonly config?: Partial<Config>
}

export interface Member {
  readonly id: number
  readonly node: RawNode
  readonly storage: MemoryStorage
  readonly applied: Entry[]
  confState: ConfState
}

/** Never draws high, so that a node times out after exactly `electionTick`. */
const drawLow = (): number => 0

export function nodeConfig(id: number, storage: MemoryStorage, config: Partial<Config> = {}): Config {
  return { id, storage, electionTick: 10, heartbeatTick: 1, maxInflightMsgs: 256, random: drawLow, ...config }
}

export function entriesOfTerms(terms: readonly number[], first = 2): Entry[] {
  return terms.map((term, i) => ({ type: 'EntryNormal', term, index: first + i, data: Uint8Array.of(term) }))
}

export class TestGroup {
  readonly members = new Map<number, Member>()
  /** Sent and not yet delivered. */
  messages: Message[] = []
  /** Everything that was sent so far. */
  readonly sent: Message[] = []
  /** Messages that are lost. */
  isLost: (m: Message) => boolean = () => false
  readonly #options: GroupOptions

  constructor(options: GroupOptions) {
    this.#options = options
    const confState = newConfState(options.voters, options.learners)
    for (const id of [...options.voters, ...(options.learners ?? [])]) this.#start(id, confState)
  }

  /** Adds a node that has nothing, not even a configuration. */
  addEmpty(id: number): void {
    this.#start(id, null)
  }

  member(id: number): Member {
    const member = this.members.get(id)
    if (member === undefined) throw new Error(`there is no node ${id}`)
    return member
  }

  node(id: number): RawNode {
    return this.member(id).node
  }

  /** Elects a node and lets everything settle. */
  elect(id: number): void {
    this.node(id).campaign()
    this.settle()
  }

  /** Cuts nodes off from everyone else, in both directions; none heals everything. */
  isolate(...ids: number[]): void {
    this.isLost = ({ from, to }) => ids.includes(from) || ids.includes(to)
  }

  /** Handles the Readys and delivers the messages of all nodes until there are none left. */
  settle(): void {
    for (let isBusy = true; isBusy; ) {
      isBusy = false
      for (const { id, node } of this.members.values()) {
        if (!node.hasReady()) continue
        isBusy = true
        this.handleReady(id)
      }
      isBusy = this.deliver() || isBusy
    }
  }

  /** Delivers what is in flight. Returns whether anything was. */
  deliver(): boolean {
    const taken = this.messages
    this.messages = []
    for (const m of taken) if (!this.isLost(m)) this.members.get(m.to)?.node.step(m)
    return taken.length > 0
  }

  /** Writes, sends and applies what one node hands out. */
  handleReady(id: number): Ready {
    const member = this.member(id)
    const { node, storage } = member
    const ready = node.ready()
    const isAsync = this.#options.config?.asyncStorageWrites === true
    if (!isAsync) {
      if (ready.hardState !== null) storage.setHardState(ready.hardState)
      if (ready.snapshot !== null) storage.applySnapshot(ready.snapshot)
      storage.append(ready.entries)
      this.#apply(member, ready.committedEntries)
    }
    for (const m of ready.messages) {
      if (m.to === LOCAL_APPEND_THREAD) this.#write(member, m)
      else if (m.to === LOCAL_APPLY_THREAD) this.#apply(member, m.entries, m)
      else this.#send(m)
    }
    if (!isAsync) node.advance()
    return ready
  }

  /** Lets time go by for one node. */
  tick(id: number, times = 1): void {
    for (let i = 0; i < times; i++) this.node(id).tick()
  }

  #write({ storage }: Member, m: Message): void {
    if (m.term !== 0) storage.setHardState({ term: m.term, vote: m.vote, commit: m.commit })
    if (m.snapshot !== null && !isEmptySnapshot(m.snapshot)) storage.applySnapshot(m.snapshot)
    storage.append(m.entries)
    for (const response of m.responses) this.#send(response)
  }

  #apply(member: Member, entries: readonly Entry[], m?: Message): void {
    for (const entry of entries) {
      member.applied.push(entry)
      if (entry.type !== 'EntryNormal')
        member.confState = member.node.applyConfChange(decodeConfChange(entry))
    }
    for (const response of m?.responses ?? []) this.#send(response)
  }

  #send(m: Message): void {
    this.sent.push(m)
    this.messages.push(m)
  }

  #start(id: number, confState: ConfState | null): void {
    const storage = new MemoryStorage()
    if (confState !== null) {
      storage.applySnapshot({ data: new Uint8Array(0), metadata: { confState, index: 1, term: 1 } })
    }
    const terms = this.#options.terms?.[id] ?? []
    storage.append(entriesOfTerms(terms))
    if (confState !== null) storage.setHardState({ term: terms.at(-1) ?? 1, vote: 0, commit: 1 })
    const node = new RawNode(nodeConfig(id, storage, this.#options.config))
    this.members.set(id, { id, node, storage, applied: [], confState: confState ?? newConfState([]) })
  }
}
