/**
 * What must hold at every moment of a run, checked as it happens.
 *
 * The table of checks is at `Invariants`. Each check costs O(1) for a new entry. Log matching is inductive: an
 * entry is registered with the term before it when it is first seen, and must have the same payload and predecessor
 * wherever it is seen again.
 *
 * Invariant: the observer relies on nothing that the core says of itself; it follows Readys, messages and disks.
 * Source: the Raft paper, the dissertation.
 */
import type { Entry, Message, Ready, Snapshot } from '../types.ts'
import { Violation } from './violation.ts'

/** The log of one node as its Readys show it: terms from `base` (the last index of its snapshot) on. */
interface LogView {
  base: number
  /** `terms[0]` is the term at `base`. */
  terms: number[]
  /** Highest commit index in this life of the node. */
  commit: number
}

/** An entry that some node has had. */
interface KnownEntry {
  readonly term: number
  readonly prevTerm: number
  readonly entry: Entry
}

interface Leader {
  readonly id: number
  /** Last entry of its log when it was elected; both 0 until its log was seen. */
  lastIndex: number
  lastTerm: number
}

/**
 * | name | rule | source |
 * |---|---|---|
 * | one leader a term | at most one node acts as leader in a term | paper §5.2 |
 * | log matching | entries of equal index and term are equal, and so is all before them | paper §5.3 |
 * | leader completeness | a leader's log has every entry that was committed in an earlier term | paper §5.4 |
 * | state machine safety | no two nodes apply different entries, or reach different states, at an index | paper §5.4.3 |
 * | commit never goes back | a node's commit index only grows, within its log; a restart keeps what was synced | paper §5.3 |
 * | reads see commits | a read index is no lower than what was committed when the read began | dissertation §6.4 |
 */
export class Invariants {
  readonly #logs = new Map<number, LogView>()
  /** By index: the entries that were ever there, one per term. */
  readonly #known: KnownEntry[][] = []
  readonly #leaders = new Map<number, Leader>()
  /** By index: the term of the entry that is committed there. */
  readonly #committedTerms: number[] = []
  /** By term: the highest index that was committed in it. */
  readonly #commitsByTerm = new Map<number, number>()
  /** By index: what was applied, and the state after it. */
  readonly #applied: Entry[] = []
  readonly #states: number[] = []
  /** By read: what was committed when it began. */
  readonly #reads = new Map<number, number>()
  #highestCommit = 0

  /** The highest index known to be committed. */
  get highestCommit(): number {
    return this.#highestCommit
  }

  /** A node starts, or starts again: with the log, commit index and snapshot that are on its disk. */
  started(id: number, snapshot: Snapshot, entries: readonly Entry[], commit: number): void {
    const { index, term } = snapshot.metadata
    const log: LogView = { base: index, terms: [term], commit: index }
    this.#logs.set(id, log)
    this.#highestCommit = Math.max(this.#highestCommit, index)
    for (const entry of entries) this.#append(id, log, entry)
    log.commit = Math.max(commit, index)
    if (log.commit > lastIndex(log)) {
      throw new Violation(
        'commit never goes back',
        `node ${id} restarts with commit ${log.commit} beyond its log`,
      )
    }
  }

  /** A node handed out a Ready: new log, new commit index, messages. `term` is the node's term. */
  handedOut(id: number, term: number, ready: Ready): void {
    const log = this.#logs.get(id) as LogView
    if (ready.snapshot !== null) {
      const { metadata } = ready.snapshot
      if (metadata.index < log.commit) {
        throw new Violation(
          'commit never goes back',
          `node ${id} with commit ${log.commit} takes a snapshot at ${metadata.index}`,
        )
      }
      log.base = metadata.index
      log.terms = [metadata.term]
    }
    for (const entry of ready.entries) this.#append(id, log, entry)
    for (const message of ready.messages) this.#sent(id, message)
    if (ready.softState?.raftState === 'StateLeader') this.#elected(id, term, log)
    if (ready.hardState !== null) this.#committed(id, log, ready.hardState.term, ready.hardState.commit)
  }

  /** A node applied an entry and is in `state` (a hash) after it. */
  applied(id: number, entry: Entry, state: number): void {
    const { index } = entry
    const before = this.#applied[index]
    if (before === undefined) this.#applied[index] = entry
    else if (!isSame(before, entry)) {
      throw new Violation(
        'state machine safety',
        `node ${id} applies ${show(entry)} where ${show(before)} was applied`,
      )
    }
    this.#reached(id, index, state)
  }

  /** A node took over the state of a snapshot. */
  restored(id: number, index: number, state: number): void {
    this.#reached(id, index, state)
  }

  /** A read begins that will answer under this number. */
  readStarted(read: number): void {
    this.#reads.set(read, this.#highestCommit)
  }

  /** A read may be served once `index` is applied. */
  readConfirmed(read: number, index: number): void {
    const least = this.#reads.get(read)
    if (least !== undefined && index < least) {
      throw new Violation(
        'reads see commits',
        `read ${read} gets index ${index}, but ${least} was committed before`,
      )
    }
  }

  #append(id: number, log: LogView, entry: Entry): void {
    const at = entry.index - log.base
    if (at < 1 || at > log.terms.length) {
      throw new Violation(
        'log matching',
        `node ${id} appends ${show(entry)} to a log of ${log.base}..${lastIndex(log)}`,
      )
    }
    if (entry.index <= log.commit && log.terms[at] !== entry.term) {
      throw new Violation(
        'commit never goes back',
        `node ${id} replaces committed ${entry.index} by ${show(entry)}`,
      )
    }
    log.terms.length = at
    log.terms.push(entry.term)
    const prevTerm = log.terms[at - 1] as number
    this.#known[entry.index] ??= []
    const siblings = this.#known[entry.index] as KnownEntry[]
    const twin = siblings.find((known) => known.term === entry.term)
    if (twin === undefined) siblings.push({ term: entry.term, prevTerm, entry })
    else if (twin.prevTerm !== prevTerm || !isSame(twin.entry, entry)) {
      throw new Violation(
        'log matching',
        `node ${id} has ${show(entry)} after term ${prevTerm}; elsewhere it is ${show(twin.entry)} after term ${twin.prevTerm}`,
      )
    }
  }

  #sent(id: number, message: Message): void {
    const { type, term } = message
    if (type === 'MsgApp' || type === 'MsgHeartbeat' || type === 'MsgSnap') this.#acts(id, term)
  }

  #acts(id: number, term: number): Leader {
    const known = this.#leaders.get(term)
    if (known === undefined) {
      const leader = { id, lastIndex: 0, lastTerm: 0 }
      this.#leaders.set(term, leader)
      return leader
    }
    if (known.id !== id)
      throw new Violation('one leader a term', `nodes ${known.id} and ${id} lead term ${term}`)
    return known
  }

  #elected(id: number, term: number, log: LogView): void {
    const leader = this.#acts(id, term)
    leader.lastIndex = lastIndex(log)
    leader.lastTerm = log.terms.at(-1) as number
    for (const [commitTerm, index] of this.#commitsByTerm) {
      if (commitTerm < term) this.#mustHave(id, term, log, index)
    }
  }

  #mustHave(id: number, term: number, log: LogView, index: number): void {
    if (index <= log.base) return
    const has = log.terms[index - log.base]
    if (has !== this.#committedTerms[index]) {
      throw new Violation(
        'leader completeness',
        `leader ${id} of term ${term} has ${has === undefined ? 'nothing' : `term ${has}`} at ${index}, committed with term ${this.#committedTerms[index]}`,
      )
    }
  }

  #committed(id: number, log: LogView, term: number, commit: number): void {
    if (commit < log.commit) {
      throw new Violation('commit never goes back', `node ${id} goes from commit ${log.commit} to ${commit}`)
    }
    if (commit > lastIndex(log)) {
      throw new Violation(
        'commit never goes back',
        `node ${id} commits ${commit} beyond its log (${lastIndex(log)})`,
      )
    }
    let isNews = false
    for (let index = Math.max(log.commit + 1, log.base); index <= commit; index++) {
      const has = log.terms[index - log.base] as number
      const known = this.#committedTerms[index]
      if (known === undefined) {
        this.#committedTerms[index] = has
        isNews = true
      } else if (known !== has) {
        throw new Violation(
          'state machine safety',
          `node ${id} commits term ${has} at ${index}, elsewhere term ${known}`,
        )
      }
    }
    log.commit = commit
    this.#highestCommit = Math.max(this.#highestCommit, commit)
    if (!isNews) return
    this.#commitsByTerm.set(term, Math.max(commit, this.#commitsByTerm.get(term) ?? 0))
    for (const [laterTerm, leader] of this.#leaders) {
      if (laterTerm > term && leader.lastIndex > 0) this.#mustDescend(laterTerm, leader, commit)
    }
  }

  /** An old leader commits although a later one was elected: the later one must have had the entry. */
  #mustDescend(term: number, leader: Leader, index: number): void {
    let at = leader.lastIndex
    let atTerm = leader.lastTerm
    while (at > index) {
      const known = this.#known[at]?.find((candidate) => candidate.term === atTerm)
      // Not known: below the snapshot that this leader's log began with, which holds committed entries only.
      if (known === undefined) return
      atTerm = known.prevTerm
      at--
    }
    if (at < index || atTerm !== this.#committedTerms[index]) {
      throw new Violation(
        'leader completeness',
        `${index} is committed with term ${this.#committedTerms[index]}, but leader ${leader.id} of term ${term} was elected without it`,
      )
    }
  }

  #reached(id: number, index: number, state: number): void {
    const before = this.#states[index]
    if (before === undefined) this.#states[index] = state
    else if (before !== state) {
      throw new Violation('state machine safety', `node ${id} is in another state than others after ${index}`)
    }
  }
}

function lastIndex(log: LogView): number {
  return log.base + log.terms.length - 1
}

function isSame(a: Entry, b: Entry): boolean {
  if (a.term !== b.term || a.type !== b.type || a.data.length !== b.data.length) return false
  return a.data === b.data || a.data.every((byte, i) => byte === b.data[i])
}

function show(entry: Entry): string {
  return `${entry.term}/${entry.index} ${entry.type} (${entry.data.length} bytes)`
}
