/**
 * What the cluster link needs from the state node behind it: the port between `LinkService` and the replicas of
 * this process. Invariant: reads answer from what is applied here, at one moment; a watcher hears of an entry
 * before any read can see it. Who leads, and what is committed, is the replicas' affair.
 * Source: DESIGN "Life of a bid", 2 to 7; docs/spec.md "Cluster link".
 */
import type { GroupId } from '../../protocol/ids.ts'
import type { Address } from '../../wire/stream.ts'
import type { Cluster, ClusterErrorCode, ClusterStatus } from '../cluster.ts'
import type { Command } from '../machine/commands.ts'
import type { Reply } from '../machine/events.ts'
import type { GroupWatcher, LeaderView } from '../replica/feed.ts'

export type ProposeOutcome =
  /** One for each command, in order: its reply, or why there is none. `index`: all replies are applied there. */
  | {
      readonly kind: 'done'
      readonly index: number
      readonly outcomes: readonly (Reply | ClusterErrorCode)[]
    }
  /** Nothing was proposed. */
  | ({ readonly kind: 'not_leader' } & LeaderView)

/** A member of the cluster and where its link is. */
export interface Member {
  readonly nodeId: number
  readonly address: Address
}

/** The reads of a `Cluster`, from the local applied state. They reject with ClusterError. */
export type LocalReads = Pick<
  Cluster,
  | 'auction'
  | 'auctions'
  | 'standing'
  | 'events'
  | 'eventsSince'
  | 'bidders'
  | 'interestedBuyers'
  | 'buyer'
  | 'outbox'
  | 'owners'
  | 'house'
>

export interface LinkBackend extends LocalReads {
  readonly groups: readonly GroupId[]
  /** Proposes the commands in order, as one batch where possible. Never rejects for a lawful no. */
  propose(groupId: GroupId, commands: readonly Command[]): Promise<ProposeOutcome>
  /**
   * The index that a linearizable read has to wait for: this node leads, and a majority has just said so.
   * `undefined`: it does not, or they did not.
   */
  readIndex(groupId: GroupId): Promise<number | undefined>
  appliedIndex(groupId: GroupId): number
  leader(groupId: GroupId): LeaderView
  /** Tells from now on. Returns an end. */
  watch(groupId: GroupId, watcher: GroupWatcher): () => void
  status(): ClusterStatus
  members(): readonly Member[]
}
