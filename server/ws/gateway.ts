/**
 * Runs WebSocket sessions: upgrade, token, rates, incoming frames, heartbeats, close.
 *
 * What a frame does is in `frame-handlers.ts`; who gets which event is in `fan-out.ts`. Invariant: every message is
 * bounded, counted and decoded before anything is done for it; when the server ends a session, it closes it with a
 * code of the contract. Source: docs/protocol.md, "WebSocket"; RFC 6455; docs/spec.md RATE, FLOW, AUTH.
 */
import { randomBytes } from 'node:crypto'
import type {
  ClientFrame,
  ClientFrameHandlers,
  FrameRead,
  FrameRefused,
} from '../../protocol/client-frames.ts'
import type { CloseCode } from '../../protocol/close-codes.ts'
import { decodeClientBinary, decodeClientText } from '../../protocol/decode.ts'
import { encodeServerFrame } from '../../protocol/encode.ts'
import { type AuctionId, isId } from '../../protocol/ids.ts'
import { readJson } from '../../protocol/json.ts'
import { frameBytesMax } from '../../protocol/limits.ts'
import { readMsgpack } from '../../protocol/msgpack.ts'
import { protocolVersion } from '../../protocol/server-frames.ts'
import { jsonSubprotocol, msgpackSubprotocol, readOffer } from '../../protocol/subprotocols.ts'
import type { Clock } from '../../runtime/clock.ts'
import type { Admission } from '../access/admission.ts'
import { bearerToken, hasRole, type TokenCheck, type Tokens } from '../access/auth.ts'
import { TokenBucket } from '../access/token-bucket.ts'
import type { HttpRequest, Socket, UpgradeDecision } from '../carrier/socket.ts'
import type { ServerConfig } from '../config.ts'
import { rejectedFrame } from '../frames.ts'
import { problemAnswer, rateAnswer } from '../http/answers.ts'
import type { ServerMetrics } from '../metrics.ts'
import { Tally } from '../tally.ts'
import type { FanOut, Published } from './fan-out.ts'
import { refuse } from './frame-handlers.ts'
import { type SessionContext, SocketSession } from './socket-session.ts'

export interface GatewayContext extends Omit<SessionContext, 'closing'> {
  readonly config: ServerConfig
  readonly clock: Clock
  readonly tokens: Tokens
  readonly admission: Admission
  readonly fanOut: FanOut
  readonly handlers: ClientFrameHandlers<SocketSession, void | Promise<void>>
  readonly metrics: ServerMetrics
  /** The handler of a frame failed; its session has been answered. */
  readonly fault: (error: unknown, where: string) => void
}

/** Frames beyond the rate are answered up to this second rate; beyond it the session is closed with 4429. */
const strikeRate = { perSecond: 10, burst: 200 }
/** How long a client may take to read enough to make room for the close frame. */
const closeGraceMs = 5000

/** Bound of the frames kept while a token is verified: clients need not wait for `hello`. */
const earlyBytesMax = 128 * 1024
/** The cost of a kept frame besides its bytes. */
const earlyFrameBytes = 256

const text = new TextDecoder()

export class Gateway {
  readonly #context: GatewayContext
  readonly #sessionContext: SessionContext
  readonly #sessions = new Set<SocketSession>()
  /** Sessions whose token is being verified. */
  readonly #waiting = new Set<SocketSession>()
  readonly #open: Tally
  #isDraining = false

  constructor(context: GatewayContext) {
    this.#context = context
    this.#sessionContext = { ...context, closing: (session) => context.fanOut.leave(session) }
    this.#open = new Tally(context.clock)
  }

  get sessionCount(): number {
    return this.#sessions.size
  }

  /** Decides about an upgrade. A bad token gets a close code later: browsers hide the status of a refused upgrade. */
  upgrade(request: HttpRequest): UpgradeDecision<SocketSession> {
    const { clock, tokens, admission, config, metrics } = this.#context
    const header = request.header('sec-websocket-protocol')
    const { subprotocol, token: offered } = readOffer(header)
    if (subprotocol === undefined && header !== '') {
      const detail = `offer ${jsonSubprotocol} or ${msgpackSubprotocol} as a subprotocol`
      return { accept: false, answer: problemAnswer('field_invalid', { detail }) }
    }
    const authorization = request.header('authorization')
    const token = authorization === '' ? offered : (bearerToken(authorization) ?? '')
    const check = token === undefined ? undefined : tokens.verify(token)
    const known = check !== undefined && !(check instanceof Promise) && check.ok ? check.identity : undefined
    const address = admission.addressOf(request)
    const nowMs = clock.monotonicMs()
    const waitMs = admission.request(known, address, nowMs)
    if (waitMs > 0) {
      metrics.rateLimited.add(1, { what: 'request' })
      return { accept: false, answer: rateAnswer(waitMs) }
    }
    const session = new SocketSession(
      {
        id: randomBytes(9).toString('base64url'),
        subprotocol: subprotocol ?? jsonSubprotocol,
        address,
        holder: admission.holder(undefined, address),
        asksAuthority: check instanceof Promise && tokens.asksAuthority(token ?? ''),
        ...(check === undefined ? {} : { check }),
        nowMs,
        frames: new TokenBucket({ perSecond: config.framesPerSecond, burst: config.framesBurst }, nowMs),
        strikes: new TokenBucket(strikeRate, nowMs),
      },
      this.#sessionContext,
    )
    return { accept: true, subprotocol: subprotocol ?? '', session }
  }

  /** The socket is open; the session begins as soon as its token is verified. */
  open(session: SocketSession, socket: Socket): void {
    session.attach(socket)
    const { admission } = this.#context
    const { check } = session
    if (!(check instanceof Promise)) {
      this.#admit(session, check)
      return
    }
    if (session.asksAuthority && !admission.waiting.hold(session.holder)) {
      session.close(4429)
      return
    }
    this.#waiting.add(session)
    check
      .then((later) => {
        if (this.#endWaiting(session)) this.#admit(session, later)
      })
      .catch((error: unknown) => {
        session.close(1011)
        this.#context.fault(error, 'open')
      })
  }

  message(session: SocketSession, bytes: Uint8Array, isBinary: boolean): void {
    const { clock, tokens, metrics } = this.#context
    if (!session.isOpen) return
    if (bytes.length > frameBytesMax) {
      this.#context.metrics.frameErrors.add(1, { code: 'frame_too_large' })
      const message = `a frame has at most ${frameBytesMax} bytes`
      refuse(session, undefined, { code: 'frame_too_large', message })
      session.close(1009)
      return
    }
    if (session.early !== undefined) {
      this.#keepEarly(session, bytes, isBinary)
      return
    }
    const nowMs = clock.monotonicMs()
    session.heardMs = nowMs
    session.receivedAtMs = clock.nowMs()
    session.isPinged = false
    metrics.frames.add(1)
    const { identity } = session
    if (identity !== undefined && tokens.isOver(identity)) {
      session.close(4401)
      return
    }
    const waitMs = hasRole(identity, 'operator') ? 0 : this.#take(session, bytes.length, nowMs)
    if (waitMs > 0 && session.strikes.take(nowMs) > 0) {
      session.close(4429)
      return
    }
    const read = this.#decode(session, bytes, isBinary)
    if (waitMs > 0) this.#holdBack(session, read, waitMs)
    else if (read.ok) this.#handle(session, read.frame)
    else this.#refuseFrame(session, read)
  }

  /** Milliseconds to wait before a frame of so many bytes is handled; 0: now. */
  #take(session: SocketSession, bytes: number, nowMs: number): number {
    const waitMs = session.frames.take(nowMs)
    return waitMs > 0 ? waitMs : this.#context.admission.received(session.holder, bytes, nowMs)
  }

  /** Keeps a frame that came before the token was verified, as far as the budget of its address goes. */
  #keepEarly(session: SocketSession, bytes: Uint8Array, isBinary: boolean): void {
    const cost = bytes.length + earlyFrameBytes
    const { heldBytes } = this.#context.admission
    if (session.earlyBytes + cost > earlyBytesMax || !heldBytes.hold(session.holder, cost)) {
      session.close(4429)
      return
    }
    session.earlyBytes += cost
    session.early?.push({ bytes: bytes.slice(), isBinary })
  }

  /** Gives back what a waiting session held; whether it was waiting. */
  #endWaiting(session: SocketSession): boolean {
    if (!this.#waiting.delete(session)) return false
    const { waiting, heldBytes } = this.#context.admission
    if (session.asksAuthority) waiting.release(session.holder)
    heldBytes.release(session.holder, session.earlyBytes)
    session.earlyBytes = 0
    return true
  }

  /** The client read something. */
  drained(session: SocketSession): void {
    session.drained(this.#context.clock.monotonicMs())
    this.#context.fanOut.drained(session)
  }

  /**
   * The carrier dropped a message because the buffer was full. Only published events are replaced. The message may be
   * the answer to a ping, which holds whatever the client wrote.
   */
  dropped(session: SocketSession, bytes: Uint8Array, isBinary: boolean): void {
    const event = isBinary ? readMsgpack(bytes) : readJson(text.decode(bytes))
    const published = event.ok ? publishedOf(event.value) : undefined
    if (published !== undefined) this.#context.fanOut.dropped(session, published)
  }

  /** A ping or a pong came. Both count against the session's rate, as every frame does. */
  control(session: SocketSession): void {
    if (!session.isOpen) return
    const nowMs = this.#context.clock.monotonicMs()
    session.heardMs = nowMs
    session.isPinged = false
    if (hasRole(session.identity, 'operator') || session.frames.take(nowMs) === 0) return
    this.#context.metrics.rateLimited.add(1, { what: 'frame' })
    if (session.strikes.take(nowMs) > 0) session.close(4429)
  }

  closed(session: SocketSession, code: number): void {
    session.detach()
    this.#endWaiting(session)
    this.#context.metrics.closes.add(1, { code: String(code) })
    if (!this.#sessions.delete(session)) return
    this.#context.fanOut.leave(session)
    this.#context.admission.socketClosed(session.identity, session.address)
    this.#open.remove()
  }

  /**
   * Checks every session: pings silent ones, and closes dead (4408), expired or revoked (4401) and unread ones (4413). Call it a
   * few times per heartbeat.
   */
  tend(): void {
    const { config, clock, tokens } = this.#context
    const nowMs = clock.monotonicMs()
    for (const session of this.#sessions) {
      if (!session.hasUnread) session.readMs = nowMs
      const unreadMs = nowMs - session.readMs
      if (session.isClosing) {
        if (unreadMs > closeGraceMs) session.terminate()
        continue
      }
      const silentMs = nowMs - session.heardMs
      if (session.identity !== undefined && tokens.isOver(session.identity)) session.close(4401)
      else if (unreadMs > config.unreadMsMax) session.close(4413)
      else if (silentMs > 2 * config.heartbeatMs) session.close(4408)
      else if (silentMs >= config.heartbeatMs && !session.isPinged) session.ping()
    }
  }

  /** Sends `drain` to every client. From now on new sockets are closed with 1012. */
  announceDrain(graceMs: number): void {
    this.#isDraining = true
    const frame = encodeServerFrame({ type: 'drain', graceMs })
    for (const session of this.#sessions) session.send(frame)
  }

  /** Resolves when no session is left, or after `ms`. */
  untilEmpty(ms: number): Promise<void> {
    return this.#open.untilZero(ms)
  }

  /** Closes every session. */
  closeAll(code: CloseCode): void {
    for (const session of [...this.#sessions]) session.close(code)
  }

  /** Begins the session, or closes it with the code of the reason. */
  #admit(session: SocketSession, check: TokenCheck | undefined): void {
    const { config, clock, fanOut } = this.#context
    if (!session.isOpen) return
    if (check?.ok === true) {
      session.identity = check.identity
      session.holder = this.#context.admission.holder(check.identity, session.address)
    }
    const entry = check?.ok === false ? (check.retry ? 1013 : 4401) : this.#entry(session)
    if (entry !== 'admitted') {
      session.close(entry)
      return
    }
    this.#sessions.add(session)
    this.#open.add()
    fanOut.enter(session)
    const { identity } = session
    session.send(
      encodeServerFrame({
        type: 'hello',
        version: protocolVersion,
        sessionId: session.id,
        serverTime: clock.nowMs(),
        heartbeatMs: config.heartbeatMs,
        ...(identity === undefined ? {} : { you: { id: identity.subject, roles: [...identity.roles] } }),
      }),
    )
    session.flush()
    const early = session.early ?? []
    session.early = undefined
    for (const { bytes, isBinary } of early) this.message(session, bytes, isBinary)
  }

  #entry(session: SocketSession): 'admitted' | CloseCode {
    if (this.#isDraining) return 1012
    const entry = this.#context.admission.socketOpened(session.identity, session.address)
    if (entry === 'server_full') return 1013
    return entry === 'address_full' ? 4429 : 'admitted'
  }

  #decode(session: SocketSession, bytes: Uint8Array, isBinary: boolean): FrameRead {
    const takesBinary = session.subprotocol === msgpackSubprotocol
    if (isBinary !== takesBinary) {
      const message = `${session.subprotocol} takes ${takesBinary ? 'binary' : 'text'} frames`
      return { ok: false, code: 'wrong_encoding', message }
    }
    return isBinary ? decodeClientBinary(bytes) : decodeClientText(text.decode(bytes))
  }

  #handle<Type extends ClientFrame['type']>(
    session: SocketSession,
    frame: Extract<ClientFrame, { type: Type }>,
  ): void {
    const { handlers } = this.#context
    const handler = handlers[frame.type as Type] as (
      session: SocketSession,
      frame: Extract<ClientFrame, { type: Type }>,
    ) => void | Promise<void>
    try {
      const outcome = handler(session, frame)
      if (outcome instanceof Promise) outcome.catch((error: unknown) => this.#failed(session, frame, error))
    } catch (error) {
      this.#failed(session, frame, error)
    }
  }

  #failed(session: SocketSession, frame: ClientFrame, error: unknown): void {
    refuse(session, frame.id, { code: 'internal', message: 'the server failed at this frame' })
    this.#context.metrics.frameErrors.add(1, { code: 'internal' })
    this.#context.fault(error, frame.type)
  }

  #refuseFrame(session: SocketSession, read: FrameRefused): void {
    const { code, replyTo, message, bid } = read
    if (code !== 'amount_invalid') {
      this.#context.metrics.frameErrors.add(1, { code })
      refuse(session, replyTo, { code, message })
      return
    }
    if (bid === undefined || replyTo === undefined) {
      refuse(session, replyTo, { code: 'field_invalid', message })
      return
    }
    this.#context.metrics.bids.add(1, { outcome: code })
    const frame = rejectedFrame(replyTo, bid.requestId, bid.auctionId, { ok: false, code })
    session.send(encodeServerFrame(frame))
  }

  /** Refuses a frame beyond the rate. */
  #holdBack(session: SocketSession, read: FrameRead, waitMs: number): void {
    this.#context.metrics.rateLimited.add(1, { what: 'frame' })
    const replyTo = read.ok ? read.frame.id : read.replyTo
    const message = 'too many frames; slow down'
    refuse(session, replyTo, { code: 'rate_limited', message, retryAfterMs: waitMs })
  }
}

/**
 * Which event a published frame carries, or the first that it replaces; `undefined` for anything else. Of our frames
 * only public ones have a `serverTime` and an auction, and no `you`.
 */
function publishedOf(value: unknown): Published | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const { type, serverTime, auctionId, seq, expected, you } = value as Readonly<Record<string, unknown>>
  if (typeof type !== 'string' || typeof serverTime !== 'number' || you !== undefined) return undefined
  const at = type === 'resync' ? expected : seq
  if (typeof auctionId !== 'string' || !isId(auctionId) || !Number.isSafeInteger(at)) return undefined
  return { auctionId: auctionId as AuctionId, seq: at as number }
}
