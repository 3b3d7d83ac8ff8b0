/**
 * The active configuration, its members' progress, and the votes of a running election.
 *
 * Invariant: there is a Progress for each voter (of either half) and each learner, and for no one else;
 * nobody is voter and learner at once (a voter of the outgoing half that is to become a learner waits in
 * `learnersNext`). Configurations are immutable; a change swaps them. Source: etcd-io/raft tracker/.
 */
import { Inflights } from './inflights.ts'
import { Progress } from './progress.ts'
import { type AckedIndexer, JointConfig, MajorityConfig, type VoteResult } from './quorum.ts'
import type { ConfState } from './types.ts'

/** A configuration. Lists ascend. */
export interface TrackerConfig {
  readonly voters: JointConfig
  readonly learners: readonly number[]
  readonly learnersNext: readonly number[]
  readonly autoLeave: boolean
}

export type ProgressMap = ReadonlyMap<number, Progress>

export const EMPTY_TRACKER_CONFIG: TrackerConfig = {
  voters: new JointConfig(new MajorityConfig()),
  learners: [],
  learnersNext: [],
  autoLeave: false,
}

export interface VoteTally {
  granted: number
  rejected: number
  result: VoteResult
}

export class ProgressTracker implements AckedIndexer {
  readonly maxInflight: number
  readonly maxInflightBytes: number
  config: TrackerConfig = EMPTY_TRACKER_CONFIG
  progress: ProgressMap = new Map()
  /** The same progresses by ascending id: what hot paths walk. */
  peers: readonly Progress[] = []
  votes = new Map<number, boolean>()

  constructor(maxInflight: number, maxInflightBytes: number) {
    this.maxInflight = maxInflight
    this.maxInflightBytes = maxInflightBytes
  }

  /** Swaps in a configuration together with its progresses. */
  use(config: TrackerConfig, progress: ProgressMap): void {
    this.config = config
    this.progress = progress
    this.peers = [...progress.values()].sort((a, b) => a.id - b.id)
  }

  /** The progress of a member. Groups are small: looking through them beats a map. */
  get(id: number): Progress | undefined {
    const { peers } = this
    for (let i = 0; i < peers.length; i++) {
      const pr = peers[i] as Progress
      if (pr.id === id) return pr
    }
    return undefined
  }

  newProgress(id: number, next: number, isLearner: boolean, recentActive: boolean): Progress {
    const inflights = new Inflights(this.maxInflight, this.maxInflightBytes)
    return new Progress(id, next, inflights, isLearner, recentActive)
  }

  /** Forgets all that was known of everyone's log, as at the start of a term. */
  resetProgress(next: number): void {
    const fresh = this.peers.map((pr) => this.newProgress(pr.id, next, pr.isLearner, false))
    this.use(this.config, new Map(fresh.map((pr) => [pr.id, pr])))
  }

  confState(): ConfState {
    const { voters, learners, learnersNext, autoLeave } = this.config
    return {
      voters: voters.incoming.ids,
      learners,
      votersOutgoing: voters.outgoing.ids,
      learnersNext,
      autoLeave,
    }
  }

  ackedIndex(id: number): number {
    const pr = this.get(id)
    return pr === undefined ? -1 : pr.match
  }

  /** The highest index that the voters' acknowledgements commit, if its term allows. */
  committed(): number {
    return this.config.voters.committedIndex(this)
  }

  /** Whether a quorum has answered since the last check. */
  quorumActive(): boolean {
    const active = new Map<number, boolean>()
    for (const pr of this.peers) if (!pr.isLearner) active.set(pr.id, pr.recentActive)
    return this.config.voters.voteResult(active) === 'VoteWon'
  }

  resetVotes(): void {
    this.votes = new Map()
  }

  /** A node's first answer counts. */
  recordVote(id: number, granted: boolean): void {
    if (!this.votes.has(id)) this.votes.set(id, granted)
  }

  tallyVotes(): VoteTally {
    let granted = 0
    let rejected = 0
    for (const pr of this.peers) {
      const vote = pr.isLearner ? undefined : this.votes.get(pr.id)
      if (vote === true) granted++
      else if (vote === false) rejected++
    }
    return { granted, rejected, result: this.config.voters.voteResult(this.votes) }
  }
}
