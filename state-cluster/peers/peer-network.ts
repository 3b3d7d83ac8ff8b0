/**
 * Raft peers over byte streams.
 *
 * Each node dials every other one. It sends its own messages only on the connection that it dialled; on the one it
 * accepted it receives, and answers for snapshots. So two nodes never have to choose between two connections. One
 * exception: a node that does not know the address of a peer answers on the connection that the peer dialled (PEER17).
 *
 *     node 1 ──dials──► node 2    messages and snapshots of 1 →    ← credit, done, abort; messages of 2 to an unknown 1
 *     node 1 ◄──dials── node 2    credit, done, abort →            ← messages and snapshots of 2
 *
 * Invariants: all messages of one turn travel in one write; a peer that is away or does not read costs a bounded
 * queue and no waiting; a second process with a node id is refused while the first lives. Source: PEER1 to PEER17.
 */
import type { GroupId } from '../../protocol/ids.ts'
import { assert } from '../../runtime/assert.ts'
import type { BackoffLimits } from '../../runtime/backoff.ts'
import type { RoleOwner } from '../../wire/acceptor.ts'
import {
  type Connection,
  type ConnectionHandlers,
  type ConnectionLimits,
  connectionLimits,
} from '../../wire/connection.ts'
import { Dialer } from '../../wire/dialer.ts'
import { TransportError } from '../../wire/errors.ts'
import { type Hello, judgeHello, type Refusal } from '../../wire/handshake.ts'
import { frameKinds } from '../../wire/kinds.ts'
import { type Address, type Dial, formatAddress } from '../../wire/stream.ts'
import type { Timing } from '../../wire/timing.ts'
import { Fields, malformed, packTuple, unpackTuple } from '../../wire/tuples.ts'
import type { Message } from '../raft/types.ts'
import type { PeerHandlers, PeerStats, PeerTransport, SnapshotSource } from './peer-transport.ts'
import { decodeRaftMessage, encodeRaftMessage, type GroupMessage, groupIdMax } from './raft-codec.ts'
import { type SnapshotLimits, snapshotLimits } from './snapshot-limits.ts'
import { SnapshotReceivers } from './snapshot-receiver.ts'
import { SnapshotSenders } from './snapshot-sender.ts'
import { UnreachableNotes } from './unreachable-notes.ts'

export interface PeerNetworkOptions {
  /** With role `peer`. */
  readonly hello: Hello
  readonly dial: Dial
  readonly timing: Timing
  readonly handlers: PeerHandlers
  /** Why a node is not talked to, beyond what its hello says by itself. */
  readonly judge?: (theirs: Hello) => Refusal | undefined
  readonly limits?: ConnectionLimits
  readonly backoff?: BackoffLimits
  readonly connectTimeoutMs?: number
  readonly snapshots?: SnapshotLimits
}

const peerBackoff: BackoffLimits = { baseMs: 20, maxMs: 1_000 }
const peerConnectTimeoutMs = 1_000
const hashLengthMax = 128
const incarnationLengthMax = 64

interface Peer {
  readonly nodeId: number
  readonly address: Address
  readonly dialer: Dialer
  /** What it said when it was dialled last. */
  theirs: Hello | undefined
  /** While the dialled connection is open. */
  senders: SnapshotSenders | undefined
  sentMessages: number
  receivedMessages: number
  droppedMessages: number
}

/** Takes the accepted connections of role `peer` as an `Acceptor`'s owner. */
export class PeerNetwork implements PeerTransport, RoleOwner {
  readonly nodeId: number
  readonly #options: PeerNetworkOptions
  readonly #peers = new Map<number, Peer>()
  /** Taken out by name: these are not answered either. */
  readonly #removed = new Set<number>()
  readonly #accepted = new Map<number, { connection: Connection; theirs: Hello }>()
  readonly #unreachable: UnreachableNotes
  #closed = false

  constructor(options: PeerNetworkOptions) {
    this.nodeId = options.hello.nodeId
    this.#options = options
    this.#unreachable = new UnreachableNotes(options.timing.afterTurn, (nodeId, groupId) => {
      if (!this.#closed) options.handlers.unreachable(nodeId, groupId)
    })
  }

  addPeer(nodeId: number, address: Address): void {
    if (this.#closed || nodeId === this.nodeId) return
    this.#removed.delete(nodeId)
    const known = this.#peers.get(nodeId)
    if (known !== undefined) {
      if (formatAddress(known.address) === formatAddress(address)) return
      this.removePeer(nodeId)
    }
    const { hello, dial, timing, handlers } = this.#options
    const peer: Peer = {
      nodeId,
      address,
      dialer: new Dialer({
        address,
        dial,
        timing,
        limits: this.#options.limits ?? connectionLimits,
        backoff: this.#options.backoff ?? peerBackoff,
        connectTimeoutMs: this.#options.connectTimeoutMs ?? peerConnectTimeoutMs,
        hello: () => hello,
        judge: (theirs) =>
          judgeHello(hello, theirs, { roles: ['node'], nodeId }) ?? this.#options.judge?.(theirs),
        opened: (connection, theirs) => this.#dialled(peer, connection, theirs),
        failed: (cause) => {
          if (cause.code !== 'connect_failed' && cause.code !== 'closed') handlers.fault(nodeId, cause)
        },
      }),
      theirs: undefined,
      senders: undefined,
      sentMessages: 0,
      receivedMessages: 0,
      droppedMessages: 0,
    }
    this.#peers.set(nodeId, peer)
  }

  removePeer(nodeId: number): void {
    const peer = this.#peers.get(nodeId)
    if (peer === undefined) return
    this.#peers.delete(nodeId)
    this.#removed.add(nodeId)
    peer.dialer.close()
    this.#accepted.get(nodeId)?.connection.close()
  }

  send(groupId: GroupId, message: Message): void {
    assert(message.type !== 'MsgSnap', 'a snapshot is streamed: sendSnapshot')
    const peer = this.#peers.get(message.to)
    const connection = peer === undefined ? this.#wayBack(message.to) : peer.dialer.connection
    if (connection?.send(frameKinds.raft, encodeRaftMessage(groupId, message)) === true) {
      if (peer !== undefined) peer.sentMessages++
      return
    }
    if (peer !== undefined) peer.droppedMessages++
    this.#unreachable.note(message.to, groupId)
  }

  async sendSnapshot(
    groupId: GroupId,
    message: Message,
    source: SnapshotSource,
    signal?: AbortSignal,
  ): Promise<void> {
    const senders = this.#peers.get(message.to)?.senders
    if (senders === undefined) throw new TransportError('closed', `node ${message.to} is not connected`)
    await senders.send(groupId, message, source, signal)
  }

  /** To a node that dialled this one, which does not know where it is. */
  #wayBack(nodeId: number): Connection | undefined {
    return this.#removed.has(nodeId) ? undefined : this.#accepted.get(nodeId)?.connection
  }

  /** Sends the hash of this node's state to every connected node. A lost one is not sent again. */
  tellHash(groupId: GroupId, index: number, hash: string): void {
    const body = packTuple([groupId, index, hash])
    for (const { dialer } of this.#peers.values()) dialer.connection?.send(frameKinds.stateHash, [body])
  }

  sendClocks(nodeId: number, body: Uint8Array): void {
    const peer = this.#peers.get(nodeId)
    const connection = peer === undefined ? this.#wayBack(nodeId) : peer.dialer.connection
    connection?.send(frameKinds.clocks, [body])
  }

  /** Informs a connected node that its incarnation is noted permanently. */
  tellAcquainted(nodeId: number, incarnation: string): void {
    const peer = this.#peers.get(nodeId)
    if (peer?.theirs?.incarnation !== incarnation) return
    peer.dialer.connection?.send(frameKinds.acquainted, [packTuple([incarnation])])
  }

  /** What a node says of itself that is connected. */
  helloOf(nodeId: number): Hello | undefined {
    const peer = this.#peers.get(nodeId)
    return this.#accepted.get(nodeId)?.theirs ?? (peer?.dialer.connection && peer.theirs)
  }

  /** Judges each connection again, and closes those that would be refused now. */
  judgeAgain(): void {
    const { judge } = this.#options
    for (const { connection, theirs } of [...this.#accepted.values()]) {
      if (judge?.(theirs) !== undefined) connection.close()
    }
    for (const { dialer, theirs } of this.#peers.values()) {
      if (theirs !== undefined && judge?.(theirs) !== undefined) dialer.connection?.close()
    }
  }

  isUp(nodeId: number): boolean {
    return this.#peers.get(nodeId)?.dialer.connection !== undefined
  }

  stats(): readonly PeerStats[] {
    return [...this.#peers.values()].map((peer) => ({
      nodeId: peer.nodeId,
      up: peer.dialer.connection !== undefined,
      waitingBytes: peer.dialer.connection?.waitingBytes ?? 0,
      sentMessages: peer.sentMessages,
      receivedMessages: peer.receivedMessages,
      droppedMessages: peer.droppedMessages,
    }))
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const peer of this.#peers.values()) peer.dialer.close()
    for (const { connection } of [...this.#accepted.values()]) connection.close()
  }

  admit(theirs: Hello): Refusal | undefined {
    if (this.#closed) return { code: 'stopping', reason: `node ${this.nodeId} is stopping` }
    const refusal = this.#options.judge?.(theirs)
    if (refusal !== undefined) return refusal
    const present = this.#accepted.get(theirs.nodeId)
    const isSame = present?.theirs.instance === theirs.instance
    if (present === undefined || isSame || present.connection.isQuiet) return undefined
    const reason = `node ${theirs.nodeId} is connected already, from ${present.connection.remote}`
    return { code: 'duplicate_node_id', reason }
  }

  /** The connection on which a peer sends. */
  opened(connection: Connection, theirs: Hello): ConnectionHandlers {
    const from = theirs.nodeId
    const { handlers, timing } = this.#options
    this.#accepted.get(from)?.connection.close()
    this.#accepted.set(from, { connection, theirs })
    // It has just connected, so it can be reached: dial now instead of waiting.
    this.#peers.get(from)?.dialer.kick()
    const receivers = new SnapshotReceivers(connection, timing, this.#options.snapshots ?? snapshotLimits, {
      begin: (incoming) => {
        this.#checkEnds(incoming, from)
        return handlers.snapshot(incoming.groupId, incoming.message)
      },
      deliver: (incoming) => {
        if (!this.#closed) handlers.message(incoming.groupId, incoming.message)
      },
    })
    return {
      frame: (kind, body) => {
        if (kind === frameKinds.raft) this.#receive(decodeRaftMessage(body), from)
        else if (isOfSnapshot(kind) || kind === frameKinds.snapshotQuestion) receivers.frame(kind, body)
        else if (kind === frameKinds.stateHash) this.#hash(from, body)
        else if (kind === frameKinds.acquainted) this.#acquainted(from, body)
        else if (kind === frameKinds.clocks) handlers.clocks?.(from, body)
        else throw malformed(`frame kind ${kind} from a peer`)
      },
      writable: () => undefined,
      closed: (cause) => {
        if (this.#accepted.get(from)?.connection === connection) this.#accepted.delete(from)
        receivers.close(cause)
        this.#report(from, cause)
      },
    }
  }

  /** The connection on which this node sends. */
  #dialled(peer: Peer, connection: Connection, theirs: Hello): ConnectionHandlers {
    const { handlers, timing } = this.#options
    peer.theirs = theirs
    const senders = new SnapshotSenders(connection, timing, this.#options.snapshots ?? snapshotLimits)
    peer.senders = senders
    timing.afterTurn(() => {
      if (connection.isOpen) handlers.up(peer.nodeId, theirs.incarnation)
    })
    return {
      frame: (kind, body) => {
        if (kind === frameKinds.raft) return this.#receive(decodeRaftMessage(body), peer.nodeId)
        if (kind === frameKinds.clocks) return handlers.clocks?.(peer.nodeId, body)
        const isAnswer =
          kind === frameKinds.snapshotAnswer || (isOfSnapshot(kind) && kind >= frameKinds.snapshotCredit)
        if (!isAnswer) throw malformed(`frame kind ${kind} from a node that was dialled`)
        senders.frame(kind, body)
      },
      writable: () => senders.writable(),
      closed: (cause) => {
        peer.senders = undefined
        senders.close(cause)
        this.#report(peer.nodeId, cause)
        timing.afterTurn(() => {
          if (!this.#closed) handlers.down(peer.nodeId, cause)
        })
      },
    }
  }

  #receive(incoming: GroupMessage, from: number): void {
    this.#checkEnds(incoming, from)
    if (incoming.message.type === 'MsgSnap') throw malformed('a snapshot without its rows')
    const peer = this.#peers.get(from)
    if (peer !== undefined) peer.receivedMessages++
    if (!this.#closed) this.#options.handlers.message(incoming.groupId, incoming.message)
  }

  #hash(from: number, body: Uint8Array): void {
    const fields = new Fields(unpackTuple(body), 'state hash')
    const groupId = fields.integer(0, groupIdMax) as GroupId
    const index = fields.integer()
    const hash = fields.text(hashLengthMax)
    fields.end()
    this.#options.handlers.hash?.(from, groupId, index, hash)
  }

  #acquainted(from: number, body: Uint8Array): void {
    const fields = new Fields(unpackTuple(body), 'acquaintance')
    const incarnation = fields.text(incarnationLengthMax)
    fields.end()
    if (incarnation === this.#options.hello.incarnation) this.#options.handlers.acquainted?.(from)
  }

  #checkEnds({ message }: GroupMessage, from: number): void {
    if (message.from !== from || message.to !== this.nodeId) {
      throw malformed(
        `a message from ${message.from} to ${message.to} on the connection from ${from} to ${this.nodeId}`,
      )
    }
  }

  /** Ends that say more than that the other side is gone. */
  #report(nodeId: number, cause: TransportError): void {
    if (cause.code === 'stopped' || cause.code === 'closed') return
    this.#options.handlers.fault(nodeId, cause)
  }
}

function isOfSnapshot(kind: number): boolean {
  return kind >= frameKinds.snapshotBegin && kind <= frameKinds.snapshotAbort
}
