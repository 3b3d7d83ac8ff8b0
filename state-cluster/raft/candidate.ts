/**
 * What candidates and pre-candidates do with messages of their term.
 *
 * They count votes, and become followers when a leader of their term appears.
 * Invariant: only answers to the current request for votes count, each node's first one.
 * Source: Raft dissertation §3.4, §9.6.
 */
import { campaign } from './campaign.ts'
import { DROPPED_NO_LEADER, type StepError } from './errors.ts'
import { handleAppendEntries, handleHeartbeat, handleSnapshot } from './follower.ts'
import type { Raft } from './raft.ts'
import { type Message, NONE } from './types.ts'

export function stepCandidate(r: Raft, m: Message): StepError | null {
  switch (m.type) {
    case 'MsgProp':
      return DROPPED_NO_LEADER
    case 'MsgApp':
      r.becomeFollower(m.term, m.from)
      handleAppendEntries(r, m)
      return null
    case 'MsgHeartbeat':
      r.becomeFollower(m.term, m.from)
      handleHeartbeat(r, m)
      return null
    case 'MsgSnap':
      r.becomeFollower(m.term, m.from)
      handleSnapshot(r, m)
      return null
    case 'MsgPreVoteResp':
      if (r.state === 'StatePreCandidate') countVote(r, m)
      return null
    case 'MsgVoteResp':
      if (r.state === 'StateCandidate') countVote(r, m)
      return null
    default:
      return null
  }
}

function countVote(r: Raft, m: Message): void {
  r.trk.recordVote(m.from, !m.reject)
  const { result } = r.trk.tallyVotes()
  if (result === 'VoteLost') {
    // A granted pre-vote carries the term that was asked for: the own term is the one to keep.
    r.becomeFollower(r.term, NONE)
  } else if (result === 'VoteWon' && r.state === 'StatePreCandidate') {
    campaign(r, 'CampaignElection')
  } else if (result === 'VoteWon') {
    r.becomeLeader()
    r.bcastAppend()
  }
}
