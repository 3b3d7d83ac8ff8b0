/**
 * One state node: a host with clock and disk, and the process on it.
 *
 * The process runs, crashes, is stopped and starts again. This file only connects ports: the production replica runs
 * with the production link service.
 *
 * Invariant: a process ends only because its disk failed or is damaged, or because it was killed or stopped; every
 * other end is a violation.
 */
import type { GroupId } from '../protocol/ids.ts'
import { type Clock, sleep } from '../runtime/clock.ts'
import type { Random } from '../runtime/random.ts'
import { LinkService, type MembershipAdmin } from '../state-cluster/link/service/service.ts'
import { restoring, stateHash } from '../state-cluster/machine/index.ts'
import { type HostTransport, ReplicaHost } from '../state-cluster/node/host.ts'
import { linkBackend } from '../state-cluster/node/link-backend.ts'
import { gatherTurns } from '../state-cluster/node/turns.ts'
import type { PeerTransport } from '../state-cluster/peers/peer-transport.ts'
import { type Message, newConfState } from '../state-cluster/raft/index.ts'
import { auctionMachine, type Machine, writesOfNewState } from '../state-cluster/replica/applied-state.ts'
import type { Replica } from '../state-cluster/replica/replica.ts'
import { type LogPosition, writesOfNewLog } from '../state-cluster/storage/disk-log.ts'
import { finishInstall } from '../state-cluster/storage/incoming-snapshot.ts'
import { type Members, writeOfMembers } from '../state-cluster/storage/member-record.ts'
import { type Store, StoreError } from '../state-cluster/storage/store.ts'
import { Acceptor } from '../wire/acceptor.ts'
import type { TransportError } from '../wire/errors.ts'
import { frameKinds } from '../wire/kinds.ts'
import type { Address } from '../wire/stream.ts'
import type { HostClock } from './clock.ts'
import type { SimDisk } from './disk.ts'
import { Process } from './process.ts'
import { simLimits } from './remembered.ts'
import type { RunContext } from './run-context.ts'

const groupId = 0 as GroupId
/** How long a process may live after one of its writes failed. */
const endMsMax = 1_000
/** How long a node that is stopped waits for another leader. */
const handOverMsMax = 2_000
const nowhere: Address = { host: '', port: 0 }

/** The machine with bounds that a run reaches. */
const lowMachine: Machine = { ...auctionMachine, restoring: (rows) => restoring(rows, simLimits) }

/** What runs in its process. */

interface Running {
  readonly host: ReplicaHost
  readonly transport: PeerTransport
  readonly service: LinkService
  acceptor: Acceptor | undefined
}

interface NodeParts {
  readonly id: number
  readonly clock: HostClock
  readonly disk: SimDisk
  readonly random: Random
}

export class SimNode {
  readonly id: number
  readonly host: string
  readonly address: Address
  readonly clock: HostClock
  readonly disk: SimDisk
  /** Its disk cannot be used again. */
  isLost = false
  /** It was removed from the cluster and stopped permanently. */
  isRetired = false
  process: Process | undefined
  replica: Replica | undefined
  #running: Running | undefined
  /** The members given to it at its start, used while its log names none. */
  #startedWith: Members = new Map()
  readonly #context: RunContext
  readonly #random: Random
  #starts = 0

  constructor(context: RunContext, { id, clock, disk, random }: NodeParts) {
    this.#context = context
    this.id = id
    this.host = `node-${id}`
    this.address = { host: this.host, port: 1 }
    this.clock = clock
    this.disk = disk
    this.#random = random
  }

  get isUp(): boolean {
    return this.process !== undefined
  }

  /** Makes it a member of a new cluster. */
  async found(position: LogPosition): Promise<void> {
    await this.#prepare(position, this.#context.founders)
  }

  /** Prepares it to join a cluster: its log is empty and names no members. */
  async foundEmpty(): Promise<void> {
    await this.#prepare({ index: 0, term: 0, confState: newConfState([]) }, new Map())
  }

  async #prepare(position: LogPosition, members: Members): Promise<void> {
    await this.disk.prepare([
      ...writesOfNewLog(groupId, position),
      ...writesOfNewState(groupId, position),
      writeOfMembers(groupId, members),
    ])
  }

  /** It is no member any more, and is never started again. */
  retire(): void {
    this.isRetired = true
    this.crash()
  }

  start(): void {
    if (this.process !== undefined || this.isLost || this.isRetired) return
    const context = this.#context
    this.#starts += 1
    const process = new Process(context.world, `${this.host}.${this.#starts}`, this.clock, this.#random)
    this.process = process
    this.#startedWith = context.addresses()
    context.processes.set(this.host, process)
    try {
      const onDisk = context.trueTime.watched(this.disk.open(process, () => this.#mustEnd(process)))
      const store = context.plant?.store?.(onDisk) ?? onDisk
      finishInstall(store, groupId).then(
        () => process.enter(() => this.#open(process, store)),
        (error) => process.isAlive && this.#ended(process.name, error),
      )
    } catch (error) {
      this.#refused(process.name, error)
    }
  }

  /** The power is cut. */
  crash(tear = false): void {
    if (this.process === undefined) return
    this.#die()
    this.disk.crash(tear)
  }

  /** A planned stop: transfers its leadership, closes in order, then calls `stopped`. */
  stop(stopped: () => void): void {
    const { process } = this
    const running = this.#running
    if (process === undefined || running === undefined) return
    process.enter(() => {
      this.#close(running).then(
        () => {
          if (process !== this.process) return
          this.crash()
          stopped()
        },
        (error) => process === this.process && this.#ended(process.name, error),
      )
    })
  }

  async #close({ host, transport, service, acceptor }: Running): Promise<void> {
    const { clock } = host.timing
    const replica = host.replica(groupId)
    const untilMs = clock.monotonicMs() + handOverMsMax
    replica.handOver()
    while (replica.status().isLeader && clock.monotonicMs() < untilMs) {
      await sleep(clock, 10)
    }
    service.close()
    await acceptor?.close()
    await transport.close()
    await host.close()
  }

  #open(process: Process, store: Store): void {
    const context = this.#context
    const { name } = process
    const timing = gatherTurns(context.plant?.timing?.(process.timing) ?? process.timing)
    const transport = context.peers.open(
      this.id,
      {
        message: (_group, message) => this.replica?.step(message),
        unreachable: (nodeId) => this.replica?.unreachable(nodeId),
        up: (nodeId) => this.#running?.host.clocks.greet(nodeId),
        clocks: (nodeId, body) => this.#compareClocks(nodeId, body, timing.clock),
        down: (nodeId) => this.replica?.peerGone(nodeId),
        snapshot: (_group, message) => {
          context.receivesSnapshot(this.id)
          return this.replica?.receiveSnapshot(message)
        },
        fault: (_node, cause) => this.#faulted(cause),
      },
      timing,
    )
    const opening = ReplicaHost.open({
      meta: {
        clusterId: 'simulated',
        nodeId: this.id,
        groupCount: 1,
        incarnation: this.host,
        isFounding: false,
      },
      store,
      lock: { release: () => Promise.resolve() },
      timing,
      options: {
        dataDir: this.host,
        settings: { ...context.options.replica, ...context.plant?.settings },
        onFatal: (error) => this.#ended(name, error),
      },
      kind: {
        birth: () => {
          throw new Error('a disk is prepared before it is used')
        },
        check() {},
        transport: () => this.#watched(process, transport),
        machine: this.#machine(process),
        onMembers: () => {
          this.#keepPeers(transport)
          process.after(0, () => this.replica && context.membersChanged(this.replica))
        },
        onHash: (_group, index, hash) => this.#sendHash(index, hash),
      },
    })
    opening.then(
      (host) => process.enter(() => this.#opened(process, host, transport)),
      (error) => process.isAlive && this.#refused(name, error),
    )
  }

  #opened(process: Process, host: ReplicaHost, transport: PeerTransport): void {
    try {
      this.replica = host.replica(groupId)
      this.#keepPeers(transport)
      this.#serve(process, host, transport)
      host.start(true)
    } catch (error) {
      this.#refused(process.name, error)
    }
  }

  #serve(process: Process, host: ReplicaHost, transport: PeerTransport): void {
    const context = this.#context
    const { timing } = host
    const backend = linkBackend(host, () =>
      [...this.#addresses()].map(([nodeId, address]) => ({ nodeId, address })),
    )
    const service = new LinkService({
      backend: context.plant?.backend?.(backend) ?? backend,
      timing,
      members: this.#membershipAdmin(host),
      fault: (_remote, cause) => this.#faulted(cause),
    })
    const running: Running = { host, transport, service, acceptor: undefined }
    this.#running = running
    const opening = Acceptor.open({
      listen: context.wires.listen,
      address: this.address,
      timing,
      hello: {
        role: 'node',
        clusterId: 'simulated',
        nodeId: this.id,
        instance: process.name,
        settingsHash: 'simulated',
      },
      owners: { link: service },
      connectionsMax: 100,
      failed: (cause) => this.#faulted(cause),
    })
    opening.then(
      (acceptor) => {
        running.acceptor = acceptor
      },
      (error) => context.fail(error),
    )
  }

  /** Answers about members and changes them, as a node in production does. */
  #membershipAdmin(host: ReplicaHost): MembershipAdmin {
    const leading = (): Replica | undefined => {
      const replica = host.replica(groupId)
      return replica.status().isLeader ? replica : undefined
    }
    return {
      members: () => {
        const replica = leading()
        return replica?.members().map((member) => ({
          ...member,
          address: replica.addresses.get(member.nodeId) ?? nowhere,
        }))
      },
      change: async (_group, change) => await leading()?.change(change),
    }
  }

  /** The addresses in the log; while it has none, those given at the start. */
  #addresses(): Members {
    const known = this.replica?.addresses
    return known === undefined || known.size === 0 ? this.#startedWith : known
  }

  #keepPeers(transport: PeerTransport): void {
    const wanted = this.#addresses()
    for (const { nodeId } of transport.stats()) if (!wanted.has(nodeId)) transport.removePeer(nodeId)
    for (const [nodeId, address] of wanted) transport.addPeer(nodeId, address)
  }

  #compareClocks(nodeId: number, body: Uint8Array, clock: Clock): void {
    const { plant } = this.#context
    const arrived = plant?.clocks === undefined ? body : plant.clocks(body, clock)
    if (arrived !== undefined) this.#running?.host.clocks.received(nodeId, arrived)
  }

  /** Replicas compare their states. */
  #sendHash(index: number, hash: string): void {
    const { nodes, network, processes } = this.#context
    for (const other of nodes) {
      if (other === this) continue
      const message = { from: this.id, to: other.id, kind: frameKinds.stateHash, body: new Uint8Array() }
      network.carryPeerMessage(message, () =>
        processes.get(other.host)?.enter(() => other.replica?.hashOf(this.id, index, hash)),
      )
    }
  }

  /** The transport, watched for messages that only leaders send. */
  #watched(process: Process, transport: PeerTransport): HostTransport {
    const look = ({ type, term }: Message): void => {
      if (type === 'MsgApp' || type === 'MsgHeartbeat' || type === 'MsgSnap')
        this.#context.leads(this.id, term)
    }
    return {
      send: (group, message) => {
        look(message)
        if (message.type === 'MsgVoteResp' && !message.reject) this.#context.votes(this.id)
        transport.send(group, message)
      },
      sendClocks: (nodeId, body) => transport.sendClocks(nodeId, body),
      sendSnapshot: (group, message, source, signal) => {
        look(message)
        this.#context.counts.add('snapshots.begun')
        const sent = transport.sendSnapshot(group, message, source, signal)
        this.#watchSnapshot(process, message, sent)
        return sent
      },
    }
  }

  #watchSnapshot(process: Process, { to, term }: Message, sent: Promise<void>): void {
    const { nodes, processes, counts, snapshots } = this.#context
    const host = nodes.find(({ id }) => id === to)?.host ?? ''
    const transfer = { from: process.name, to: processes.get(host)?.name ?? '', term }
    snapshots.begun(transfer)
    sent.then(
      () => {
        counts.add('snapshots.installed')
        snapshots.stored(transfer)
      },
      () => counts.add('snapshots.aborted'),
    )
  }

  /** The machine, watched, and with its planted fault, if any. */
  #machine(process: Process): Machine {
    const { ledger, plant } = this.#context
    const machine = plant?.machine?.(lowMachine, process.timing.clock) ?? lowMachine
    return {
      ...machine,
      apply(state, entry, index) {
        const applied = machine.apply(state, entry, index)
        ledger.applied(process.name, index, entry, applied, stateHash(state))
        return applied
      },
    }
  }

  /** A write has failed, so the content of the disk is unknown: the process must end. */
  #mustEnd(process: Process): void {
    process.after(endMsMax, () => {
      if (process === this.process)
        this.#context.checks.violate('a failed write ends the process', `${process.name} continues after it`)
    })
  }

  /** A connection ended. A cut direction and an ended process are expected causes. */
  #faulted(cause: TransportError): void {
    // The other hosts receive `stopped` from a node that was stopped by plan.
    if (!cause.retryable && cause.code !== 'stopped') this.#context.fail(cause)
  }

  /** The replica reports that it cannot continue. */
  #ended(name: string, error: Error): void {
    const context = this.#context
    const isOfDisk = error instanceof StoreError && this.disk.hasFailedWith(error.code)
    const isOfDamage = error instanceof StoreError && error.code === 'corrupt' && this.disk.isDamaged
    context.checks.hold(
      isOfDisk || isOfDamage,
      'nothing ends without a cause',
      () => `${name}: ${error.stack ?? error.message}`,
    )
    if (isOfDamage) this.isLost = true
    context.counts.add(`ended.${error instanceof StoreError ? error.code : error.name}`)
    this.crash()
    context.restartLater(this.id)
  }

  /** It cannot start from its disk. */
  #refused(name: string, error: unknown): void {
    const context = this.#context
    const isCorrupt = error instanceof StoreError && error.code === 'corrupt'
    context.checks.hold(
      isCorrupt && this.disk.isDamaged,
      'a sound disk is readable',
      () => `${name}: ${error instanceof Error ? error.stack : error}`,
    )
    this.isLost = true
    context.counts.add('refused.damaged')
    this.crash()
  }

  #die(): void {
    this.process?.kill()
    this.process = undefined
    this.replica = undefined
    this.#running = undefined
    this.#context.processes.delete(this.host)
    this.#context.peers.unplug(this.id)
    this.#context.wires.kill(`${this.host}:1`)
  }
}
