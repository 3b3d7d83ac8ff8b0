/**
 * Sends commands to the leaders of their groups, and repeats them.
 *
 *   new ──leader known──► sent ──reply──► settled
 *                         │  ▲
 *                         ▼  │ at the pace of repeat-pace.ts
 *                        repeats   (nothing was proposed, or it may be repeated; otherwise settled as `unknown`)
 *
 * A command may be repeated, under its request id and with its age, if it counts once however often it is proposed.
 * Invariant: every
 * command settles once, at the latest at its deadline; it is `unavailable` or `overloaded` only if it was certainly
 * not proposed; the waiting commands are bounded. Source: docs/spec.md LINK5 to LINK7, LINK12, LINK13.
 */
import type { GroupId } from '../../../protocol/ids.ts'
import { assert } from '../../../runtime/assert.ts'
import type { CancelTimer } from '../../../runtime/clock.ts'
import { TransportError } from '../../../wire/errors.ts'
import type { Timing } from '../../../wire/timing.ts'
import { ClusterError, type ClusterErrorCode } from '../../cluster.ts'
import type { Command } from '../../machine/commands.ts'
import type { Reply } from '../../machine/events.ts'
import {
  commandBytesMax,
  commandBytesPerRequestMax,
  commandsPerRequestMax,
  decodeProposeDone,
  encodeCommandBytes,
  encodePropose,
  type Failure,
  type ReplyBody,
} from '../wire.ts'
import type { Leaders } from './leaders.ts'
import type { NodeLink } from './node-link.ts'
import { RepeatPace } from './repeat-pace.ts'

export interface ProposalLimits {
  /** From `propose` to the deadline of its outcome. */
  readonly proposalTimeoutMs: number
  /** A repeatable command without a reply is sent again after this time. */
  readonly attemptTimeoutMs: number
  readonly commandsMax: number
  readonly commandBytesMax: number
}

export interface RetryQueueOptions {
  readonly timing: Timing
  readonly limits: ProposalLimits
  readonly leaders: Leaders
  /** Called with the index of the state that an answer shows. */
  readonly noteIndex: (groupId: GroupId, index: number) => void
  readonly count: CountLink
}

/** Commands that have to be sent again, or whose outcome nobody knows. */
export type CountLink = (what: 'repeat' | 'unknown', count: number) => void

interface Pending {
  /** The number of the command in this queue, rising. */
  readonly order: number
  readonly command: Command
  readonly proposedMs: number
  /** Of a repeat, the command with its age. */
  bytes: Uint8Array
  readonly mayRepeat: boolean
  readonly deadlineMs: number
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: ClusterError) => void
  /** The last attempt, while it is open. */
  attempt: Attempt | undefined
  /** The node whose connection ended instead of an answer. */
  lostOn: NodeLink | undefined
  /** An attempt ended, and the command may have been proposed. */
  isUncertain: boolean
  isSettled: boolean
}

/** The commands of one group. */
interface Lane {
  readonly groupId: GroupId
  /** Never sent. */
  fresh: Pending[]
  /** Sent before. */
  repeats: Pending[]
  readonly pace: RepeatPace<Attempt>
  /** The leader to which the pace applies. */
  node: NodeLink | undefined
  term: number
}

interface Attempt {
  readonly lane: Lane
  readonly node: NodeLink
  readonly term: number
  readonly sentMs: number
  readonly commands: readonly Pending[]
}

/** How often deadlines are checked. */
const sweepMs = 50

export class RetryQueue {
  readonly #timing: Timing
  readonly #limits: ProposalLimits
  readonly #leaders: Leaders
  readonly #noteIndex: (groupId: GroupId, index: number) => void
  readonly #count: CountLink
  readonly #lanes = new Map<GroupId, Lane>()
  /** In order of deadline. */
  readonly #pending = new Set<Pending>()
  /** In order of sending. */
  readonly #attempts = new Set<Attempt>()
  #lastOrder = 0
  #bytes = 0
  #flushAwaited = false
  #cancelSweep: CancelTimer | undefined
  #closed = false

  constructor({ timing, limits, leaders, noteIndex, count }: RetryQueueOptions) {
    this.#timing = timing
    this.#limits = limits
    this.#leaders = leaders
    this.#noteIndex = noteIndex
    this.#count = count
  }

  /** Commands without an outcome. */
  get count(): number {
    return this.#pending.size
  }

  propose(groupId: GroupId, command: Command): Promise<Reply> {
    const { proposalTimeoutMs, commandsMax, commandBytesMax: bytesMax } = this.#limits
    if (this.#closed) return Promise.reject(errorOf('stopped'))
    if (this.#pending.size >= commandsMax || this.#bytes >= bytesMax) {
      return Promise.reject(errorOf('overloaded'))
    }
    const bytes = encodeCommandBytes(command)
    assert(bytes.length <= commandBytesMax, `a command has at most ${commandBytesMax} bytes`)
    return new Promise((resolve, reject) => {
      const proposedMs = this.#timing.clock.monotonicMs()
      const pending: Pending = {
        order: ++this.#lastOrder,
        command,
        proposedMs,
        bytes,
        mayRepeat: mayRepeat(command),
        deadlineMs: proposedMs + proposalTimeoutMs,
        resolve,
        reject,
        attempt: undefined,
        lostOn: undefined,
        isUncertain: false,
        isSettled: false,
      }
      this.#pending.add(pending)
      this.#bytes += bytes.length
      this.#laneOf(groupId).fresh.push(pending)
      this.flushSoon()
      this.#sweepLater()
    })
  }

  /** After this turn, sends the queued commands of groups with a known leader. */
  flushSoon(): void {
    if (this.#flushAwaited) return
    this.#flushAwaited = true
    this.#timing.afterTurn(() => {
      this.#flushAwaited = false
      for (const lane of this.#lanes.values()) this.#flush(lane)
    })
  }

  /** Open attempts at another node are repeated at the new leader, if there is one and they may be repeated. */
  leaderChanged(groupId: GroupId): void {
    const leader = this.#leaders.of(groupId)
    if (leader === undefined) return
    const lane = this.#laneOf(groupId)
    const term = this.#leaders.termOf(groupId)
    if (term !== lane.term) lane.pace.open()
    lane.term = term
    for (const attempt of this.#attempts) {
      if (attempt.lane === lane && attempt.node !== leader) this.#giveUp(attempt)
    }
    this.flushSoon()
  }

  close(): void {
    this.#closed = true
    this.#cancelSweep?.()
    for (const { pace } of this.#lanes.values()) pace.open()
    for (const pending of this.#pending) {
      this.#reject(pending, pending.isUncertain || pending.attempt !== undefined ? 'unknown' : 'stopped')
    }
    this.#lanes.clear()
    this.#attempts.clear()
  }

  #laneOf(groupId: GroupId): Lane {
    let lane = this.#lanes.get(groupId)
    if (lane === undefined) {
      const pace = new RepeatPace<Attempt>(this.#timing, () => this.flushSoon())
      lane = { groupId, fresh: [], repeats: [], pace, node: undefined, term: 0 }
      this.#lanes.set(groupId, lane)
    }
    return lane
  }

  #flush(lane: Lane): void {
    const node = this.#leaders.of(lane.groupId)
    if (node === undefined) return
    if (node !== lane.node) lane.pace.open()
    lane.node = node
    if (lane.pace.isOpen || lane.pace.mayTry) lane.repeats.sort((a, b) => a.order - b.order)
    if (lane.pace.isOpen) this.#sendAll(lane, lane.repeats, node)
    this.#sendAll(lane, lane.fresh, node)
    if (!lane.pace.isOpen) this.#repeat(lane, node)
  }

  #sendAll(lane: Lane, queue: Pending[], node: NodeLink): void {
    while (queue.length > 0) {
      const [taken, commands] = nextBatch(queue)
      if (commands.length > 0 && this.#send(lane, node, commands) === undefined) return
      queue.splice(0, taken)
    }
  }

  /** Sends one batch to a leader in trouble, if the pace allows it. */
  #repeat(lane: Lane, node: NodeLink): void {
    if (!lane.pace.mayTry) return
    const [taken, commands] = nextBatch(lane.repeats)
    if (commands.length > 0) {
      const attempt = this.#send(lane, node, commands)
      if (attempt === undefined) return
      lane.pace.tries(attempt)
    } else lane.pace.open()
    lane.repeats.splice(0, taken)
  }

  /** `undefined`: the node has no room. */
  #send(lane: Lane, node: NodeLink, commands: readonly Pending[]): Attempt | undefined {
    const { groupId, term } = lane
    const attempt: Attempt = { lane, node, term, sentMs: this.#timing.clock.monotonicMs(), commands }
    const bytes = commands.map((pending) => this.#bytesOf(pending, attempt.sentMs))
    const taken = node.request(
      (id) => encodePropose(id, groupId, bytes),
      (outcome) => this.#answered(attempt, outcome),
    )
    if (!taken) return undefined
    this.#attempts.add(attempt)
    for (const pending of commands) pending.attempt = attempt
    return attempt
  }

  /** A repeat says how old it is, so that it is never taken for a first sending. */
  #bytesOf(pending: Pending, nowMs: number): Uint8Array {
    const { command, isUncertain } = pending
    if (!isUncertain || !('requestId' in command)) return pending.bytes
    const ageMs = (command.ageMs ?? 0) + Math.max(1, Math.ceil(nowMs - pending.proposedMs))
    const bytes = encodeCommandBytes({ ...command, ageMs })
    this.#bytes += bytes.length - pending.bytes.length
    pending.bytes = bytes
    return bytes
  }

  #answered(attempt: Attempt, outcome: ReplyBody | TransportError): void {
    const { lane, node, commands } = attempt
    if (outcome instanceof TransportError) {
      this.#lost(attempt)
      this.#failed(attempt, commands, 'unknown')
    } else if (outcome.failure !== undefined) {
      if (outcome.leader !== undefined) this.#leaders.set(node, lane.groupId, outcome.leader)
      this.#failed(attempt, commands, outcome.failure)
    } else {
      const { index, outcomes } = decodeProposeDone(outcome.fields)
      assert(outcomes.length === commands.length, 'every command has an outcome')
      this.#noteIndex(lane.groupId, index)
      for (const [at, pending] of commands.entries()) {
        const reply = outcomes[at] as Reply | Failure
        if (typeof reply === 'string') this.#failed(attempt, [pending], reply)
        else this.#resolve(pending, reply)
      }
    }
    this.#attempts.delete(attempt)
    lane.pace.answered(attempt)
    if (lane.repeats.length > 0) this.flushSoon()
  }

  /** The connection ended, perhaps because of these commands, so none of them is sent to a third node. */
  #lost(attempt: Attempt): void {
    for (const pending of attempt.commands) {
      if (pending.lostOn !== undefined && pending.lostOn !== attempt.node) this.#reject(pending, 'unknown')
      pending.lostOn = attempt.node
    }
  }

  /** Rejects or requeues the commands of an attempt that brought no reply. */
  #failed(attempt: Attempt, commands: readonly Pending[], failure: Failure): void {
    const again: Pending[] = []
    for (const pending of commands) {
      // An earlier attempt settled it, or a later one is in progress.
      if (pending.isSettled || pending.attempt !== attempt) continue
      pending.attempt = undefined
      if (failure === 'unknown') pending.isUncertain = true
      if (failure === 'unknown' && !pending.mayRepeat) this.#reject(pending, 'unknown')
      else if (failure === 'overloaded' && !pending.isUncertain) this.#reject(pending, 'overloaded')
      else again.push(pending)
    }
    if (again.length === 0 || this.#closed) return
    const { lane, node, term } = attempt
    lane.repeats.push(...again)
    this.#count('repeat', again.length)
    if (node === lane.node && term === lane.term) lane.pace.trouble(attempt)
    this.flushSoon()
  }

  /** Stops waiting for the reply of an attempt; a late reply still counts. */
  #giveUp(attempt: Attempt): void {
    this.#attempts.delete(attempt)
    const repeatable = attempt.commands.filter((pending) => pending.mayRepeat)
    this.#failed(attempt, repeatable, 'unknown')
  }

  #sweepLater(): void {
    if (this.#cancelSweep !== undefined) return
    this.#cancelSweep = this.#timing.clock.setTimer(sweepMs, () => {
      this.#cancelSweep = undefined
      this.#sweep()
      if (this.#pending.size > 0) this.#sweepLater()
    })
  }

  #sweep(): void {
    const nowMs = this.#timing.clock.monotonicMs()
    const { size } = this.#pending
    for (const pending of this.#pending) {
      if (pending.deadlineMs > nowMs) break
      this.#reject(pending, pending.isUncertain || pending.attempt !== undefined ? 'unknown' : 'unavailable')
    }
    if (this.#pending.size < size) this.#forgetSettled()
    for (const attempt of this.#attempts) {
      if (attempt.sentMs + this.#limits.attemptTimeoutMs > nowMs) break
      this.#giveUp(attempt)
    }
  }

  #forgetSettled(): void {
    for (const lane of this.#lanes.values()) {
      lane.fresh = lane.fresh.filter((pending) => !pending.isSettled)
      lane.repeats = lane.repeats.filter((pending) => !pending.isSettled)
    }
  }

  #resolve(pending: Pending, reply: Reply): void {
    if (this.#settle(pending)) pending.resolve(reply)
  }

  #reject(pending: Pending, code: ClusterErrorCode): void {
    if (!this.#settle(pending)) return
    if (code === 'unknown') this.#count('unknown', 1)
    pending.reject(errorOf(code))
  }

  #settle(pending: Pending): boolean {
    if (pending.isSettled) return false
    pending.isSettled = true
    pending.attempt = undefined
    this.#pending.delete(pending)
    this.#bytes -= pending.bytes.length
    return true
  }
}

/** How many of the first commands fit one request, and which of them are not settled. */
function nextBatch(queue: readonly Pending[]): [taken: number, commands: Pending[]] {
  const commands: Pending[] = []
  let bytes = 0
  let taken = 0
  for (const pending of queue) {
    if (!pending.isSettled) {
      if (commands.length === commandsPerRequestMax) break
      if (commands.length > 0 && bytes + pending.bytes.length > commandBytesPerRequestMax) break
      commands.push(pending)
      bytes += pending.bytes.length
    }
    taken++
  }
  return [taken, commands]
}

const repeatable: ReadonlySet<Command['type']> = new Set<Command['type']>([
  'conduct',
  'acknowledge_positions',
  'acquire_monitor_lease',
  'reassign',
  'release_server',
  'revoke_tokens',
])

/**
 * Whether a command counts once however often it is proposed: by its request id, or because it is idempotent. A second
 * `enlist_server` would make another epoch; a second `configure_house` could undo a later one.
 */
function mayRepeat(command: Command): boolean {
  return 'requestId' in command || repeatable.has(command.type)
}

const errorTexts: Readonly<Record<ClusterErrorCode, string>> = {
  unavailable: 'no leader could be reached: nothing was proposed',
  unknown: 'it is not known whether it was proposed: send it again with the same request id',
  overloaded: 'too many commands are waiting: nothing was proposed',
  stopped: 'this link is closed',
}

function errorOf(code: ClusterErrorCode): ClusterError {
  return new ClusterError(code, errorTexts[code])
}
