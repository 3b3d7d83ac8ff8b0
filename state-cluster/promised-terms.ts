/**
 * The terms that other nodes are known to have on their disks: an answer to an append or to a vote leaves after its
 * term is durable. Invariant: a node of one incarnation never speaks of a term below the highest that it promised
 * so; if it does, its folder is an older copy. Bounded by nodes times groups. What it cannot show: a copy that
 * is younger than the last change of term. Source: docs/spec.md IDENT5; Raft dissertation §3.8.
 */
import type { GroupId } from '../protocol/ids.ts'
import type { Message, MessageType } from './raft/index.ts'

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
