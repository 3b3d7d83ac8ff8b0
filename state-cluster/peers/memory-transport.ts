/**
 * Peers in one process, for tests and the simulator.
 *
 * A message from one node to another becomes a packet of bytes, written and read by the same codecs as on sockets, so
 * nothing is shared by reference. The owner of the network decides when a packet arrives, whether, how often and in
 * which order. Invariant: no timers and no randomness of its own; a snapshot transfer detects a lost, doubled or
 * misplaced packet and aborts. Source: docs/spec.md PEER15.
 */
import type { GroupId } from '../../protocol/ids.ts'
import { assert } from '../../runtime/assert.ts'
import { TransportError } from '../../wire/errors.ts'
import { type FrameKind, frameKinds } from '../../wire/kinds.ts'
import type { Timing } from '../../wire/timing.ts'
import type { Message } from '../raft/types.ts'
import type { PeerHandlers, PeerStats, PeerTransport, SnapshotSource } from './peer-transport.ts'
import { decodeRaftMessage, encodeRaftMessage } from './raft-codec.ts'
import { decodeAbort } from './snapshot-codec.ts'
import { type SnapshotLimits, snapshotLimits } from './snapshot-limits.ts'
import { SnapshotReceivers } from './snapshot-receiver.ts'
import { SnapshotSenders } from './snapshot-sender.ts'
import { UnreachableNotes } from './unreachable-notes.ts'

export interface Packet {
  readonly from: number
  readonly to: number
  readonly kind: FrameKind
  readonly body: Uint8Array
}

export interface MemoryNetworkOptions {
  /** Carries a packet; calls `arrive` when it is to arrive: later, never, or more than once. */
  readonly carry: (packet: Packet, arrive: () => void) => void
  readonly snapshots?: SnapshotLimits
}

/** The wires between the nodes of one simulated cluster. */
export class MemoryNetwork {
  readonly #options: MemoryNetworkOptions
  readonly #nodes = new Map<number, MemoryTransport>()
  /** Directions that are cut: `from>to`. */
  readonly #cut = new Set<string>()

  constructor(options: MemoryNetworkOptions) {
    this.#options = options
  }

  /** Plugs a node in. One that was there under the same id is gone (it crashed). */
  open(nodeId: number, handlers: PeerHandlers, timing: Timing): PeerTransport {
    this.unplug(nodeId)
    const transport = new MemoryTransport(this, nodeId, handlers, timing, this.#options.snapshots)
    this.#nodes.set(nodeId, transport)
    for (const other of this.#nodes.values()) other.look()
    return transport
  }

  /** The process died: its sockets close at once, packets to it are lost. */
  unplug(nodeId: number): void {
    const transport = this.#nodes.get(nodeId)
    if (transport === undefined) return
    this.#nodes.delete(nodeId)
    transport.lose()
    for (const other of this.#nodes.values()) other.look()
  }

  /** Cuts or mends one direction. The sender in that direction sees the peer go down or come up. */
  setWay(from: number, to: number, whole: boolean): void {
    if (whole) this.#cut.delete(`${from}>${to}`)
    else this.#cut.add(`${from}>${to}`)
    this.#nodes.get(from)?.look()
    this.#nodes.get(to)?.look()
  }

  isWhole(from: number, to: number): boolean {
    return this.#nodes.has(from) && this.#nodes.has(to) && !this.#cut.has(`${from}>${to}`)
  }

  /** Whether a node has another one's address, and the connection there is not cut. */
  knows(nodeId: number, otherId: number): boolean {
    return this.#nodes.get(nodeId)?.knows(otherId) === true && this.isWhole(nodeId, otherId)
  }

  carry(sender: MemoryTransport, packet: Packet): boolean {
    if (this.#nodes.get(packet.from) !== sender || !this.isWhole(packet.from, packet.to)) return false
    this.#options.carry(packet, () => {
      if (this.isWhole(packet.from, packet.to)) this.#nodes.get(packet.to)?.arrive(packet)
    })
    return true
  }
}

/** What a receiver of snapshots sends, beside an abort. */
const answerKinds: ReadonlySet<number> = new Set([
  frameKinds.snapshotCredit,
  frameKinds.snapshotDone,
  frameKinds.snapshotAnswer,
])

interface MemoryPeer {
  readonly senders: SnapshotSenders
  readonly receivers: SnapshotReceivers
  up: boolean
  sentMessages: number
  receivedMessages: number
  droppedMessages: number
}

class MemoryTransport implements PeerTransport {
  readonly nodeId: number
  readonly #network: MemoryNetwork
  readonly #handlers: PeerHandlers
  readonly #timing: Timing
  readonly #limits: SnapshotLimits
  readonly #peers = new Map<number, MemoryPeer>()
  readonly #added = new Set<number>()
  readonly #removed = new Set<number>()
  readonly #unreachable: UnreachableNotes
  #lost = false

  constructor(
    network: MemoryNetwork,
    nodeId: number,
    handlers: PeerHandlers,
    timing: Timing,
    limits: SnapshotLimits = snapshotLimits,
  ) {
    this.#network = network
    this.nodeId = nodeId
    this.#handlers = handlers
    this.#timing = timing
    this.#limits = limits
    this.#unreachable = new UnreachableNotes(timing.afterTurn, (peer, groupId) => {
      if (!this.#lost) handlers.unreachable(peer, groupId)
    })
  }

  addPeer(nodeId: number): void {
    if (nodeId === this.nodeId) return
    this.#added.add(nodeId)
    this.#removed.delete(nodeId)
    this.look()
  }

  removePeer(nodeId: number): void {
    if (this.#added.delete(nodeId)) this.#removed.add(nodeId)
    this.look()
  }

  send(groupId: GroupId, message: Message): void {
    assert(message.type !== 'MsgSnap', 'a snapshot is streamed: sendSnapshot')
    const peer = this.#peer(message.to)
    const parts = encodeRaftMessage(groupId, message)
    if (this.#mayReach(message.to) && this.#put(message.to, frameKinds.raft, parts)) {
      peer.sentMessages++
      return
    }
    peer.droppedMessages++
    this.#unreachable.note(message.to, groupId)
  }

  /** One that it knows, or one that knows it and whose address it never had. */
  #mayReach(nodeId: number): boolean {
    if (this.#added.has(nodeId)) return true
    return !this.#removed.has(nodeId) && this.#network.knows(nodeId, this.nodeId)
  }

  /** Whether it talks to a node by itself. */
  knows(nodeId: number): boolean {
    return this.#added.has(nodeId)
  }

  async sendSnapshot(
    groupId: GroupId,
    message: Message,
    source: SnapshotSource,
    signal?: AbortSignal,
  ): Promise<void> {
    if (!this.isUp(message.to)) throw new TransportError('closed', `node ${message.to} is not connected`)
    await this.#peer(message.to).senders.send(groupId, message, source, signal)
  }

  sendClocks(nodeId: number, body: Uint8Array): void {
    if (this.#mayReach(nodeId)) this.#put(nodeId, frameKinds.clocks, [body])
  }

  isUp(nodeId: number): boolean {
    return this.#peers.get(nodeId)?.up === true
  }

  stats(): readonly PeerStats[] {
    return [...this.#added].map((nodeId) => {
      const { up, sentMessages, receivedMessages, droppedMessages } = this.#peer(nodeId)
      return { nodeId, up, waitingBytes: 0, sentMessages, receivedMessages, droppedMessages }
    })
  }

  async close(): Promise<void> {
    if (!this.#lost) this.#network.unplug(this.nodeId)
  }

  /** Compares who can be reached with what was said last. */
  look(): void {
    for (const nodeId of new Set([...this.#added, ...this.#peers.keys()])) {
      const peer = this.#peer(nodeId)
      const up = this.#added.has(nodeId) && this.#network.isWhole(this.nodeId, nodeId)
      if (up !== peer.up) this.#turn(nodeId, peer, up)
      if (!this.#network.isWhole(nodeId, this.nodeId)) peer.receivers.close(gone(nodeId))
    }
  }

  arrive(packet: Packet): void {
    const { from, kind, body } = packet
    const peer = this.#peer(from)
    if (kind === frameKinds.raft) {
      const { groupId, message } = decodeRaftMessage(body)
      peer.receivedMessages++
      this.#handlers.message(groupId, message)
    } else if (kind === frameKinds.clocks) {
      this.#handlers.clocks?.(from, body)
    } else if (answerKinds.has(kind)) {
      peer.senders.frame(kind, body)
    } else if (kind === frameKinds.snapshotAbort && !decodeAbort(body).bySender) {
      peer.senders.frame(kind, body)
    } else {
      peer.receivers.frame(kind, body)
    }
  }

  /** The process is gone: nothing is said any more. */
  lose(): void {
    this.#lost = true
    for (const [nodeId, peer] of this.#peers) {
      peer.senders.close(gone(nodeId))
      peer.receivers.close(gone(nodeId))
    }
  }

  #turn(nodeId: number, peer: MemoryPeer, up: boolean): void {
    peer.up = up
    if (!up) peer.senders.close(gone(nodeId))
    this.#timing.afterTurn(() => {
      if (this.#lost || peer.up !== up) return
      if (up) this.#handlers.up(nodeId)
      else this.#handlers.down(nodeId, gone(nodeId))
    })
  }

  #put(to: number, kind: FrameKind, parts: readonly Uint8Array[]): boolean {
    if (this.#lost) return false
    return this.#network.carry(this, { from: this.nodeId, to, kind, body: Buffer.concat(parts) })
  }

  #peer(nodeId: number): MemoryPeer {
    const known = this.#peers.get(nodeId)
    if (known !== undefined) return known
    const channel = {
      send: (kind: FrameKind, parts: readonly Uint8Array[]) => this.#put(nodeId, kind, parts),
    }
    const peer: MemoryPeer = {
      senders: new SnapshotSenders(channel, this.#timing, this.#limits),
      receivers: new SnapshotReceivers(channel, this.#timing, this.#limits, {
        begin: ({ groupId, message }) => this.#handlers.snapshot(groupId, message),
        deliver: ({ groupId, message }) => {
          if (!this.#lost) this.#handlers.message(groupId, message)
        },
      }),
      up: false,
      sentMessages: 0,
      receivedMessages: 0,
      droppedMessages: 0,
    }
    this.#peers.set(nodeId, peer)
    return peer
  }
}

function gone(nodeId: number): TransportError {
  return new TransportError('closed', `node ${nodeId} is gone`)
}
