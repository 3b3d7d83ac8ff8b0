/**
 * What a node reports about itself, for operators, tests and metrics.
 *
 * Invariant: a status is a copy; it does not change with the node, and changing it changes nothing.
 */
import type { Progress } from './progress.ts'
import type { Raft } from './raft.ts'
import type { TrackerConfig } from './tracker.ts'
import type { StateType } from './types.ts'

/** Costs no more than its fields. */
export interface BasicStatus {
  id: number
  term: number
  vote: number
  commit: number
  applied: number
  lead: number
  raftState: StateType
  leadTransferee: number
}

export interface Status extends BasicStatus {
  config: TrackerConfig
  /** Of each member by ascending id, on a leader; else empty. */
  progress: ReadonlyMap<number, Progress>
}

export function basicStatusOf(r: Raft): BasicStatus {
  return {
    id: r.id,
    term: r.term,
    vote: r.vote,
    commit: r.log.committed,
    applied: r.log.applied,
    lead: r.lead,
    raftState: r.state,
    leadTransferee: r.leadTransferee,
  }
}

export function statusOf(r: Raft): Status {
  const peers = r.state === 'StateLeader' ? r.trk.peers : []
  return {
    ...basicStatusOf(r),
    config: r.trk.config,
    progress: new Map(peers.map((pr) => [pr.id, pr.copy()])),
  }
}
