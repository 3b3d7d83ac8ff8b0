/**
 * The replicas of this process as the cluster link sees them. Invariant: reads come from the applied state at one
 * moment; a command is proposed here or not at all; a reply is given only when it is applied here.
 * The bytes are in link/, and the replicas decide everything. Source: link/backend.ts.
 */
import { ClusterError, type ClusterErrorCode } from '../cluster.ts'
import type { LinkBackend, LocalReads, Member } from '../link/backend.ts'
import { reads } from '../link/reads.ts'
import type { Reply } from '../machine/events.ts'
import type { ReplicaHost } from './host.ts'

export function linkBackend(host: ReplicaHost, members: () => readonly Member[]): LinkBackend {
  return {
    ...localReadsOf(host),
    groups: host.groups,
    async propose(groupId, commands) {
      const replica = host.replica(groupId)
      if (!replica.status().isLeader) return { kind: 'not_leader', ...replica.leader }
      const outcomes = await Promise.all(
        commands.map((command) => host.propose(groupId, command).catch(codeOf)),
      )
      return { kind: 'done', index: replica.applied.appliedIndex, outcomes }
    },
    readIndex: (groupId) => host.replica(groupId).readIndex(),
    appliedIndex: (groupId) => host.replica(groupId).applied.appliedIndex,
    leader: (groupId) => host.replica(groupId).leader,
    watch: (groupId, watcher) => host.replica(groupId).watch(watcher),
    status: () => host.status(),
    members,
  }
}

/** Every read that the link knows is a method of the host by the same name. */
function localReadsOf(host: ReplicaHost): LocalReads {
  const names = Object.keys(reads) as (keyof typeof reads)[]
  return Object.fromEntries(names.map((name) => [name, host[name].bind(host)])) as unknown as LocalReads
}

function codeOf(error: unknown): Reply | ClusterErrorCode {
  if (error instanceof ClusterError) return error.code
  throw error
}
