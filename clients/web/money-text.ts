/**
 * Amounts as people in the reader's own language write them, and back. Invariant: no floating point: digits go
 * to the formatter as text, and what was typed is read digit by digit.
 */
import { type Amount, digitsOf } from '../../protocol/money.ts'
import { amountText, parseAmount } from '../core/amounts.ts'

const formats = new Map<string, Intl.NumberFormat>()

function formatOf(currency: string, locale: string | undefined): Intl.NumberFormat {
  const key = `${locale ?? ''}/${currency}`
  let format = formats.get(key)
  if (format === undefined) {
    format = new Intl.NumberFormat(locale, { style: 'currency', currency, currencyDisplay: 'narrowSymbol' })
    formats.set(key, format)
  }
  return format
}

/** As `€1,234.50`; in the browser's language unless another is named. */
export function money(amount: Amount, currency: string, locale?: string): string {
  return formatOf(currency, locale).format(amountText(amount, currency) as Intl.StringNumericLiteral)
}

/** The same without a fraction of nothing, as `€1,234`: for buttons and axes. */
export function shortMoney(amount: Amount, currency: string, locale?: string): string {
  const text = amountText(amount, currency)
  if (!/\.0+$/.test(text)) return money(amount, currency, locale)
  const parts = formatOf(currency, locale).formatToParts(text as Intl.StringNumericLiteral)
  return parts
    .flatMap(({ type, value }) => (type === 'decimal' || type === 'fraction' ? [] : [value]))
    .join('')
}

/** The symbol beside an input, as `€`. */
export function currencySymbol(currency: string, locale?: string): string {
  const part = formatOf(currency, locale)
    .formatToParts(0)
    .find(({ type }) => type === 'currency')
  return part?.value ?? currency
}

/** What goes into an input: no grouping, and no fraction where it is nothing, as `1234.50` or `1234`. */
export function plainAmount(amount: Amount, currency: string): string {
  return amountText(amount, currency).replace(/\.0+$/, '')
}

/**
 * Reads what a person typed, with or without symbol and grouping (`€ 1,234.50`, `1.234,50`, `1 234,5`), as minor
 * units; `undefined` where that is no amount. A single point or comma before exactly three digits groups, unless
 * the currency has three digits itself: nobody writes thousandths of a euro.
 */
export function typedAmount(text: string, currency: string): Amount | undefined {
  if (/[-−]/.test(text)) return undefined
  const digits = text.replace(/[^\d.,]/g, (other) => (/[\s'’\u00a0\u202f]/.test(other) ? '' : '§'))
  const bare = digits.replace(/^§+|§+$/g, '')
  if (!/^\d[\d.,]*$/.test(bare)) return undefined
  return parseAmount(withoutGrouping(bare, digitsOf(currency)), currency)
}

function withoutGrouping(text: string, fractionDigits: number): string {
  const marks = text.replace(/\d/g, '')
  const last = marks.at(-1)
  if (last === undefined) return text
  const [head = '', tail = ''] = splitAtLast(text, last)
  const isOnlyMark = marks.length === 1
  const groups = isOnlyMark ? tail.length === 3 && fractionDigits !== 3 : new Set(marks).size === 1
  if (groups) return isGrouped(text) ? text.replace(/[.,]/g, '') : text
  return isOnlyMark || isGrouped(head) ? `${head.replace(/[.,]/g, '')}.${tail}` : text
}

function splitAtLast(text: string, mark: string): readonly [string, string] {
  const at = text.lastIndexOf(mark)
  return [text.slice(0, at), text.slice(at + 1)]
}

/** One mark before each three digits, as 1,234,567. */
function isGrouped(text: string): boolean {
  return /^\d{1,3}(?:,\d{3})+$|^\d{1,3}(?:\.\d{3})+$/.test(text)
}
