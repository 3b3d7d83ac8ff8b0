/**
 * Starts an election: a pre-vote, a vote, or a vote that a leader requested.
 *
 * Invariant: a node asks for votes only if it is a voter that has applied every configuration change it
 * knows to be committed, and its vote for itself is counted only when that vote is durable.
 * Source: Raft dissertation §3.4, §3.10, §9.6.
 */
import type { Raft } from './raft.ts'
import { EMPTY_BYTES, type MessageType, newMessage } from './types.ts'

export type CampaignType = 'CampaignPreElection' | 'CampaignElection' | 'CampaignTransfer'

/** The context of a MsgVote that a leader asked for: it is granted although that leader has just sent something. */
export const TRANSFER_CONTEXT: Uint8Array = Uint8Array.from('CampaignTransfer', (char) => char.charCodeAt(0))

export function isTransferContext(context: Uint8Array): boolean {
  return (
    context.length === TRANSFER_CONTEXT.length && context.every((byte, i) => byte === TRANSFER_CONTEXT[i])
  )
}

/** Starts an election if this node may. */
export function hup(r: Raft, type: CampaignType): void {
  if (r.state === 'StateLeader' || !r.promotable() || hasUnappliedConfChanges(r)) return
  campaign(r, type)
}

export function campaign(r: Raft, type: CampaignType): void {
  let request: MessageType = 'MsgVote'
  let term = r.term + 1
  if (type === 'CampaignPreElection') {
    r.becomePreCandidate()
    request = 'MsgPreVote'
  } else {
    r.becomeCandidate()
    term = r.term
  }
  const lastIndex = r.log.lastIndex()
  const lastTerm = r.log.lastTerm()
  for (const id of r.trk.config.voters.ids()) {
    const m = newMessage(id === r.id ? voteRespType(request) : request, id)
    m.term = term
    if (id !== r.id) {
      m.index = lastIndex
      m.logTerm = lastTerm
      m.context = type === 'CampaignTransfer' ? TRANSFER_CONTEXT : EMPTY_BYTES
    }
    r.send(m)
  }
}

export function voteRespType(request: MessageType): MessageType {
  return request === 'MsgPreVote' ? 'MsgPreVoteResp' : 'MsgVoteResp'
}

/** A node that has not applied a committed change might elect itself by a quorum that is no longer one. */
function hasUnappliedConfChanges(r: Raft): boolean {
  const { log } = r
  if (log.applied >= log.committed) return false
  let isFound = false
  log.scan(log.applied + 1, log.committed + 1, log.maxApplyingEntsSize, (page) => {
    isFound = page.some((entry) => entry.type !== 'EntryNormal')
    return !isFound
  })
  return isFound
}
