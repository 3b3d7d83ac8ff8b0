/**
 * Bounds the connections that have not ended their handshake, per address and in all.
 *
 * Beyond a bound the oldest one ends (of that address, or of all), not the new one: so strangers cannot keep others
 * out by holding connections open, because a handshake of ours takes milliseconds and a stranger's place is lost as
 * soon as more come. Left to others: the deadline of each (connection.ts, tcp.ts).
 * Invariant: never more than `inAllMax`, nor `perAddressMax` of one address. Source: docs/spec.md PEER21.
 */
export interface NewcomerLimits {
  readonly inAllMax: number
  readonly perAddressMax: number
}

/** Room for all nodes and servers of a large cluster that dial at once, from one machine or from many. */
export const newcomerLimits: NewcomerLimits = { inAllMax: 512, perAddressMax: 256 }

interface Newcomer {
  readonly host: string
  readonly end: () => void
}

export class Newcomers {
  readonly #limits: NewcomerLimits
  /** Oldest first. */
  readonly #all = new Set<Newcomer>()
  readonly #ofHost = new Map<string, Set<Newcomer>>()

  constructor(limits: NewcomerLimits = newcomerLimits) {
    this.#limits = limits
  }

  get count(): number {
    return this.#all.size
  }

  /**
   * `remote`: its `host:port`. `end` is called at most once, when its place is taken by another. The answer frees the
   * place, however often it is called.
   */
  add(remote: string, end: () => void): () => void {
    const host = remote.replace(/:\d+$/, '')
    const newcomer: Newcomer = { host, end }
    const { inAllMax, perAddressMax } = this.#limits
    const same = this.#ofHost.get(host) ?? new Set()
    const [oldestSame] = same
    const [oldest] = this.#all
    const displaced =
      same.size >= perAddressMax ? oldestSame : this.#all.size >= inAllMax ? oldest : undefined
    if (displaced !== undefined) {
      this.#remove(displaced)
      displaced.end()
    }
    this.#all.add(newcomer)
    this.#ofHost.set(host, (this.#ofHost.get(host) ?? new Set()).add(newcomer))
    return () => this.#remove(newcomer)
  }

  #remove(newcomer: Newcomer): void {
    this.#all.delete(newcomer)
    const same = this.#ofHost.get(newcomer.host)
    same?.delete(newcomer)
    if (same?.size === 0) this.#ofHost.delete(newcomer.host)
  }
}
