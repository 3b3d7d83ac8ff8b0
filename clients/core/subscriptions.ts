/**
 * The watches of a session, and the `subscribe` frames that keep them live.
 * Invariant: a socket gets at most `subscribesMax` of them in `turnMs`, because thousands at once would hold up bids
 * and a house bounds the frames of one socket; each watch is subscribed on every new socket.
 * One auction's order of events is kept by `watch.ts`. Source: spec CLIENT10 to CLIENT12, CLIENT18.
 */
import type { ClientFrame } from '../../protocol/client-frames.ts'
import { frameErrors } from '../../protocol/frame-errors.ts'
import type { AuctionId } from '../../protocol/ids.ts'
import type { PublicEventFrame, ServerFrameOf } from '../../protocol/server-frames.ts'
import type { Random } from './ports.ts'
import { type CurrentListener, Watch, type WatchListener } from './watch.ts'

const subscribesMax = 16
const turnMs = 40
/** The pause before a `subscribe` is repeated where the house names none. */
const repeatMs = 500

export interface SubscriptionsOptions {
  readonly random: Random
  readonly nextFrameId: () => number
  readonly isOpen: () => boolean
  /** Sends on the open socket; `false` where there is none. */
  readonly send: (frame: ClientFrame) => boolean
  /** Starts a timer that ends with the socket. */
  readonly later: (delayMs: number, fire: () => void) => void
}

export class Subscriptions {
  readonly #options: SubscriptionsOptions
  readonly #watches = new Map<AuctionId, Watch>()
  /** Watches that are not yet subscribed on this socket. */
  readonly #waiting = new Set<Watch>()
  /** How many frames may be sent before the next turn. */
  #left = subscribesMax
  /** Frames of this socket that wait for an answer, by frame id. */
  readonly #unanswered = new Map<number, AuctionId>()
  #isLive = false

  constructor(options: SubscriptionsOptions) {
    this.#options = options
  }

  /** Watches an auction until the returned function is called. */
  watch(auctionId: AuctionId, listener: WatchListener, onCurrent?: CurrentListener): () => void {
    let watch = this.#watches.get(auctionId)
    if (watch === undefined) {
      watch = new Watch(auctionId)
      watch.setLive(this.#isLive)
      this.#watches.set(auctionId, watch)
      watch.add(listener, onCurrent)
      this.#enqueue(watch)
    } else watch.add(listener, onCurrent)
    const watched = watch
    return () => {
      if (!watched.remove(listener) || this.#watches.get(auctionId) !== watched) return
      this.#watches.delete(auctionId)
      this.#options.send({ type: 'unsubscribe', id: this.#options.nextFrameId(), auctionId })
    }
  }

  /** Subscribes every watch on a socket that has just opened. */
  resume(): void {
    for (const watch of this.#watches.values()) this.#enqueue(watch)
  }

  /** Forgets what belonged to a socket that is gone; its timers have ended. */
  reset(): void {
    this.#unanswered.clear()
    this.#waiting.clear()
    this.#left = subscribesMax
    for (const watch of this.#watches.values()) watch.asked()
  }

  /** Whether the session hears from the house. */
  setLive(isLive: boolean): void {
    this.#isLive = isLive
    for (const watch of this.#watches.values()) watch.setLive(isLive)
  }

  /** Ends all watches. */
  clear(): void {
    this.#watches.clear()
  }

  onSubscribed(frame: ServerFrameOf<'subscribed'>): void {
    this.#answered(frame.replyTo)?.subscribed(frame)
  }

  onResumed(frame: ServerFrameOf<'resumed'>): void {
    this.#answered(frame.replyTo)?.resumed(frame)
  }

  onEvent(frame: PublicEventFrame): void {
    const watch = this.#watches.get(frame.auctionId)
    if (watch?.event(frame) === true) this.#subscribe(watch)
  }

  onResync(frame: ServerFrameOf<'resync'>): void {
    const watch = this.#watches.get(frame.auctionId)
    if (watch?.resync(frame) === true) this.#subscribe(watch)
  }

  /** Takes an error that answers a `subscribe`; `false` where it answers something else. */
  onError(error: ServerFrameOf<'error'>): boolean {
    const watch = this.#answered(error.replyTo)
    if (watch === undefined) return false
    if (frameErrors[error.code]?.retry === true) {
      const delayMs = error.retryAfterMs ?? Math.round(repeatMs * (1 + this.#options.random()))
      this.#options.later(delayMs, () => {
        if (this.#watches.get(watch.auctionId) === watch) this.#subscribe(watch)
      })
    } else {
      this.#watches.delete(watch.auctionId)
      watch.refused(error.code, error.message)
    }
    return true
  }

  #enqueue(watch: Watch): void {
    if (!this.#options.isOpen()) return
    this.#waiting.add(watch)
    this.#subscribeWaiting()
  }

  /** Subscribes as many as this turn allows. The first of a turn starts the timer of the next. */
  #subscribeWaiting(): void {
    for (const watch of this.#waiting) {
      if (this.#left === 0) return
      this.#waiting.delete(watch)
      if (this.#watches.get(watch.auctionId) !== watch) continue
      this.#left -= 1
      this.#subscribe(watch)
      if (this.#left !== subscribesMax - 1) continue
      this.#options.later(turnMs, () => {
        this.#left = subscribesMax
        this.#subscribeWaiting()
      })
    }
  }

  #subscribe(watch: Watch): void {
    watch.asked()
    const id = this.#options.nextFrameId()
    const { auctionId, since } = watch
    const frame = { type: 'subscribe', id, auctionId } as const
    if (this.#options.send(since === undefined ? frame : { ...frame, since }))
      this.#unanswered.set(id, auctionId)
  }

  /** The watch whose `subscribe` is answered. */
  #answered(replyTo: unknown): Watch | undefined {
    const auctionId = this.#unanswered.get(replyTo as number)
    if (auctionId === undefined) return undefined
    this.#unanswered.delete(replyTo as number)
    return this.#watches.get(auctionId)
  }
}
