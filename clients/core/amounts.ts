/**
 * Amounts for people: text in units of a currency to minor units and back, exactly. Invariant: no floating point
 * is involved; text with more digits than the currency has, or beyond 2^53−1 minor units, is not an amount.
 * Source: docs/protocol.md, "Values"; ISO 4217 for the digits.
 */
import { type Amount, amountMax, digitsOf } from '../../protocol/money.ts'

/**
 * Reads `12.5`, `1200` or `0.05` (a point or a comma before the fraction, no grouping) as minor units of a
 * currency; `undefined` where the text is not such an amount.
 */
export function parseAmount(text: string, currency: string): Amount | undefined {
  const match = /^(\d+)(?:[.,](\d+))?$/.exec(text.trim())
  if (match === null) return undefined
  const digits = digitsOf(currency)
  const fraction = (match[2] ?? '').replace(/0+$/, '')
  if (fraction.length > digits) return undefined
  const whole = (match[1] as string).replace(/^0+/, '')
  const minor = whole + fraction.padEnd(digits, '0')
  // 2^53−1 has 16 digits: anything longer is beyond it, anything up to it converts exactly.
  if (minor.length > 16) return undefined
  const amount = Number(minor)
  return amount <= amountMax ? amount : undefined
}

/** Units with all digits of the currency and no grouping, as `1234.50`. */
export function amountText(amount: Amount, currency: string): string {
  const digits = digitsOf(currency)
  if (digits === 0) return String(amount)
  const text = String(amount).padStart(digits + 1, '0')
  return `${text.slice(0, -digits)}.${text.slice(-digits)}`
}

/** For people: grouped by thousands, then the currency, as `1,234.50 EUR`. */
export function formatAmount(amount: Amount, currency: string): string {
  const [whole, fraction] = amountText(amount, currency).split('.') as [string, string | undefined]
  const grouped = whole.replace(/\B(?=(?:\d{3})+$)/g, ',')
  return `${fraction === undefined ? grouped : `${grouped}.${fraction}`} ${currency}`
}
