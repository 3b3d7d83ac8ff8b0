/**
 * A state node: its replicas, the peer network and the cluster link.
 *
 *   peers ──► Acceptor ──role peer──► PeerNetwork ──► replicas of all groups
 *   servers ─►          ──role link──► LinkService ──► linkBackend ──► the same replicas
 *
 * All share one address. main.ts has settings, signals and exits.
 * Invariant: a node takes part only in the cluster, and under the number, that its folder was made for; whom it
 * connects to follows from the members in the log, and until then from the list that it was started with.
 * Source: docs/spec.md NODE1 to NODE3, IDENT1 to IDENT5, MEMBER1 to MEMBER4.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { GroupId } from '../../protocol/ids.ts'
import { sleep } from '../../runtime/clock.ts'
import { NoteLimit } from '../../runtime/note-limit.ts'
import { Acceptor } from '../../wire/acceptor.ts'
import type { TransportError } from '../../wire/errors.ts'
import { type Hello, type Refusal, settingsHash } from '../../wire/handshake.ts'
import type { Address } from '../../wire/stream.ts'
import { type TcpOptions, tcpDial, tcpListen } from '../../wire/tcp.ts'
import type { Timing } from '../../wire/timing.ts'
import type { ClusterStatus } from '../cluster.ts'
import type { Member } from '../link/backend.ts'
import { LinkService, type MembershipAdmin } from '../link/service/service.ts'
import { entryVersion } from '../machine/index.ts'
import { PeerNetwork } from '../peers/peer-network.ts'
import type { PeerStats, SnapshotSink } from '../peers/peer-transport.ts'
import { type Message, newConfState } from '../raft/index.ts'
import { type MemberView, refused } from '../replica/membership.ts'
import type { ReplicaStatus } from '../replica/settings.ts'
import type { Members } from '../storage/member-record.ts'
import { newIncarnation, type StoreMeta } from '../storage/meta.ts'
import { StoreError } from '../storage/store.ts'
import { backupOf } from './backup.ts'
import type { ClockEvent } from './clock-watch.ts'
import { type HostLoad, type HostOptions, openHost, type ReplicaHost } from './host.ts'
import { Identities } from './identity.ts'
import { linkBackend } from './link-backend.ts'

export interface StateNodeOptions extends HostOptions {
  /** 1 to 2^31 − 1; no two nodes of a cluster ever have the same. */
  readonly nodeId: number
  readonly listen: Address
  /** Where the members are, this one included: those of a new cluster, or, to join, those that are there. */
  readonly members: Members
  /** Enters a cluster that exists: begins empty, and takes part when the members let it in. */
  readonly isJoining?: boolean
  /** Names the cluster: nodes with other names do not talk to each other. 32 hex digits are taken as its id. */
  readonly cluster: string
  /** Of a new cluster, the same on all nodes; 1 to 1024. */
  readonly groupCount: number
  readonly tcp?: TcpOptions
  /** For the log: what an operator wants to know. */
  readonly note: (event: NodeNote, facts: Readonly<Record<string, unknown>>) => void
}

export type NodeNote =
  | 'peer_up'
  | 'peer_down'
  | 'peer_fault'
  | 'link_fault'
  | 'leader_changed'
  | 'members_changed'
  | 'founding'
  | 'founded'
  | ClockEvent

export interface NodeGroupStatus extends ReplicaStatus {
  readonly groupId: GroupId
  readonly members: readonly MemberView[]
}

export interface StateNode {
  readonly clusterId: string
  readonly nodeId: number
  /** Where it really listens. */
  readonly address: Address
  status(): ClusterStatus
  groups(): readonly NodeGroupStatus[]
  peers(): readonly PeerStats[]
  load(): HostLoad
  /** Every group has a leader, and this node follows it or is it. */
  isReady(): boolean
  /** All state and history as of now, as a stream of bytes for `restoreBackup`. */
  backup(): AsyncIterable<Uint8Array>
  /** Hands over what it leads, then stops. */
  close(): Promise<void>
}

/** How long a node that stops waits for others to lead in its place. */
const handOverMsMax = 2_000
const handOverPollMs = 10
const connectionsMax = 1_024
/** A fault of the same kind, of the same node, is noted once in so long. */
const faultNoteEveryMs = 5_000
const faultKindsMax = 1_000
const unknownAddress: Address = { host: '', port: 0 }

/** The id of the cluster of a name. */
export function clusterIdOf(name: string): string {
  if (/^[0-9a-f]{32}$/.test(name)) return name
  return createHash('sha256').update(`martillo cluster ${name}`).digest('hex').slice(0, 32)
}

/**
 * Opens the folder, listens, and takes part. Resolves before there is a leader. Rejects with StoreError (its
 * message is for the operator) or with TransportError where it cannot listen.
 */
export async function openStateNode(options: StateNodeOptions): Promise<StateNode> {
  let network: PeerNetwork | undefined
  let node: OpenNode | undefined
  const instance = randomBytes(8).toString('hex')
  const helloOf = (meta: StoreMeta, role: Hello['role']): Hello => ({
    role,
    clusterId: meta.clusterId,
    nodeId: meta.nodeId,
    instance,
    settingsHash: settingsHash({ groupCount: meta.groupCount, entryVersion }),
    incarnation: meta.incarnation,
  })
  const openNetwork = (meta: StoreMeta, timing: Timing): PeerNetwork =>
    new PeerNetwork({
      hello: helloOf(meta, 'peer'),
      dial: tcpDial(options.tcp),
      timing,
      judge: (theirs) => node?.judge(theirs),
      handlers: {
        message: (groupId, message) => node?.step(groupId, message),
        unreachable: (nodeId, groupId) => node?.unreachable(nodeId, groupId),
        up: (nodeId, incarnation) => node?.up(nodeId, incarnation),
        acquainted: (nodeId) => node?.identities.acquainted(nodeId),
        down: (nodeId, cause) => node?.down(nodeId, cause),
        clocks: (nodeId, body) => node?.clocks(nodeId, body),
        hash: (nodeId, groupId, index, hash) => node?.hash(nodeId, groupId, index, hash),
        snapshot: (groupId, message) => node?.receiveSnapshot(groupId, message),
        fault: (nodeId, cause) => node?.peerFault(nodeId, cause),
      },
    })
  const host = await openHost(
    { onClock: options.note, ...options },
    {
      birth: () => birthOf(options),
      ...(options.isJoining === true ? {} : { members: options.members }),
      check: (meta) => checkMeta(meta, options),
      transport(meta, timing) {
        network = openNetwork(meta, timing)
        return network
      },
      onHash: (groupId, index, hash) => network?.tellHash(groupId, index, hash),
      onMembers(groupId, members) {
        options.note('members_changed', { groupId, members: [...members.keys()] })
        node?.keepPeers()
      },
    },
  )
  node = new OpenNode(host, network as PeerNetwork, options)
  try {
    await node.open(helloOf(host.meta, 'node'))
    return node
  } catch (error) {
    await node.close()
    throw error
  }
}

function birthOf({ nodeId, members, isJoining = false, cluster, groupCount }: StateNodeOptions) {
  const incarnation = newIncarnation()
  const meta = { clusterId: clusterIdOf(cluster), nodeId, groupCount, incarnation, isFounding: false }
  const voters = [...members.keys()].sort((a, b) => a - b)
  // A joining node has nothing, not even members: its first snapshot brings all.
  return isJoining
    ? { meta, position: { index: 0, term: 0, confState: newConfState([]) }, members: new Map() }
    : {
        meta: { ...meta, isFounding: voters.length > 1 },
        position: { index: 1, term: 1, confState: newConfState(voters) },
        members,
      }
}

function checkMeta(meta: StoreMeta, { nodeId, cluster, dataDir, groupCount }: StateNodeOptions): void {
  const refuse = (what: string): never => {
    throw new StoreError('foreign_data', `${dataDir} belongs to ${what}`)
  }
  if (meta.nodeId !== nodeId) refuse(`node ${meta.nodeId}, not to node ${nodeId}`)
  if (meta.clusterId !== clusterIdOf(cluster)) {
    refuse(`cluster ${meta.clusterId}: start it with this as the name of the cluster, or use another folder`)
  }
  if (meta.groupCount !== groupCount) {
    refuse(`a cluster of ${meta.groupCount} groups, which never changes, not of ${groupCount}`)
  }
}

class OpenNode implements StateNode {
  readonly clusterId: string
  readonly nodeId: number
  readonly #host: ReplicaHost
  readonly #network: PeerNetwork
  readonly #options: StateNodeOptions
  readonly #link: LinkService
  readonly identities: Identities
  /** Faults by who, code and refusal. */
  readonly #limit: NoteLimit
  #acceptor: Acceptor | undefined
  #closing: Promise<void> | undefined

  constructor(host: ReplicaHost, network: PeerNetwork, options: StateNodeOptions) {
    this.clusterId = host.clusterId
    this.nodeId = host.meta.nodeId
    this.#host = host
    this.#network = network
    this.#options = options
    this.#limit = new NoteLimit({
      clock: host.timing.clock,
      everyMs: faultNoteEveryMs,
      kindsMax: faultKindsMax,
    })
    const { nodeId, incarnation, isFounding } = host.meta
    this.identities = new Identities({
      nodeId,
      incarnation,
      isFounding,
      groups: host.replicas,
      noted: (other, theirs) => network.tellAcquainted(other, theirs),
      founded: () => this.#founded(),
      failed: (error) => options.onFatal(error as Error),
    })
    this.#link = new LinkService({
      backend: linkBackend(host, () => this.#members()),
      timing: host.timing,
      members: this.#membershipAdmin(),
      fault: (remote, cause) => this.#noteLinkFault(remote, cause),
    })
  }

  get address(): Address {
    return this.#acceptor?.address ?? this.#options.listen
  }

  async open(hello: Hello): Promise<void> {
    const { listen, tcp, note } = this.#options
    this.#acceptor = await Acceptor.open({
      listen: tcpListen(tcp),
      address: listen,
      timing: this.#host.timing,
      hello,
      owners: { peer: this.#network, link: this.#link },
      connectionsMax,
      failed: (cause: TransportError) => {
        // A connection that only checks whether somebody listens is no fault.
        if (cause.code !== 'closed' && cause.code !== 'not_greeted') this.#noteFault(0, cause)
      },
    })
    for (const groupId of this.#host.groups) {
      this.#host.replica(groupId).watch({
        batch: () => undefined,
        applied: () => undefined,
        gap: () => undefined,
        leader: ({ leaderId, term }) => note('leader_changed', { groupId, leaderId, term }),
      })
    }
    const { nodeId, incarnation } = this.#host.meta
    this.identities.met(nodeId, incarnation)
    this.keepPeers()
    if (this.identities.isFounding) {
      this.#host.tellFatal()
      note('founding', { awaits: this.identities.awaited })
    } else this.#host.start(true)
  }

  /** All founders know each other. */
  #founded(): void {
    const { note, onFatal } = this.#options
    this.#host.founded().then(() => {
      note('founded', { nodeId: this.nodeId })
      if (this.#closing === undefined) this.#host.start(true)
    }, onFatal)
  }

  // ── What peers say ───────────────────────────────────────────────────────────────────────────────────

  judge(theirs: Hello): Refusal | undefined {
    return this.identities.judge(theirs)
  }

  step(groupId: GroupId, message: Message): void {
    if (this.identities.isTaken(message.from)) this.#host.replicas[groupId]?.step(message)
  }

  receiveSnapshot(groupId: GroupId, message: Message): SnapshotSink | undefined {
    return this.identities.isTaken(message.from)
      ? this.#host.replicas[groupId]?.receiveSnapshot(message)
      : undefined
  }

  unreachable(nodeId: number, groupId: GroupId): void {
    if (!this.identities.isFounding) this.#host.replicas[groupId]?.unreachable(nodeId)
  }

  hash(nodeId: number, groupId: GroupId, index: number, hash: string): void {
    if (this.identities.isTaken(nodeId)) this.#host.replicas[groupId]?.hashOf(nodeId, index, hash)
  }

  clocks(nodeId: number, body: Uint8Array): void {
    if (this.identities.isTaken(nodeId)) this.#host.clocks.received(nodeId, body)
  }

  up(nodeId: number, incarnation = ''): void {
    this.#options.note('peer_up', { nodeId })
    this.#host.clocks.greet(nodeId)
    this.identities.met(nodeId, incarnation)
  }

  down(nodeId: number, cause: TransportError): void {
    this.#options.note('peer_down', { nodeId, reason: cause.message })
    if (this.identities.isFounding) return
    for (const replica of this.#host.replicas) replica.peerGone(nodeId)
  }

  peerFault(nodeId: number, cause: TransportError): void {
    const { onFatal } = this.#options
    this.#noteFault(nodeId, cause)
    if (this.#closing !== undefined) return
    if (cause.theirRefusal === 'wrong_incarnation') {
      const end = this.identities.refusedBy(nodeId)
      if (end !== undefined) onFatal(end)
    }
  }

  /** Repeated attempts are reported at intervals only. `nodeId` 0: the other side did not say who it is. */
  #noteFault(nodeId: number, { code, theirRefusal, message }: TransportError): void {
    const omitted = this.#limit.pass(`peer ${nodeId} ${code} ${theirRefusal ?? ''}`)
    if (omitted === undefined) return
    this.#options.note('peer_fault', { nodeId, code, reason: message, ...(omitted > 0 && { omitted }) })
  }

  /** A client can cause these as often as it connects: all are counted, one of a code in a while is noted. */
  #noteLinkFault(remote: string, { code, message, cause }: TransportError): void {
    const { note, onRare } = this.#options
    onRare?.({ type: 'link_fault', code })
    const omitted = this.#limit.pass(`link ${code}`)
    if (omitted === undefined) return
    note('link_fault', {
      remote,
      code,
      reason: message,
      ...(omitted > 0 && { omitted }),
      ...(code === 'answer_failed' && cause instanceof Error && { error: cause }),
    })
  }

  status(): ClusterStatus {
    return this.#host.status()
  }

  groups(): readonly NodeGroupStatus[] {
    return this.#host.replicas.map((replica) => ({
      groupId: replica.groupId,
      ...replica.status(),
      members: replica.members(),
    }))
  }

  peers(): readonly PeerStats[] {
    return this.#network.stats()
  }

  backup(): AsyncIterable<Uint8Array> {
    return backupOf(this.#host)
  }

  load(): HostLoad {
    return this.#host.load()
  }

  isReady(): boolean {
    return this.#closing === undefined && !this.identities.isFounding && this.#host.status().ready
  }

  /** Talks to whom the log names, and to the list of the start while it names nobody. */
  keepPeers(): void {
    const wanted = this.#addresses()
    for (const { nodeId } of this.#network.stats()) {
      if (!wanted.has(nodeId)) this.#network.removePeer(nodeId)
    }
    for (const [nodeId, address] of wanted) this.#network.addPeer(nodeId, address)
    this.#network.judgeAgain()
    for (const { nodeId, up } of this.#network.stats()) {
      const hello = this.#network.helloOf(nodeId)
      if (up && hello !== undefined) this.identities.met(nodeId, hello.incarnation ?? '')
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#handOver()
    this.#link.close()
    await this.#acceptor?.close()
    await this.#network.close()
    await this.#host.close()
  }

  async #handOver(): Promise<void> {
    const { clock } = this.#host.timing
    const untilMs = clock.monotonicMs() + handOverMsMax
    for (const replica of this.#host.replicas) replica.handOver()
    const hasOthers = this.#addresses().size > 1
    while (hasOthers && clock.monotonicMs() < untilMs) {
      if (!this.#host.replicas.some((replica) => replica.status().isLeader)) return
      await sleep(clock, handOverPollMs)
    }
  }

  #addresses(): Members {
    const known = new Map(this.#host.replicas.flatMap((replica) => [...replica.addresses]))
    return known.size > 0 ? known : this.#options.members
  }

  #members(): readonly Member[] {
    return [...this.#addresses()].map(([nodeId, address]) => ({ nodeId, address }))
  }

  #membershipAdmin(): MembershipAdmin {
    const leading = (groupId: GroupId) => {
      const replica = this.#host.replica(groupId)
      return replica.status().isLeader ? replica : undefined
    }
    return {
      members: (groupId) => {
        const replica = leading(groupId)
        return replica?.members().map((member) => ({
          ...member,
          address: replica.addresses.get(member.nodeId) ?? unknownAddress,
        }))
      },
      change: async (groupId, change) => {
        const replica = leading(groupId)
        if (replica === undefined || change.type === 'remove') return await replica?.change(change)
        const { nodeId, incarnation = this.#network.helloOf(nodeId)?.incarnation } = change
        if (incarnation !== undefined) return await replica.change({ ...change, incarnation })
        const reason = `node ${nodeId} is not connected to node ${this.nodeId}, which leads: start it with --join and all members, and ask again`
        return refused('not_connected', reason)
      },
    }
  }
}
