/**
 * What nodes have promised to each other, and how an older copy of a folder is found by it: the terms that others
 * have on their disks (an answer to an append or to a vote leaves after its term is durable), and the entries that
 * this one has acknowledged. Invariant: nothing is taken for a broken promise that a sound folder could say. What
 * cannot be shown: a copy of the same term, when the leader that knew more leads no longer. Bounded by nodes times
 * groups. Source: docs/spec.md IDENT5; Raft dissertation §3.8.
 */
import type { GroupId } from '../protocol/ids.ts'
import { OldCopyError } from './incarnations.ts'
import type { Message, MessageType, RawNode } from './raft/index.ts'

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

/** Leave when what they say is durable. */
const promises: ReadonlySet<MessageType> = new Set(['MsgAppResp', 'MsgVoteResp'])
/** Carry the sender's own term; those of a pre-vote carry one that it may never have. */
const telling: ReadonlySet<MessageType> = new Set([
  ...promises,
  'MsgApp',
  'MsgVote',
  'MsgHeartbeat',
  'MsgHeartbeatResp',
  'MsgSnap',
])

interface Promised {
  readonly incarnation: string
  /** By group. */
  readonly terms: number[]
}

export class PromisedTerms {
  readonly #byNode = new Map<number, Promised>()

  /** Notes what a message promises; gives what it breaks, in words. */
  heard(groupId: GroupId, { type, from, term }: Message, incarnation: string): string | undefined {
    if (!telling.has(type)) return undefined
    let promised = this.#byNode.get(from)
    if (promised?.incarnation !== incarnation) {
      promised = { incarnation, terms: [] }
      this.#byNode.set(from, promised)
    }
    const known = promised.terms[groupId] ?? 0
    if (term < known) {
      return `node ${from} was in term ${known} of group ${groupId} and is back in term ${term}: its folder is an old copy`
    }
    if (promises.has(type)) promised.terms[groupId] = term
    return undefined
  }
}
