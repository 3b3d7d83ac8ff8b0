/**
 * Bench: the Raft core alone, with three nodes in one process.
 *
 * Storage is in memory and messages are handed over directly. A turn proposes, and then the group works until every
 * node has applied the entries, as one event-loop turn of a replica would. Payloads are made before the clock starts.
 *
 * Invariant: every entry counted was applied by all nodes; the bench fails otherwise.
 */
import { MemoryStorage, type Message, newConfState, RawNode } from '../state-cluster/raft/index.ts'
import { median } from './report.ts'

const nodeCount = 3
const entryBytes = 100
const batch = 100
const warmUpMs = 1_500
const roundCount = 7
const roundMs = 700
/** Entries that stay in the log: enough for a follower that lags by a turn. */
const keptEntries = 1_000
const compactEvery = 10_000

interface Figures {
  /** Median of the rounds. */
  readonly entriesPerSecond: number
  /** The same by processor time, all threads of the process: what does not depend on who else uses the machine. */
  readonly entriesPerCpuSecond: number
  readonly commandsPerSecond: number
  readonly entriesPerSecondByRound: readonly number[]
}

export interface RaftReport {
  readonly parameters: Readonly<Record<string, number | string>>
  readonly figures: Readonly<Record<string, Figures>>
}

interface Workload {
  readonly entriesPerTurn: number
  readonly commandsPerEntry: number
  readonly propose: (group: Group) => void
}

const payloads = Array.from({ length: batch }, () => new Uint8Array(entryBytes))
const payload = new Uint8Array(entryBytes)
const combined = new Uint8Array(batch * entryBytes)

const workloads: Readonly<Record<string, Workload>> = {
  oneProposalATurn: { entriesPerTurn: 1, commandsPerEntry: 1, propose: (group) => group.propose(payload) },
  hundredProposalsATurn: {
    entriesPerTurn: batch,
    commandsPerEntry: 1,
    propose: (group) => {
      for (let i = 0; i < batch; i++) group.propose(payloads[i] as Uint8Array)
    },
  },
  hundredInOneMessageATurn: {
    entriesPerTurn: batch,
    commandsPerEntry: 1,
    propose: (group) => group.proposeAll(payloads),
  },
  oneEntryOfHundredCommands: {
    entriesPerTurn: 1,
    commandsPerEntry: batch,
    propose: (group) => group.propose(combined),
  },
}

export function benchRaft(): RaftReport {
  const figures = Object.entries(workloads).map(([name, workload]) => [name, measure(workload)] as const)
  return {
    parameters: { nodeCount, entryBytes, batch, warmUpMs, roundMs, roundCount, storage: 'memory' },
    figures: Object.fromEntries(figures),
  }
}

function measure(workload: Workload): Figures {
  const group = new Group()
  spend(group, workload, warmUpMs)
  const rounds = Array.from({ length: roundCount }, () => spend(group, workload, roundMs))
  const entriesPerSecond = median(rounds.map((round) => round.perSecond))
  return {
    entriesPerSecond,
    entriesPerCpuSecond: median(rounds.map((round) => round.perCpuSecond)),
    commandsPerSecond: entriesPerSecond * workload.commandsPerEntry,
    entriesPerSecondByRound: rounds.map((round) => round.perSecond),
  }
}

function spend(
  group: Group,
  { entriesPerTurn, propose }: Workload,
  durationMs: number,
): { perSecond: number; perCpuSecond: number } {
  const before = group.appliedEverywhere()
  const cpuBefore = process.cpuUsage()
  const start = performance.now()
  let turns = 0
  let elapsedMs = 0
  // Looking at the clock costs; every 64 turns is often enough.
  while (elapsedMs < durationMs) {
    for (let i = 0; i < 64; i++) {
      propose(group)
      group.settle()
    }
    turns += 64
    elapsedMs = performance.now() - start
  }
  const cpu = process.cpuUsage(cpuBefore)
  const applied = group.appliedEverywhere() - before
  if (applied !== turns * entriesPerTurn) {
    throw new Error(`${turns * entriesPerTurn} entries were proposed, ${applied} applied by all`)
  }
  return {
    perSecond: Math.round((applied / elapsedMs) * 1000),
    perCpuSecond: Math.round((applied / (cpu.user + cpu.system)) * 1_000_000),
  }
}

/** Three nodes of which the first leads. */
class Group {
  readonly #storages: MemoryStorage[] = []
  readonly #nodes: RawNode[] = []
  readonly #applied: number[] = []
  #compacted: number[] = []

  constructor() {
    const ids = Array.from({ length: nodeCount }, (_, i) => i + 1)
    const snapshot = {
      data: new Uint8Array(0),
      metadata: { confState: newConfState(ids), index: 1, term: 1 },
    }
    for (const id of ids) {
      const storage = new MemoryStorage()
      storage.applySnapshot(snapshot)
      this.#storages.push(storage)
      const random = (bound: number): number => (id * 7) % bound
      this.#nodes.push(
        new RawNode({
          id,
          storage,
          applied: 1,
          electionTick: 10,
          heartbeatTick: 1,
          maxInflightMsgs: 256,
          random,
        }),
      )
      this.#applied.push(1)
      this.#compacted.push(1)
    }
    this.#leader().campaign()
    this.settle()
    if (this.#leader().basicStatus().raftState !== 'StateLeader') throw new Error('no node was elected')
  }

  propose(payload: Uint8Array): void {
    const refusal = this.#leader().propose(payload)
    if (refusal !== null) throw new Error(refusal.message)
  }

  /** All in one message. */
  proposeAll(payloads: readonly Uint8Array[]): void {
    const refusal = this.#leader().proposeAll(payloads)
    if (refusal !== null) throw new Error(refusal.message)
  }

  /** Works until no node has anything to do. */
  settle(): void {
    for (let isBusy = true; isBusy; ) {
      isBusy = false
      for (let i = 0; i < this.#nodes.length; i++) {
        if ((this.#nodes[i] as RawNode).hasReady()) {
          this.#handleReady(i)
          isBusy = true
        }
      }
    }
  }

  /** The index up to which all nodes have applied. */
  appliedEverywhere(): number {
    return Math.min(...this.#applied)
  }

  #leader(): RawNode {
    return this.#nodes[0] as RawNode
  }

  #handleReady(i: number): void {
    const node = this.#nodes[i] as RawNode
    const storage = this.#storages[i] as MemoryStorage
    const ready = node.ready()
    if (ready.hardState !== null) storage.setHardState(ready.hardState)
    storage.append(ready.entries)
    const { messages, committedEntries } = ready
    for (let at = 0; at < messages.length; at++) {
      const message = messages[at] as Message
      ;(this.#nodes[message.to - 1] as RawNode).step(message)
    }
    const last = committedEntries.at(-1)
    if (last !== undefined) this.#applied[i] = last.index
    node.advance()
    this.#compact(i)
  }

  #compact(i: number): void {
    const applied = this.#applied[i] as number
    if (applied - (this.#compacted[i] as number) < compactEvery) return
    ;(this.#storages[i] as MemoryStorage).compact(applied - keptEntries)
    this.#compacted[i] = applied
  }
}
