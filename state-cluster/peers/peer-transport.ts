/**
 * The port between a replica and its peers.
 *
 * It carries raft messages of all groups and snapshots, and reports which peers are connected. `peer-network.ts`
 * implements it over byte streams, `memory-transport.ts` for tests and the simulator. Invariants: `send` never waits
 * and never throws because of a peer; a message arrives whole or not at all, at most once and in order on one
 * connection; handlers are never called from within a call of this port. Raft copes with lost messages.
 * Source: docs/spec.md PEER1 to PEER14; docs/design.md.
 */
import type { GroupId } from '../../protocol/ids.ts'
import type { TransportError } from '../../wire/errors.ts'
import type { Address } from '../../wire/stream.ts'
import type { Message } from '../raft/types.ts'
import type { SnapshotRow } from './snapshot-codec.ts'

export type { SnapshotRow } from './snapshot-codec.ts'

/** What the source of a snapshot wants to know of the receiver before it goes on. */
export interface SnapshotQuestion {
  readonly question: Uint8Array
  /** Called before the source is asked for more. */
  readonly answered: (answer: Uint8Array) => void
}

/** The rows of a snapshot, in batches as they are read, and questions; a throw aborts the transfer on both sides. */
export type SnapshotSource = AsyncIterable<readonly SnapshotRow[] | SnapshotQuestion>

/** Where the rows of an incoming snapshot go. Calls come one at a time; rows are valid during the call only. */
export interface SnapshotSink {
  write(rows: readonly SnapshotRow[]): Promise<void>
  /** Answers a question of the source, after all rows before it. */
  answer(question: Uint8Array): Promise<Uint8Array>
  /** All rows have come and every checksum matched. Once this resolves, the MsgSnap is delivered. */
  finish(): Promise<void>
  /** The transfer ended before `finish` was called; what was written is worthless. Called at most once. */
  abort(cause: TransportError): void
}

export interface PeerHandlers {
  /** A message of a peer to this node, safe to keep. Never a MsgSnap before its rows are stored. */
  message(groupId: GroupId, message: Message): void
  /** What was sent to this node and group in a past turn was dropped: for `reportUnreachable`. */
  unreachable(nodeId: number, groupId: GroupId): void
  /** Messages reach this node from now on; which data folder it has, where the transport knows it. */
  up(nodeId: number, incarnation?: string): void
  /** The connection ended: at once when the process died, after some heartbeats when it hangs. */
  down(nodeId: number, cause: TransportError): void
  /** A peer begins to send the state behind `message` (a MsgSnap). `undefined`: not now. */
  snapshot(groupId: GroupId, message: Message): SnapshotSink | undefined
  /** What a node's state of a group hashes to as of an index. */
  hash?(nodeId: number, groupId: GroupId, index: number, hash: string): void
  /** A frame of a node's clocks; for `PeerClocks`. Throws TransportError `malformed`. */
  clocks?(nodeId: number, body: Uint8Array): void
  /** A node says that it has noted this one's incarnation permanently. */
  acquainted?(nodeId: number): void
  /** Something that an operator wants to know: refusals, corrupt frames. `nodeId` 0: not known. */
  fault(nodeId: number, cause: TransportError): void
}

export interface PeerStats {
  readonly nodeId: number
  readonly up: boolean
  /** Bytes that wait to leave for this peer. */
  readonly waitingBytes: number
  readonly sentMessages: number
  readonly receivedMessages: number
  readonly droppedMessages: number
}

export interface PeerTransport {
  readonly nodeId: number
  /** Begins to talk to a node; with another address, connects again. A node's own id is ignored. */
  addPeer(nodeId: number, address: Address): void
  removePeer(nodeId: number): void
  /**
   * Sends to `message.to`, in any group; to a node that was never added nor removed on the connection that it
   * dialled, if there is one. Where the peer is not connected or its queue is full, the message is dropped and
   * `unreachable` follows in a later turn. A MsgSnap goes with `sendSnapshot` instead.
   */
  send(groupId: GroupId, message: Message): void
  /**
   * Streams the rows to `message.to`, then delivers `message` (a MsgSnap) there. Resolves when the peer has stored
   * all and been given the message; rejects with a TransportError (`snapshot_aborted`, `closed`, …) otherwise.
   */
  sendSnapshot(
    groupId: GroupId,
    message: Message,
    source: SnapshotSource,
    signal?: AbortSignal,
  ): Promise<void>
  /** A frame of this node's clocks, to a node that is connected; otherwise nothing is sent. */
  sendClocks(nodeId: number, body: Uint8Array): void
  isUp(nodeId: number): boolean
  stats(): readonly PeerStats[]
  close(): Promise<void>
}
