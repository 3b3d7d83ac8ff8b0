/**
 * State nodes for tests of the link, without Raft or disks.
 *
 * They run the real machine on one shared log. A node can lag, refuse, keep its answers, or get a snapshot; the test
 * sets the leader. Invariant: only the leader, or the test itself, appends entries, and every node applies the same
 * entries in the same order. Source: `LinkBackend` in backend.ts.
 */
import type { AuctionId, GroupId, RequestId, ServerId, SubjectId } from '../../../protocol/ids.ts'
import { defaultIncrements } from '../../../protocol/money.ts'
import {
  ClusterError,
  type ClusterErrorCode,
  type ClusterStatus,
  type FeedBatch,
  type Position,
} from '../../cluster.ts'
import { groupOf, groupsOf } from '../../groups.ts'
import type { Command } from '../../machine/commands.ts'
import { type Applied, isPublic, type PublicEvent } from '../../machine/events.ts'
import {
  apply,
  auctionPage,
  auctionView,
  biddersPage,
  buyerView,
  deadlinesOf,
  emptyState,
  entryVersion,
  houseView,
  interestedBuyers,
  outboxPage,
  ownersView,
  type State,
  standingOf,
  stateHash,
  stats,
} from '../../machine/index.ts'
import type { AuctionQuery } from '../../machine/view.ts'
import type { GroupWatcher, LeaderView } from '../../replica/feed.ts'
import type { LinkBackend, Member, ProposeOutcome } from '../backend.ts'

interface LogEntry {
  readonly atMs: number
  readonly commands: readonly Command[]
}

export class FakeCluster {
  readonly groups: readonly GroupId[]
  readonly nodes: FakeNode[]
  readonly logs = new Map<GroupId, LogEntry[]>()
  members: readonly Member[] = []
  #leader: LeaderView = { leaderId: 1, term: 1 }
  #atMs = 1_000

  constructor(nodeCount: number, groupCount = 1) {
    this.groups = groupsOf(groupCount)
    for (const groupId of this.groups) this.logs.set(groupId, [])
    this.nodes = Array.from({ length: nodeCount }, (_, at) => new FakeNode(this, at + 1))
  }

  node(nodeId: number): FakeNode {
    return this.nodes[nodeId - 1] as FakeNode
  }

  get leader(): LeaderView {
    return this.#leader
  }

  /** Makes another node the leader, or none (0). Nodes that are cut off do not notice. */
  elect(leaderId: number): void {
    this.#leader = { leaderId, term: this.#leader.term + 1 }
    for (const node of this.nodes) if (!node.isCutOff) node.setLeader(this.#leader)
  }

  append(groupId: GroupId, commands: readonly Command[]): number {
    this.#atMs += 10
    const log = this.logs.get(groupId) as LogEntry[]
    log.push({ atMs: this.#atMs, commands })
    for (const node of this.nodes) node.catchUp(groupId)
    return log.length
  }

  /** Entries as the commands in them, for counting. */
  commandsOf(groupId: GroupId): Command[] {
    return (this.logs.get(groupId) as LogEntry[]).flatMap(({ commands }) => commands)
  }
}

interface FakeGroup {
  readonly state: State
  readonly history: Map<AuctionId, PublicEvent[]>
  readonly watchers: Set<GroupWatcher>
  /** Of the entry that was applied last. */
  lastReplies: Applied['replies']
  applied: number
}

export class FakeNode implements LinkBackend {
  readonly nodeId: number
  readonly groups: readonly GroupId[]
  readonly #cluster: FakeCluster
  readonly #groups = new Map<GroupId, FakeGroup>()
  #view: LeaderView
  /** Applies no entries and notices no leader. */
  isCutOff = false
  /** Proposals are appended, but not answered. */
  isMute = false
  /** Every proposal is refused with this code, and nothing is appended. */
  refuses: ClusterErrorCode | undefined
  /** A node of an older version, without the newest read. */
  isOlder = false
  proposals = 0

  constructor(cluster: FakeCluster, nodeId: number) {
    this.#cluster = cluster
    this.nodeId = nodeId
    this.groups = cluster.groups
    this.#view = cluster.leader
    for (const groupId of cluster.groups) {
      this.#groups.set(groupId, {
        state: emptyState(),
        history: new Map(),
        watchers: new Set(),
        lastReplies: [],
        applied: 0,
      })
    }
  }

  cutOff(): void {
    this.isCutOff = true
  }

  /** Connected again: applies the missed entries, one by one or as a snapshot, and notices the leader. */
  mend(how: 'entries' | 'snapshot' = 'entries'): void {
    this.isCutOff = false
    for (const groupId of this.groups) this.catchUp(groupId, how)
    this.setLeader(this.#cluster.leader)
  }

  setLeader(view: LeaderView): void {
    this.#view = view
    for (const { watchers } of this.#groups.values()) {
      for (const watcher of [...watchers]) watcher.leader(view)
    }
  }

  catchUp(groupId: GroupId, how: 'entries' | 'snapshot' = 'entries'): void {
    if (this.isCutOff) return
    const group = this.#group(groupId)
    const log = this.#cluster.logs.get(groupId) as LogEntry[]
    while (group.applied < log.length) {
      const { atMs, commands } = log[group.applied] as LogEntry
      const applied = apply(group.state, { version: entryVersion, atMs, commands })
      group.lastReplies = applied.replies
      group.applied++
      for (const event of applied.events) {
        if (!isPublic(event)) continue
        const history = group.history.get(event.auctionId)
        if (history === undefined) group.history.set(event.auctionId, [event])
        else history.push(event)
      }
      if (how === 'entries') this.#notify(group, groupId, atMs, applied)
    }
    if (how === 'snapshot') for (const watcher of [...group.watchers]) watcher.gap(group.applied)
  }

  #notify(group: FakeGroup, groupId: GroupId, atMs: number, { events, outboxCount, gained }: Applied): void {
    const own = { groupId, index: group.applied, atMs, events, hasOutboxEntries: outboxCount > 0 }
    const deadlines = deadlinesOf(group.state, events)
    const batch: FeedBatch = {
      ...own,
      ...(gained.length > 0 && { gained }),
      ...(deadlines.length > 0 && { deadlines }),
    }
    for (const watcher of [...group.watchers]) {
      if (events.length > 0 || outboxCount > 0 || gained.length > 0) watcher.batch(batch)
      watcher.applied(group.applied)
    }
  }

  async propose(groupId: GroupId, commands: readonly Command[]): Promise<ProposeOutcome> {
    this.proposals++
    if (this.#view.leaderId !== this.nodeId) return { kind: 'not_leader', ...this.#view }
    const { refuses } = this
    if (refuses !== undefined) {
      return { kind: 'done', index: this.#group(groupId).applied, outcomes: commands.map(() => refuses) }
    }
    if (this.isCutOff) return await new Promise(() => undefined)
    const index = this.#cluster.append(groupId, commands)
    const { lastReplies } = this.#group(groupId)
    if (this.isMute) return await new Promise(() => undefined)
    return { kind: 'done', index, outcomes: lastReplies }
  }

  async readIndex(groupId: GroupId): Promise<number | undefined> {
    if (this.#view.leaderId !== this.nodeId || this.isCutOff) return undefined
    return (this.#cluster.logs.get(groupId) as LogEntry[]).length
  }

  appliedIndex(groupId: GroupId): number {
    return this.#group(groupId).applied
  }

  leader(): LeaderView {
    return this.#view
  }

  watch(groupId: GroupId, watcher: GroupWatcher): () => void {
    const { watchers } = this.#group(groupId)
    watchers.add(watcher)
    return () => {
      watchers.delete(watcher)
    }
  }

  members(): readonly Member[] {
    return this.#cluster.members
  }

  status(): ClusterStatus {
    const groups = this.groups.map((groupId) => {
      const { state, applied } = this.#group(groupId)
      const { openAuctions, auctions, buyers, outboxLength } = stats(state)
      return {
        groupId,
        ready: this.#view.leaderId !== 0,
        term: this.#view.term,
        commitIndex: applied,
        appliedIndex: applied,
        firstIndex: 1,
        checkpointIndex: 0,
        stateHash: stateHash(state),
        openAuctions,
        auctions,
        buyers,
        outboxLength,
      }
    })
    return { ready: groups.every(({ ready }) => ready), groups }
  }

  async auction(id: AuctionId) {
    return auctionView(this.#of(id).state, id)
  }

  async auctions(query: AuctionQuery) {
    return auctionPage(this.#first().state, query)
  }

  async standing(id: AuctionId, bidderId: SubjectId) {
    return standingOf(this.#of(id).state, id, bidderId)
  }

  async events(id: AuctionId, afterSeq: number, limit: number) {
    return (this.#of(id).history.get(id) ?? []).filter(({ seq }) => seq > afterSeq).slice(0, limit)
  }

  async eventsSince(id: AuctionId, since: Position, limit: number) {
    const history = this.#of(id).history.get(id)
    return history === undefined || since.seq > history.length ? undefined : this.events(id, since.seq, limit)
  }

  async bidders(id: AuctionId, after: number, limit: number) {
    return biddersPage(this.#of(id).state, id, after, limit)
  }

  async interestedBuyers(tags: readonly string[], after: SubjectId | undefined, limit: number) {
    return interestedBuyers(this.#first().state, tags, after, limit)
  }

  async buyer(id: SubjectId) {
    return buyerView(this.#first().state, id)
  }

  async owners(groupId: GroupId) {
    return ownersView(this.#group(groupId).state)
  }

  async house(groupId: GroupId) {
    if (this.isOlder) throw new ClusterError('unavailable', 'read 11 is not known here')
    return houseView(this.#group(groupId).state)
  }

  async outbox(groupId: GroupId, serverId: ServerId, after: number, limit: number) {
    return outboxPage(this.#group(groupId).state, serverId, after, limit)
  }

  #first(): FakeGroup {
    return this.#group(this.groups[0] as GroupId)
  }

  #of(auctionId: AuctionId): FakeGroup {
    return this.#group(groupOf(auctionId, this.groups.length))
  }

  #group(groupId: GroupId): FakeGroup {
    return this.#groups.get(groupId) as FakeGroup
  }
}

/** The node with some methods replaced. */
export function withMethods(node: FakeNode, methods: Partial<LinkBackend>): LinkBackend {
  return new Proxy<LinkBackend>(node, {
    get: (_, name: keyof LinkBackend) => {
      const own = node[name]
      return methods[name] ?? (typeof own === 'function' ? own.bind(node) : own)
    },
  })
}

const server = 'server-1' as ServerId
const seller = 'seller' as SubjectId

export function createAuction(auctionId: string, item?: string): Command {
  return {
    type: 'create_auction',
    subject: seller,
    requestId: `create-${auctionId}` as RequestId,
    auctionId: auctionId as AuctionId,
    serverId: server,
    terms: {
      title: `Lot ${auctionId}`,
      tags: ['clocks'],
      format: 'english',
      currency: 'EUR',
      openingBid: 100,
      durationMs: 3_600_000,
      increments: defaultIncrements('EUR'),
      softClose: { windowMs: 10_000, extensionMs: 20_000 },
      ...(item === undefined ? {} : { item }),
    },
  }
}

export function placeBid(auctionId: string, bidder: string, amount: number, requestId = ''): Command {
  return {
    type: 'place_bid',
    subject: bidder as SubjectId,
    requestId: (requestId === '' ? `${bidder}-${amount}` : requestId) as RequestId,
    auctionId: auctionId as AuctionId,
    amount,
    kind: 'exact',
  }
}

export function registerBuyer(id: string): Command {
  return {
    type: 'register_buyer',
    subject: id as SubjectId,
    requestId: `register-${id}` as RequestId,
    buyerId: id as SubjectId,
    name: `Buyer ${id}`,
    interests: ['clocks'],
    serverId: server,
  }
}

export const enlistServer: Command = { type: 'enlist_server', serverId: server }
