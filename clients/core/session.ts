/**
 * A session with the house that outlives its sockets. It connects, reconnects with backoff, keeps watches without
 * gap or repeat, and brings every bid to one answer. Everything that depends on whether a socket is open is decided
 * here; watches are `subscriptions.ts`, unanswered bids are `bids.ts`.
 * Invariant: at most one socket is in use; what an abandoned one still delivers is dropped.
 *
 *   connecting ──hello──▶ open ──lost, drain, heartbeat──▶ reconnecting ──hello──▶ open
 *        └────── close(), token, unreachable ──▶ closed (permanently)
 *
 * Source: docs/protocol.md, "WebSocket", spec CLIENT1 to CLIENT20.
 */
import type { ClientFrame } from '../../protocol/client-frames.ts'
import { type CloseMeaning, meaningOfClose } from '../../protocol/close-codes.ts'
import type { AuctionId, RequestId } from '../../protocol/ids.ts'
import type { ServerFrame, ServerFrameOf } from '../../protocol/server-frames.ts'
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
import { Subscriptions } from './subscriptions.ts'
import { TimeSync } from './time-sync.ts'
import type { CurrentListener, WatchListener } from './watch.ts'

const helloTimeoutMsDefault = 10_000
const helloTimeoutMsWithOthers = 2_000
/** A connection that was open for this long was sound: its loss does not count against the next one. */
const steadyMs = 1_000
const bidPatienceMsDefault = 60_000
const syncBurst = 4
const syncEveryMsMin = 1_000
const syncEveryMsMax = 15_000
/** With a bid unanswered and other servers known: after this silence the server is probed, after twice it is left. */
const quietMs = 500
/** After a change of the network a connection that brings nothing for this long is lost. */
const promptMs = 2_000

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
  readonly #subscriptions: Subscriptions
  readonly #listeners = new Map<keyof SessionEvents, Set<(event: never) => void>>()
  #state: SessionState = { name: 'connecting', reason: 'first' }
  #socket: Socket | undefined
  /** Counts sockets, so that callbacks of a former one are dropped. */
  #generation = 0
  #wasOpen = false
  #openedMs = 0
  #isLive = false
  readonly #urls: readonly string[]
  /** Which of them the next connection is made to, in turn. */
  #urlAt = 0
  #nextFrameId = 1
  #receivedMs = 0
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
    this.#subscriptions = new Subscriptions({
      random: options.random,
      nextFrameId: () => this.#frameId(),
      isOpen: () => this.#state.name === 'open',
      send: (frame) => this.#send(frame),
      later: (delayMs, fire) => this.#later(delayMs, fire),
    })
    this.#connect()
  }

  get state(): SessionState {
    return this.#state
  }

  /** Whether the house is heard. What is watched may have changed unseen while it is not. */
  get isLive(): boolean {
    return this.#isLive
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

  /** Resolves once the session is open; rejects with `ClientError` when it has closed permanently. */
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

  /**
   * Watches an auction until the returned function is called. `onCurrent` is called with `false` when the view may be
   * out of date (the house is not heard, events are missing), and with `true` when it has caught up.
   */
  watch(auctionId: AuctionId, listener: WatchListener, onCurrent?: CurrentListener): () => void {
    return this.#subscriptions.watch(auctionId, listener, onCurrent)
  }

  /** Places a bid and brings it to one answer, over as many sockets as that takes. Rejects with `ClientError`. */
  placeBid(request: BidRequest): Promise<BidOutcome> {
    const { auctionId, amount, kind } = request
    const id = this.#frameId()
    const requestId = request.requestId ?? (this.#options.newId() as RequestId)
    if (this.#state.name === 'closed') return Promise.reject(this.#closedError(this.#state.reason))
    const frame = { type: 'place_bid', id, auctionId, amount, requestId } as const
    return this.#bids.place(id, kind === undefined ? frame : { ...frame, kind })
  }

  /** Buys at the buy-now price, with the same guarantee. */
  buyNow(request: BuyNowRequest): Promise<BidOutcome> {
    const { auctionId } = request
    const id = this.#frameId()
    const requestId = request.requestId ?? (this.#options.newId() as RequestId)
    if (this.#state.name === 'closed') return Promise.reject(this.#closedError(this.#state.reason))
    return this.#bids.place(id, { type: 'buy_now', id, auctionId, requestId })
  }

  /** Ends the session permanently; unanswered bids are rejected. */
  close(): void {
    if (this.#state.name !== 'closed') this.#end('owner')
  }

  /** For how long the house was not heard: milliseconds since the last frame, or since the last attempt began. */
  get silentMs(): number {
    return this.#options.clock.monotonicMs() - this.#receivedMs
  }

  /**
   * The platform says that the network went, came back, or may have changed (a page is seen again). Offline, nothing
   * counts as current until the house is heard; online, a session that hears nothing connects anew at once.
   */
  networkChanged(isOnline: boolean): void {
    const { name, reason } = this.#state
    if (name === 'closed') return
    if (!isOnline) this.#setLive(false)
    else if (this.#isLive) this.#probeNow()
    // A house that is overloaded is not helped by haste.
    else if (reason !== 'overloaded' && reason !== 'rate') this.#reconnectNow()
  }

  #probeNow(): void {
    const sentMs = this.#options.clock.monotonicMs()
    this.#syncTime()
    this.#later(promptMs, () => {
      if (this.#receivedMs < sentMs) this.#lose('heartbeat')
    })
  }

  #reconnectNow(): void {
    this.#abandon(1000, 'connection_lost')
    this.#backoff.reset()
    const name = this.#wasOpen ? 'reconnecting' : 'connecting'
    this.#enter({ name, reason: 'connection_lost', retryInMs: 0 })
    this.#connect()
  }

  #setLive(isLive: boolean): void {
    if (isLive === this.#isLive) return
    this.#isLive = isLive
    this.#subscriptions.setLive(isLive)
    this.#emit('live', isLive)
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

  /** Sends on the open socket; `false` where there is none. Bids and watches are sent again after `hello`. */
  #send(frame: ClientFrame): boolean {
    if (this.#state.name !== 'open' || this.#socket === undefined) return false
    this.#socket.send(this.#codec.encode(frame))
    return true
  }

  // Connecting and losing connections.

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
    this.#receivedMs = clock.monotonicMs()
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

  /** Drops the socket and everything that belonged to it. */
  #abandon(code: number, reason: string): void {
    this.#generation += 1
    this.#cancelTimers()
    this.#subscriptions.reset()
    this.#setLive(false)
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

  /** Gives the socket up; the next attempt comes after a pause. */
  #lose(reason: SessionReason, isLate = false): void {
    this.#abandon(1000, reason)
    const { attemptsMax = Number.POSITIVE_INFINITY, firstAttemptsMax = attemptsMax } = this.#options
    if (this.#state.name !== 'open') this.#failures += 1
    if (this.#failures >= (this.#wasOpen ? attemptsMax : firstAttemptsMax)) {
      this.#end('unreachable')
      return
    }
    this.#urlAt += 1
    const wasSteady =
      this.#state.name === 'open' && this.#options.clock.monotonicMs() - this.#openedMs >= steadyMs
    const retryInMs = wasSteady && !isLate ? this.#backoff.soon() : this.#backoff.next(isLate)
    this.#later(retryInMs, () => this.#connect())
    this.#enter({ name: this.#wasOpen ? 'reconnecting' : 'connecting', reason, retryInMs })
  }

  #end(reason: SessionReason): void {
    this.#abandon(1000, reason === 'owner' ? 'done' : reason)
    this.#subscriptions.clear()
    this.#enter({ name: 'closed', reason })
    this.#bids.close(this.#closedError(reason).message)
  }

  // Frames received.

  #onMessage(data: string | Uint8Array): void {
    this.#receivedMs = this.#options.clock.monotonicMs()
    const frame = this.#codec.decode(data)
    if (frame === undefined) {
      // Before the hello, the peer is no house; after it, this connection is broken.
      if (this.#state.name === 'open') this.#lose('connection_lost')
      else this.#end('not_a_house')
    } else if (this.#state.name === 'open') {
      this.#setLive(true)
      this.#onFrame(frame)
    } else if (frame.type === 'hello') this.#onHello(frame)
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
    this.#setLive(true)
    this.#emit('hello', hello)
    // Bids first: watches may wait, money may not.
    this.#bids.resend()
    this.#subscriptions.resume()
    this.#samplesLeft = syncBurst
    this.#syncTime()
    this.#keepAlive(hello.heartbeatMs)
  }

  #onFrame(frame: ServerFrame): void {
    switch (frame.type) {
      case 'subscribed':
        this.#subscriptions.onSubscribed(frame)
        return
      case 'resumed':
        this.#subscriptions.onResumed(frame)
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
      case 'resync':
        this.#subscriptions.onResync(frame)
        return
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
        this.#subscriptions.onEvent(frame)
        return
      case 'hello':
      case 'unsubscribed':
        return
      default:
        // A frame that a later version added is ignored.
        frame satisfies never
    }
  }

  #onError(error: ServerFrameOf<'error'>): void {
    if (this.#bids.failed(error)) return
    if (!this.#subscriptions.onError(error)) this.#emit('error', error)
  }

  /** The server stops soon: leaves at a random moment within half the grace, so that not all clients move at once. */
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

  /**
   * Sends something three times a heartbeat. Where nothing has come for half the time to the next, the house is not
   * heard; where nothing was received for a whole heartbeat, the connection is left.
   */
  #keepAlive(heartbeatMs: number): void {
    const everyMs = Math.min(syncEveryMsMax, Math.max(syncEveryMsMin, Math.floor(heartbeatMs / 3)))
    const silenceMsMax = Math.max(heartbeatMs, 3 * everyMs)
    const tick = (): void => {
      if (this.#options.clock.monotonicMs() - this.#receivedMs >= silenceMsMax) {
        this.#lose('heartbeat')
        return
      }
      const sentMs = this.#options.clock.monotonicMs()
      this.#syncTime()
      this.#later(everyMs / 2, () => {
        if (this.#receivedMs < sentMs) this.#setLive(false)
      })
      this.#later(everyMs, tick)
    }
    this.#later(everyMs, tick)
    if (this.#urls.length > 1) this.#later(quietMs, () => this.#checkBids())
  }

  /** Leaves a server that hangs with a bid unanswered, long before its heartbeat would show that. */
  #checkBids(): void {
    const silentMs = this.#options.clock.monotonicMs() - this.#receivedMs
    if (this.#bids.size > 0 && silentMs >= 2 * quietMs) {
      this.#lose('heartbeat')
      return
    }
    if (this.#bids.size > 0 && silentMs >= quietMs) this.#syncTime()
    this.#later(quietMs, () => this.#checkBids())
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
