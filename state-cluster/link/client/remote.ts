/**
 * `Cluster` over the network, for a process without a replica.
 *
 * It keeps a connection to every state node that it knows. Proposals go to each group's leader. Reads and feeds come
 * from one preferred node, while that is connected and knows the leaders. Invariants: no answer is older than an
 * earlier answer or feed batch of this link. A feed continues across nodes without repeats, or reports a gap. Every
 * call has one outcome. Listeners are called before the promises of later replies. Source: docs/spec.md LINK1 to
 * LINK14; `Cluster` in cluster.ts.
 */
import type { AuctionId, GroupId, ServerId, SubjectId } from '../../../protocol/ids.ts'
import type { BackoffLimits } from '../../../runtime/backoff.ts'
import type { CancelTimer } from '../../../runtime/clock.ts'
import { type ConnectionLimits, connectionLimits } from '../../../wire/connection.ts'
import { TransportError } from '../../../wire/errors.ts'
import type { Hello } from '../../../wire/handshake.ts'
import { type Address, type Dial, formatAddress } from '../../../wire/stream.ts'
import type { Timing } from '../../../wire/timing.ts'
import { malformed } from '../../../wire/tuples.ts'
import {
  type Cluster,
  ClusterError,
  type ClusterStatus,
  type FeedBatch,
  type FeedGap,
  type Position,
} from '../../cluster.ts'
import { groupOf } from '../../groups.ts'
import type { Command } from '../../machine/commands.ts'
import type { OutboxEntry, PublicEvent, Reply, Standing } from '../../machine/events.ts'
import type {
  AuctionPage,
  AuctionQuery,
  AuctionView,
  BuyerView,
  HouseView,
  OwnersView,
} from '../../machine/view.ts'
import type { LeaderView } from '../../replica/feed.ts'
import type { ChangeOutcome, MemberChange } from '../../replica/membership.ts'
import type { Member } from '../backend.ts'
import { type MemberRow, memberRowsOf, outcomeOf } from '../member-wire.ts'
import { groupsOfScope, type Read, reads } from '../reads.ts'
import {
  decodeIndexDone,
  decodeReadDone,
  decodeStatusDone,
  encodeChangeRequest,
  encodeGroupRequest,
  encodeRead,
  encodeStatusRequest,
  type GroupIndex,
  understood,
  type Welcome,
} from '../wire.ts'
import { Feeds } from './feeds.ts'
import { Leaders } from './leaders.ts'
import { NodeLink, type NodeLinkOwner } from './node-link.ts'
import { type ReadRequest, type ReadRequestLimits, ReadRequests } from './read-requests.ts'
import { type CountLink, type ProposalLimits, RetryQueue } from './retry-queue.ts'

export interface RemoteClusterOptions {
  /** Addresses of state nodes. One that answers is enough; it names the others. */
  readonly nodes: readonly Address[]
  readonly dial: Dial
  readonly timing: Timing
  /** Names this start of the process in the nodes' logs. */
  readonly instance: string
  /** Who this process is, as its certificate says: `server:NAME`, `monitor:NAME` or `tool:NAME`. */
  readonly principal: string
  /** Nodes of another cluster are refused. Absent: the cluster of the first node that answers. */
  readonly clusterId?: string
  readonly limits?: Partial<RemoteLimits>
  /** Logs refusals, corrupt frames and silent nodes; not an address where nobody answers. */
  readonly fault?: (node: Address, cause: TransportError) => void
  /** For metrics. */
  readonly count?: CountLink
}

export interface RemoteLimits extends ProposalLimits, ReadRequestLimits {
  readonly connection: ConnectionLimits
  readonly backoff: BackoffLimits
  /** Time for one attempt to connect to one node. */
  readonly connectTimeoutMs: number
  /** Time for `connectCluster` to find any node. */
  readonly startTimeoutMs: number
  /** How often the status is read and the preferred node is checked. */
  readonly statusMs: number
}

const remoteLimits: RemoteLimits = {
  proposalTimeoutMs: 5_000,
  attemptTimeoutMs: 1_500,
  commandsMax: 20_000,
  commandBytesMax: 64 * 1024 * 1024,
  readTimeoutMs: 5_000,
  readsMax: 10_000,
  connection: connectionLimits,
  backoff: { baseMs: 20, maxMs: 1_000 },
  connectTimeoutMs: 1_000,
  startTimeoutMs: 10_000,
  statusMs: 1_000,
}

export interface RemoteCluster extends Cluster {
  readonly clusterId: string
  /** Makes later reads of the group show everything that was committed when this was called. */
  readBarrier(groupId: GroupId): Promise<void>
  /** The members of a group, as its leader knows them. */
  members(groupId: GroupId): Promise<readonly MemberRow[]>
  /** Asks a group's leader to change its members; it takes that from tools alone (`tool:NAME`). */
  changeMembers(groupId: GroupId, change: MemberChange): Promise<ChangeOutcome>
}

/**
 * Resolves once a node has answered and named the groups. Rejects with ClusterError `unavailable` if none does in
 * time; its cause is the last fault.
 */
export async function connectCluster(options: RemoteClusterOptions): Promise<RemoteCluster> {
  const remote = new Remote(options)
  try {
    await remote.start()
  } catch (error) {
    await remote.close()
    throw error
  }
  return remote
}

class Remote implements RemoteCluster, NodeLinkOwner {
  clusterId: string
  groups: readonly GroupId[] = []
  readonly #options: RemoteClusterOptions
  readonly #limits: RemoteLimits
  readonly #nodes: NodeLink[] = []
  /** The nodes of the options. The others come from the nodes' lists of members. */
  readonly #configured = new Set<NodeLink>()
  readonly #leaders = new Leaders()
  readonly #proposals: RetryQueue
  readonly #reads: ReadRequests
  readonly #feeds: Feeds
  /** For each group, the newest index that an answer or a feed has shown to this process. */
  readonly #shown = new Map<GroupId, number>()
  #preferred: NodeLink | undefined
  #status: ClusterStatus = { ready: false, groups: [] }
  #cancelCheck: CancelTimer | undefined
  #lastFault: TransportError | undefined
  #closed = false

  constructor(options: RemoteClusterOptions) {
    this.#options = options
    this.#limits = { ...remoteLimits, ...options.limits }
    this.clusterId = options.clusterId ?? ''
    const { timing } = options
    const note = (groupId: GroupId, index: number) => this.#note(groupId, index)
    this.#proposals = new RetryQueue({
      timing,
      limits: this.#limits,
      leaders: this.#leaders,
      noteIndex: note,
      count: (what, count) => options.count?.(what, count),
    })
    this.#reads = new ReadRequests(timing, this.#limits)
    this.#feeds = new Feeds(note, (groupId) => this.#shown.get(groupId))
    // A random order spreads the clients over the nodes.
    for (const address of shuffled(options.nodes, timing.random)) {
      this.#configured.add(this.#addNode(address))
    }
  }

  async start(): Promise<void> {
    const { startTimeoutMs } = this.#limits
    const requests = new ReadRequests(this.#options.timing, {
      readTimeoutMs: startTimeoutMs,
      readsMax: 1,
      // Nodes that are starting end connections too, so only the time bounds this request.
      connectionsLostMax: Number.POSITIVE_INFINITY,
    })
    this.#startRequests = requests
    try {
      await requests.request(this.#statusRequest())
    } catch (error) {
      if (error instanceof ClusterError && error.code === 'unavailable') {
        const where = this.#options.nodes.map(formatAddress).join(', ')
        const why = this.#lastFault === undefined ? '' : `: ${this.#lastFault.message}`
        throw new ClusterError('unavailable', `no state node answered (${where})${why}`, {
          cause: this.#lastFault,
        })
      }
      throw error
    } finally {
      this.#startRequests = undefined
      requests.close()
    }
    this.#checkLater()
  }

  /** The first request, which may wait longer than others. */
  #startRequests: ReadRequests | undefined

  // ── Cluster ──────────────────────────────────────────────────────────────────────────────────────────

  groupOf(auctionId: AuctionId): GroupId {
    return groupOf(auctionId, this.groups.length)
  }

  propose(groupId: GroupId, command: Command): Promise<Reply> {
    return this.#proposals.propose(groupId, command)
  }

  subscribe(
    groupId: GroupId,
    listener: (batch: FeedBatch) => void,
    onGap?: (gap: FeedGap) => void,
  ): () => void {
    return this.#feeds.subscribe(groupId, listener, onGap)
  }

  auction(auctionId: AuctionId): Promise<AuctionView | undefined> {
    return this.#find(reads.auction, { auctionId })
  }

  auctions(query: AuctionQuery): Promise<AuctionPage> {
    return this.#read(reads.auctions, query)
  }

  standing(auctionId: AuctionId, bidderId: SubjectId): Promise<Standing> {
    return this.#read(reads.standing, { auctionId, bidderId })
  }

  events(auctionId: AuctionId, afterSeq: number, limit: number): Promise<readonly PublicEvent[]> {
    return this.#read(reads.events, { auctionId, afterSeq, limit })
  }

  eventsSince(
    auctionId: AuctionId,
    since: Position,
    limit: number,
  ): Promise<readonly PublicEvent[] | undefined> {
    return this.#find(reads.eventsSince, { auctionId, since, limit })
  }

  bidders(auctionId: AuctionId, after: number, limit: number): Promise<readonly SubjectId[]> {
    return this.#read(reads.bidders, { auctionId, after, limit })
  }

  interestedBuyers(
    tags: readonly string[],
    after: SubjectId | undefined,
    limit: number,
  ): Promise<readonly BuyerView[]> {
    return this.#read(reads.interestedBuyers, { tags, after, limit })
  }

  buyer(buyerId: SubjectId): Promise<BuyerView | undefined> {
    return this.#find(reads.buyer, { buyerId })
  }

  outbox(
    groupId: GroupId,
    serverId: ServerId,
    after: number,
    limit: number,
  ): Promise<readonly OutboxEntry[]> {
    return this.#read(reads.outbox, { groupId, serverId, after, limit })
  }

  owners(groupId: GroupId): Promise<OwnersView> {
    return this.#read(reads.owners, { groupId })
  }

  house(groupId: GroupId): Promise<HouseView> {
    return this.#read(reads.house, { groupId })
  }

  async knownFeatures(): Promise<readonly number[]> {
    const [groupId] = this.groups
    const nodes = this.#nodes.filter((node) => node.isOpen)
    if (groupId === undefined || nodes.length === 0)
      throw new ClusterError('unavailable', 'no state node is connected')
    const [known = [], ...others] = await Promise.all(nodes.map((node) => featuresKnownBy(node, groupId)))
    return known.filter((feature) => others.every((theirs) => theirs.includes(feature)))
  }

  /** The figures are from the last status of the preferred node; `ready` is current. */
  status(): ClusterStatus {
    const groups = this.#status.groups.map((group) => ({
      ...group,
      ready: this.#leaders.of(group.groupId) !== undefined,
    }))
    return { ready: groups.length > 0 && groups.every((group) => group.ready), groups }
  }

  async readBarrier(groupId: GroupId): Promise<void> {
    const index = await this.#reads.request({
      target: () => this.#leaders.of(groupId),
      encode: (id) => encodeGroupRequest(id, 'readIndex', groupId),
      decode: decodeIndexDone,
    })
    this.#note(groupId, index)
  }

  members(groupId: GroupId): Promise<readonly MemberRow[]> {
    return this.#reads.request({
      target: () => this.#leaders.of(groupId),
      encode: (id) => encodeGroupRequest(id, 'members', groupId),
      decode: memberRowsOf,
    })
  }

  changeMembers(groupId: GroupId, change: MemberChange): Promise<ChangeOutcome> {
    return this.#reads.request({
      target: () => this.#leaders.of(groupId),
      encode: (id) => encodeChangeRequest(id, groupId, change),
      decode: outcomeOf,
    })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#cancelCheck?.()
    this.#proposals.close()
    this.#reads.close()
    this.#startRequests?.close()
    this.#feeds.close()
    for (const node of [...this.#nodes]) node.close()
  }

  // ── Calls of the nodes' connections ──────────────────────────────────────────────────────────────────

  opened(node: NodeLink, welcome: Welcome, theirs: Hello): void {
    if (this.#closed) return
    if (this.clusterId === '') this.clusterId = theirs.clusterId
    if (this.groups.length === 0) this.groups = welcome.groups
    else if (this.groups.join() !== welcome.groups.join())
      throw malformed('the nodes disagree about the groups')
    this.#learn(welcome.members)
    this.#choosePreferred()
    if (node.isOpen) this.#sendWaiting()
  }

  leader(node: NodeLink, groupId: GroupId, view: LeaderView): void {
    this.#leaders.set(node, groupId, view)
    this.#choosePreferred()
    this.#proposals.leaderChanged(groupId)
    this.#reads.flush()
  }

  feed(node: NodeLink, batch: FeedBatch): void {
    this.#feeds.batch(node, batch)
  }

  gap(node: NodeLink, gap: GroupIndex): void {
    this.#feeds.gap(node, gap)
  }

  writable(): void {
    this.#sendWaiting()
  }

  closed(node: NodeLink): void {
    this.#leaders.drop(node)
    if (this.#closed) return
    if (node === this.#preferred) this.#choosePreferred()
    for (const groupId of this.groups) this.#proposals.leaderChanged(groupId)
  }

  fault(node: NodeLink, cause: TransportError): void {
    this.#lastFault = cause
    if (cause.code !== 'connect_failed') this.#options.fault?.(node.address, cause)
  }

  // ── Reads ────────────────────────────────────────────────────────────────────────────────────────────

  async #read<Args, Answer>(read: Read<Args, Answer>, args: Args): Promise<Answer> {
    const scope = this.#scopeOf(read, args)
    return await this.#reads.request({
      target: () => this.#preferred,
      encode: (id) => encodeRead(id, this.#shownOf(scope), read.code, read.encodeArgs(args)),
      decode: (fields) => {
        const { applied, answer } = decodeReadDone(fields)
        const found = understood(() => read.decode(answer, args))
        for (const { groupId, index } of applied) this.#note(groupId, index)
        return found
      },
      failed: (node) => this.#leavePreferred(node),
    })
  }

  /**
   * Answers "not found" only from a node that has applied everything committed before: it may have been created a
   * moment ago through another server.
   */
  async #find<Args, Found>(read: Read<Args, Found | undefined>, args: Args): Promise<Found | undefined> {
    const found = await this.#read(read, args)
    if (found !== undefined) return found
    const scope = this.#scopeOf(read, args)
    await Promise.all(scope.map((groupId) => this.readBarrier(groupId)))
    return this.#read(read, args)
  }

  /** Throws ClusterError if the arguments name an unknown group, which no node could answer. */
  #scopeOf<Args>(read: Read<Args, unknown>, args: Args): readonly GroupId[] {
    try {
      return groupsOfScope(read.scope(args), this.groups, (auctionId) => this.groupOf(auctionId))
    } catch (thrown) {
      throw new ClusterError('unavailable', (thrown as Error).message, { cause: thrown })
    }
  }

  #shownOf(groupIds: readonly GroupId[]): GroupIndex[] {
    const shown: GroupIndex[] = []
    for (const groupId of groupIds) {
      const index = this.#shown.get(groupId)
      if (index !== undefined) shown.push({ groupId, index })
    }
    return shown
  }

  #note(groupId: GroupId, index: number): void {
    if (index > (this.#shown.get(groupId) ?? -1)) this.#shown.set(groupId, index)
  }

  // ── Preferred node, and the others ────────────────────────────────────────────────────────────────────

  /**
   * The preferred node stays while it is connected and itself reports as many leaders as any other node. One that lost
   * its leader is left as soon as another node reports one.
   */
  #choosePreferred(avoid?: NodeLink): void {
    let best: NodeLink | undefined
    let bestKnown = -1
    for (const node of this.#nodes) {
      if (!node.isOpen || node === avoid) continue
      const known = this.#leadersKnownBy(node)
      if (known > bestKnown || (known === bestKnown && node === this.#preferred)) {
        best = node
        bestKnown = known
      }
    }
    best ??= avoid?.isOpen === true ? avoid : undefined
    if (best === this.#preferred) return
    this.#preferred = best
    this.#feeds.setPreferred(best)
    this.#sendWaiting()
  }

  /** A leader that is disconnected, or denies that it leads, counts for no node. */
  #leadersKnownBy(node: NodeLink): number {
    const led = this.groups.filter((groupId) => this.#leaders.of(groupId) !== undefined)
    return led.filter((groupId) => this.#leaders.viewOf(node, groupId).leaderId !== 0).length
  }

  /** The node could not answer: it lags, or stops. */
  #leavePreferred(node: NodeLink): void {
    if (node === this.#preferred) this.#choosePreferred(node)
  }

  #sendWaiting(): void {
    this.#feeds.follow()
    this.#startRequests?.flush()
    this.#reads.flush()
    this.#proposals.flushSoon()
  }

  #addNode(address: Address): NodeLink {
    const { dial, timing, instance, principal } = this.#options
    const { connection, backoff, connectTimeoutMs } = this.#limits
    const options = { dial, timing, limits: connection, backoff, connectTimeoutMs, instance, principal }
    const node = new NodeLink(address, options, this)
    this.#nodes.push(node)
    return node
  }

  /** Connects to nodes that joined, and closes the links to nodes that left, unless they were configured. */
  #learn(members: readonly Member[]): void {
    if (members.length === 0) return
    const addresses = new Set(members.map(({ address }) => formatAddress(address)))
    for (const node of [...this.#nodes]) {
      const isTwice = this.#nodes.some(
        (other) => other !== node && other.isOpen && other.nodeId === node.nodeId,
      )
      const isWanted = addresses.has(formatAddress(node.address)) && !(node.nodeId !== 0 && isTwice)
      if (this.#configured.has(node) || isWanted) continue
      this.#nodes.splice(this.#nodes.indexOf(node), 1)
      node.close()
    }
    for (const { nodeId, address } of members) {
      const isKnown = this.#nodes.some(
        (node) => node.nodeId === nodeId || formatAddress(node.address) === formatAddress(address),
      )
      if (!isKnown) this.#addNode(address)
    }
  }

  #checkLater(): void {
    if (this.#closed) return
    this.#cancelCheck = this.#options.timing.clock.setTimer(this.#limits.statusMs, () => {
      this.#choosePreferred()
      this.#reads.request(this.#statusRequest()).then(
        () => this.#checkLater(),
        (error) => {
          // No node is connected, or too many reads wait; the next check is soon.
          if (!(error instanceof ClusterError)) throw error
          this.#checkLater()
        },
      )
    })
  }

  #statusRequest(): ReadRequest<void> {
    return {
      target: () => this.#preferred,
      encode: encodeStatusRequest,
      decode: (fields) => {
        const { status, members } = decodeStatusDone(fields)
        this.#status = status
        for (const { groupId, appliedIndex } of status.groups) this.#note(groupId, appliedIndex)
        this.#learn(members)
      },
    }
  }
}

/** A node that refuses the request, such as one of an older version, counts as knowing no feature. */
function featuresKnownBy(node: NodeLink, groupId: GroupId): Promise<readonly number[]> {
  const { house } = reads
  return new Promise((resolve, reject) => {
    const isTaken = node.request(
      (id) => encodeRead(id, [], house.code, house.encodeArgs({ groupId })),
      (outcome) => {
        if (outcome instanceof TransportError) {
          reject(new ClusterError('unavailable', `a state node did not answer: ${outcome.message}`))
        } else if (outcome.failure !== undefined) resolve([])
        else {
          const { answer } = decodeReadDone(outcome.fields)
          resolve(understood(() => house.decode(answer, { groupId })).knownFeatures)
        }
      },
    )
    if (!isTaken) reject(new ClusterError('unavailable', 'a state node takes no request now'))
  })
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const rest = [...items]
  const result: T[] = []
  while (rest.length > 0) result.push(...rest.splice(Math.floor(random() * rest.length), 1))
  return result
}
