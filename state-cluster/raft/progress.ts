/**
 * What the leader knows of one follower, and how it may send to it.
 *
 * ```
 *   Probe      one append at a time, until the follower says where its log agrees
 *   Replicate  appends are sent ahead, within the in-flight window
 *   Snapshot   nothing is sent until the snapshot was installed or failed
 * ```
 *
 * Invariant: match < next, and [match + 1, next) is in flight. Source: etcd-io/raft tracker/progress.go.
 */
import type { Inflights } from './inflights.ts'

/**
 * ```
 *             becomeProbe                 becomeReplicate
 *   Snapshot ------------> Probe ---------------------------> Replicate
 *      ^                     ^  acknowledged                      |
 *      |                     +------------------------------------+
 *      +-- entries compacted        rejected or unreachable
 * ```
 */
export type ProgressStateType = 'StateProbe' | 'StateReplicate' | 'StateSnapshot'

export class Progress {
  readonly id: number
  /** The follower's log agrees with the leader's up to here. */
  match = 0
  /** The first index to send next. */
  next: number
  /** The highest commit index that was sent and may have arrived. */
  sentCommit = 0
  state: ProgressStateType = 'StateProbe'
  /** The index of the snapshot under way, in StateSnapshot; else 0. */
  pendingSnapshot = 0
  /** Heard of since the last check of the quorum. Always true of the leader itself. */
  recentActive: boolean
  /** No append until the next heartbeat response: a probe is out, or the window is full. */
  msgAppFlowPaused = false
  readonly inflights: Inflights
  isLearner: boolean

  constructor(id: number, next: number, inflights: Inflights, isLearner: boolean, recentActive: boolean) {
    this.id = id
    this.next = next
    this.inflights = inflights
    this.isLearner = isLearner
    this.recentActive = recentActive
  }

  /** A copy that shares the in-flight window: for configuration changes, which only touch `isLearner`. */
  clone(): Progress {
    return this.#copyWith(this.inflights)
  }

  /** A copy that shares nothing. */
  copy(): Progress {
    return this.#copyWith(this.inflights.copy())
  }

  #copyWith(inflights: Inflights): Progress {
    const copy = new Progress(this.id, this.next, inflights, this.isLearner, this.recentActive)
    copy.match = this.match
    copy.sentCommit = this.sentCommit
    copy.state = this.state
    copy.pendingSnapshot = this.pendingSnapshot
    copy.msgAppFlowPaused = this.msgAppFlowPaused
    return copy
  }

  becomeProbe(): void {
    // A snapshot that was sent counts as installed: continuing after it costs one rejection if it was not.
    const installed = this.state === 'StateSnapshot' ? this.pendingSnapshot : 0
    this.#resetState('StateProbe')
    this.next = Math.max(this.match, installed) + 1
    this.sentCommit = Math.min(this.sentCommit, this.next - 1)
  }

  becomeReplicate(): void {
    this.#resetState('StateReplicate')
    this.next = this.match + 1
  }

  becomeSnapshot(index: number): void {
    this.#resetState('StateSnapshot')
    this.pendingSnapshot = index
    this.next = index + 1
    this.sentCommit = index
  }

  /** `count` entries from `next` on, with `bytes` of payload, have been handed out for sending. */
  sentEntries(count: number, bytes: number): void {
    if (this.state === 'StateReplicate') {
      if (count > 0) {
        this.next += count
        this.inflights.add(this.next - 1, bytes)
      }
      this.msgAppFlowPaused = this.inflights.full()
    } else if (count > 0) {
      this.msgAppFlowPaused = true
    }
  }

  /** Whether telling `commit` can move the follower's commit index, given what was sent already. */
  canBumpCommit(commit: number): boolean {
    return commit > this.sentCommit && this.sentCommit < this.next - 1
  }

  /** The follower acknowledged `index`. False when that is old news. */
  maybeUpdate(index: number): boolean {
    if (index <= this.match) return false
    this.match = index
    if (this.next <= index) this.next = index + 1
    this.msgAppFlowPaused = false
    return true
  }

  /**
   * The follower rejected an append after index `rejected`; it may agree up to `matchHint`. Steps `next`
   * back and returns true, or returns false when the rejection is older than what is known.
   */
  maybeDecrTo(rejected: number, matchHint: number): boolean {
    if (this.state === 'StateReplicate') {
      if (rejected <= this.match) return false
      this.next = this.match + 1
      this.sentCommit = Math.min(this.sentCommit, this.match)
      return true
    }
    // While probing one append is out at a time: a rejection of another one is a duplicate.
    if (this.next - 1 !== rejected) return false
    this.next = Math.max(Math.min(rejected, matchHint + 1), this.match + 1)
    this.sentCommit = Math.min(this.sentCommit, this.next - 1)
    this.msgAppFlowPaused = false
    return true
  }

  isPaused(): boolean {
    return this.state === 'StateSnapshot' || this.msgAppFlowPaused
  }

  #resetState(state: ProgressStateType): void {
    this.msgAppFlowPaused = false
    this.pendingSnapshot = 0
    this.state = state
    this.inflights.reset()
  }
}
