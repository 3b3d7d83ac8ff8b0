/**
 * Bounds what clients hold at the same time.
 *
 * So much of one holder, so much of all together. A holder is an address, or a subject once a token says so. Slots of
 * requests and bytes in memory are counted alike. Invariant: the amounts held are within both bounds, except for
 * holders that are exempt; a holder that holds nothing costs nothing. Source: docs/spec.md RATE13.
 */

/** Who pays: a key of its own, and whether the bounds do not apply (an operator). */
export interface Holder {
  readonly key: string
  readonly isExempt: boolean
}

export interface BudgetBounds {
  readonly perHolderMax: number
  readonly totalMax: number
}

export class Budget {
  readonly #bounds: BudgetBounds
  readonly #held = new Map<string, number>()
  #total = 0

  constructor(bounds: BudgetBounds) {
    this.#bounds = bounds
  }

  /** What all holders hold that are not exempt. */
  get total(): number {
    return this.#total
  }

  /** Takes the amount, to be given back by `release`; false: it is not there, and nothing was taken. */
  hold(holder: Holder, amount = 1): boolean {
    if (holder.isExempt) return true
    const held = (this.#held.get(holder.key) ?? 0) + amount
    if (held > this.#bounds.perHolderMax || this.#total + amount > this.#bounds.totalMax) return false
    this.#held.set(holder.key, held)
    this.#total += amount
    return true
  }

  /** Gives back what the same holder took. */
  release(holder: Holder, amount = 1): void {
    if (holder.isExempt) return
    const held = (this.#held.get(holder.key) ?? 0) - amount
    if (held > 0) this.#held.set(holder.key, held)
    else this.#held.delete(holder.key)
    this.#total -= amount
  }
}
