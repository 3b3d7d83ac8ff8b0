/**
 * What a leading replica does with commands: gathers, stamps and proposes them.
 *
 *   propose ─► queue ─► one entry for as many commands as fit ─► Raft ─► settle: applied, the reply
 *
 * Invariant: nothing is proposed before everything that was in the log when this replica was elected is applied,
 * because only then the last stamp is known; a stamp is never less than one before it. The replica has the turns and
 * what is committed, pending-commands.ts the promises, stamp-clock.ts the time.
 * Source: docs/spec.md STORE10 to STORE12, STORE14, TIME1, TIME2.
 */
import type { Clock } from '../../runtime/clock.ts'
import { ClusterError } from '../cluster.ts'
import { type Command, commandCodes } from '../machine/commands.ts'
import type { Reply } from '../machine/events.ts'
import { type EntryTuple, encodeForLog, entryVersion, type Plain, packedSizeMax } from '../machine/index.ts'
import type { WallClocks } from '../peers/peer-clocks.ts'
import type { RawNode } from '../raft/index.ts'
import { pack } from '../storage/pack.ts'
import type { AppliedState } from './applied-state.ts'
import { type PendingCommand, PendingCommands } from './pending-commands.ts'
import type { ReplicaSettings } from './settings.ts'
import type { StampClock } from './stamp-clock.ts'

type Waiting = readonly PendingCommand<readonly Plain[], Reply>[]

export interface LeadingOptions {
  readonly raft: RawNode
  readonly settings: ReplicaSettings
  readonly clock: Clock
  readonly stampClock: StampClock
  readonly wallClocks: WallClocks
  readonly voters: () => readonly number[]
  /** As it is now: a snapshot replaces it. */
  readonly applied: () => AppliedState
}

/** How long a new leader that misses time waits for the clocks of the others before it stamps without them. */
const agreementMsMax = 1_000

export class Leading {
  /** Commands as the log holds them. */
  readonly pending: PendingCommands<readonly Plain[], Reply>
  readonly #options: LeadingOptions
  /** The first entry of this leader's term; when it is applied, so is all that was before. */
  #leadsFrom: number | undefined
  #lastStampMs = 0
  /** The entry by which this leader shifts house time: a stamp made before it is applied would not fit after it. */
  #shiftIndex = 0
  /** By the monotonic clock: until then a leader that misses time waits for agreement. */
  #agreementUntilMs = 0

  constructor(options: LeadingOptions) {
    this.#options = options
    this.pending = new PendingCommands(options.settings)
  }

  get isLeader(): boolean {
    return this.#leadsFrom !== undefined
  }

  /** A new leader knows the last stamp only when it has applied everything before its own first entry. */
  get isReady(): boolean {
    return this.#leadsFrom !== undefined && this.#options.applied().appliedIndex >= this.#leadsFrom
  }

  /** Takes a command into the queue; refuses one that would end every replica. Rejects with ClusterError. */
  propose(command: Command, tick: number): Promise<Reply> {
    if (!this.isLeader) {
      return Promise.reject(new ClusterError('unavailable', 'this replica does not lead the group'))
    }
    const encoded = encodeForLog(command)
    if ('ok' in encoded) return Promise.resolve(encoded)
    const { proposalTimeoutMs, tickMs } = this.#options.settings
    const untilTick = tick + Math.ceil(proposalTimeoutMs / tickMs)
    return this.pending.add(encoded, packedSizeMax(encoded), untilTick)
  }

  /** Raft may have another role than before. */
  noteRole(): void {
    const { raft } = this.#options
    if (!raft.isLeader) {
      this.#leadsFrom = undefined
      this.pending.dropQueued('this replica does not lead the group any more')
    } else if (this.#leadsFrom === undefined) {
      this.#leadsFrom = raft.lastIndex
      // What an earlier leadership stamped is in the log, or was never committed.
      this.#lastStampMs = 0
      this.#shiftIndex = 0
      this.#agreementUntilMs = this.#options.clock.monotonicMs() + agreementMsMax
    }
  }

  /** Rejects what has waited too long or cannot be proposed here. */
  expire(tick: number): void {
    this.pending.expire(tick)
    if (!this.isLeader) this.pending.dropQueued('another replica leads the group')
  }

  /** What is queued becomes entries, one for as many commands as fit. */
  proposeQueued(): void {
    const { raft, settings } = this.#options
    const { entriesInFlightMax, commandsPerEntryMax } = settings
    const { pending } = this
    if (!this.isReady || !this.#hasTime()) return
    while (pending.queuedCommands > 0 && pending.inFlightEntriesOf(raft.term) < entriesInFlightMax) {
      const { commands, isShift } = upToShift(pending.peek(commandsPerEntryMax))
      if (this.#isShifting || (isShift && pending.inFlightEntriesOf(raft.term) > 0)) return
      const atMs = this.#stampMs()
      const { data, count } = this.#encode(commands, atMs)
      // Dropped while leadership is handed over, or while too much is uncommitted: it stays queued.
      if (raft.propose(data) !== null) return
      this.#lastStampMs = isShift ? 0 : atMs
      if (isShift) this.#shiftIndex = raft.lastIndex
      pending.proposed(count, raft.lastIndex, raft.term)
    }
  }

  end(error: ClusterError): void {
    this.#leadsFrom = undefined
    this.pending.end(error)
  }

  /** House time is corrected while this replica leads. */
  correctTime(): void {
    const { stampClock, wallClocks, voters } = this.#options
    if (this.isReady) stampClock.correct(wallClocks.agreed(voters()))
  }

  get #isShifting(): boolean {
    return this.#shiftIndex > this.#options.applied().appliedIndex
  }

  /** Whether entries can be stamped: no time is missing, or no agreement came in time. */
  #hasTime(): boolean {
    const { stampClock, wallClocks, voters, clock } = this.#options
    if (!stampClock.isCounted) this.correctTime()
    if (stampClock.isCounted) return true
    if (clock.monotonicMs() < this.#agreementUntilMs) return false
    stampClock.passed(wallClocks.passed(voters()))
    if (stampClock.nowMs() === 0) stampClock.begin(clock.nowMs())
    return true
  }

  #stampMs(): number {
    const { stampClock, applied } = this.#options
    return Math.max(Math.floor(stampClock.nowMs()), this.#lastStampMs, applied().state.house.lastAtMs)
  }

  /** One entry of the first commands, of at most `entryBytesMax` bytes unless a single command is bigger. */
  #encode(waiting: Waiting, atMs: number): { data: Uint8Array; count: number } {
    const { entryBytesMax } = this.#options.settings
    let commands = waiting.map((one) => one.command)
    for (;;) {
      const entry: EntryTuple = [entryVersion, atMs, commands]
      const data = pack(entry)
      const count = commands.length
      if (data.length <= entryBytesMax || count === 1) return { data, count }
      commands = commands.slice(0, Math.ceil(count / 2))
    }
  }
}

/** The commands before the first that shifts house time, or that one alone. */
function upToShift(waiting: Waiting): { readonly commands: Waiting; readonly isShift: boolean } {
  const at = waiting.findIndex(({ command }) => command[0] === commandCodes.shift_clock)
  return { commands: at < 0 ? waiting : waiting.slice(0, Math.max(1, at)), isShift: at === 0 }
}
