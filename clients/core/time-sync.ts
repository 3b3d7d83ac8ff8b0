/**
 * The server's clock, estimated from `sync_time` round trips.
 * Of the last few samples, those with the shortest round trip are the least disturbed; the estimate is the median of
 * their offsets. Invariant: between two
 * samples the estimate runs with the local monotonic clock, so a jump of the wall clock does not move a countdown.
 * Source: RFC 5905 §10 (clock filter), simplified.
 */

const samplesMax = 8
const bestMax = 3

interface Sample {
  readonly roundTripMs: number
  /** Server time minus local monotonic time. */
  readonly offsetMs: number
}

export class TimeSync {
  readonly #samples: Sample[] = []
  #offsetMs: number | undefined

  /** `sentMs` and `receivedMs` by the local monotonic clock; `t1` and `t2` by the server's. */
  add(sentMs: number, receivedMs: number, t1: number, t2: number): void {
    const roundTripMs = Math.max(0, receivedMs - sentMs - (t2 - t1))
    const offsetMs = (t1 - sentMs + (t2 - receivedMs)) / 2
    this.#samples.push({ roundTripMs, offsetMs })
    if (this.#samples.length > samplesMax) this.#samples.shift()
    const best = this.#samples.toSorted((a, b) => a.roundTripMs - b.roundTripMs).slice(0, bestMax)
    const offsets = best.map((sample) => sample.offsetMs).sort((a, b) => a - b)
    this.#offsetMs = offsets[offsets.length >> 1]
  }

  /** A first guess, from a frame that carries the server's time; samples replace it. */
  hint(serverTime: number, monotonicMs: number): void {
    if (this.#samples.length === 0) this.#offsetMs = serverTime - monotonicMs
  }

  /** Forgets all samples, as for another server. The estimate stays until the first new one. */
  restart(): void {
    this.#samples.length = 0
  }

  /** Whether anything is known of the server's clock. */
  get isKnown(): boolean {
    return this.#offsetMs !== undefined
  }

  /** Server time at a local monotonic time, in epoch ms; `fallback` while nothing is known. */
  serverMs(monotonicMs: number, fallback: number): number {
    return this.#offsetMs === undefined ? fallback : monotonicMs + this.#offsetMs
  }
}
