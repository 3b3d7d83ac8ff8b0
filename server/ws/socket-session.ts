/**
 * The session of one WebSocket: its identity, its subscriptions, and its unsent frames.
 *
 * Published events do not pass through here; `fan-out.ts` handles them. Invariant: answers and private frames are sent
 * in order and none is left out. While the client does not read they wait here; beyond `queuedBytesMax` the session is
 * closed with 4413. The frames of one turn are sent in one system call. Source: docs/protocol.md, "WebSocket";
 * docs/spec.md FLOW.
 */
import { type CloseCode, closeCodes } from '../../protocol/close-codes.ts'
import type { EncodedFrame } from '../../protocol/encode.ts'
import type { AuctionId } from '../../protocol/ids.ts'
import { jsonSubprotocol, type Subprotocol } from '../../protocol/subprotocols.ts'
import type { Identity, TokenCheck } from '../access/auth.ts'
import type { Holder } from '../access/budget.ts'
import type { TokenBucket } from '../access/token-bucket.ts'
import type { Socket } from '../carrier/socket.ts'
import type { SubscriptionOf } from './subscription.ts'

/** Shared by all sessions. */
export interface SessionContext {
  readonly bufferedBytesMax: number
  readonly queuedBytesMax: number
  /** Calls `work` at the end of this turn of the event loop. */
  readonly defer: (work: () => void) => void
  /** The session will end once its client has read; it gets nothing more. */
  readonly closing: (session: SocketSession) => void
}

export interface SessionStart {
  readonly id: string
  readonly subprotocol: Subprotocol
  /** The client's address, by the trusted proxies. */
  readonly address: string
  /** Pays for it until its token is verified. */
  readonly holder: Holder
  /** Its token may wait for the keys of an outside authority. Default: no. */
  readonly asksAuthority?: boolean
  /** The check of the token; a promise while it is verified. Absent: there is no token. */
  readonly check?: TokenCheck | Promise<TokenCheck>
  readonly nowMs: number
  readonly frames: TokenBucket
  readonly strikes: TokenBucket
}

export class SocketSession {
  readonly id: string
  readonly subprotocol: Subprotocol
  readonly address: string
  /** Pays for what the session holds and sends. */
  holder: Holder
  readonly asksAuthority: boolean
  readonly check: TokenCheck | Promise<TokenCheck> | undefined
  /** The token's identity; absent until the token was checked. */
  identity: Identity | undefined
  /** Frames that came before the token was verified; `undefined` from then on. */
  early: { readonly bytes: Uint8Array; readonly isBinary: boolean }[] | undefined
  /** The cost of the frames in `early`. */
  earlyBytes = 0
  readonly frames: TokenBucket
  /** Limits the frames beyond the rate that are still answered. */
  readonly strikes: TokenBucket
  readonly subscriptions = new Map<AuctionId, SubscriptionOf<SocketSession>>()
  /** For each auction, the last `subscribe` or `unsubscribe` in progress. */
  readonly turns = new Map<AuctionId, Promise<void>>()
  /** Commands in progress. */
  commandCount = 0
  /** When the current frame arrived (epoch ms). */
  receivedAtMs = 0
  /** When the client last sent something (monotonic ms). */
  heardMs: number
  /** When the client last read, or had nothing to read (monotonic ms). */
  readMs: number
  isPinged = false

  readonly #context: SessionContext
  #socket: Socket | undefined
  #queue: (string | Uint8Array)[] = []
  #queuedBytes = 0
  #isFlushDue = false
  /** Set while there is no room for a close frame. */
  #closing: CloseCode | undefined

  constructor(start: SessionStart, context: SessionContext) {
    this.id = start.id
    this.subprotocol = start.subprotocol
    this.address = start.address
    this.holder = start.holder
    this.asksAuthority = start.asksAuthority === true
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

  /** Whether the socket takes more now: no frame waits here, and its buffer is at most half full. */
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

  /** Sends the waiting frames, as far as the client reads; closes the session if the rest exceeds its bound. */
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

  /** Ends the session with a close frame, as soon as there is room for one. */
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
