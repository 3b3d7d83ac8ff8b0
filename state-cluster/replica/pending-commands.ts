/**
 * Commands that wait for the log, and the promises that wait for their replies.
 *
 *   add ──► queued ──► proposed ──► in flight at (index, term) ──► applied there: the reply
 *                                                              └─► an entry of a later term was applied at or before
 *                                                                  that index: not proposed
 *
 * Invariant: every promise settles exactly once, by the entry that carries its command or by the reason why there is
 * none; `unknown` only where the entry may still be committed. A batch is known by index and term, because a later
 * term may put another entry at the same index. Commands that wait, queued and in flight, are bounded in number and
 * bytes; beyond, a further one is `overloaded`. Stamping, encoding and proposing are done by leading.ts.
 * Source: Raft dissertation §3.5 (log matching); docs/spec.md STORE10, STORE11.
 */
import { assert } from '../../runtime/assert.ts'
import { ClusterError } from '../cluster.ts'

export interface PendingCommand<Command, Reply> {
  readonly command: Command
  readonly bytes: number
  /** The tick at which its caller waits no longer. */
  readonly untilTick: number
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: ClusterError) => void
}

/** The commands of one proposed entry. */
interface Batch<Command, Reply> {
  readonly index: number
  readonly term: number
  /** Empty once its callers were answered `unknown`. */
  commands: readonly PendingCommand<Command, Reply>[]
  readonly untilTick: number
}

/** What may wait, queued and in flight together. */
export interface PendingLimits {
  readonly commandsMax: number
  readonly commandBytesMax: number
}

export class PendingCommands<Command, Reply> {
  readonly #limits: PendingLimits
  #queued: PendingCommand<Command, Reply>[] = []
  /** In the order of the proposals: by term, then by index. */
  #inFlight: Batch<Command, Reply>[] = []
  #inFlightCommands = 0
  /** Of all commands that wait. */
  #bytes = 0
  #unknownCount = 0

  constructor(limits: PendingLimits) {
    this.#limits = limits
  }

  get queuedCommands(): number {
    return this.#queued.length
  }

  get inFlightCommands(): number {
    return this.#inFlightCommands
  }

  /** Commands that were answered `unknown`, so far. */
  get unknownCount(): number {
    return this.#unknownCount
  }

  /** Entries of all terms that are not known to be applied or overwritten. */
  get inFlightEntries(): number {
    return this.#inFlight.length
  }

  /** Entries in flight that this leader has proposed in `term`. */
  inFlightEntriesOf(term: number): number {
    let count = 0
    for (const batch of this.#inFlight) if (batch.term === term) count += 1
    return count
  }

  /** Queues a command that takes at most so many bytes. Rejects with `overloaded` at the bounds. */
  add(command: Command, bytes: number, untilTick: number): Promise<Reply> {
    const { commandsMax, commandBytesMax } = this.#limits
    const count = this.#queued.length + this.#inFlightCommands
    if (count >= commandsMax || this.#bytes + bytes > commandBytesMax) {
      return Promise.reject(new ClusterError('overloaded', 'too many commands wait for the log'))
    }
    this.#bytes += bytes
    return new Promise((resolve, reject) => {
      this.#queued.push({ command, bytes, untilTick, resolve, reject })
    })
  }

  /** The oldest queued commands, without taking them from the queue. */
  peek(countMax: number): readonly PendingCommand<Command, Reply>[] {
    return this.#queued.slice(0, countMax)
  }

  /** The first `count` of the queue went into the log at (index, term). */
  proposed(count: number, index: number, term: number): void {
    const last = this.#inFlight.at(-1)
    assert(
      last === undefined || term > last.term || (term === last.term && index > last.index),
      'proposals rise by term, and within a term by index',
    )
    const commands = this.#queued.splice(0, count)
    this.#inFlightCommands += count
    let untilTick = 0
    for (const one of commands) untilTick = Math.max(untilTick, one.untilTick)
    this.#inFlight.push({ index, term, commands, untilTick })
  }

  /**
   * The entry (index, term) was applied; `replies` are those of its commands, none where it carries none. Terms never
   * fall along a log, so no batch of an earlier term can be at this index or after it.
   */
  applied(index: number, term: number, replies: readonly Reply[]): void {
    this.#rejectOverwritten(term)
    const first = this.#inFlight[0]
    if (first === undefined || first.term !== term || first.index > index) return
    assert(first.index === index, 'every entry of the log is applied, in order')
    this.#inFlight.shift()
    this.#inFlightCommands -= first.commands.length
    first.commands.forEach((one, at) => {
      this.#bytes -= one.bytes
      one.resolve(replies[at] as Reply)
    })
  }

  /** A snapshot replaced everything up to (index, term): the outcome of what was proposed there is not known. */
  skipTo(index: number, term: number): void {
    const isCovered = (batch: Batch<Command, Reply>): boolean => batch.index <= index && batch.term <= term
    this.#reject(isCovered, () => unknown('a snapshot took its place'))
    this.#rejectOverwritten(term)
  }

  /** This replica cannot propose: nothing that is queued was or will be proposed. */
  dropQueued(reason: string): void {
    const queued = this.#queued
    this.#queued = []
    this.#rejectAll(queued, notProposed(reason))
  }

  /** Rejects what has waited past its time: queued as not proposed, in flight as unknown. */
  expire(tick: number): void {
    const late = this.#queued.filter((one) => one.untilTick <= tick)
    if (late.length > 0) {
      this.#queued = this.#queued.filter((one) => one.untilTick > tick)
      this.#rejectAll(late, notProposed('no majority took it in time'))
    }
    for (const batch of this.#inFlight) {
      if (batch.untilTick > tick || batch.commands.length === 0) continue
      this.#inFlightCommands -= batch.commands.length
      this.#rejectAll(batch.commands, unknown('it was not committed in time'))
      batch.commands = []
    }
    this.#forgetAnswered()
  }

  /** The replica ends: the outcome of commands in flight is unknown. */
  end(error: ClusterError): void {
    const queued = this.#queued
    this.#queued = []
    this.#rejectAll(queued, error)
    this.#reject(
      () => true,
      () => unknown(error.message),
    )
  }

  #rejectOverwritten(term: number): void {
    if ((this.#inFlight[0]?.term ?? term) >= term) return
    this.#reject(
      (batch) => batch.term < term,
      () => notProposed('its leader was replaced'),
    )
  }

  #reject(isMeant: (batch: Batch<Command, Reply>) => boolean, why: () => ClusterError): void {
    const meant = this.#inFlight.filter(isMeant)
    if (meant.length === 0) return
    this.#inFlight = this.#inFlight.filter((batch) => !isMeant(batch))
    for (const { commands } of meant) {
      this.#inFlightCommands -= commands.length
      this.#rejectAll(commands, why())
    }
  }

  #rejectAll(commands: readonly PendingCommand<Command, Reply>[], error: ClusterError): void {
    if (error.code === 'unknown') this.#unknownCount += commands.length
    for (const one of commands) {
      this.#bytes -= one.bytes
      one.reject(error)
    }
  }

  /** Batches of an earlier term whose callers were all answered; those of the last term still bound what is proposed. */
  #forgetAnswered(): void {
    const lastTerm = this.#inFlight.at(-1)?.term
    const isDone = (batch: Batch<Command, Reply>): boolean =>
      batch.commands.length === 0 && batch.term !== lastTerm
    if (this.#inFlight.some(isDone)) this.#inFlight = this.#inFlight.filter((batch) => !isDone(batch))
  }
}

function notProposed(reason: string): ClusterError {
  return new ClusterError('unavailable', `the command was not proposed: ${reason}`)
}

function unknown(reason: string): ClusterError {
  return new ClusterError('unknown', `the outcome of the command is not known: ${reason}`)
}
