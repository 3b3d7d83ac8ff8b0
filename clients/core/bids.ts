/**
 * Bids that wait for their answer.
 * Invariant: a bid keeps one request id and is sent again on each new socket, until it is answered or its patience
 * is over; so it counts at most once and has one outcome. A repeat says how old it is. The session reports when a socket is open.
 */
import type { ClientFrameOf } from '../../protocol/client-frames.ts'
import { frameErrors } from '../../protocol/frame-errors.ts'
import type { ServerFrameOf } from '../../protocol/server-frames.ts'
import { ClientError } from './errors.ts'
import type { Clock, Random } from './ports.ts'
import type { BidOutcome } from './session-types.ts'

export type BidFrame = ClientFrameOf<'place_bid'> | ClientFrameOf<'buy_now'>

interface PendingBid {
  readonly frame: BidFrame
  readonly settle: (outcome: BidOutcome | ClientError) => void
  /** How often the house requested a retry. */
  retries: number
  /** When it was sent for the first time, by the monotonic clock. */
  sentMs: number | undefined
  cancelTimers: (() => void)[]
}

const pendingMax = 10_000
const retryBaseMs = 200
const retryTopMs = 5_000

export interface PendingBidsOptions {
  readonly clock: Clock
  readonly random: Random
  readonly patienceMs: number
  /** Sends where a socket is open; `false` where none is. */
  readonly send: (frame: BidFrame) => boolean
}

export class PendingBids {
  readonly #options: PendingBidsOptions
  readonly #pending = new Map<number, PendingBid>()

  constructor(options: PendingBidsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#pending.size
  }

  /** Sends a bid now or with the next socket. `id` is its frame id. Rejects with `ClientError`. */
  place(id: number, frame: BidFrame): Promise<BidOutcome> {
    if (this.#pending.size >= pendingMax)
      return Promise.reject(
        new ClientError('too_many_pending', `${pendingMax} bids wait for an answer already`),
      )
    return new Promise((resolve, reject) => {
      const settle = (outcome: BidOutcome | ClientError): void => {
        if (outcome instanceof ClientError) reject(outcome)
        else resolve(outcome)
      }
      const bid: PendingBid = { frame, settle, retries: 0, sentMs: undefined, cancelTimers: [] }
      const { clock, patienceMs } = this.#options
      bid.cancelTimers.push(clock.setTimer(patienceMs, () => this.#giveUp(id, 'no answer came in time')))
      this.#pending.set(id, bid)
      this.#send(bid)
    })
  }

  #send(bid: PendingBid): void {
    const { clock, send } = this.#options
    const { frame, sentMs } = bid
    const nowMs = clock.monotonicMs()
    // At least 1 ms, for 0 is a first sending.
    const aged = sentMs === undefined ? frame : { ...frame, ageMs: Math.max(1, Math.ceil(nowMs - sentMs)) }
    if (send(aged)) bid.sentMs ??= nowMs
  }

  /** Sends everything unanswered on a new socket, in the order in which it was placed. */
  resend(): void {
    for (const bid of this.#pending.values()) this.#send(bid)
  }

  #take(id: unknown): PendingBid | undefined {
    const bid = this.#pending.get(id as number)
    if (bid === undefined) return undefined
    this.#pending.delete(id as number)
    for (const cancel of bid.cancelTimers) cancel()
    return bid
  }

  #giveUp(id: number, why: string): void {
    const bid = this.#take(id)
    if (bid === undefined) return
    const { requestId } = bid.frame
    bid.settle(
      bid.sentMs !== undefined
        ? new ClientError('outcome_unknown', `${why}; ask again with requestId ${requestId}`)
        : new ClientError('unreachable', why),
    )
  }

  answered(outcome: BidOutcome): void {
    this.#take(outcome.replyTo)?.settle(outcome)
  }

  /** Takes an error that answers a bid; `false` where it answers none of them. */
  failed(error: ServerFrameOf<'error'>): boolean {
    const bid = this.#pending.get(error.replyTo as number)
    if (bid === undefined) return false
    if (error.final === true && error.code === 'outcome_unknown') {
      this.#take(error.replyTo)?.settle(new ClientError('outcome_unknown', error.message))
      return true
    }
    // An unknown code of a later house means that trying again does not help.
    if (frameErrors[error.code]?.retry === true) this.#retryLater(bid, error.retryAfterMs)
    else
      this.#take(error.replyTo)?.settle(
        new ClientError('frame_refused', error.message, { frameCode: error.code }),
      )
    return true
  }

  #retryLater(bid: PendingBid, retryAfterMs: number | undefined): void {
    const { clock, random } = this.#options
    const step = retryAfterMs ?? Math.min(retryTopMs, retryBaseMs * 2 ** Math.min(bid.retries, 20))
    bid.retries += 1
    const delayMs = Math.round(step * (1 + random() / 2))
    const [patience] = bid.cancelTimers as [() => void]
    bid.cancelTimers = [patience, clock.setTimer(delayMs, () => this.#send(bid))]
  }

  /** No socket will come any more: everything unanswered is given up. */
  close(why: string): void {
    for (const id of [...this.#pending.keys()]) this.#giveUp(id, why)
  }
}
