/**
 * The one way into a node: a message or a tick. Sorts out terms and votes, then leaves it to the role.
 *
 * Invariant: a message of an older term changes nothing but an applied snapshot; one of a newer term makes
 * this node a follower of that term before anything else, except for pre-votes, which commit nobody to
 * anything. A node votes once a term, and only for a log that is at least as complete as its own.
 * Source: Raft dissertation §3.3, §3.4, §3.6.1, §4.2.3, §9.6; etcd-io/raft.
 */
import { hup, isTransferContext, voteRespType } from './campaign.ts'
import { stepCandidate } from './candidate.ts'
import { encodeConfChange } from './confchange-codec.ts'
import type { StepError } from './errors.ts'
import { stepFollower } from './follower.ts'
import { stepLeader } from './leader.ts'
import type { Raft } from './raft.ts'
import { entriesSize, payloadsSize } from './sizes.ts'
import { EMPTY_BYTES, type Entry, type Message, NONE, newMessage, type Snapshot } from './types.ts'

/** Handles a message. Answers null, or why it was refused. */
export function step(r: Raft, m: Message): StepError | null {
  if (m.term > r.term) {
    if (isRefusedByLease(r, m)) return null
    if (changesTerm(m)) r.becomeFollower(m.term, isFromLeader(m) ? m.from : NONE)
  } else if (m.term < r.term && m.term !== 0) {
    stepOldTerm(r, m)
    return null
  }
  switch (m.type) {
    // The common ones first.
    case 'MsgApp':
    case 'MsgAppResp':
      return stepRole(r, m)
    case 'MsgHup':
      hup(r, r.settings.preVote ? 'CampaignPreElection' : 'CampaignElection')
      return null
    case 'MsgStorageAppendResp':
      stored(r, m.term, m.index, m.logTerm, m.snapshot)
      return null
    case 'MsgStorageApplyResp':
      applied(r, m.entries)
      return null
    case 'MsgVote':
    case 'MsgPreVote':
      answerVote(r, m)
      return null
    default:
      return stepRole(r, m)
  }
}

/** Time goes by. */
export function tick(r: Raft): void {
  if (r.state === 'StateLeader') {
    tickHeartbeat(r)
    return
  }
  r.electionElapsed++
  if (r.promotable() && r.electionElapsed >= r.randomizedElectionTimeout) {
    r.electionElapsed = 0
    stepLocal(r, 'MsgHup')
  }
}

function tickHeartbeat(r: Raft): void {
  const { electionTick, heartbeatTick, checkQuorum } = r.settings
  r.heartbeatElapsed++
  r.electionElapsed++
  if (r.electionElapsed >= electionTick) {
    r.electionElapsed = 0
    if (checkQuorum) stepLocal(r, 'MsgCheckQuorum')
    // A transfer that has not happened within an election timeout is given up.
    r.leadTransferee = NONE
  }
  if (r.state !== 'StateLeader') return
  if (r.heartbeatElapsed >= heartbeatTick) {
    r.heartbeatElapsed = 0
    stepLocal(r, 'MsgBeat')
  }
}

function stepLocal(r: Raft, type: 'MsgHup' | 'MsgBeat' | 'MsgCheckQuorum'): void {
  const m = newMessage(type, r.id)
  m.from = r.id
  step(r, m)
}

function stepRole(r: Raft, m: Message): StepError | null {
  switch (r.state) {
    case 'StateLeader':
      return stepLeader(r, m)
    case 'StateFollower':
      return stepFollower(r, m)
    default:
      return stepCandidate(r, m)
  }
}

// ── Terms and votes ──────────────────────────────────────────────────────────────────────────────────

/** A node that a leader has just sent something does not help to depose it, unless the leader requested that. */
function isRefusedByLease(r: Raft, m: Message): boolean {
  if (m.type !== 'MsgVote' && m.type !== 'MsgPreVote') return false
  const { checkQuorum, electionTick } = r.settings
  const isInLease = checkQuorum && r.lead !== NONE && r.electionElapsed < electionTick
  return isInLease && !isTransferContext(m.context)
}

/** A pre-vote, and a granted one, is about a term that nobody is in yet. */
function changesTerm(m: Message): boolean {
  return m.type !== 'MsgPreVote' && !(m.type === 'MsgPreVoteResp' && !m.reject)
}

function isFromLeader(m: Message): boolean {
  return m.type === 'MsgApp' || m.type === 'MsgHeartbeat' || m.type === 'MsgSnap'
}

function stepOldTerm(r: Raft, m: Message): void {
  const { checkQuorum, preVote } = r.settings
  if ((checkQuorum || preVote) && (m.type === 'MsgHeartbeat' || m.type === 'MsgApp')) {
    // A leader that is behind may never learn this term: votes that would carry it are ignored for its lease,
    // or not asked for. This answer carries it.
    r.send(newMessage('MsgAppResp', m.from))
  } else if (m.type === 'MsgPreVote') {
    // Silence could leave a group without a leader where some candidates have higher terms but shorter logs.
    const answer = newMessage('MsgPreVoteResp', m.from)
    answer.term = r.term
    answer.reject = true
    r.send(answer)
  } else if (m.type === 'MsgStorageAppendResp') {
    stored(r, m.term, m.index, m.logTerm, m.snapshot)
  }
}

function answerVote(r: Raft, m: Message): void {
  const mayVote =
    r.vote === m.from || (r.vote === NONE && r.lead === NONE) || (m.type === 'MsgPreVote' && m.term > r.term)
  // A learner votes as well: it may be a voter by now and not know it yet.
  const isGranted = mayVote && r.log.isUpToDate(m.index, m.logTerm)
  const answer = newMessage(voteRespType(m.type), m.from)
  // A granted pre-vote repeats the term that was asked for: the own one would look outdated to the candidate.
  answer.term = isGranted ? m.term : r.term
  answer.reject = !isGranted
  r.send(answer)
  if (isGranted && m.type === 'MsgVote') {
    r.electionElapsed = 0
    r.vote = m.from
  }
}

// ── Stored and applied ───────────────────────────────────────────────────────────────────────────────

/**
 * The log up to (index, logTerm), as it was in `term`, is durable, and so is `snapshot`; 0 and null stand for
 * nothing. In a later term the entries may have been overwritten, and overwritten back, by writes that are
 * still under way: they do not count as durable. A snapshot holds what is committed in any term.
 */
export function stored(
  r: Raft,
  term: number,
  index: number,
  logTerm: number,
  snapshot: Snapshot | null,
): void {
  if (term === r.term && index !== 0) r.log.stableTo(index, logTerm)
  if (snapshot === null) return
  r.log.stableSnapTo(snapshot.metadata.index)
  appliedTo(r, snapshot.metadata.index, 0)
}

/** The state machine has applied `entries`. */
export function applied(r: Raft, entries: readonly Entry[]): void {
  if (entries.length === 0) return
  appliedTo(r, (entries[entries.length - 1] as Entry).index, entriesSize(entries))
  r.reduceUncommittedSize(payloadsSize(entries))
}

/** The state machine is at `index`, by way of entries of `size` encoded bytes. */
function appliedTo(r: Raft, index: number, size: number): void {
  const newApplied = Math.max(index, r.log.applied)
  r.log.appliedTo(newApplied, size)
  if (r.state !== 'StateLeader' || !r.trk.config.autoLeave || newApplied < r.pendingConfIndex) return
  // Dropped during a transfer of leadership; then it is tried again after the next entry, or by the next leader.
  const m = newMessage('MsgProp', NONE)
  m.entries = [
    encodeConfChange({ transition: 'ConfChangeTransitionAuto', changes: [], context: EMPTY_BYTES }),
  ]
  step(r, m)
}
