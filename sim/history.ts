/**
 * The history of a run as JSON lines, for a checker written by others.
 *
 * It has the requests and answers of clients, their reads, and the committed log.
 *
 * Invariant: every invocation is written when it happens, and each of its attempts ends in at most one line.
 * Source: docs/sim.md, "The history file".
 */
import type { Command } from '../state-cluster/machine/commands.ts'
import type { Reply } from '../state-cluster/machine/events.ts'
import type { LedgerEntry } from './ledger.ts'

export type HistoryLine =
  | {
      readonly type: 'invoke'
      readonly op: number
      readonly attempt: number
      readonly client: string
      readonly server: string
      readonly atMs: number
      readonly command: Command
    }
  | {
      readonly type: 'response'
      readonly op: number
      readonly attempt: number
      readonly atMs: number
      readonly reply: Reply
    }
  | {
      readonly type: 'refused' | 'unknown'
      readonly op: number
      readonly attempt: number
      readonly atMs: number
      readonly code: string
    }
  | {
      readonly type: 'read'
      readonly server: string
      readonly fromMs: number
      readonly atMs: number
      readonly auctionId: string
      readonly seq: number
      /** Absent where the auction was not there. */
      readonly view?: { readonly status: string; readonly price?: number; readonly bidCount: number }
    }

export class History {
  readonly #write: ((line: string) => void) | undefined

  constructor(write: ((line: string) => void) | undefined) {
    this.#write = write
  }

  note(line: HistoryLine): void {
    this.#write?.(JSON.stringify({ ...line, ...rounded(line) }))
  }

  /** The whole log, at the end. */
  log(entries: readonly LedgerEntry[]): void {
    if (this.#write === undefined) return
    for (const { index, atMs, hash, entry, replies, events } of entries)
      this.#write(
        JSON.stringify({ type: 'entry', index, atMs, commands: entry.commands, replies, events, hash }),
      )
  }

  head(facts: Record<string, unknown>): void {
    this.#write?.(JSON.stringify({ type: 'run', ...facts }))
  }
}

function rounded(line: HistoryLine): Record<string, number> {
  const atMs = Math.round(line.atMs * 1_000) / 1_000
  return 'fromMs' in line ? { atMs, fromMs: Math.round(line.fromMs * 1_000) / 1_000 } : { atMs }
}
