/**
 * Money as integers in a currency's minor unit, and increment tables.
 * Invariant: an `Amount` is a safe integer from 0 to 2^53−1; nothing here makes a fraction.
 * Source: docs/protocol.md, "Values"; ISO 4217 for the digits of each currency.
 */

/** Minor units (cents): an integer, 0 to 2^53−1. */
export type Amount = number

export const amountMax: Amount = Number.MAX_SAFE_INTEGER

/** One band of an increment table: from this price on (minor units), bids rise by `step` (minor units, ≥ 1). */
export interface IncrementBand {
  readonly from: Amount
  readonly step: Amount
}

/** Bands in strictly rising order of `from`, the first one from 0. 1 to 64 bands. */
export type IncrementTable = readonly IncrementBand[]

export const incrementBandsMax = 64

/** Whether a value is an amount: a safe integer that is not negative (−0 counts as 0). */
export function isAmount(value: unknown): value is Amount {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/** Why a table is not one, or `undefined` when it is well formed. */
export function incrementTableFault(table: IncrementTable): string | undefined {
  if (table.length === 0 || table.length > incrementBandsMax)
    return `1 to ${incrementBandsMax} bands are needed`
  let previous = -1
  for (const band of table) {
    if (!isAmount(band.from) || !isAmount(band.step)) return 'from and step are integers in minor units'
    if (band.step < 1) return 'step is at least 1'
    if (previous === -1 && band.from !== 0) return 'the first band starts at 0'
    if (band.from <= previous) return 'bands rise strictly'
    previous = band.from
  }
  return undefined
}

/** The increment at a price: that of the highest band that starts at or below it. O(log bands). */
export function incrementAt(table: IncrementTable, price: Amount): Amount {
  let low = 0
  let high = table.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((table[middle] as IncrementBand).from <= price) low = middle
    else high = middle - 1
  }
  return (table[low] as IncrementBand).step
}

/** `a + b`, never above `amountMax`: a price at the very top of the range asks for the top itself. */
export function addCapped(a: Amount, b: Amount): Amount {
  return a > amountMax - b ? amountMax : a + b
}

/** Digits after the point where a currency does not have two (ISO 4217). */
const minorDigits: Readonly<Record<string, number>> = {
  BHD: 3,
  BIF: 0,
  CLF: 4,
  CLP: 0,
  DJF: 0,
  GNF: 0,
  IQD: 3,
  ISK: 0,
  JOD: 3,
  JPY: 0,
  KMF: 0,
  KRW: 0,
  KWD: 3,
  LYD: 3,
  OMR: 3,
  PYG: 0,
  RWF: 0,
  TND: 3,
  UGX: 0,
  UYI: 0,
  UYW: 4,
  VND: 0,
  VUV: 0,
  XAF: 0,
  XOF: 0,
  XPF: 0,
}

/** How many digits the minor unit of a currency (three capital letters) has after the point: 0 to 4. */
export function digitsOf(currency: string): number {
  return minorDigits[currency] ?? 2
}

/** Default bands in thousandths of a unit, so that the table stays in integers for every currency. */
const defaultBandsMilli: readonly (readonly [number, number])[] = [
  [0, 50],
  [1_000, 250],
  [5_000, 500],
  [25_000, 1_000],
  [100_000, 2_500],
  [250_000, 5_000],
  [500_000, 10_000],
  [1_000_000, 25_000],
  [2_500_000, 50_000],
  [5_000_000, 100_000],
]

/**
 * The contract's default increments for a currency, in its minor unit. A unit of a currency without decimals is worth
 * about what a hundredth of the others is, so bands and steps are a hundred times as many units there: at 1,000,000 JPY
 * bids rise by 10,000.
 */
export function defaultIncrements(currency: string): IncrementTable {
  const digits = digitsOf(currency)
  const perUnit = 10 ** (digits === 0 ? 2 : digits)
  const scale = (milli: number): Amount => (milli * perUnit) / 1_000
  return defaultBandsMilli.map(([from, step]) => ({ from: scale(from), step: scale(step) }))
}

/** Tables of a house, by currency (three capital letters). */
export type IncrementsByCurrency = Readonly<Record<string, IncrementTable>>

export const houseTablesMax = 64

/** Why tables by currency are none, or `undefined` when they are well formed. */
export function houseIncrementsFault(tables: IncrementsByCurrency): string | undefined {
  const currencies = Object.keys(tables)
  if (currencies.length > houseTablesMax) return `at most ${houseTablesMax} currencies have tables`
  for (const currency of currencies) {
    if (!/^[A-Z]{3}$/.test(currency)) return 'a currency is three capital letters (ISO 4217)'
    const fault = incrementTableFault(tables[currency] as IncrementTable)
    if (fault !== undefined) return `${currency}: ${fault}`
  }
  return undefined
}
