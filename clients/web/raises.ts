/**
 * The amounts on the quick buttons: the least sensible bid and steps above it.
 * Invariant: the amounts rise strictly from the least one, and none is beyond the largest amount.
 */
import {
  type Amount,
  addCapped,
  defaultIncrements,
  type IncrementTable,
  incrementAt,
} from '../../protocol/money.ts'

/** Steps above the asking bid. */
const stepsAbove = [0, 2, 5] as const

/**
 * The least that is worth bidding: the asking bid, or for a bidder who leads, an increment above its own maximum.
 * `increments` is the auction's own table; the default one where it has none.
 */
export function leastBid(
  askingBid: Amount,
  currency: string,
  increments: IncrementTable | undefined,
  leadingMaximum?: Amount,
): Amount {
  if (leadingMaximum === undefined) return askingBid
  const table = increments ?? defaultIncrements(currency)
  return Math.max(askingBid, addCapped(leadingMaximum, incrementAt(table, leadingMaximum)))
}

/** Up to three amounts from the least one on. */
export function raises(least: Amount, currency: string, increments?: IncrementTable): readonly Amount[] {
  const table = increments ?? defaultIncrements(currency)
  const amounts = stepsAbove.map((steps) => {
    let amount = least
    for (let step = 0; step < steps; step += 1) amount = addCapped(amount, incrementAt(table, amount))
    return amount
  })
  return [...new Set(amounts)]
}
