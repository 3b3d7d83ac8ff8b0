/**
 * The fast election: the voters campaign at once when the leader's process has ended.
 *
 * They campaign one after the other, in the order of the members, so that they do not split the votes, and without
 * waiting for the election timeout. Invariant: a voter campaigns `triesMax` times at most, and never while it knows a
 * leader; pre-vote keeps this from disturbing a leader that still lives. Where no try succeeds, the election timeout
 * takes over. Source: docs/spec.md NODE2; Raft dissertation §9.6.
 */
import type { CancelTimer } from '../../runtime/clock.ts'
import type { Timing } from '../../wire/timing.ts'
import { NONE, type RawNode } from '../raft/index.ts'

/** Between the campaigns of two voters: enough for an election over a network. */
const stepMs = 80
/** How often one voter campaigns. */
const triesMax = 3

export interface FastElectionOptions {
  readonly nodeId: number
  readonly raft: RawNode
  readonly timing: Timing
  /** Runs what a timer began, and the turn that follows from it. */
  readonly run: (work: () => void) => void
}

export class FastElection {
  readonly #options: FastElectionOptions
  #cancelTimer: CancelTimer | undefined

  constructor(options: FastElectionOptions) {
    this.#options = options
  }

  /** The process of the leader of these voters has ended. */
  begin(voters: readonly number[], leaderId: number): void {
    const { nodeId, timing } = this.#options
    const candidates = voters.filter((voter) => voter !== leaderId)
    const rank = candidates.indexOf(nodeId)
    if (rank < 0) return
    const delayMs = rank * stepMs + timing.random() * (stepMs / 4)
    this.#campaignAfter(delayMs, candidates.length * stepMs, triesMax)
  }

  end(): void {
    this.#cancelTimer?.()
  }

  /** Campaigns, and campaigns again later: at the first try the others may not know yet that the leader is gone. */
  #campaignAfter(delayMs: number, everyMs: number, triesLeft: number): void {
    const { raft, timing, run } = this.#options
    this.#cancelTimer?.()
    this.#cancelTimer = timing.clock.setTimer(delayMs, () =>
      run(() => {
        if (raft.basicStatus().lead !== NONE) return
        raft.campaign()
        if (triesLeft > 1) this.#campaignAfter(everyMs, everyMs, triesLeft - 1)
      }),
    )
  }
}
