/**
 * House time, by which a leader stamps entries, as one replica keeps it.
 *
 *   house time = last stamp known + monotonic time since then, corrected towards the agreed wall time
 *
 * Wall clocks correct it slowly and never carry it: a leader whose clock jumps stamps on as if nothing had happened.
 * Only where nothing was counted (all nodes were down) is a gap taken over at once, forwards, and only from wall clocks
 * that a majority of the voters agrees on. Invariant: house time goes between 9/10 and 11/10 as fast as the monotonic
 * clock, but for such a gap and for the command that shifts it. Who agrees is decided by peer-clocks.ts, when to stamp
 * by leading.ts. Source: docs/spec.md TIME1, TIME2, TIME6.
 */
import type { Clock } from '../../runtime/clock.ts'
import type { AgreedTime } from '../peers/peer-clocks.ts'
import { behindMsMax } from './start-clock.ts'

/** What a leader says of house time to the others. */
export interface HouseTime {
  readonly houseMs: number
  /** See `StampClock.isCounted`. */
  readonly isCounted: boolean
  /** How often it was shifted. */
  readonly shifts: number
}

/** House time is corrected by at most this part of the time that goes by. */
const correctionPart = 1 / 10
/** A single wall clock corrects only what it is this close to (ms): one that jumped has nobody to contradict it. */
export const aloneBoundMs = 2_000
/** A leader's word that is known this well (ms) replaces what was counted here; another only moves it forwards. */
const exactErrorMs = 250

export class StampClock {
  readonly #clock: Clock
  /** House time as of `#atMs` of the monotonic clock. */
  #houseMs = 0
  #atMs: number
  #lastStampMs = 0
  #isCounted = false
  /** How far a single wall clock may be from house time and still correct it. */
  #aloneMs = aloneBoundMs

  constructor(clock: Clock) {
    this.#clock = clock
    this.#atMs = clock.monotonicMs()
  }

  /** Epoch ms, with a fraction; 0 as long as nothing is known. */
  nowMs(): number {
    return this.#houseMs === 0 ? 0 : this.#houseMs + this.#clock.monotonicMs() - this.#atMs
  }

  /** Whether no time is missing: it was counted on from agreed wall time, by this replica or by leaders before it. */
  get isCounted(): boolean {
    return this.#isCounted
  }

  /** House time was this after an entry that was applied. It falls by a command that shifts it, and then it is this. */
  applied(stampMs: number): void {
    if (stampMs > this.nowMs() || stampMs < this.#lastStampMs) this.#set(stampMs)
    this.#lastStampMs = stampMs
  }

  /** Without agreement, on a leader that misses time: this time has come in any case. */
  passed(wallMs: number | undefined): void {
    if (wallMs !== undefined && !this.#isCounted && wallMs > this.nowMs()) this.#set(wallMs)
  }

  /** Without any stamp and without agreement: some time is better than none. */
  begin(wallMs: number): void {
    this.#set(wallMs)
  }

  /** The leader says what house time is, give or take `errorMs`. Never below `lastStampMs`. */
  heard({ houseMs, isCounted }: Omit<HouseTime, 'shifts'>, errorMs: number, lastStampMs: number): void {
    if (errorMs <= exactErrorMs || houseMs - errorMs > this.nowMs()) this.#set(Math.max(houseMs, lastStampMs))
    this.#isCounted = isCounted
  }

  /** On a leader, at every tick: takes over a gap, or corrects by the time since the last call. */
  correct(agreed: AgreedTime | undefined): void {
    const now = this.#clock.monotonicMs()
    const houseMs = this.nowMs()
    const passedMs = now - this.#atMs
    this.#houseMs = houseMs
    this.#atMs = now
    if (agreed === undefined) return
    const offMs = agreed.wallMs - houseMs
    if (!this.#isCounted) {
      this.#isCounted = true
      if (offMs < 0 && offMs >= -behindMsMax) this.#aloneMs = aloneBoundMs - offMs
      if (offMs > 0) this.#set(agreed.wallMs)
      return
    }
    if (agreed.clockCount < 2 && Math.abs(offMs) > this.#aloneMs) return
    if (Math.abs(offMs) <= aloneBoundMs) this.#aloneMs = aloneBoundMs
    const mostMs = passedMs * correctionPart
    this.#houseMs += Math.min(mostMs, Math.max(-mostMs, offMs))
  }

  #set(houseMs: number): void {
    this.#houseMs = houseMs
    this.#atMs = this.#clock.monotonicMs()
  }
}
