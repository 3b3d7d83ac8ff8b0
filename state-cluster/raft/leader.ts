/**
 * What a leader does with messages of its term: proposals, acknowledgements, reads, transfers.
 *
 * Invariant: there is one leader a term, and it only ever appends to its log. What an acknowledgement
 * commits is sent to everyone at once; what it frees in the in-flight window is filled again.
 * Source: Raft dissertation §3.5, §3.6, §3.10, §6.4; etcd-io/raft.
 */
import { fail } from './assert.ts'
import { asV2, decodeConfChange } from './confchange-codec.ts'
import {
  DROPPED_NOT_A_MEMBER,
  DROPPED_TOO_MANY_BYTES,
  DROPPED_TRANSFERRING,
  type StepError,
} from './errors.ts'
import type { Progress } from './progress.ts'
import type { Raft } from './raft.ts'
import { EMPTY_BYTES, type Entry, type Message, NONE, newEntry, newMessage } from './types.ts'

export function stepLeader(r: Raft, m: Message): StepError | null {
  switch (m.type) {
    case 'MsgAppResp':
      stepLeaderAbout(r, m)
      return null
    case 'MsgProp':
      return propose(r, m)
    case 'MsgBeat':
      // A quorum that has shrunk meanwhile may be content with what it has, and no answer may ever come.
      answerConfirmedReads(r)
      r.bcastHeartbeat()
      return null
    case 'MsgCheckQuorum':
      checkQuorum(r)
      return null
    case 'MsgReadIndex':
      requestRead(r, m)
      return null
    case 'MsgApp':
    case 'MsgHeartbeat':
    case 'MsgSnap':
      return fail('a term has one leader', { ...r.facts(), other: m.from, type: m.type })
    default:
      stepLeaderAbout(r, m)
      return null
  }
}

/** Messages about, or from, one member. Those of strangers are ignored. */
function stepLeaderAbout(r: Raft, m: Message): void {
  const pr = r.trk.get(m.from)
  if (pr === undefined) return
  switch (m.type) {
    case 'MsgAppResp':
      pr.recentActive = true
      if (m.reject) handleRejection(r, m, pr)
      else handleAcceptance(r, m, pr)
      break
    case 'MsgHeartbeatResp':
      handleHeartbeatResponse(r, m, pr)
      break
    case 'MsgSnapStatus':
      handleSnapshotStatus(m, pr)
      break
    case 'MsgUnreachable':
      // An append that was sent ahead is most likely lost.
      if (pr.state === 'StateReplicate') pr.becomeProbe()
      break
    case 'MsgTransferLeader':
      transferLeader(r, pr)
      break
    default:
      break
  }
}

// ── Proposals ────────────────────────────────────────────────────────────────────────────────────────

function propose(r: Raft, m: Message): StepError | null {
  if (m.entries.length === 0) fail('a proposal proposes something', { ...r.facts(), from: m.from })
  if (r.trk.get(r.id) === undefined) return DROPPED_NOT_A_MEMBER
  if (r.leadTransferee !== NONE) return DROPPED_TRANSFERRING
  const pendingBefore = r.pendingConfIndex
  if (!r.appendEntries(withoutRefusedChanges(r, m.entries))) {
    // A change that was dropped must not keep the next one waiting.
    r.pendingConfIndex = pendingBefore
    return DROPPED_TOO_MANY_BYTES
  }
  r.bcastAppend()
  return null
}

/** A configuration change that may not be made now is replaced by an empty entry, so that indexes stay. */
function withoutRefusedChanges(r: Raft, entries: readonly Entry[]): readonly Entry[] {
  let kept = entries
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i] as Entry
    if (entry.type === 'EntryNormal') continue
    if (mayChangeConfig(r, entry)) {
      r.pendingConfIndex = r.log.lastIndex() + i + 1
    } else {
      if (kept === entries) kept = entries.slice()
      ;(kept as Entry[])[i] = newEntry('EntryNormal', EMPTY_BYTES)
    }
  }
  return kept
}

/** One change at a time, and a joint configuration is left before the next. A best effort: see Config. */
function mayChangeConfig(r: Raft, entry: Entry): boolean {
  const change = asV2(decodeConfChange(entry))
  if (r.settings.disableConfChangeValidation) return true
  if (r.pendingConfIndex > r.log.applied) return false
  const wantsToLeave = change.changes.length === 0
  return r.trk.config.voters.isJoint === wantsToLeave
}

// ── Acknowledgements ─────────────────────────────────────────────────────────────────────────────────

/**
 * The follower's log does not have the entry before an append. Its hint is the highest (index, term) of its
 * log that may agree. All entries here with a higher term than the hint's, at or below the hinted index,
 * cannot agree either: had the follower one of them, its term at the hint would be as high. So
 *
 * ```
 *   index      1 2 3 4 5 6 7 8 9
 *   leader     1 3 3 3 5 5 5 5 5     append after 9, rejected with the hint (6, term 2)
 *   follower   1 1 1 1 2 2           next probe after 1, not after 6
 * ```
 *
 * and one probe per term is enough. The follower skips in the same way on its side.
 */
function handleRejection(r: Raft, m: Message, pr: Progress): void {
  const nextProbe = m.logTerm > 0 ? r.log.findConflictByTerm(m.rejectHint, m.logTerm) : m.rejectHint
  if (!pr.maybeDecrTo(m.index, nextProbe)) return
  if (pr.state === 'StateReplicate') pr.becomeProbe()
  r.sendAppend(pr)
}

function handleAcceptance(r: Raft, m: Message, pr: Progress): void {
  // An acknowledgement that is no news still says that a probe got through.
  if (!pr.maybeUpdate(m.index) && !(pr.match === m.index && pr.state === 'StateProbe')) return
  if (pr.state === 'StateReplicate') {
    pr.inflights.freeLE(m.index)
  } else if (pr.state === 'StateProbe') {
    pr.becomeReplicate()
  } else if (pr.match + 1 >= r.log.firstIndex()) {
    // Whatever snapshot it was that the follower got, the log reaches from there on. By way of probing, which
    // takes the snapshot into account.
    pr.becomeProbe()
    pr.becomeReplicate()
  }
  // An acknowledgement of what is committed already commits nothing more.
  if (pr.match > r.log.committed && r.maybeCommit()) {
    releasePendingReads(r)
    r.bcastAppend()
  } else if (pr.id !== r.id && pr.canBumpCommit(r.log.committed)) {
    r.sendAppend(pr)
  }
  if (pr.id !== r.id) {
    // Room in the window, or a probe that succeeded, may allow for several messages.
    let isMore = true
    while (isMore) isMore = r.maybeSendAppend(pr, false)
  }
  if (pr.id === r.leadTransferee && pr.match === r.log.lastIndex()) sendTimeoutNow(r, pr.id)
}

function handleHeartbeatResponse(r: Raft, m: Message, pr: Progress): void {
  pr.recentActive = true
  pr.msgAppFlowPaused = false
  // In a full window this sends an empty append, which recovers from the loss of all that filled it. A
  // follower that has everything but is being probed needs one to be replicated to again.
  if (pr.match < r.log.lastIndex() || pr.state === 'StateProbe') r.sendAppend(pr)
  if (m.context.length === 0) return
  r.readOnly.recvAck(m.from, m.context)
  answerConfirmedReads(r)
}

function handleSnapshotStatus(m: Message, pr: Progress): void {
  if (pr.state !== 'StateSnapshot') return
  // After a failure the snapshot does not count as installed.
  if (m.reject) pr.pendingSnapshot = 0
  pr.becomeProbe()
  // The follower's acknowledgement, or the next heartbeat's, resumes the flow.
  pr.msgAppFlowPaused = true
}

// ── Leadership ───────────────────────────────────────────────────────────────────────────────────────

function checkQuorum(r: Raft): void {
  if (!r.trk.quorumActive()) r.becomeFollower(r.term, NONE)
  for (const pr of r.trk.peers) if (pr.id !== r.id) pr.recentActive = false
}

function transferLeader(r: Raft, pr: Progress): void {
  if (pr.isLearner || r.leadTransferee === pr.id) return
  r.leadTransferee = NONE
  if (pr.id === r.id) return
  // It has one election timeout, counted from here.
  r.electionElapsed = 0
  r.leadTransferee = pr.id
  if (pr.match === r.log.lastIndex()) sendTimeoutNow(r, pr.id)
  else r.sendAppend(pr)
}

function sendTimeoutNow(r: Raft, to: number): void {
  r.send(newMessage('MsgTimeoutNow', to))
}

// ── Reads ────────────────────────────────────────────────────────────────────────────────────────────

function requestRead(r: Raft, m: Message): void {
  // Until an entry of this term is committed, the commit index may lag behind what was acknowledged before.
  if (r.committedEntryInCurrentTerm()) confirmRead(r, m)
  else r.pendingReadIndexMessages.push(m)
}

function confirmRead(r: Raft, m: Message): void {
  if (r.readOnly.option === 'ReadOnlyLeaseBased') {
    answerRead(r, m, r.log.committed)
    return
  }
  r.readOnly.addRequest(r.log.committed, m)
  r.readOnly.recvAck(r.id, r.readOnly.heartbeatCtx())
  answerConfirmedReads(r)
  if (r.readOnly.isWaiting()) r.bcastHeartbeat()
}

function answerConfirmedReads(r: Raft): void {
  for (const { request, index } of r.readOnly.maybeAdvance(r.trk.config.voters)) answerRead(r, request, index)
}

function releasePendingReads(r: Raft): void {
  if (r.pendingReadIndexMessages.length === 0 || !r.committedEntryInCurrentTerm()) return
  const pending = r.pendingReadIndexMessages
  r.pendingReadIndexMessages = []
  for (const m of pending) confirmRead(r, m)
}

function answerRead(r: Raft, request: Message, index: number): void {
  if (request.from === NONE || request.from === r.id) {
    r.readStates.push({ index, requestCtx: (request.entries[0] as Entry).data })
    return
  }
  const m = newMessage('MsgReadIndexResp', request.from)
  m.index = index
  m.entries = request.entries
  r.send(m)
}
