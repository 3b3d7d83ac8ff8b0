/**
 * The port between `LinkService` and the replicas of its process.
 *
 * Leadership and commitment are left to the replicas. Invariant: a read answers from the local applied state at one
 * moment; a watcher gets an entry before any read shows it. Source: docs/design.md, "Life of a bid"; docs/spec.md
 * LINK9.
 */
import type { GroupId } from '../../protocol/ids.ts'
import type { Address } from '../../wire/stream.ts'
import type { Cluster, ClusterErrorCode, ClusterStatus } from '../cluster.ts'
import type { Command } from '../machine/commands.ts'
import type { Reply } from '../machine/events.ts'
import type { GroupWatcher, LeaderView } from '../replica/feed.ts'

export type ProposeOutcome =
  /** One outcome for each command, in order: its reply, or a code. All replies are applied at `index`. */
  | {
      readonly kind: 'done'
      readonly index: number
      readonly outcomes: readonly (Reply | ClusterErrorCode)[]
    }
  /** Nothing was proposed. */
  | ({ readonly kind: 'not_leader' } & LeaderView)

/** A member of the cluster, and the address of its link. */
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
  /** Proposes the commands in order, as one batch where possible. A rejection by the machine is a reply. */
  propose(groupId: GroupId, commands: readonly Command[]): Promise<ProposeOutcome>
  /**
   * The index that a linearizable read waits for, once a majority has confirmed that this node leads. `undefined`: it
   * does not lead, or was not confirmed.
   */
  readIndex(groupId: GroupId): Promise<number | undefined>
  appliedIndex(groupId: GroupId): number
  leader(groupId: GroupId): LeaderView
  /** Calls the watcher from now on. Returns the function that ends the watch. */
  watch(groupId: GroupId, watcher: GroupWatcher): () => void
  status(): ClusterStatus
  members(): readonly Member[]
}
