/**
 * Commands on their way into the log and the promises that wait for their replies.
 *
 *   add ──► queued ──► take ──► in flight at (index, term) ──► settle: applied there, the reply
 *                                                          └─► another term's entry stands there: not proposed
 *
 * Invariant: every promise settles exactly once, by the entry that carries its command or by the reason why there
 * is none; `unknown` only where the entry may yet be committed. Queued and in flight together are bounded: beyond
 * `commandsMax`, `overloaded`. Leaves stamping, encoding and proposing to the replica.
 */
import { ClusterError } from '../cluster.ts'
import type { Command } from '../machine/commands.ts'
import type { Reply } from '../machine/events.ts'

export interface Waiting {
  readonly command: Command
  /** The tick at which its caller has waited long enough. */
  readonly untilTick: number
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: ClusterError) => void
}

interface Batch {
  readonly term: number
  /** Emptied when its callers were told `unknown`. */
  waiting: readonly Waiting[]
  readonly untilTick: number
}

export class Proposals {
  readonly #commandsMax: number
  #queued: Waiting[] = []
  /** By index, in rising order. */
  readonly #inFlight = new Map<number, Batch>()
  #inFlightCommands = 0

  constructor(commandsMax: number) {
    this.#commandsMax = commandsMax
  }

  get queuedCommands(): number {
    return this.#queued.length
  }

  get inFlightCommands(): number {
    return this.#inFlightCommands
  }

  get inFlightEntries(): number {
    return this.#inFlight.size
  }

  /** Queues a command. Rejects with `overloaded` at the bound. */
  add(command: Command, untilTick: number): Promise<Reply> {
    if (this.#queued.length + this.#inFlightCommands >= this.#commandsMax) {
      return Promise.reject(new ClusterError('overloaded', 'too many commands wait for the log'))
    }
    return new Promise((resolve, reject) => {
      this.#queued.push({ command, untilTick, resolve, reject })
    })
  }

  /** The oldest queued commands, without taking them from the queue. */
  peek(countMax: number): readonly Waiting[] {
    return this.#queued.slice(0, countMax)
  }

  /** The first `count` of the queue went into the log at (index, term). */
  proposed(count: number, index: number, term: number): void {
    const waiting = this.#queued.splice(0, count)
    this.#inFlightCommands += count
    const untilTick = Math.max(...waiting.map((one) => one.untilTick))
    this.#inFlight.set(index, { term, waiting, untilTick })
  }

  /** The entry of (index, term) was applied, with these replies; the promises of its commands settle. */
  settle(index: number, term: number, replies: readonly Reply[]): void {
    const batch = this.#inFlight.get(index)
    if (batch === undefined) return
    this.#remove(index, batch)
    if (batch.term !== term) {
      // Index and term name an entry: another one stands here, so this one will never be committed.
      rejectAll(batch.waiting, notProposed('its leader was replaced'))
      return
    }
    batch.waiting.forEach((one, at) => {
      one.resolve(replies[at] as Reply)
    })
  }

  /** A snapshot took the place of everything up to here: what became of it is not known. */
  skipTo(index: number): void {
    for (const [at, batch] of this.#inFlight) {
      if (at > index) return
      this.#remove(at, batch)
      rejectAll(batch.waiting, unknown('a snapshot took its place'))
    }
  }

  /** This replica cannot propose: nothing that is queued was or will be proposed. */
  dropQueued(reason: string): void {
    const queued = this.#queued
    this.#queued = []
    rejectAll(queued, notProposed(reason))
  }

  /** Settles what has waited past its time: queued as not proposed, in flight as unknown. */
  expire(tick: number): void {
    const late = this.#queued.filter((one) => one.untilTick <= tick)
    if (late.length > 0) {
      this.#queued = this.#queued.filter((one) => one.untilTick > tick)
      rejectAll(late, notProposed('no majority took it in time'))
    }
    for (const batch of this.#inFlight.values()) {
      if (batch.untilTick > tick || batch.waiting.length === 0) continue
      this.#inFlightCommands -= batch.waiting.length
      rejectAll(batch.waiting, unknown('it was not committed in time'))
      batch.waiting = []
    }
  }

  /** The replica ends: what is in flight has an unknown outcome. */
  end(error: ClusterError): void {
    const queued = this.#queued
    this.#queued = []
    rejectAll(queued, error)
    for (const [index, batch] of this.#inFlight) {
      this.#remove(index, batch)
      rejectAll(batch.waiting, unknown(error.message))
    }
  }

  #remove(index: number, batch: Batch): void {
    this.#inFlight.delete(index)
    this.#inFlightCommands -= batch.waiting.length
  }
}

function notProposed(reason: string): ClusterError {
  return new ClusterError('unavailable', `the command was not proposed: ${reason}`)
}

function unknown(reason: string): ClusterError {
  return new ClusterError('unknown', `the outcome of the command is not known: ${reason}`)
}

function rejectAll(waiting: readonly Waiting[], error: ClusterError): void {
  for (const one of waiting) one.reject(error)
}
