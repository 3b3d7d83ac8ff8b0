/**
 * The session of one WebSocket: its identity, its subscriptions, and its unsent frames.
 *
 * Invariant: answers and private frames leave in the order they were given, none is left out: while the client
 * does not read they wait here, and when they outgrow `queuedBytesMax` the session ends with 4413. Published
 * events do not pass through here; `fan-out.ts` sees to them. Frames of one turn leave in one system call.
 * Source: docs/protocol.md, "WebSocket"; spec FLOW.
 */
import { type CloseCode, closeCodes } from '../../protocol/close-codes.ts'
import type { EncodedFrame } from '../../protocol/encode.ts'
import type { AuctionId } from '../../protocol/ids.ts'
import { jsonSubprotocol, type Subprotocol } from '../../protocol/subprotocols.ts'
import type { Identity, TokenCheck } from '../access/auth.ts'
import type { TokenBucket } from '../access/token-bucket.ts'
import type { Socket } from '../carrier/socket.ts'
import type { SubscriptionOf } from './subscription.ts'

/** What sessions share. */
export interface SessionContext {
  readonly bufferedBytesMax: number
  readonly queuedBytesMax: number
  /** Calls once the work of this turn is done, before the event loop goes on. */
  readonly defer: (work: () => void) => void
  /** The session is about to end but its client must read first: nothing more is to be done for it. */
  readonly closing: (session: SocketSession) => void
}

export interface SessionStart {
  readonly id: string
  readonly subprotocol: Subprotocol
  /** Of the client, as far as proxies are believed. */
  readonly address: string
  /** What came of the token; a promise while it is being verified. Absent: none came. */
  readonly check?: TokenCheck | Promise<TokenCheck>
  readonly nowMs: number
  readonly frames: TokenBucket
  readonly strikes: TokenBucket
}

export class SocketSession {
  readonly id: string
  readonly subprotocol: Subprotocol
  readonly address: string
  readonly check: TokenCheck | Promise<TokenCheck> | undefined
  /** The token's identity; absent until the token was checked. */
  identity: Identity | undefined
  /** Frames that came before the token was verified; `undefined` from then on. */
  early: { readonly bytes: Uint8Array; readonly isBinary: boolean }[] | undefined
  /** What those cost. */
  earlyBytes = 0
  readonly frames: TokenBucket
  /** Frames beyond the rate that are answered before the socket is closed. */
  readonly strikes: TokenBucket
  readonly subscriptions = new Map<AuctionId, SubscriptionOf<SocketSession>>()
  /** Per auction, the last frame about watching it that has no answer yet. */
  readonly turns = new Map<AuctionId, Promise<void>>()
  /** Commands whose reply is awaited. */
  commandCount = 0
  /** When the frame in hand came in (epoch ms). */
  receivedAtMs = 0
  /** When something last came from the client (monotonic ms). */
  heardMs: number
  /** When the client last read, or had nothing to read (monotonic ms). */
  readMs: number
  isPinged = false

  readonly #context: SessionContext
  #socket: Socket | undefined
  #queue: (string | Uint8Array)[] = []
  #queuedBytes = 0
  #isFlushDue = false
  /** Set while a close frame cannot be sent for want of room. */
  #closing: CloseCode | undefined

  constructor(start: SessionStart, context: SessionContext) {
    this.id = start.id
    this.subprotocol = start.subprotocol
    this.address = start.address
    this.check = start.check
    this.early = []
    this.frames = start.frames
    this.strikes = start.strikes
    this.heardMs = start.nowMs
    this.readMs = start.nowMs
    this.#context = context
  }

  attach(socket: Socket): void {
    this.#socket = socket
  }

  /** The connection is gone. */
  detach(): void {
    this.#socket = undefined
    this.#queue = []
    this.#queuedBytes = 0
  }

  get isOpen(): boolean {
    return this.#socket !== undefined && this.#closing === undefined
  }

  /** Whether bytes wait that the client has not read. */
  get hasUnread(): boolean {
    return this.#queue.length > 0 || (this.#socket?.bufferedBytes ?? 0) > 0
  }

  /** Whether more may be given to the socket now: nothing waits here, and the socket is at most half full. */
  get hasRoom(): boolean {
    return (
      this.#queue.length === 0 && (this.#socket?.bufferedBytes ?? 0) <= this.#context.bufferedBytesMax / 2
    )
  }

  /** Sends a frame by the end of this turn, or when the client reads. Never dropped while the session lives. */
  send(frame: EncodedFrame): void {
    if (!this.isOpen) return
    const message = this.subprotocol === jsonSubprotocol ? frame.json() : frame.msgpack()
    this.#queue.push(message)
    this.#queuedBytes += message.length
    if (this.#isFlushDue) return
    this.#isFlushDue = true
    this.#context.defer(() => {
      this.#isFlushDue = false
      this.flush()
    })
  }

  /** Sends what waits, as far as the client reads; then holds the rest to its bound. */
  flush(): void {
    const socket = this.#socket
    if (socket === undefined || this.#queue.length === 0) return
    socket.cork(() => {
      const sent = this.#sendRest(socket)
      for (const message of this.#queue.splice(0, sent)) this.#queuedBytes -= message.length
    })
    if (this.#queuedBytes > this.#context.queuedBytesMax) this.close(4413)
  }

  /** The client read something: `nowMs` is monotonic. */
  drained(nowMs: number): void {
    this.readMs = nowMs
    if (this.#closing !== undefined) this.close(this.#closing)
    else this.flush()
  }

  subscribe(topic: string): void {
    this.#socket?.subscribe(topic)
  }

  unsubscribe(topic: string): void {
    this.#socket?.unsubscribe(topic)
  }

  ping(): void {
    this.isPinged = true
    this.#socket?.ping()
  }

  /** Ends the session with a close frame; where there is no room for one, as soon as there is. */
  close(code: CloseCode): void {
    const socket = this.#socket
    if (socket === undefined) return
    if (this.#closing === undefined) socket.cork(() => this.#sendRest(socket))
    this.#closing = code
    this.#queue = []
    this.#queuedBytes = 0
    if (socket.bufferedBytes <= this.#context.bufferedBytesMax) socket.end(code, closeCodes[code].reason)
    else this.#context.closing(this)
  }

  /** Drops the connection: the client had its time to read the close frame. */
  terminate(): void {
    this.#socket?.terminate()
  }

  get isClosing(): boolean {
    return this.#closing !== undefined && this.#socket !== undefined
  }

  /** Sends from the front of the queue while there is room; returns how many. */
  #sendRest(socket: Socket): number {
    let sent = 0
    for (const message of this.#queue) {
      if (socket.bufferedBytes > this.#context.bufferedBytesMax || !socket.send(message)) break
      sent += 1
    }
    return sent
  }
}
