/**
 * Changes of a group's membership, as a leader judges and proposes them: one node at a time, learners first.
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
  /** Of the folder that is let in; absent: of whoever runs under that number and has connected to the leader. */
  readonly incarnation?: string
}

export interface RemoveMember {
  readonly type: 'remove'
  readonly nodeId: number
}

export type MemberChange = AddLearner | RemoveMember

/** How a change ended. */
export interface ChangeOutcome {
  readonly ok: boolean
  /** Why not; empty where it is done. */
  readonly reason: string
}

export interface MemberView {
  readonly nodeId: number
  readonly role: 'voter' | 'learner'
  /** Heard from lately, by the one that tells. */
  readonly isActive: boolean
  /** The last entry that it is known to hold; on a leader alone. */
  readonly matchIndex: number
}

/** A learner this close to the end is as good as caught up. */
const learnerLagMax = 64

const majorityOf = (voters: number): number => Math.floor(voters / 2) + 1

/** `isHeard`: whether a node was heard from lately. */
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

/** Why a change may not be made now, in words for the operator; `undefined` where it may. */
export function refusalOf(change: MemberChange, members: readonly MemberView[]): string | undefined {
  const known = members.find(({ nodeId }) => nodeId === change.nodeId)
  if (change.type === 'add') {
    return known === undefined ? undefined : `node ${change.nodeId} is a ${known.role} already`
  }
  if (known === undefined) return `node ${change.nodeId} is not a member`
  if (known.role === 'learner') return undefined
  const rest = members.filter(({ nodeId, role }) => role === 'voter' && nodeId !== change.nodeId)
  if (rest.length === 0) return `node ${change.nodeId} is the only voter: without it there is no cluster`
  const active = rest.filter(({ isActive }) => isActive)
  const needed = majorityOf(rest.length)
  if (active.length >= needed) return undefined
  const silent = rest.filter(({ isActive }) => !isActive).map(({ nodeId }) => nodeId)
  return (
    `without node ${change.nodeId}, ${active.length} of ${rest.length} voters would be reachable and ` +
    `${needed} are needed: bring back node ${silent.join(', ')} first`
  )
}

/** A learner that has caught up and may vote from now on. */
export function learnerToPromote(status: Status, confState: ConfState): number | undefined {
  if (confState.votersOutgoing.length > 0) return undefined
  return confState.learners.find((nodeId) => {
    const progress = status.progress.get(nodeId)
    return progress?.state === 'StateReplicate' && progress.match + learnerLagMax >= status.commit
  })
}

/** The voter to hand leadership to: the reachable one that has most of the log. */
export function successorOf(self: number, members: readonly MemberView[]): number | undefined {
  const others = members.filter(
    ({ nodeId, role, isActive }) => nodeId !== self && role === 'voter' && isActive,
  )
  return others.sort((a, b) => b.matchIndex - a.matchIndex)[0]?.nodeId
}
