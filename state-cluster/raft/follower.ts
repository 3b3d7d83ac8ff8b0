/**
 * What a follower does with messages of its term.
 *
 * It accepts appends, heartbeats and snapshots, and forwards the rest.
 * Invariant: an append is accepted only if the entry before it is in the log, and then the log up to the
 * append's end equals the leader's (log matching). Source: Raft dissertation §3.5, §7; etcd-io/raft.
 */
import { hup } from './campaign.ts'
import { DROPPED_FORWARDING_DISABLED, DROPPED_NO_LEADER, type StepError } from './errors.ts'
import { NOT_APPENDED } from './log.ts'
import type { Raft } from './raft.ts'
import { EMPTY_SNAPSHOT, type Entry, type Message, NONE, newMessage } from './types.ts'

export function stepFollower(r: Raft, m: Message): StepError | null {
  switch (m.type) {
    case 'MsgApp':
      hearLeader(r, m.from)
      handleAppendEntries(r, m)
      return null
    case 'MsgHeartbeat':
      hearLeader(r, m.from)
      handleHeartbeat(r, m)
      return null
    case 'MsgSnap':
      hearLeader(r, m.from)
      handleSnapshot(r, m)
      return null
    case 'MsgProp':
      if (r.lead === NONE) return DROPPED_NO_LEADER
      if (r.settings.disableProposalForwarding) return DROPPED_FORWARDING_DISABLED
      forward(r, m)
      return null
    case 'MsgReadIndex':
    case 'MsgTransferLeader':
      // Without a leader there is nobody to ask; the caller tries again.
      if (r.lead !== NONE) forward(r, m)
      return null
    case 'MsgReadIndexResp':
      if (m.entries.length === 1) {
        r.readStates.push({ index: m.index, requestCtx: (m.entries[0] as Entry).data })
      }
      return null
    case 'MsgForgetLeader':
      // A lease holds only as long as its voters remember whom they gave it to.
      if (r.settings.readOnlyOption !== 'ReadOnlyLeaseBased') r.lead = NONE
      return null
    case 'MsgTimeoutNow':
      // The leader itself requests it, so there is no need to find out whether it is gone.
      hup(r, 'CampaignTransfer')
      return null
    default:
      return null
  }
}

export function handleAppendEntries(r: Raft, m: Message): void {
  const { log } = r
  const answer = newMessage('MsgAppResp', m.from)
  if (m.index < log.committed) {
    answer.index = log.committed
    r.send(answer)
    return
  }
  const lastNew = log.maybeAppend(m.index, m.logTerm, m.entries, m.commit)
  if (lastNew !== NOT_APPENDED) {
    answer.index = lastNew
    r.send(answer)
    return
  }
  // The hint skips what cannot agree: entries here with a higher term than the leader has at m.index, or at
  // any index before it. See the leader's half in leader.ts.
  const hint = log.findConflictByTerm(Math.min(m.index, log.lastIndex()), m.logTerm)
  answer.index = m.index
  answer.reject = true
  answer.rejectHint = hint
  answer.logTerm = Math.max(log.term(hint), 0)
  r.send(answer)
}

export function handleHeartbeat(r: Raft, m: Message): void {
  r.log.commitTo(m.commit)
  const answer = newMessage('MsgHeartbeatResp', m.from)
  answer.context = m.context
  r.send(answer)
}

export function handleSnapshot(r: Raft, m: Message): void {
  const isInstalled = r.restore(m.snapshot ?? EMPTY_SNAPSHOT)
  const answer = newMessage('MsgAppResp', m.from)
  answer.index = isInstalled ? r.log.lastIndex() : r.log.committed
  r.send(answer)
}

function hearLeader(r: Raft, lead: number): void {
  r.electionElapsed = 0
  r.lead = lead
}

/** Passes a request on as it is, from whom it came. The original stays the sender's. */
function forward(r: Raft, m: Message): void {
  r.send({ ...m, to: r.lead, term: 0 })
}
