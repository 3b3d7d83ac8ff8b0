/**
 * The committed log, as the first replica that applied each entry reported it.
 *
 * It feeds the auditor and keeps the index of each request.
 *
 * Invariant: there is one entry for each index, in order; a replica that applies another entry there, or ends with
 * another state, is a violation.
 */
import type { MachineEntry } from '../state-cluster/machine/commands.ts'
import { type Applied, isPublic, type PublicEvent, type Reply } from '../state-cluster/machine/events.ts'
import type { Auditor } from './auditor.ts'
import type { Checks } from './checks.ts'
import { EventRules } from './event-rules.ts'

export interface LedgerEntry {
  readonly index: number
  readonly atMs: number
  readonly commandCount: number
  readonly hash: string
  readonly entry: MachineEntry
  readonly replies: readonly Reply[]
  /** Public events only. */
  readonly events: readonly PublicEvent[]
}

/** Where a request was accepted, or else where it was first; the reply there, and all that it got. */
export interface Answered {
  readonly index: number
  readonly reply: Reply
  readonly replies: readonly Reply[]
}

export class Ledger {
  readonly entries: LedgerEntry[] = []
  readonly answered = new Map<string, Answered>()
  /** Public events of each auction, by seq − 1. */
  readonly events = new Map<string, PublicEvent[]>()
  readonly rules: EventRules
  readonly #byIndex = new Map<number, LedgerEntry>()
  readonly #checks: Checks
  readonly #auditor: Auditor

  constructor(checks: Checks, auditor: Auditor) {
    this.#checks = checks
    this.#auditor = auditor
    this.rules = new EventRules(checks)
  }

  get lastIndex(): number {
    return this.entries.at(-1)?.index ?? 0
  }

  get lastHash(): string {
    return this.entries.at(-1)?.hash ?? ''
  }

  hashAt(index: number): string | undefined {
    return this.#byIndex.get(index)?.hash
  }

  /** A replica has applied an entry. */
  applied(
    who: string,
    index: number,
    entry: MachineEntry,
    { replies, events, outboxCount }: Applied,
    hash: string,
  ): void {
    const known = this.#byIndex.get(index)
    if (known !== undefined) {
      this.#checks.hold(
        known.atMs === entry.atMs && known.commandCount === entry.commands.length,
        'one order',
        () =>
          `${who} applies another entry at ${index} (stamp ${entry.atMs}, ${entry.commands.length} commands; first seen: ${known.atMs}, ${known.commandCount})`,
      )
      this.#checks.hold(
        known.hash === hash,
        'same index, same hash',
        () => `${who} has ${hash} at ${index}, first seen: ${known.hash}`,
      )
      return
    }
    this.#checks.hold(
      index > this.lastIndex,
      'one order',
      () => `${who} applies an entry at ${index}, where there was none, after ${this.lastIndex}`,
    )
    const publicEvents = events.filter(isPublic)
    const line = {
      index,
      atMs: entry.atMs,
      commandCount: entry.commands.length,
      hash,
      entry,
      replies,
      events: publicEvents,
    }
    this.entries.push(line)
    this.#byIndex.set(index, line)
    this.#noteAnswers(index, entry, replies)
    for (const event of events) this.rules.see(event)
    for (const event of publicEvents) {
      const own = this.events.get(event.auctionId)
      if (own === undefined) this.events.set(event.auctionId, [event])
      else own.push(event)
    }
    this.#auditor.apply(index, entry, replies, events, outboxCount)
  }

  #noteAnswers(index: number, { commands }: MachineEntry, replies: readonly Reply[]): void {
    commands.forEach((command, at) => {
      if (!('requestId' in command)) return
      if (command.type === 'create_auction' && replies[at]?.ok) this.rules.noteTerms(command)
      const key = requestKey(command)
      const reply = replies[at] as Reply
      const known = this.answered.get(key)
      const all = [...(known?.replies ?? []), reply]
      const isFirst = known === undefined || (!known.reply.ok && reply.ok)
      this.answered.set(key, isFirst ? { index, reply, replies: all } : { ...known, replies: all })
    })
  }
}

export function requestKey(of: { readonly subject: string; readonly requestId: string }): string {
  return `${of.subject} ${of.requestId}`
}
