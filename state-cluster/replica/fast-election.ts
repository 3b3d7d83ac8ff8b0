/**
 * Who stands for election when the process of the leader has ended. The voters stand one after the other, in the
 * order of the members, so that they do not split the votes and nobody waits for the election timeout. Invariant: a
 * voter stands a few times at most and never while a leader is known; pre-vote sees to it that this disturbs nobody
 * while the leader lives. After that the election timeout sees to it. Source: docs/spec.md NODE2.
 */
import type { CancelTimer } from '../../runtime/clock.ts'
import type { Timing } from '../../wire/timing.ts'
import { NONE, type RawNode } from '../raft/index.ts'

/** Between two voters that stand: enough for an election over a network. */
const successionMs = 80
/** How often a voter stands so. */
const successionsMax = 3

export class Succession {
  readonly #nodeId: number
  readonly #raft: RawNode
  readonly #timing: Timing
  /** Runs what a timer began, and the turn that follows from it. */
  readonly #run: (work: () => void) => void
  #cancelTimer: CancelTimer | undefined

  constructor(nodeId: number, raft: RawNode, timing: Timing, run: (work: () => void) => void) {
    this.#nodeId = nodeId
    this.#raft = raft
    this.#timing = timing
    this.#run = run
  }

  /** The leader of these voters is gone. */
  begin(voters: readonly number[], leaderId: number): void {
    const heirs = voters.filter((voter) => voter !== leaderId)
    const rank = heirs.indexOf(this.#nodeId)
    if (rank < 0) return
    const delayMs = rank * successionMs + this.#timing.random() * (successionMs / 4)
    this.#standAfter(delayMs, heirs.length * successionMs, successionsMax)
  }

  end(): void {
    this.#cancelTimer?.()
  }

  /** Stands now and then again: the first time, others may not have heard yet. */
  #standAfter(delayMs: number, everyMs: number, triesLeft: number): void {
    this.#cancelTimer?.()
    this.#cancelTimer = this.#timing.clock.setTimer(delayMs, () =>
      this.#run(() => {
        if (this.#raft.basicStatus().lead !== NONE) return
        this.#raft.campaign()
        if (triesLeft > 1) this.#standAfter(everyMs, everyMs, triesLeft - 1)
      }),
    )
  }
}
