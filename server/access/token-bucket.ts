/**
 * Limits a rate with a token bucket; one bucket, or one for each key.
 *
 * A key is an address or a subject. What happens to a refused request is left to the caller. Invariant: in any period
 * at most `burst + rate × seconds` passes. The number of buckets is bounded: at the bound, the bucket that was unused
 * for longest is dropped, and its key starts with a full one again. Source: docs/spec.md RATE1.
 */

export interface Rate {
  /** Refill, above 0. */
  readonly perSecond: number
  /** Capacity, at least 1. */
  readonly burst: number
}

export class TokenBucket {
  readonly #rate: Rate
  #tokens: number
  #atMs: number

  /** `nowMs` is a monotonic reading, here and below. */
  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate
    this.#tokens = rate.burst
    this.#atMs = nowMs
  }

  /** Takes `cost` and returns 0, or takes nothing and returns the milliseconds until it can succeed (above 0). */
  take(nowMs: number, cost = 1): number {
    const refill = ((nowMs - this.#atMs) * this.#rate.perSecond) / 1000
    if (refill > 0) {
      this.#tokens = Math.min(this.#rate.burst, this.#tokens + refill)
      this.#atMs = nowMs
    }
    if (this.#tokens >= cost) {
      this.#tokens -= cost
      return 0
    }
    return Math.max(
      1,
      Math.ceil(((Math.min(cost, this.#rate.burst) - this.#tokens) * 1000) / this.#rate.perSecond),
    )
  }
}

export class KeyedBuckets {
  readonly #rate: Rate
  readonly #keysMax: number
  readonly #buckets = new Map<string, TokenBucket>()

  constructor(rate: Rate, keysMax: number) {
    this.#rate = rate
    this.#keysMax = keysMax
  }

  get size(): number {
    return this.#buckets.size
  }

  /** As `TokenBucket.take`, from the bucket of a key. */
  take(key: string, nowMs: number, cost = 1): number {
    let bucket = this.#buckets.get(key)
    if (bucket === undefined) {
      if (this.#buckets.size >= this.#keysMax) this.#forgetOldest()
      bucket = new TokenBucket(this.#rate, nowMs)
    } else this.#buckets.delete(key)
    this.#buckets.set(key, bucket)
    return bucket.take(nowMs, cost)
  }

  #forgetOldest(): void {
    const oldest = this.#buckets.keys().next()
    if (oldest.done !== true) this.#buckets.delete(oldest.value)
  }
}
