/**
 * How an older copy of a folder is found by what this node has acknowledged. Invariant: nothing is taken for a broken
 * promise that a sound folder could meet: messages of peers may be late and out of order, so an earlier term of
 * theirs proves nothing. What cannot be shown: a copy whose leader, which knew more, leads no longer.
 * Source: docs/spec.md IDENT5; Raft dissertation §3.8.
 */
import type { GroupId } from '../../protocol/ids.ts'
import { OldCopyError } from '../node/identity.ts'
import type { Message, RawNode } from '../raft/index.ts'

/**
 * A leader's heartbeat names an entry that this node has acknowledged to it: it must be there. Throws OldCopyError.
 */
export function checkOwnPromise(
  { type, from, term, commit }: Message,
  groupId: GroupId,
  own: Pick<RawNode['raft'], 'id' | 'term' | 'log'>,
): void {
  if (type !== 'MsgHeartbeat' || term < own.term || commit <= own.log.lastIndex()) return
  throw new OldCopyError(
    `node ${own.id} has acknowledged entry ${commit} of group ${groupId} to node ${from}, and its folder ends at ` +
      `entry ${own.log.lastIndex()}: it is an old copy`,
  )
}
