/**
 * How much of its log a leader keeps for the other members.
 *
 *   firstIndex … keepAfter | still needed: by who acknowledged keepAfter last, or takes a snapshot of there | … lastIndex
 *
 * Without it, a follower that needs a snapshot under load would need the next one when that has come, for ever.
 * Invariant: an entry after the position of a snapshot that is under way, or after the last acknowledgement of a member
 * that was heard from lately, is not given up; a member that the log no longer reaches keeps nothing.
 * How many bytes that may be is up to disk-log.ts, when to compact to checkpointing.ts. Source: docs/spec.md SNAP5.
 */
import type { Progress, RawNode } from '../raft/index.ts'

export interface LogKeepingOptions {
  readonly raft: RawNode
  /** Ticks without a message after which a member is not waited for. */
  readonly silenceTicks: number
  /** The last snapshot for a member; `undefined`: none, or it failed. */
  readonly sentTo: (nodeId: number) => SentSnapshot | undefined
}

export interface SentSnapshot {
  /** Of its position. */
  readonly index: number
  /** Its rows are still on their way. */
  readonly isUnderWay: boolean
}

export class LogKeeping {
  readonly #options: LogKeepingOptions
  /** The tick of the last message from each node. */
  readonly #heardAt = new Map<number, number>()
  #leadsSince: number | undefined

  constructor(options: LogKeepingOptions) {
    this.#options = options
  }

  heard(nodeId: number, tick: number): void {
    this.#heardAt.set(nodeId, tick)
  }

  /** Only a leader knows what others have. It waits for each of them as if it had just heard from it. */
  noteRole(isLeader: boolean, tick: number): void {
    if (!isLeader) this.#leadsSince = undefined
    else this.#leadsSince ??= tick
  }

  /** The log after this index stays; `firstIndex` is where it begins now. */
  keepAfter(firstIndex: number, tick: number): number {
    const { raft } = this.#options
    if (this.#leadsSince === undefined) return Number.POSITIVE_INFINITY
    const { id, progress } = raft.status()
    const needs = [...progress.values()]
      .filter((member) => member.id !== id)
      .map((member) => this.#neededAfter(member, firstIndex, tick))
    return Math.min(Number.POSITIVE_INFINITY, ...needs)
  }

  #neededAfter({ id, match }: Progress, firstIndex: number, tick: number): number {
    const sent = this.#options.sentTo(id)
    if (sent?.isUnderWay !== true && this.#isSilent(id, tick)) return Number.POSITIVE_INFINITY
    // Since its election this leader has not heard what the member has: perhaps all that is here.
    if (sent === undefined && match === 0) return firstIndex - 1
    const has = Math.max(match, sent?.index ?? 0)
    return has < firstIndex - 1 ? Number.POSITIVE_INFINITY : has
  }

  #isSilent(nodeId: number, tick: number): boolean {
    const heardAt = Math.max(this.#heardAt.get(nodeId) ?? 0, this.#leadsSince ?? 0)
    return tick - heardAt > this.#options.silenceTicks
  }
}
