/**
 * The members of one group, and the membership changes that its replica has proposed.
 *
 * It knows who they are, where, and which of them sent a message lately. Invariant: members follow from applied entries
 * and installed snapshots alone; every requested change ends once, by what was applied or by the reason why not.
 * The replica decides on turns, time and the end; membership.ts judges changes.
 * Source: docs/raft.md, duties 6, 9 and 18; docs/spec.md MEMBER1 to MEMBER4.
 */
import type { GroupId } from '../../protocol/ids.ts'
import {
  asV2,
  type ConfChangeSingle,
  type ConfState,
  decodeConfChange,
  EMPTY_BYTES,
  type Entry,
  type RawNode,
} from '../raft/index.ts'
import type { DiskLog } from '../storage/disk-log.ts'
import {
  decodeMembers,
  encodeMembers,
  type Members,
  readMembers,
  writeOfMembers,
} from '../storage/member-record.ts'
import type { Store } from '../storage/store.ts'
import {
  type ChangeOutcome,
  type MemberChange,
  type MemberView,
  membersOf,
  promotionOf,
  type RefusedChange,
  refusalOf,
  refused,
  successorOf,
} from './membership.ts'

export interface GroupMembersOptions {
  readonly groupId: GroupId
  readonly nodeId: number
  readonly raft: RawNode
  readonly log: DiskLog
  readonly store: Store
  /** Ticks without a message after which a node counts as silent. */
  readonly silentTicks: number
  /** Ticks within which a node must have sent a message to become a voter: a few heartbeats. */
  readonly freshTicks: number
  readonly onMembers: (members: Members) => void
  /** Another member was asked to lead. */
  readonly handedOver: (to: number) => void
  /** A write has failed. */
  readonly failed: (error: unknown) => void
}

interface PendingChange {
  readonly term: number
  readonly resolve: (outcome: ChangeOutcome) => void
}

const leadershipLost = refused(
  'leadership_lost',
  'leadership was lost meanwhile: look at the members, and ask again',
)

export class GroupMembers {
  readonly #options: GroupMembersOptions
  #addresses: Members
  #confState: ConfState
  /** By index. */
  readonly #changes = new Map<number, PendingChange>()
  /** The tick of the last message from each node. */
  readonly #heardAt = new Map<number, number>()

  constructor(options: GroupMembersOptions) {
    this.#options = options
    this.#confState = options.log.initialState().confState
    this.#addresses = readMembers(options.store, options.groupId)
  }

  get addresses(): Members {
    return this.#addresses
  }

  get voters(): readonly number[] {
    return this.#confState.voters
  }

  received(nodeId: number, tick: number): void {
    this.#heardAt.set(nodeId, tick)
  }

  gone(nodeId: number): void {
    this.#heardAt.delete(nodeId)
  }

  view(tick: number, withinTicks = this.#options.silentTicks): MemberView[] {
    const { raft } = this.#options
    return membersOf(raft.status(), this.#confState, (nodeId) => {
      const at = this.#heardAt.get(nodeId)
      return at !== undefined && tick - at <= withinTicks
    })
  }

  /** On a leader. May hand leadership over instead, where it is the leader that is to leave. */
  change(change: MemberChange, tick: number): Promise<ChangeOutcome> {
    const { nodeId: self } = this.#options
    const members = this.view(tick)
    const refusal = refusalOf(change, members)
    if (refusal !== undefined) return Promise.resolve(refusal)
    if (change.type === 'add') {
      const { type: _, nodeId, ...member } = change
      const added = encodeMembers(new Map([[nodeId, member]]))
      return this.#propose([{ type: 'ConfChangeAddLearnerNode', nodeId }], added)
    }
    if (change.nodeId !== self)
      return this.#propose([{ type: 'ConfChangeRemoveNode', nodeId: change.nodeId }], EMPTY_BYTES)
    const successor = this.handOver(tick)
    return Promise.resolve(
      successor === undefined
        ? refused('no_successor', `node ${self} leads, and no other voter can lead`)
        : refused('leader_leaves', `node ${self} leads; leadership goes to node ${successor}: ask again`),
    )
  }

  /** Asks the best of the other voters that may to lead; `undefined`: there is none. */
  handOver(tick: number, mayLead: (nodeId: number) => boolean = () => true): number | undefined {
    const { nodeId, raft, handedOver } = this.#options
    const candidates = this.view(tick).filter((member) => mayLead(member.nodeId))
    const successor = successorOf(nodeId, candidates)
    if (successor === undefined) return undefined
    raft.transferLeadership(successor)
    handedOver(successor)
    return successor
  }

  /** On a leader: a learner that has caught up becomes a voter; the voter that it replaces leaves by the same change. */
  promote(tick: number): void {
    if (this.#changes.size > 0 || this.#confState.learners.length === 0) return
    const { nodeId: self, raft, freshTicks } = this.#options
    const replacesOf = (nodeId: number): number | undefined => this.#addresses.get(nodeId)?.replaces
    const promotion = promotionOf(raft.status(), this.view(tick, freshTicks), replacesOf)
    if (promotion === undefined) return
    const { nodeId, replaced } = promotion
    // The next leader sees the same learner, and makes the change. A voter that is alone is joined first.
    if (replaced === self && this.handOver(tick) !== undefined) return
    const isJoint = replaced !== undefined && replaced !== self
    const leaving: ConfChangeSingle[] = isJoint ? [{ type: 'ConfChangeRemoveNode', nodeId: replaced }] : []
    void this.#propose([{ type: 'ConfChangeAddNode', nodeId }, ...leaving], EMPTY_BYTES)
  }

  /** On a leader: whether a member is not known to hold anything. A voter that was not heard of yet does. */
  isNew(nodeId: number): boolean {
    return (this.#options.raft.status().progress.get(nodeId)?.match ?? 0) === 0 && this.#isLearner(nodeId)
  }

  #isLearner(nodeId: number): boolean {
    const { learners, learnersNext } = this.#confState
    return learners.includes(nodeId) || learnersNext.includes(nodeId)
  }

  /** A committed change is applied. Gives the members from now on. */
  apply(entry: Entry): ConfState {
    const { raft, log, store, groupId, onMembers, failed } = this.#options
    const change = asV2(decodeConfChange(entry))
    this.#confState = raft.applyConfChange(change)
    const { voters, learners, votersOutgoing, learnersNext } = this.#confState
    const ids = new Set([...voters, ...learners, ...votersOutgoing, ...learnersNext])
    const named = change.context.length === 0 ? [] : decodeMembers(change.context)
    this.#addresses = new Map([...this.#addresses, ...named].filter(([nodeId]) => ids.has(nodeId)))
    // A new member may need a snapshot, and must find itself in it.
    log.membersChanged(entry.index)
    store.commit([writeOfMembers(groupId, this.#addresses)]).catch(failed)
    onMembers(this.#addresses)
    this.#settle(entry, { ok: true })
    return this.#confState
  }

  /** An entry without a change is applied; the core puts one in the place of a change that may not be made now. */
  passed(entry: Entry): void {
    this.#settle(entry, refused('in_progress', 'another change is under way: ask again'))
  }

  /** A snapshot was installed. */
  replaced(confState: ConfState, addresses: Members): void {
    this.#confState = confState
    this.#addresses = addresses
    this.#options.log.membersChanged(0)
    this.#options.onMembers(addresses)
  }

  /**
   * Which folder a member has, where the log has not said it: a founder, or a member of before incarnations. Resolves
   * when that is durable; an incarnation that is recorded already stays.
   */
  async note(nodeId: number, incarnation: string): Promise<void> {
    const { store, groupId } = this.#options
    const known = this.#addresses.get(nodeId)
    if (known === undefined || known.incarnation !== undefined) return
    this.#addresses = new Map([...this.#addresses, [nodeId, { ...known, incarnation }]])
    await store.commit([writeOfMembers(groupId, this.#addresses)])
  }

  /** Ends all changes that are under way, with this outcome. */
  drop(outcome: RefusedChange = leadershipLost): void {
    for (const { resolve } of this.#changes.values()) resolve(outcome)
    this.#changes.clear()
  }

  #propose(changes: readonly ConfChangeSingle[], context: Uint8Array): Promise<ChangeOutcome> {
    const { raft } = this.#options
    const transition = 'ConfChangeTransitionAuto'
    const fault = raft.proposeConfChange({ transition, changes, context })
    if (fault !== null) {
      return Promise.resolve(refused('in_progress', 'the change was not taken: ask again'))
    }
    const { term, lastIndex } = raft
    return new Promise((resolve) => {
      this.#changes.set(lastIndex, { term, resolve })
    })
  }

  #settle({ index, term }: Entry, outcome: ChangeOutcome): void {
    const pending = this.#changes.get(index)
    if (pending === undefined) return
    this.#changes.delete(index)
    pending.resolve(pending.term === term ? outcome : leadershipLost)
  }
}
