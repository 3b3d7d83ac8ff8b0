/**
 * A session with the house that outlives its sockets: connects, reconnects with back-off, watches auctions without
 * gap or repeat, and sees every bid through to one answer. The trunk of the client: all that depends on whether a
 * socket is there is decided here; one auction's row of events is `watch.ts`, unanswered bids are `bids.ts`.
 * Invariant: at most one socket is listened to at a time; what an abandoned one still says is not heard.
 *
 *   connecting ──hello──▶ open ──lost, drain, heartbeat──▶ reconnecting ──hello──▶ open
 *        └────── close(), token, unreachable ──▶ closed (for good)
 *
 * Source: docs/protocol.md, "WebSocket", spec CLIENT1 to CLIENT12.
 */
import type { ClientFrame } from '../../protocol/client-frames.ts'
import { type CloseMeaning, meaningOfClose } from '../../protocol/close-codes.ts'
import { frameErrors } from '../../protocol/frame-errors.ts'
import type { AuctionId, RequestId } from '../../protocol/ids.ts'
import type { PublicEventFrame, ServerFrame, ServerFrameOf } from '../../protocol/server-frames.ts'
import { bearerSubprotocol } from '../../protocol/subprotocols.ts'
import { Backoff, defaultBackoff } from './backoff.ts'
import { PendingBids } from './bids.ts'
import { type Codec, jsonCodec } from './codec.ts'
import { ClientError } from './errors.ts'
import type { Socket } from './ports.ts'
import type {
  BidOutcome,
  BidRequest,
  BuyNowRequest,
  SessionEvents,
  SessionOptions,
  SessionReason,
  SessionState,
} from './session-types.ts'
import { TimeSync } from './time-sync.ts'
import { Watch, type WatchListener } from './watch.ts'

const helloTimeoutMsDefault = 10_000
const helloTimeoutMsWithOthers = 2_000
/** A connection that was open for so long had held: losing it says nothing about the next one. */
const steadyMs = 1_000
const bidPatienceMsDefault = 60_000
const syncBurst = 4
const syncEveryMsMin = 1_000
const syncEveryMsMax = 15_000
const askAgainMs = 500
/**
 * So many watches are asked for at once, and so many more after each pause: thousands at once would hold up bids, and
 * a house bounds how many frames a second it takes of one socket.
 */
const asksPerPiece = 16
const askPieceMs = 40
/** While a bid waits and there are other servers: after so long without a word this one is asked, then left. */
const quietMs = 500

/** `http://host:8080/` as `ws://host:8080/ws`. */
export function socketUrl(url: string): string {
  return `${url.replace(/^http/i, 'ws').replace(/\/+$/, '')}/ws`
}

export class Session {
  readonly #options: SessionOptions
  readonly #codec: Codec
  readonly #backoff: Backoff
  readonly #time = new TimeSync()
  readonly #bids: PendingBids
  readonly #watches = new Map<AuctionId, Watch>()
  /** Watches that this socket has not been asked for yet. */
  readonly #toAsk = new Set<Watch>()
  /** How many of them may be asked for before the next piece. */
  #asksLeft = asksPerPiece
  /** `subscribe` frames of this socket that wait for an answer, by frame id. */
  readonly #asks = new Map<number, AuctionId>()
  readonly #listeners = new Map<keyof SessionEvents, Set<(event: never) => void>>()
  #state: SessionState = { name: 'connecting', reason: 'first' }
  #socket: Socket | undefined
  /** Counts sockets: what a former one calls back with is not heard. */
  #generation = 0
  #wasOpen = false
  #openedMs = 0
  readonly #urls: readonly string[]
  /** Which of them the next connection is made to, in turn. */
  #urlAt = 0
  #nextFrameId = 1
  #heardMs = 0
  #probe: { readonly id: number; readonly sentMs: number } | undefined
  #samplesLeft = 0
  /** Attempts in a row that brought no `hello`. */
  #failures = 0
  /** Timers that end with the socket. */
  readonly #timers = new Set<() => void>()

  constructor(options: SessionOptions) {
    this.#options = options
    this.#urls = [options.url, ...(options.otherUrls ?? [])]
    this.#codec = options.codec ?? jsonCodec
    this.#backoff = new Backoff(options.backoff ?? defaultBackoff, options.random)
    this.#bids = new PendingBids({
      clock: options.clock,
      random: options.random,
      patienceMs: options.bidPatienceMs ?? bidPatienceMsDefault,
      send: (frame) => this.#send(frame),
    })
    this.#connect()
  }

  get state(): SessionState {
    return this.#state
  }

  /** Bids that wait for an answer. */
  get pendingBids(): number {
    return this.#bids.size
  }

  /** Calls the listener from now on; returns how to stop that. */
  on<Name extends keyof SessionEvents>(
    name: Name,
    listener: (event: SessionEvents[Name]) => void,
  ): () => void {
    const listeners = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, listeners)
    listeners.add(listener as (event: never) => void)
    return () => {
      listeners.delete(listener as (event: never) => void)
    }
  }

  #emit<Name extends keyof SessionEvents>(name: Name, event: SessionEvents[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])])
      (listener as (event: SessionEvents[Name]) => void)(event)
  }

  /** The server's clock in epoch ms, as well as it is known; this machine's before the first `hello`. */
  serverNowMs(): number {
    const { clock } = this.#options
    return this.#time.serverMs(clock.monotonicMs(), clock.nowMs())
  }

  /** Resolves once the session is open; rejects with `ClientError` when it closed for good instead. */
  opened(): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (state: SessionState): boolean => {
        if (state.name === 'open') resolve()
        else if (state.name === 'closed') reject(this.#closedError(state.reason))
        return state.name === 'open' || state.name === 'closed'
      }
      if (settle(this.#state)) return
      const end = this.on('state', (state) => {
        if (settle(state)) end()
      })
    })
  }

  /** Watches an auction until the returned function is called. */
  watch(auctionId: AuctionId, listener: WatchListener): () => void {
    let watch = this.#watches.get(auctionId)
    if (watch === undefined) {
      watch = new Watch(auctionId)
      this.#watches.set(auctionId, watch)
      watch.add(listener)
      this.#askInTurn(watch)
    } else watch.add(listener)
    const watched = watch
    return () => {
      if (!watched.remove(listener) || this.#watches.get(auctionId) !== watched) return
      this.#watches.delete(auctionId)
      this.#send({ type: 'unsubscribe', id: this.#frameId(), auctionId })
    }
  }

  /** Places a bid and sees it through, over however many sockets. Rejects with `ClientError`. */
  placeBid(request: BidRequest): Promise<BidOutcome> {
    const { auctionId, amount, kind } = request
    const id = this.#frameId()
    const requestId = request.requestId ?? (this.#options.newId() as RequestId)
    if (this.#state.name === 'closed') return Promise.reject(this.#closedError(this.#state.reason))
    const frame = { type: 'place_bid', id, auctionId, amount, requestId } as const
    return this.#bids.place(id, kind === undefined ? frame : { ...frame, kind })
  }

  /** Buys at the buy-now price; the same care as for a bid. */
  buyNow(request: BuyNowRequest): Promise<BidOutcome> {
    const { auctionId } = request
    const id = this.#frameId()
    const requestId = request.requestId ?? (this.#options.newId() as RequestId)
    if (this.#state.name === 'closed') return Promise.reject(this.#closedError(this.#state.reason))
    return this.#bids.place(id, { type: 'buy_now', id, auctionId, requestId })
  }

  /** Ends the session for good; unanswered bids are rejected. */
  close(): void {
    if (this.#state.name !== 'closed') this.#end('owner')
  }

  #frameId(): number {
    const id = this.#nextFrameId
    this.#nextFrameId += 1
    return id
  }

  #enter(state: SessionState): void {
    this.#state = state
    this.#emit('state', state)
  }

  /** Sends on the open socket; `false` where there is none (what matters then goes out after `hello`). */
  #send(frame: ClientFrame): boolean {
    if (this.#state.name !== 'open' || this.#socket === undefined) return false
    this.#socket.send(this.#codec.encode(frame))
    return true
  }

  #askInTurn(watch: Watch): void {
    if (this.#state.name !== 'open') return
    this.#toAsk.add(watch)
    this.#askPiece()
  }

  #askPiece(): void {
    for (const watch of this.#toAsk) {
      if (this.#asksLeft === 0) return
      this.#toAsk.delete(watch)
      if (this.#watches.get(watch.auctionId) !== watch) continue
      this.#asksLeft -= 1
      this.#ask(watch)
      if (this.#asksLeft !== asksPerPiece - 1) continue
      this.#later(askPieceMs, () => {
        this.#asksLeft = asksPerPiece
        this.#askPiece()
      })
    }
  }

  #ask(watch: Watch): void {
    watch.asked()
    const id = this.#frameId()
    const { auctionId, since } = watch
    const frame = { type: 'subscribe', id, auctionId } as const
    if (this.#send(since === undefined ? frame : { ...frame, since })) this.#asks.set(id, auctionId)
  }

  // Sockets come and go.

  #connect(): void {
    const { transport, clock } = this.#options
    const url = this.#urls[this.#urlAt % this.#urls.length] as string
    this.#generation += 1
    const generation = this.#generation
    const isCurrent = (): boolean => generation === this.#generation
    const token = this.#options.token?.()
    const offered = [this.#codec.subprotocol, ...(token === undefined ? [] : [bearerSubprotocol(token)])]
    const patienceMs = this.#urls.length > 1 ? helloTimeoutMsWithOthers : helloTimeoutMsDefault
    this.#later(this.#options.helloTimeoutMs ?? patienceMs, () => this.#lose('connection_lost'))
    this.#heardMs = clock.monotonicMs()
    this.#socket = transport.open(socketUrl(url), offered, {
      onOpen: (subprotocol) => {
        if (isCurrent() && subprotocol !== this.#codec.subprotocol) this.#end('not_a_house')
      },
      onMessage: (data) => {
        if (isCurrent()) this.#onMessage(data)
      },
      onClose: (code) => {
        if (isCurrent()) this.#onClose(meaningOfClose(code))
      },
    })
  }

  /** A timer that ends with the socket. */
  #later(delayMs: number, fire: () => void): void {
    const cancel = this.#options.clock.setTimer(delayMs, () => {
      this.#timers.delete(cancel)
      fire()
    })
    this.#timers.add(cancel)
  }

  #cancelTimers(): void {
    for (const cancel of this.#timers) cancel()
    this.#timers.clear()
  }

  /** Hears no more of the socket, and forgets what belonged to it. */
  #abandon(code: number, reason: string): void {
    this.#generation += 1
    this.#cancelTimers()
    this.#asks.clear()
    this.#toAsk.clear()
    this.#asksLeft = asksPerPiece
    this.#probe = undefined
    const socket = this.#socket
    this.#socket = undefined
    socket?.close(code, reason)
  }

  #onClose(meaning: CloseMeaning): void {
    const reason = meaning.reason as SessionReason
    this.#socket = undefined
    if (meaning.retry === 'never') this.#end(reason)
    else this.#lose(reason, meaning.retry === 'later')
  }

  /** The socket is of no more use: the next attempt comes after a pause. */
  #lose(reason: SessionReason, isLate = false): void {
    this.#abandon(1000, reason)
    const { attemptsMax = Number.POSITIVE_INFINITY, firstAttemptsMax = attemptsMax } = this.#options
    if (this.#state.name !== 'open') this.#failures += 1
    if (this.#failures >= (this.#wasOpen ? attemptsMax : firstAttemptsMax)) {
      this.#end('unreachable')
      return
    }
    this.#urlAt += 1
    const hadHeld =
      this.#state.name === 'open' && this.#options.clock.monotonicMs() - this.#openedMs >= steadyMs
    const retryInMs = hadHeld && !isLate ? this.#backoff.soon() : this.#backoff.next(isLate)
    this.#later(retryInMs, () => this.#connect())
    this.#enter({ name: this.#wasOpen ? 'reconnecting' : 'connecting', reason, retryInMs })
  }

  #end(reason: SessionReason): void {
    this.#abandon(1000, reason === 'owner' ? 'done' : reason)
    this.#watches.clear()
    this.#enter({ name: 'closed', reason })
    this.#bids.close(this.#closedError(reason).message)
  }

  // Frames come in.

  #onMessage(data: string | Uint8Array): void {
    this.#heardMs = this.#options.clock.monotonicMs()
    const frame = this.#codec.decode(data)
    if (frame === undefined) {
      // Before the hello something else answers there; after it, this connection is broken.
      if (this.#state.name === 'open') this.#lose('connection_lost')
      else this.#end('not_a_house')
    } else if (this.#state.name === 'open') this.#onFrame(frame)
    else if (frame.type === 'hello') this.#onHello(frame)
  }

  #onHello(hello: ServerFrameOf<'hello'>): void {
    this.#cancelTimers()
    this.#backoff.reset()
    this.#failures = 0
    this.#wasOpen = true
    this.#openedMs = this.#options.clock.monotonicMs()
    this.#time.restart()
    this.#time.hint(hello.serverTime, this.#options.clock.monotonicMs())
    this.#enter({ name: 'open', reason: 'hello' })
    this.#emit('hello', hello)
    // Bids first: a hundred watches to resume may wait, money may not.
    this.#bids.resend()
    for (const watch of this.#watches.values()) this.#askInTurn(watch)
    this.#samplesLeft = syncBurst
    this.#syncTime()
    this.#keepAlive(hello.heartbeatMs)
  }

  #onFrame(frame: ServerFrame): void {
    switch (frame.type) {
      case 'subscribed':
        this.#watchOfAnswer(frame.replyTo)?.subscribed(frame)
        return
      case 'resumed':
        this.#watchOfAnswer(frame.replyTo)?.resumed()
        return
      case 'bid_accepted':
      case 'bid_rejected':
        this.#bids.answered(frame)
        return
      case 'time':
        this.#onTime(frame)
        return
      case 'error':
        this.#onError(frame)
        return
      case 'resync': {
        const watch = this.#watches.get(frame.auctionId)
        if (watch?.resync(frame) === true) this.#ask(watch)
        return
      }
      case 'outbid':
      case 'won':
      case 'lost':
        this.#emit('private', frame)
        return
      case 'drain':
        this.#onDrain(frame.graceMs)
        return
      case 'bid_placed':
      case 'auction_opened':
      case 'auction_extended':
      case 'auction_paused':
      case 'auction_resumed':
      case 'auction_sold':
      case 'auction_passed':
      case 'auction_cancelled':
        this.#onEvent(frame)
        return
      case 'hello':
      case 'unsubscribed':
        return
      default:
        // A frame of a later house: additions are free, so it is passed by.
        frame satisfies never
    }
  }

  #onEvent(frame: PublicEventFrame): void {
    const watch = this.#watches.get(frame.auctionId)
    if (watch?.event(frame) === true) this.#ask(watch)
  }

  #watchOfAnswer(replyTo: unknown): Watch | undefined {
    const auctionId = this.#asks.get(replyTo as number)
    if (auctionId === undefined) return undefined
    this.#asks.delete(replyTo as number)
    return this.#watches.get(auctionId)
  }

  #onError(error: ServerFrameOf<'error'>): void {
    if (this.#bids.failed(error)) return
    const watch = this.#watchOfAnswer(error.replyTo)
    if (watch === undefined) {
      this.#emit('error', error)
    } else if (frameErrors[error.code]?.retry === true) {
      const delayMs = error.retryAfterMs ?? Math.round(askAgainMs * (1 + this.#options.random()))
      this.#later(delayMs, () => {
        if (this.#watches.get(watch.auctionId) === watch) this.#ask(watch)
      })
    } else {
      this.#watches.delete(watch.auctionId)
      watch.refused(error.code, error.message)
    }
  }

  /** The server stops soon: leaves at a moment of chance within half the grace, so that not all come at once. */
  #onDrain(graceMs: number): void {
    this.#later(Math.round((graceMs / 2) * this.#options.random()), () => this.#lose('drain'))
  }

  // Time and liveness.

  #syncTime(): void {
    const id = this.#frameId()
    const { clock } = this.#options
    this.#probe = { id, sentMs: clock.monotonicMs() }
    this.#send({ type: 'sync_time', id, t0: clock.nowMs() })
  }

  #onTime(frame: ServerFrameOf<'time'>): void {
    if (this.#probe?.id !== frame.replyTo) return
    this.#time.add(this.#probe.sentMs, this.#options.clock.monotonicMs(), frame.t1, frame.t2)
    this.#probe = undefined
    this.#samplesLeft -= 1
    if (this.#samplesLeft > 0) this.#syncTime()
  }

  /** Says something three times a heartbeat, and leaves when nothing came back for a whole one. */
  #keepAlive(heartbeatMs: number): void {
    const everyMs = Math.min(syncEveryMsMax, Math.max(syncEveryMsMin, Math.floor(heartbeatMs / 3)))
    const silenceMsMax = Math.max(heartbeatMs, 3 * everyMs)
    const tick = (): void => {
      if (this.#options.clock.monotonicMs() - this.#heardMs >= silenceMsMax) {
        this.#lose('heartbeat')
        return
      }
      this.#syncTime()
      this.#later(everyMs, tick)
    }
    this.#later(everyMs, tick)
    if (this.#urls.length > 1) this.#later(quietMs, () => this.#mindBids())
  }

  /** A server that hangs with a bid is left long before its heartbeat would tell. */
  #mindBids(): void {
    const silentMs = this.#options.clock.monotonicMs() - this.#heardMs
    if (this.#bids.size > 0 && silentMs >= 2 * quietMs) {
      this.#lose('heartbeat')
      return
    }
    if (this.#bids.size > 0 && silentMs >= quietMs) this.#syncTime()
    this.#later(quietMs, () => this.#mindBids())
  }

  #closedError(reason: SessionReason): ClientError {
    const url = this.#urls.join(', ')
    if (reason === 'unreachable') return new ClientError('unreachable', `no answer from ${url}`)
    if (reason === 'not_a_house')
      return new ClientError('unexpected_answer', `what answers at ${url} does not speak the protocol`)
    if (reason === 'token') return new ClientError('closed', 'the token is not valid, or no longer')
    return new ClientError('closed', `the session is closed (${reason})`)
  }
}
