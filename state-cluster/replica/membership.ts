/**
 * Which membership changes a leader may propose: one node at a time, learners first.
 * Invariant: nothing is proposed after which the voters that are known to be reachable would be no majority; a
 * voter that leads is not removed while it leads. Every change ends once, by what was applied or why not.
 * Source: docs/raft.md, duties 6 and 18; Raft dissertation §4.2; docs/spec.md MEMBER1 to MEMBER4.
 */
import type { ConfState, Status } from '../raft/index.ts'

export interface AddLearner {
  readonly type: 'add'
  readonly nodeId: number
  readonly host: string
  readonly port: number
  /** Of the folder that joins; absent: of the node that runs under that number and has connected to the leader. */
  readonly incarnation?: string
  /** A voter that leaves by the same change by which this node becomes one. */
  readonly replaces?: number
}

export interface RemoveMember {
  readonly type: 'remove'
  readonly nodeId: number
}

export type MemberChange = AddLearner | RemoveMember

/** Why a change was not made; whether the same request may succeed a moment later, without an operator's action. */
const refusals = {
  /** Another replica leads, or this leader has not applied its first entry. */
  not_leader: { isRetryable: true },
  /** Leadership was lost while the change was in the log: it may have been made. */
  leadership_lost: { isRetryable: true },
  /** The replica stopped while the change was in the log: it may have been made. */
  stopped: { isRetryable: true },
  /** The member to remove leads; it hands leadership over first. */
  leader_leaves: { isRetryable: true },
  in_progress: { isRetryable: true },
  /** The node to add is not connected to the leader. */
  not_connected: { isRetryable: true },
  already_member: { isRetryable: true },
  not_member: { isRetryable: false },
  only_voter: { isRetryable: false },
  /** The voters that remain and are reachable would be no majority. */
  unreachable: { isRetryable: false },
  /** The leader is to leave and no other voter can lead. */
  no_successor: { isRetryable: false },
  /** The request did not prove that it may change members. */
  not_allowed: { isRetryable: false },
} as const

export type ChangeRefusal = keyof typeof refusals

/** How a change ended. `reason` is a sentence for the operator; programs decide by `code`. */
export type ChangeOutcome = { readonly ok: true } | RefusedChange

export interface RefusedChange {
  readonly ok: false
  readonly code: ChangeRefusal
  readonly reason: string
}

export function isRetryable(code: ChangeRefusal): boolean {
  return refusals[code].isRetryable
}

export function refused(code: ChangeRefusal, reason: string): RefusedChange {
  return { ok: false, code, reason }
}

export interface MemberView {
  readonly nodeId: number
  readonly role: 'voter' | 'learner'
  /** Whether the reporting node received a message from it lately. */
  readonly isActive: boolean
  /** The last entry that it is known to hold; on a leader alone. */
  readonly matchIndex: number
}

/** A learner this close to the end is as good as caught up. */
const learnerLagMax = 64

const majorityOf = (voters: number): number => Math.floor(voters / 2) + 1

/** `isHeard`: whether a message from a node came lately. */
export function membersOf(
  status: Status,
  confState: ConfState,
  isHeard: (nodeId: number) => boolean,
): MemberView[] {
  const view = (nodeId: number, role: MemberView['role']): MemberView => ({
    nodeId,
    role,
    isActive: nodeId === status.id || isHeard(nodeId),
    matchIndex: status.progress.get(nodeId)?.match ?? 0,
  })
  const ids = [...new Set([...confState.voters, ...confState.votersOutgoing])]
  return [
    ...ids.map((nodeId) => view(nodeId, 'voter')),
    ...[...confState.learners, ...confState.learnersNext].map((nodeId) => view(nodeId, 'learner')),
  ]
}

/** Why a change may not be made now; `undefined` where it may. */
export function refusalOf(change: MemberChange, members: readonly MemberView[]): RefusedChange | undefined {
  return change.type === 'add' ? refusalOfAdding(change, members) : refusalOfRemoving(change.nodeId, members)
}

function refusalOfAdding(
  { nodeId, replaces }: AddLearner,
  members: readonly MemberView[],
): RefusedChange | undefined {
  const known = members.find((member) => member.nodeId === nodeId)
  if (known !== undefined) return refused('already_member', `node ${nodeId} is a ${known.role} already`)
  if (
    replaces === undefined ||
    members.some((member) => member.nodeId === replaces && member.role === 'voter')
  ) {
    return undefined
  }
  return refused('not_member', `node ${replaces}, which node ${nodeId} is to replace, is not a voter`)
}

function refusalOfRemoving(nodeId: number, members: readonly MemberView[]): RefusedChange | undefined {
  const known = members.find((member) => member.nodeId === nodeId)
  if (known === undefined) return refused('not_member', `node ${nodeId} is not a member`)
  if (known.role === 'learner') return undefined
  const rest = members.filter((member) => member.role === 'voter' && member.nodeId !== nodeId)
  if (rest.length === 0) {
    return refused('only_voter', `node ${nodeId} is the only voter: without it there is no cluster`)
  }
  const active = rest.filter(({ isActive }) => isActive)
  const needed = majorityOf(rest.length)
  if (active.length >= needed) return undefined
  const silent = rest.filter(({ isActive }) => !isActive).map((member) => member.nodeId)
  return refused(
    'unreachable',
    `without node ${nodeId}, ${active.length} of ${rest.length} voters would be reachable and ` +
      `${needed} are needed: bring back node ${silent.join(', ')} first`,
  )
}

/** A learner that becomes a voter, and the voter that leaves by the same change. */
export interface Promotion {
  readonly nodeId: number
  readonly replaced: number | undefined
}

/**
 * A learner that may vote from now on: it has caught up, it was heard from lately, and the voters that were heard
 * from lately are a majority with it, of the old set and of the new one. `replacesOf`: which voter a learner is to
 * replace.
 */
export function promotionOf(
  status: Status,
  members: readonly MemberView[],
  replacesOf: (nodeId: number) => number | undefined,
): Promotion | undefined {
  if (status.config.voters.isJoint) return undefined
  const voters = members.filter(({ role }) => role === 'voter')
  for (const learner of members) {
    if (learner.role !== 'learner' || !learner.isActive || !hasCaughtUp(status, learner.nodeId)) continue
    const replaces = replacesOf(learner.nodeId)
    const replaced = voters.some(({ nodeId }) => nodeId === replaces) ? replaces : undefined
    const after = [...voters.filter(({ nodeId }) => nodeId !== replaced), learner]
    if (hasMajority(voters) && hasMajority(after)) return { nodeId: learner.nodeId, replaced }
  }
  return undefined
}

function hasCaughtUp(status: Status, nodeId: number): boolean {
  const progress = status.progress.get(nodeId)
  return progress?.state === 'StateReplicate' && progress.match + learnerLagMax >= status.commit
}

function hasMajority(voters: readonly MemberView[]): boolean {
  return voters.filter(({ isActive }) => isActive).length >= majorityOf(voters.length)
}

/** The voter to hand leadership to: the reachable one that has most of the log. */
export function successorOf(self: number, members: readonly MemberView[]): number | undefined {
  const others = members.filter(
    ({ nodeId, role, isActive }) => nodeId !== self && role === 'voter' && isActive,
  )
  return others.sort((a, b) => b.matchIndex - a.matchIndex)[0]?.nodeId
}
