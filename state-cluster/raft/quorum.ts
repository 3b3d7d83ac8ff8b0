/**
 * Quorums: what a majority, or two majorities at once, have agreed on.
 *
 * Invariant: in a joint configuration both halves decide; an empty half agrees with everything, so a
 * plain configuration is a joint one whose outgoing half is empty. Pure, and free of allocation in
 * `committedIndex` up to seven voters. Source: Raft dissertation §4.3; etcd-io/raft quorum/.
 */

export type VoteResult = 'VotePending' | 'VoteLost' | 'VoteWon'

/** What an empty configuration has committed: everything. */
export const COMMITTED_ALL = Number.POSITIVE_INFINITY

/** Who has acknowledged how far. */
export interface AckedIndexer {
  /** The highest index that the voter acknowledged; -1 when it has not answered. */
  ackedIndex(id: number): number
}

const scratch = new Float64Array(7)

/** A set of voters of which more than half must agree. Immutable. */
export class MajorityConfig {
  /** Ascending. */
  readonly ids: readonly number[]

  constructor(ids: Iterable<number> = []) {
    this.ids = Object.freeze([...new Set(ids)].sort((a, b) => a - b))
  }

  get size(): number {
    return this.ids.length
  }

  has(id: number): boolean {
    return this.ids.includes(id)
  }

  /** The highest index that a majority acknowledged: the element at position ⌊(n-1)/2⌋ from below. */
  committedIndex(acked: AckedIndexer): number {
    const ids = this.ids
    const n = ids.length
    if (n === 0) return COMMITTED_ALL
    const sorted = n <= scratch.length ? scratch : new Float64Array(n)
    for (let i = 0; i < n; i++) {
      const index = Math.max(acked.ackedIndex(ids[i] as number), 0)
      let at = i
      for (; at > 0 && (sorted[at - 1] as number) > index; at--) sorted[at] = sorted[at - 1] as number
      sorted[at] = index
    }
    return sorted[(n - 1) >> 1] as number
  }

  /** `votes` may hold votes of others; a voter that is not in it has not voted yet. */
  voteResult(votes: ReadonlyMap<number, boolean>): VoteResult {
    const n = this.ids.length
    if (n === 0) return 'VoteWon'
    let granted = 0
    let missing = 0
    for (const id of this.ids) {
      const vote = votes.get(id)
      if (vote === undefined) missing++
      else if (vote) granted++
    }
    const quorum = (n >> 1) + 1
    if (granted >= quorum) return 'VoteWon'
    return granted + missing >= quorum ? 'VotePending' : 'VoteLost'
  }

  toString(): string {
    return `(${this.ids.join(' ')})`
  }
}

/** The voters before (outgoing) and after (incoming) a change; outgoing is empty when no change is on. */
export class JointConfig {
  readonly incoming: MajorityConfig
  readonly outgoing: MajorityConfig

  constructor(incoming: MajorityConfig, outgoing: MajorityConfig = new MajorityConfig()) {
    this.incoming = incoming
    this.outgoing = outgoing
  }

  get isJoint(): boolean {
    return this.outgoing.ids.length > 0
  }

  has(id: number): boolean {
    return this.incoming.has(id) || this.outgoing.has(id)
  }

  /** The voters of both halves, ascending. */
  ids(): readonly number[] {
    return this.isJoint
      ? new MajorityConfig([...this.incoming.ids, ...this.outgoing.ids]).ids
      : this.incoming.ids
  }

  committedIndex(acked: AckedIndexer): number {
    const incoming = this.incoming.committedIndex(acked)
    return this.isJoint ? Math.min(incoming, this.outgoing.committedIndex(acked)) : incoming
  }

  voteResult(votes: ReadonlyMap<number, boolean>): VoteResult {
    const incoming = this.incoming.voteResult(votes)
    const outgoing = this.outgoing.voteResult(votes)
    if (incoming === outgoing) return incoming
    return incoming === 'VoteLost' || outgoing === 'VoteLost' ? 'VoteLost' : 'VotePending'
  }

  toString(): string {
    return this.isJoint ? `${this.incoming}&&${this.outgoing}` : `${this.incoming}`
  }
}
