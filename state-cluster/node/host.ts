/**
 * The replicas of this process, one of each group, over one store.
 *
 * They are opened, read, proposed to, and closed together. A single node and a node of a cluster are both this; they
 * differ in whom their replicas send messages to.
 *
 *   <data>/lock.n        one process at a time      <data>/state/data.mdb   log, checkpoints and history
 *
 * Invariant: whatever throws or fails while opening leaves nothing open and nothing locked; after a fatal error
 * nothing is answered any more, and `onFatal` was called once.
 */
import { join } from 'node:path'
import type { AuctionId, GroupId, ServerId, SubjectId } from '../../protocol/ids.ts'
import { assert } from '../../runtime/assert.ts'
import type { Clock } from '../../runtime/clock.ts'
import { systemTiming, type Timing } from '../../wire/timing.ts'
import type { Cluster, ClusterStatus, FeedBatch, FeedGap, GroupStatus, Position } from '../cluster.ts'
import { groupCountMax, groupOf, groupsOf } from '../groups.ts'
import type { Command } from '../machine/commands.ts'
import type { OutboxEntry, PublicEvent, Reply, Standing } from '../machine/events.ts'
import { knownFeatures } from '../machine/features.ts'
import {
  auctionPage,
  auctionView,
  biddersPage,
  buyerView,
  houseView,
  interestedBuyers,
  outboxPage,
  ownersView,
  standingOf,
  stateHash,
  stats,
} from '../machine/index.ts'
import type {
  AuctionPage,
  AuctionQuery,
  AuctionView,
  BuyerView,
  HouseView,
  OwnersView,
} from '../machine/view.ts'
import { PeerClocks } from '../peers/peer-clocks.ts'
import type { PeerTransport } from '../peers/peer-transport.ts'
import { type AppliedState, type Machine, writesOfNewState } from '../replica/applied-state.ts'
import type { RareEvent } from '../replica/rare-events.ts'
import { Replica } from '../replica/replica.ts'
import {
  defaultReplicaSettings,
  type ReplicaPorts,
  type ReplicaProgress,
  type ReplicaSettings,
} from '../replica/settings.ts'
import { readCheckpoint } from '../storage/checkpoint.ts'
import { type LogPosition, writesOfNewLog } from '../storage/disk-log.ts'
import { type DiskParts, partsOf } from '../storage/disk-parts.ts'
import { type FolderLock, lockFolder } from '../storage/folder-lock.ts'
import { finishInstall } from '../storage/incoming-snapshot.ts'
import { openLmdbStore } from '../storage/lmdb-store.ts'
import { type Members, readMembers, writeOfMembers } from '../storage/member-record.ts'
import { readMeta, type StoreMeta, writeOfMeta } from '../storage/meta.ts'
import type { Store, StoreStats, StoreView } from '../storage/store.ts'
import { type ClockNote, ClockWatch, offsetsOf } from './clock-watch.ts'
import { type StallKind, StallWatch } from './stall-watch.ts'
import { gatherTurns } from './turns.ts'

/** What is rare in a replica, or in its process. */
export type NodeRareEvent =
  | RareEvent
  | { readonly type: 'stall'; readonly kind: StallKind; readonly ms: number }
  | { readonly type: 'link_fault'; readonly code: string }

export interface HostOptions {
  /** Made where needed. */
  readonly dataDir: string
  /** Default the machine's. */
  readonly clock?: Clock
  readonly settings?: Partial<ReplicaSettings>
  /** What is rare, for counts and log lines. */
  readonly onRare?: (event: NodeRareEvent, groupId?: GroupId) => void
  /** How far the start is, while a large state loads. */
  readonly onProgress?: (progress: StartProgress) => void
  /** What an operator wants to know of clocks. */
  readonly onClock?: ClockNote
  /** The disk failed, data is damaged, or an invariant broke: nothing is answered any more. End the process. */
  readonly onFatal: (error: Error) => void
}

export interface StartProgress extends ReplicaProgress {
  readonly groupId: GroupId
}

/** How one kind of host differs from another. */
export interface HostKind {
  /** What to make of a new folder. */
  readonly birth: () => Birth
  /** Throws StoreError `foreign_data` where an existing folder is not this host's. */
  readonly check: (meta: StoreMeta) => void
  readonly transport: (meta: StoreMeta, timing: Timing) => HostTransport
  readonly onMembers?: (groupId: GroupId, members: Members) => void
  readonly onHash?: (groupId: GroupId, index: number, hash: string) => void
  /** Default the auction machine as it is. */
  readonly machine?: Machine
  /** Where the members are, for a folder that does not say it yet: one that was alone. */
  readonly members?: Members
}

/** What the replicas of a host send by. */
export type HostTransport = Pick<PeerTransport, 'send' | 'sendSnapshot' | 'sendClocks'>

/** What a new folder begins with. */
export interface Birth {
  readonly meta: StoreMeta
  /** Every group's log begins after this; indexes and terms of entries are greater. */
  readonly position: LogPosition
  readonly members: Members
}

/** How much is under way, for metrics. */
export interface HostLoad {
  readonly queuedCommands: number
  readonly inFlightCommands: number
  readonly unappliedEntries: number
  readonly disk: StoreStats
  /** How far this machine's wall clock is from what a majority agrees on (positive: ahead); absent: not known. */
  readonly clockOffsetMs?: number
  /** How far house time is from that, in the group that it leads where that is most; absent: it leads none. */
  readonly houseOffsetMs?: number
}

/** Events that one call gives at most. */
const eventsMax = 10_000

/**
 * Opens the folder and loads its checkpoints; `start` lets the replicas take part. Rejects with StoreError, whose
 * message is for the operator: `folder_in_use`, `disk_read_only`, `disk_full`, `disk_failed`, `corrupt`,
 * `foreign_data`.
 */
export async function openHost(options: HostOptions, kind: HostKind): Promise<ReplicaHost> {
  const timing = gatherTurns({ ...systemTiming, ...(options.clock && { clock: options.clock }) })
  const lock = await lockFolder(options.dataDir, { nowMs: timing.clock.nowMs() })
  let store: Store | undefined
  try {
    store = openLmdbStore(join(options.dataDir, 'state'))
    const meta = readMeta(store) ?? (await makeBirth(store, kind.birth()))
    kind.check(meta)
    for (const groupId of groupsOf(meta.groupCount)) {
      await finishInstall(store, groupId)
      const isAlone = readMembers(store, groupId).size === 0 && hasVoters(store, groupId)
      if (kind.members !== undefined && isAlone) await store.commit([writeOfMembers(groupId, kind.members)])
    }
    return await ReplicaHost.open({ meta, store, lock, timing, options, kind })
  } catch (error) {
    await store?.close()
    await lock.release()
    throw error
  }
}

/** Not those of a node that is to join. */
function hasVoters(store: Store, groupId: GroupId): boolean {
  return (readCheckpoint(store, groupId)?.confState.voters.length ?? 0) > 0
}

/** Makes a new folder of an empty one. */
export async function makeBirth(store: Store, { meta, position, members }: Birth): Promise<StoreMeta> {
  const { groupCount } = meta
  assert(
    Number.isSafeInteger(groupCount) && groupCount >= 1 && groupCount <= groupCountMax,
    `a cluster has 1 to ${groupCountMax} groups`,
  )
  const groups = groupsOf(groupCount).flatMap((groupId) => [
    ...writesOfNewLog(groupId, position),
    ...writesOfNewState(groupId, position),
    writeOfMembers(groupId, members),
  ])
  await store.commit([writeOfMeta(meta), ...groups])
  return meta
}

interface FatalHandler {
  (error: Error): void
  /** Until then the opening call rejects instead. */
  isOpen: boolean
}

/** Calls the handler for the first error of all groups, once the host is open. */
function onceOpen(onFatal: (error: Error) => void): FatalHandler {
  let hasFailed = false
  const handler: FatalHandler = (error) => {
    if (!hasFailed && handler.isOpen) onFatal(error)
    hasFailed = true
  }
  handler.isOpen = false
  return handler
}

interface HostParts {
  readonly meta: StoreMeta
  readonly store: Store
  readonly lock: FolderLock
  readonly timing: Timing
  readonly options: HostOptions
  readonly kind: HostKind
}

interface ReplicaOfHost {
  readonly groupId: GroupId
  readonly transport: HostTransport
  readonly clocks: PeerClocks
  readonly onFatal: FatalHandler
}

function openReplica(
  { meta, store, timing, options, kind }: HostParts,
  one: ReplicaOfHost,
): Promise<Replica> {
  const { groupId, transport, clocks, onFatal } = one
  const { onProgress, onRare } = options
  const ports: ReplicaPorts = {
    store,
    timing,
    transport,
    wallClocks: clocks,
    onFatal,
    onMembers: (members) => kind.onMembers?.(groupId, members),
    ...(kind.onHash && { onHash: (index, hash) => kind.onHash?.(groupId, index, hash) }),
    ...(kind.machine && { machine: kind.machine }),
    ...(onRare && { onRare: (event) => onRare(event, groupId) }),
  }
  return Replica.open({
    groupId,
    nodeId: meta.nodeId,
    settings: { ...defaultReplicaSettings, ...options.settings },
    ports,
    ...(onProgress && { onProgress: (progress) => onProgress({ ...progress, groupId }) }),
  })
}

interface OpenReplicas {
  readonly replicas: readonly Replica[]
  readonly clocks: PeerClocks
  readonly onFatal: FatalHandler
}

export class ReplicaHost implements Cluster {
  readonly meta: StoreMeta
  readonly groups: readonly GroupId[]
  readonly timing: Timing
  readonly replicas: readonly Replica[]
  readonly clocks: PeerClocks
  readonly #store: Store
  readonly #lock: FolderLock
  readonly #onFatal: FatalHandler
  readonly #stalls: StallWatch | undefined
  #closing: Promise<void> | undefined

  /** Loads every group's checkpoint, one after the other. Rejects with StoreError. */
  static async open(parts: HostParts): Promise<ReplicaHost> {
    const { meta, timing, kind, options } = parts
    const transport = kind.transport(meta, timing)
    const onFatal = onceOpen(options.onFatal)
    const replicas: Replica[] = []
    const watch = new ClockWatch(meta.nodeId, timing.clock, options.onClock)
    const clocks = new PeerClocks({
      nodeId: meta.nodeId,
      timing,
      send: (nodeId, body) => transport.sendClocks(nodeId, body),
      peers: () => new Set(replicas.flatMap((replica) => [...replica.addresses.keys()])),
      readings: () =>
        replicas.flatMap((replica) => {
          const time = replica.houseTime()
          return time === undefined ? [] : [{ groupId: replica.groupId, ...time }]
        }),
      heard: (nodeId, { groupId, ...time }, errorMs) =>
        replicas[groupId]?.heardHouseTime(nodeId, time, errorMs),
      compared: () => watch.look(replicas, clocks),
    })
    for (const groupId of groupsOf(meta.groupCount)) {
      replicas.push(await openReplica(parts, { groupId, transport, clocks, onFatal }))
    }
    return new ReplicaHost(parts, { replicas, clocks, onFatal })
  }

  private constructor(
    { meta, store, lock, timing, options }: HostParts,
    { replicas, clocks, onFatal }: OpenReplicas,
  ) {
    this.meta = meta
    this.groups = groupsOf(meta.groupCount)
    this.timing = timing
    this.replicas = replicas
    this.clocks = clocks
    this.#store = store
    this.#lock = lock
    this.#onFatal = onFatal
    const { onRare } = options
    if (onRare === undefined) return
    this.#stalls = new StallWatch({
      clock: timing.clock,
      flushed: () => store.commit([]),
      stalled: (kind, ms) => onRare({ type: 'stall', kind, ms }),
    })
  }

  /** The store as it is now, for a backup. Close it. */
  view(): StoreView {
    return this.#store.view()
  }

  /** What the bytes on the disk are. Reads all of them. */
  async diskParts(): Promise<DiskParts> {
    const view = this.#store.view()
    try {
      return await partsOf(view, this.groups)
    } finally {
      view.close()
    }
  }

  get clusterId(): string {
    return this.meta.clusterId
  }

  /** From now on a fatal error is reported to `onFatal` instead of rejecting the opening call. */
  tellFatal(): void {
    this.#onFatal.isOpen = true
  }

  /** The founding of the cluster is over for this node. Resolves when that is durable. */
  async founded(): Promise<void> {
    await this.#store.commit([writeOfMeta({ ...this.meta, isFounding: false })])
  }

  /** Lets the replicas take part. `isTold`: see `tellFatal`. */
  start(isTold: boolean): void {
    if (isTold) this.tellFatal()
    this.clocks.start()
    for (const replica of this.replicas) replica.start()
    this.#stalls?.start()
  }

  /** Resolves when every group takes commands here: for a host that is alone. */
  async whenLeading(): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.whenReady()))
    this.tellFatal()
  }

  groupOf(auctionId: AuctionId): GroupId {
    return groupOf(auctionId, this.groups.length)
  }

  propose(groupId: GroupId, command: Command): Promise<Reply> {
    return this.replica(groupId).propose(command)
  }

  subscribe(
    groupId: GroupId,
    listener: (batch: FeedBatch) => void,
    onGap?: (gap: FeedGap) => void,
  ): () => void {
    const replica = this.replica(groupId)
    if (onGap === undefined) return replica.subscribe(listener)
    let afterIndex = replica.applied.appliedIndex
    return replica.watch({
      batch: listener,
      applied(index) {
        afterIndex = index
      },
      gap(toIndex) {
        onGap({ groupId, afterIndex, toIndex })
        afterIndex = toIndex
      },
      leader: () => undefined,
    })
  }

  async auction(auctionId: AuctionId): Promise<AuctionView | undefined> {
    return this.#read(auctionId, ({ state }) => auctionView(state, auctionId))
  }

  /** With several groups: in order of creation within each, one group after the other. */
  async auctions(query: AuctionQuery): Promise<AuctionPage> {
    const isSingle = this.groups.length === 1
    const [group, after] = isSingle ? [0, query.after] : splitCursor(query.after)
    const found: AuctionView[] = []
    for (let at = group; at < this.groups.length; at++) {
      const { status, tag } = query
      const own: AuctionQuery = {
        ...(status !== undefined && { status }),
        ...(tag !== undefined && { tag }),
        ...(at === group && after !== undefined && { after }),
        limit: query.limit - found.length,
      }
      const page = this.replica(at as GroupId).read(({ state }) => auctionPage(state, own))
      found.push(...page.auctions)
      if (page.next !== undefined) {
        return { auctions: found, next: isSingle ? page.next : `${at}.${page.next}` }
      }
      if (found.length === query.limit && at + 1 < this.groups.length) {
        return { auctions: found, next: `${at + 1}.0` }
      }
    }
    return { auctions: found }
  }

  async standing(auctionId: AuctionId, bidderId: SubjectId): Promise<Standing> {
    return this.#read(auctionId, ({ state }) => standingOf(state, auctionId, bidderId))
  }

  async events(auctionId: AuctionId, afterSeq: number, limit: number): Promise<readonly PublicEvent[]> {
    return this.#read(auctionId, (applied) => {
      const seq = seqOf(applied, auctionId) ?? 0
      const count = Math.min(limit, eventsMax, Math.max(0, seq - afterSeq))
      return applied.events(auctionId, afterSeq + 1, afterSeq + 1 + count)
    })
  }

  async eventsSince(
    auctionId: AuctionId,
    since: Position,
    limit: number,
  ): Promise<readonly PublicEvent[] | undefined> {
    return this.#read(auctionId, (applied) => {
      const seq = seqOf(applied, auctionId)
      if (seq === undefined || since.seq > seq || seq - since.seq > Math.min(limit, eventsMax))
        return undefined
      if (since.seq > 0) {
        // A new owner's epoch has no event of its own: a reader may know it before the next event carries it.
        const [last, next] = applied.events(auctionId, since.seq, Math.min(seq, since.seq + 1) + 1)
        const epochMax = next?.epoch ?? applied.state.auctions.get(auctionId)?.epoch ?? 0
        if (last === undefined || since.epoch < last.epoch || since.epoch > epochMax) return undefined
      }
      return applied.events(auctionId, since.seq + 1, seq + 1)
    })
  }

  async bidders(auctionId: AuctionId, after: number, limit: number): Promise<readonly SubjectId[]> {
    return this.#read(auctionId, ({ state }) => biddersPage(state, auctionId, after, limit))
  }

  async interestedBuyers(
    tags: readonly string[],
    after: SubjectId | undefined,
    limit: number,
  ): Promise<readonly BuyerView[]> {
    return this.#first().read(({ state }) => interestedBuyers(state, tags, after, limit))
  }

  async buyer(buyerId: SubjectId): Promise<BuyerView | undefined> {
    return this.#first().read(({ state }) => buyerView(state, buyerId))
  }

  async outbox(
    groupId: GroupId,
    serverId: ServerId,
    after: number,
    limit: number,
  ): Promise<readonly OutboxEntry[]> {
    return this.replica(groupId).read(({ state }) => outboxPage(state, serverId, after, limit))
  }

  async owners(groupId: GroupId): Promise<OwnersView> {
    return this.replica(groupId).read(({ state }) => ownersView(state))
  }

  async house(groupId: GroupId): Promise<HouseView> {
    return this.replica(groupId).read(({ state }) => houseView(state))
  }

  /** What this node's build knows; it does not know the other builds. */
  async knownFeatures(): Promise<readonly number[]> {
    return knownFeatures
  }

  status(): ClusterStatus {
    const groups = this.replicas.map((replica) => groupStatus(replica))
    return { ready: groups.every((group) => group.ready), groups }
  }

  load(): HostLoad {
    const all = this.replicas.map((replica) => replica.status())
    return {
      queuedCommands: all.reduce((sum, one) => sum + one.queuedCommands, 0),
      inFlightCommands: all.reduce((sum, one) => sum + one.inFlightCommands, 0),
      unappliedEntries: all.reduce((sum, one) => sum + one.unappliedEntries, 0),
      disk: this.#store.stats(),
      ...offsetsOf(this.replicas, this.clocks),
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.clocks.close()
    await Promise.all(this.replicas.map((replica) => replica.stop()))
    await this.#store.close()
    await this.#lock.release()
  }

  #first(): Replica {
    return this.replica(0 as GroupId)
  }

  replica(groupId: GroupId): Replica {
    const replica = this.replicas[groupId]
    assert(replica !== undefined, `there is no group ${groupId}`)
    return replica
  }

  #read<T>(auctionId: AuctionId, work: (applied: AppliedState) => T): T {
    return this.replica(this.groupOf(auctionId)).read(work)
  }
}

function seqOf(applied: AppliedState, auctionId: AuctionId): number | undefined {
  return applied.state.auctions.get(auctionId)?.seq
}

/** `group.after`; anything else begins after the last group, where nothing is. */
function splitCursor(cursor: string | undefined): [number, string | undefined] {
  if (cursor === undefined) return [0, undefined]
  const [, group, after] = /^(\d{1,5})\.(\d{1,16})$/.exec(cursor) ?? []
  return group === undefined ? [groupCountMax, undefined] : [Number(group), after]
}

function groupStatus(replica: Replica): GroupStatus {
  const status = replica.status()
  const { term, commitIndex, appliedIndex, firstIndex, checkpointIndex, isInstalling } = status
  // A follower cannot know whether the leader is ready: it is, moments after it is known.
  const ready = status.isLeader ? status.ready : status.leader !== 0 && !isInstalling
  const { state } = replica.applied
  const { openAuctions, auctions, buyers, outboxLength } = stats(state)
  return {
    groupId: replica.groupId,
    ready,
    term,
    commitIndex,
    appliedIndex,
    firstIndex,
    checkpointIndex,
    stateHash: stateHash(state),
    openAuctions,
    auctions,
    buyers,
    outboxLength,
  }
}
