/**
 * The cluster in this process: every group has one replica, here, and its only voter. What it stores is what any
 * other cluster stores, so that a folder made by `martillo start` can grow into more nodes.
 *
 *   <data>/lock.n        one process at a time      <data>/state/data.mdb   log, checkpoints and history
 *
 * Invariant: whatever throws or fails while opening leaves nothing open and nothing locked; after a fatal error
 * nothing is answered any more, and `onFatal` was called once.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { AuctionId, GroupId, ServerId, SubjectId } from '../protocol/ids.ts'
import { assert } from '../runtime/assert.ts'
import type { Clock } from '../runtime/clock.ts'
import { type AppliedState, writesOfEmptyState } from './applied-state.ts'
import {
  type Cluster,
  ClusterError,
  type ClusterStatus,
  type FeedBatch,
  type GroupStatus,
  type Position,
} from './cluster.ts'
import { groupCountMax, groupOf, groupsOf } from './groups.ts'
import type { Command } from './machine/commands.ts'
import type { Notice, PublicEvent, Reply, Standing } from './machine/events.ts'
import {
  auctionPage,
  auctionView,
  biddersPage,
  buyerView,
  interestedBuyers,
  noticesPage,
  standingOf,
  stateHash,
  stats,
} from './machine/index.ts'
import type { AuctionPage, AuctionQuery, AuctionView, BuyerView } from './machine/view.ts'
import { newConfState } from './raft/index.ts'
import {
  defaultReplicaSettings,
  Replica,
  type ReplicaPorts,
  type ReplicaProgress,
  type ReplicaSettings,
} from './replica.ts'
import { type LogPosition, writesOfNewLog } from './storage/disk-log.ts'
import { type FolderLock, lockFolder } from './storage/folder-lock.ts'
import { openLmdbStore } from './storage/lmdb-store.ts'
import { readMeta, type StoreMeta, writeOfMeta } from './storage/meta.ts'
import { type Store, StoreError, type StoreStats } from './storage/store.ts'
import { systemTiming } from './transport/timing.ts'
import { gatherTurns } from './turns.ts'

export interface LocalClusterOptions {
  /** Made where needed. */
  readonly dataDir: string
  /** Default the machine's. */
  readonly clock?: Clock
  /** Of a new cluster, 1 to 1024; default 1. An existing one keeps the number that it was made with. */
  readonly groupCount?: number
  readonly settings?: Partial<ReplicaSettings>
  /** How far the start is, while a large state loads. */
  readonly onProgress?: (progress: StartProgress) => void
  /** The disk failed, data is damaged, or an invariant broke: nothing is answered any more. End the process. */
  readonly onFatal: (error: Error) => void
}

export interface StartProgress extends ReplicaProgress {
  readonly groupId: GroupId
}

/** How much is under way, for metrics. */
export interface LocalClusterLoad {
  readonly queuedCommands: number
  readonly inFlightCommands: number
  readonly unappliedEntries: number
  readonly disk: StoreStats
}

export interface LocalCluster extends Cluster {
  readonly clusterId: string
  load(): LocalClusterLoad
}

const nodeId = 1
/** Every group's log begins behind this; indexes and terms of entries are greater. */
const firstPosition: LogPosition = { index: 1, term: 1, confState: newConfState([nodeId]) }

/** Events that one call gives at most. */
const eventsMax = 10_000

/**
 * Opens the folder and resolves when commands are taken: after the checkpoint was loaded and the log behind it
 * replayed. Rejects with StoreError, whose message is for the operator: `folder_in_use`, `disk_read_only`,
 * `disk_full`, `disk_failed`, `corrupt`, `foreign_data`.
 */
export async function openLocalCluster(options: LocalClusterOptions): Promise<LocalCluster> {
  const timing = gatherTurns({ ...systemTiming, ...(options.clock && { clock: options.clock }) })
  const lock = await lockFolder(options.dataDir, { nowMs: timing.clock.nowMs() })
  let store: Store | undefined
  let cluster: OpenCluster | undefined
  try {
    store = openLmdbStore(join(options.dataDir, 'state'))
    const meta = readMeta(store) ?? (await makeCluster(store, options.groupCount ?? 1))
    if (meta.nodeId !== nodeId) {
      const text = `${options.dataDir} belongs to node ${meta.nodeId} of cluster ${meta.clusterId}`
      throw new StoreError('foreign_data', `${text}, which has others: start it as a node of its cluster`)
    }
    const settings = { ...defaultReplicaSettings, ...options.settings }
    const ports = { store, timing, transport: noPeers, onFatal: onceOpen(options.onFatal) }
    const replicas = openReplicas(meta, settings, ports, options.onProgress)
    cluster = new OpenCluster(meta, store, lock, replicas)
    for (const replica of replicas) replica.start()
    await Promise.all(replicas.map((replica) => replica.whenReady()))
    ports.onFatal.isOpen = true
    return cluster
  } catch (error) {
    if (cluster !== undefined) await cluster.close()
    else {
      await store?.close()
      await lock.release()
    }
    // A replica that failed while it was opened gives the reason as its cause.
    throw error instanceof ClusterError && error.cause instanceof Error ? error.cause : error
  }
}

const noPeers = {
  send(): void {
    assert(false, 'a replica that is alone has nobody to send to')
  },
}

interface FatalHandler {
  (error: Error): void
  /** Until then whoever opens is told, by the rejection. */
  isOpen: boolean
}

/** Calls the handler for the first error of all groups, once the cluster is open. */
function onceOpen(onFatal: (error: Error) => void): FatalHandler {
  let hasFailed = false
  const handler: FatalHandler = (error) => {
    if (!hasFailed && handler.isOpen) onFatal(error)
    hasFailed = true
  }
  handler.isOpen = false
  return handler
}

async function makeCluster(store: Store, groupCount: number): Promise<StoreMeta> {
  assert(
    Number.isSafeInteger(groupCount) && groupCount >= 1 && groupCount <= groupCountMax,
    `a cluster has 1 to ${groupCountMax} groups`,
  )
  const meta = { clusterId: randomBytes(16).toString('hex'), nodeId, groupCount }
  const groups = groupsOf(groupCount).flatMap((groupId) => [
    ...writesOfNewLog(groupId, firstPosition),
    ...writesOfEmptyState(groupId, firstPosition),
  ])
  await store.commit([writeOfMeta(meta), ...groups])
  return meta
}

function openReplicas(
  meta: StoreMeta,
  settings: ReplicaSettings,
  ports: ReplicaPorts,
  onProgress: LocalClusterOptions['onProgress'],
): Replica[] {
  return groupsOf(meta.groupCount).map((groupId) => {
    const report = onProgress && ((progress: ReplicaProgress) => onProgress({ ...progress, groupId }))
    return new Replica({ groupId, nodeId, settings, ports, ...(report && { onProgress: report }) })
  })
}

class OpenCluster implements LocalCluster {
  readonly groups: readonly GroupId[]
  readonly clusterId: string
  readonly #store: Store
  readonly #lock: FolderLock
  readonly #replicas: readonly Replica[]
  #closing: Promise<void> | undefined

  constructor(meta: StoreMeta, store: Store, lock: FolderLock, replicas: readonly Replica[]) {
    this.clusterId = meta.clusterId
    this.groups = groupsOf(meta.groupCount)
    this.#store = store
    this.#lock = lock
    this.#replicas = replicas
  }

  groupOf(auctionId: AuctionId): GroupId {
    return groupOf(auctionId, this.groups.length)
  }

  propose(groupId: GroupId, command: Command): Promise<Reply> {
    return this.#replica(groupId).propose(command)
  }

  subscribe(groupId: GroupId, listener: (batch: FeedBatch) => void): () => void {
    return this.#replica(groupId).subscribe(listener)
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
      const page = this.#replica(at as GroupId).read(({ state }) => auctionPage(state, own))
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
        const [last] = applied.events(auctionId, since.seq, since.seq + 1)
        if (last?.epoch !== since.epoch) return undefined
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

  async notices(
    groupId: GroupId,
    serverId: ServerId,
    after: number,
    limit: number,
  ): Promise<readonly Notice[]> {
    return this.#replica(groupId).read(({ state }) => noticesPage(state, serverId, after, limit))
  }

  status(): ClusterStatus {
    const groups = this.#replicas.map((replica) => groupStatus(replica))
    return { ready: groups.every((group) => group.ready), groups }
  }

  load(): LocalClusterLoad {
    const all = this.#replicas.map((replica) => replica.status())
    return {
      queuedCommands: all.reduce((sum, one) => sum + one.queuedCommands, 0),
      inFlightCommands: all.reduce((sum, one) => sum + one.inFlightCommands, 0),
      unappliedEntries: all.reduce((sum, one) => sum + one.unappliedEntries, 0),
      disk: this.#store.stats(),
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await Promise.all(this.#replicas.map((replica) => replica.stop()))
    await this.#store.close()
    await this.#lock.release()
  }

  #first(): Replica {
    return this.#replica(0 as GroupId)
  }

  #replica(groupId: GroupId): Replica {
    const replica = this.#replicas[groupId]
    assert(replica !== undefined, `there is no group ${groupId}`)
    return replica
  }

  #read<T>(auctionId: AuctionId, work: (applied: AppliedState) => T): T {
    return this.#replica(this.groupOf(auctionId)).read(work)
  }
}

function seqOf(applied: AppliedState, auctionId: AuctionId): number | undefined {
  return applied.state.auctions.get(auctionId)?.seq
}

/** `group.after`; what is not one begins behind the last group, where nothing is. */
function splitCursor(cursor: string | undefined): [number, string | undefined] {
  if (cursor === undefined) return [0, undefined]
  const [, group, after] = /^(\d{1,5})\.(\d{1,16})$/.exec(cursor) ?? []
  return group === undefined ? [groupCountMax, undefined] : [Number(group), after]
}

function groupStatus(replica: Replica): GroupStatus {
  const { ready, term, commitIndex, appliedIndex, firstIndex, checkpointIndex } = replica.status()
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
