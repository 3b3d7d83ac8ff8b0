/**
 * What the auditor knows of requests: those that count, and those still remembered.
 *
 * Plain lists, each gone through from the beginning. It knows what was accepted for ever, so that a repeat with a wrong
 * definite answer shows, however long ago the first one was.
 *
 * Invariant: it shares no code with the machine.
 * Source: docs/spec.md REQUEST1 to REQUEST9.
 */

import type { Reply } from '../state-cluster/machine/events.ts'
import { type Limits, limits } from '../state-cluster/machine/limits.ts'

/** Bounds so low that requests are forgotten while their clients still repeat them. Refusals are copied for longer. */
export const simLimits: Limits = {
  ...limits,
  requestWindowMs: 45_000,
  requestsPerSubjectMax: 24,
  // So few that a pause of a server lets as many pass.
  requestOwnTransitMs: limits.requestTransitMs,
  requestsMax: 120,
  refusalsPerSubjectMax: 128,
  serversMax: 8,
}

export interface RequestOf {
  readonly subject: string
  readonly requestId: string
  /** What was requested, as text. */
  readonly content: string
}

interface Entry extends RequestOf {
  readonly reply: Reply
  readonly atMs: number
}

/** Refusals that a late copy could turn. */
const remembered: readonly string[] = [
  'already_leading',
  'auction_closed',
  'auction_not_open',
  'bid_too_low',
  'limit_exceeded',
  'not_paused',
  'state_changed',
]

export class RememberedRequests {
  readonly #accepted = new Map<string, Entry>()
  #recent: Entry[] = []
  #refused: Entry[] = []
  /** The last accepted one of each place: a bidder in an auction, a managed auction, a buyer. */
  readonly #last = new Map<string, Entry>()
  #forgottenMs = 0

  /** The reply that a known request has to get. */
  find({ subject, requestId }: RequestOf, atMs: number): Entry | undefined {
    const isFresh = (one: Entry): boolean => one.atMs >= atMs - simLimits.requestWindowMs
    this.#recent = this.#recent.filter(isFresh)
    this.#refused = this.#refused.filter(isFresh)
    const isIt = (one: Entry): boolean => one.subject === subject && one.requestId === requestId
    return this.#recent.find(isIt) ?? this.#refused.find(isIt)
  }

  /** The reply of a request that was the last one accepted at its place. */
  lastAt(place: string, request: RequestOf): Reply | undefined {
    const last = this.#last.get(place)
    return last !== undefined && keyOf(last) === keyOf(request) && last.content === request.content
      ? last.reply
      : undefined
  }

  /** Its first reply, if it was ever accepted. */
  everAccepted(request: RequestOf): Reply | undefined {
    return this.#accepted.get(keyOf(request))?.reply
  }

  /** Whether an accepted request that was first sent `ageMs` ago may be forgotten by now. */
  mayBeForgotten(subject: string, ageMs: number, atMs: number): boolean {
    const own = this.#recent.filter((one) => one.subject === subject)
    const oldestMs = own.length >= simLimits.requestsPerSubjectMax ? (own[0] as Entry).atMs : 0
    const untilMs = Math.max(this.#forgottenMs, atMs - simLimits.requestWindowMs - 1)
    const sentMs = atMs - ageMs
    return (
      sentMs - simLimits.requestTransitMs <= untilMs || sentMs - simLimits.requestOwnTransitMs <= oldestMs
    )
  }

  note(request: RequestOf, reply: Reply, atMs: number, place: string | undefined): void {
    const entry = { ...request, reply, atMs }
    if (!reply.ok) {
      if (!remembered.includes(reply.code)) return
      this.#refused = withinBounds([...this.#refused, entry], simLimits.refusalsPerSubjectMax)
      this.#refused = this.#refused.slice(-simLimits.refusalsMax)
      return
    }
    if (!this.#accepted.has(keyOf(request))) this.#accepted.set(keyOf(request), entry)
    if (place !== undefined) this.#last.set(place, entry)
    if (this.#recent.length >= simLimits.requestsMax) {
      this.#forgottenMs = (this.#recent[0] as Entry).atMs
      this.#recent = this.#recent.slice(1)
    }
    this.#recent = withinBounds([...this.#recent, entry], simLimits.requestsPerSubjectMax)
  }
}

function keyOf({ subject, requestId }: RequestOf): string {
  return `${subject} ${requestId}`
}

/** Without the oldest one of the subject of the newest, if that has too many. */
function withinBounds(entries: Entry[], perSubject: number): Entry[] {
  const { subject } = entries.at(-1) as Entry
  const own = entries.filter((one) => one.subject === subject)
  return own.length > perSubject ? entries.filter((one) => one !== own[0]) : entries
}
