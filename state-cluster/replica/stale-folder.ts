/**
 * Finds that a data folder is an older copy of itself.
 *
 * The evidence is what this node has acknowledged. Messages of peers may be late and out of order, so a message of an
 * earlier term proves nothing. One case cannot be found: the leader that knew more does not lead any more.
 * Invariant: a sound folder is never taken for a copy. Source: docs/spec.md IDENT5; Raft dissertation §3.8.
 */
import type { GroupId } from '../../protocol/ids.ts'
import type { Message } from '../raft/index.ts'

/** This node's folder is an older state of itself. */
export class OldCopyError extends Error {
  override readonly name = 'OldCopyError'
  readonly code = 'old_copy'
  readonly retryable = false
}

/** How far this node's own log and term are. */
export interface OwnLog {
  readonly nodeId: number
  readonly groupId: GroupId
  readonly term: number
  readonly lastIndex: number
}

/**
 * A leader's heartbeat names an entry that this node has acknowledged to it: it must be there. Throws OldCopyError.
 */
export function checkStaleFolder({ type, from, term, commit }: Message, own: OwnLog): void {
  if (type !== 'MsgHeartbeat' || term < own.term || commit <= own.lastIndex) return
  throw new OldCopyError(
    `node ${own.nodeId} has acknowledged entry ${commit} of group ${own.groupId} to node ${from}, and its folder ` +
      `ends at entry ${own.lastIndex}: it is an old copy`,
  )
}
