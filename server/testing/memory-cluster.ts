/**
 * A `Cluster` of one group in memory, around the real machine.
 *
 * Tests use it for the code in front of the cluster, and cause faults through its fields. Invariant: the commands of
 * one event-loop turn are applied as one entry; then replies and feed leave in the order of the machine. Nothing
 * outlives the process. Source: docs/spec.md ENTRY3; state-cluster/cluster.ts.
 */
import type { AuctionId, GroupId, ServerId, SubjectId } from '../../protocol/ids.ts'
import type { Clock } from '../../runtime/clock.ts'
import {
  type Cluster,
  ClusterError,
  type ClusterErrorCode,
  type ClusterStatus,
  type Command,
  type FeedBatch,
  type FeedGap,
  isPublic,
  type Position,
  type PublicEvent,
  type Reply,
} from '../../state-cluster/index.ts'
import * as machine from '../../state-cluster/machine/index.ts'

interface Proposal {
  readonly command: Command
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: unknown) => void
}

const group = 0 as GroupId

export class MemoryCluster implements Cluster {
  readonly groups = [group]
  /** False: there is no leader. */
  isReady = true
  /** Proposals fail with this until it is cleared. */
  failure: ClusterErrorCode | Error | undefined
  /** Reads fail with this until it is cleared. */
  readFailure: Error | undefined
  /** Reads wait for this before they take their value … */
  readGate: Promise<void> = Promise.resolve()
  /** … and for this before they return it. */
  answerGate: Promise<void> = Promise.resolve()
  /** Replies wait for this; the feed does not. */
  replyGate: Promise<void> = Promise.resolve()
  /** The features that all nodes know. Absent: those of this build. */
  nodesKnow: readonly number[] | undefined
  readonly state = machine.emptyState()
  /** Every command that was applied, in order. */
  readonly applied: Command[] = []
  readonly #clock: Clock
  readonly #history = new Map<AuctionId, PublicEvent[]>()
  readonly #listeners = new Set<(batch: FeedBatch) => void>()
  readonly #gapListeners = new Set<(gap: FeedGap) => void>()
  /** While true, batches of the feed are held back. */
  #isFeedHeld = false
  readonly #held: FeedBatch[] = []
  #queue: Proposal[] = []
  #index = 0
  #atMs = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  groupOf(): GroupId {
    return group
  }

  propose(_groupId: GroupId, command: Command): Promise<Reply> {
    if (this.failure !== undefined) {
      const { failure } = this
      return Promise.reject(failure instanceof Error ? failure : new ClusterError(failure, 'made on purpose'))
    }
    return new Promise((resolve, reject) => {
      if (this.#queue.length === 0) setImmediate(() => this.#apply())
      this.#queue.push({ command, resolve, reject })
    })
  }

  subscribe(
    _groupId: GroupId,
    listener: (batch: FeedBatch) => void,
    onGap: (gap: FeedGap) => void = () => undefined,
  ): () => void {
    this.#listeners.add(listener)
    this.#gapListeners.add(onGap)
    return () => {
      this.#listeners.delete(listener)
      this.#gapListeners.delete(onGap)
    }
  }

  /** The feed loses the batches of `during`; its subscribers get a gap. */
  async loseFeed(during: () => Promise<unknown>): Promise<void> {
    const afterIndex = this.#index
    this.holdFeed()
    await during()
    for (const batch of this.#held.splice(0)) this.#remember(batch)
    this.#isFeedHeld = false
    for (const onGap of this.#gapListeners) onGap({ groupId: group, afterIndex, toIndex: this.#index })
  }

  /** Makes the feed lag behind the applied state, like the feed of a distant server. */
  holdFeed(): void {
    this.#isFeedHeld = true
  }

  releaseFeed(): void {
    this.#isFeedHeld = false
    for (const batch of this.#held.splice(0)) this.inject(batch)
  }

  /** Puts a batch into the feed, also one without a command. Reads of history return only injected events. */
  inject(batch: FeedBatch): void {
    this.#remember(batch)
    for (const listener of this.#listeners) listener(batch)
  }

  #remember(batch: FeedBatch): void {
    for (const event of batch.events) {
      if (!isPublic(event)) continue
      const history = this.#history.get(event.auctionId)
      if (history === undefined) this.#history.set(event.auctionId, [event])
      else history.push(event)
    }
  }

  auction(auctionId: AuctionId) {
    return this.#read(() => machine.auctionView(this.state, auctionId))
  }

  auctions(query: Parameters<Cluster['auctions']>[0]) {
    return this.#read(() => machine.auctionPage(this.state, query))
  }

  standing(auctionId: AuctionId, bidderId: SubjectId) {
    return this.#read(() => machine.standingOf(this.state, auctionId, bidderId))
  }

  events(auctionId: AuctionId, afterSeq: number, limit: number) {
    return this.#read(() => (this.#history.get(auctionId) ?? []).slice(afterSeq, afterSeq + limit))
  }

  eventsSince(auctionId: AuctionId, since: Position, limit: number) {
    return this.#read(() => {
      const history = this.#history.get(auctionId)
      if (history === undefined || since.seq > history.length) return undefined
      if (since.seq > 0 && history[since.seq - 1]?.epoch !== since.epoch) return undefined
      return history.length - since.seq > limit ? undefined : history.slice(since.seq)
    })
  }

  bidders(auctionId: AuctionId, after: number, limit: number) {
    return this.#read(() => machine.biddersPage(this.state, auctionId, after, limit))
  }

  interestedBuyers(tags: readonly string[], after: SubjectId | undefined, limit: number) {
    return this.#read(() => machine.interestedBuyers(this.state, tags, after, limit))
  }

  buyer(buyerId: SubjectId) {
    return this.#read(() => machine.buyerView(this.state, buyerId))
  }

  owners(_groupId: GroupId) {
    return this.#read(() => machine.ownersView(this.state))
  }

  house(_groupId: GroupId) {
    return this.#read(() => machine.houseView(this.state))
  }

  knownFeatures() {
    return this.#read(() => this.nodesKnow ?? machine.houseView(this.state).knownFeatures)
  }

  outbox(_groupId: GroupId, serverId: ServerId, after: number, limit: number) {
    return this.#read(() => machine.outboxPage(this.state, serverId, after, limit))
  }

  status(): ClusterStatus {
    const { openAuctions, auctions, buyers, outboxLength } = machine.stats(this.state)
    const appliedIndex = this.#index
    return {
      ready: this.isReady,
      groups: [
        {
          groupId: group,
          ready: this.isReady,
          term: 1,
          commitIndex: appliedIndex,
          appliedIndex,
          firstIndex: 1,
          checkpointIndex: 0,
          stateHash: machine.stateHash(this.state),
          openAuctions,
          auctions,
          buyers,
          outboxLength,
        },
      ],
    }
  }

  async close(): Promise<void> {
    this.failure = 'stopped'
  }

  async #read<Value>(take: () => Value): Promise<Value> {
    await this.readGate
    if (this.readFailure !== undefined) throw this.readFailure
    const value = take()
    await this.answerGate
    return value
  }

  #apply(): void {
    const proposals = this.#queue
    this.#queue = []
    this.#atMs = Math.max(this.#atMs, this.#clock.nowMs())
    const commands = proposals.map(({ command }) => command)
    this.applied.push(...commands)
    const entry = { version: machine.entryVersion, atMs: this.#atMs, commands }
    const { replies, events, outboxCount, gained } = machine.apply(this.state, entry)
    this.#index += 1
    void this.replyGate.then(() => {
      for (const [at, proposal] of proposals.entries()) {
        const reply = replies[at]
        if (reply !== undefined) proposal.resolve(reply)
      }
    })
    if (events.length === 0 && outboxCount === 0 && gained.length === 0) return
    const hasOutboxEntries = outboxCount > 0
    const own = { groupId: group, index: this.#index, atMs: this.#atMs, events, hasOutboxEntries }
    const deadlines = machine.deadlinesOf(this.state, events)
    const batch: FeedBatch = {
      ...own,
      ...(gained.length > 0 && { gained }),
      ...(deadlines.length > 0 && { deadlines }),
    }
    if (this.#isFeedHeld) this.#held.push(batch)
    else this.inject(batch)
  }
}
