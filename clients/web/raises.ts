/**
 * The amounts that the quick buttons of the bid box offer: the asking bid and a few steps above it.
 * Invariant: every one is at least the asking bid, they rise strictly, and none is beyond the largest amount.
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

/** Up to three amounts. `increments` is the auction's own table; the default one where it has none. */
export function raises(askingBid: Amount, currency: string, increments?: IncrementTable): readonly Amount[] {
  const table = increments ?? defaultIncrements(currency)
  const amounts = stepsAbove.map((steps) => {
    let amount = askingBid
    for (let step = 0; step < steps; step += 1) amount = addCapped(amount, incrementAt(table, amount))
    return amount
  })
  return [...new Set(amounts)]
}
