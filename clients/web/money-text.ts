/**
 * Amounts as people in the reader's own language write them, and back. How text is read is `parseAmount`'s matter;
 * here is what it cannot know: the notation of the language. Invariant: no floating point: digits go to the formatter
 * as text; every currency is shown with the digits of ISO 4217, whatever the browser's own table says. Source: spec
 * MONEY3, MONEY4.
 */
import { type Amount, digitsOf } from '../../protocol/money.ts'
import { type AmountNotation, amountFault, amountText, parseAmount } from '../core/amounts.ts'

const formats = new Map<string, Intl.NumberFormat>()
const notations = new Map<string, AmountNotation>()

function formatOf(currency: string, locale: string | undefined): Intl.NumberFormat {
  const key = `${locale ?? ''}/${currency}`
  let format = formats.get(key)
  if (format === undefined) {
    const digits = digitsOf(currency)
    format = new Intl.NumberFormat(locale, {
      style: 'currency',
      currency,
      currencyDisplay: 'narrowSymbol',
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    })
    formats.set(key, format)
  }
  return format
}

/** How the reader's language writes amounts of a currency. */
function notationOf(currency: string, locale: string | undefined): AmountNotation {
  const key = `${locale ?? ''}/${currency}`
  let notation = notations.get(key)
  if (notation === undefined) {
    const parts = new Intl.NumberFormat(locale, {
      style: 'currency',
      currency,
      minimumFractionDigits: 2,
    }).formatToParts(12_345_678)
    const partOf = (wanted: string): string | undefined => parts.find(({ type }) => type === wanted)?.value
    const group = partOf('group')
    notation = {
      decimal: partOf('decimal') ?? '.',
      ...(group === undefined ? {} : { group }),
      hasGroupsOfTwo: parts
        .filter(({ type }) => type === 'integer')
        .some(({ value }, at) => at > 0 && value.length === 2),
      digits: [...new Intl.NumberFormat(locale, { useGrouping: false }).format(9_876_543_210)]
        .reverse()
        .join(''),
      symbols: [locale, 'en'].map((one) => currencySymbol(currency, one)).concat(partOf('currency') ?? []),
    }
    notations.set(key, notation)
  }
  return notation
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

/** What goes into an input: no grouping, and no fraction where it is nothing, as `1234.50`, `1234,50` or `1234`. */
export function plainAmount(amount: Amount, currency: string, locale?: string): string {
  const text = amountText(amount, currency).replace(/\.0+$/, '')
  return text.replace('.', notationOf(currency, locale).decimal)
}

/** What an empty input shows, as `0.00`, `0,00` or `0`. */
export function amountForm(currency: string, locale?: string): string {
  return amountText(0, currency).replace('.', notationOf(currency, locale).decimal)
}

export type TypedAmount =
  | { readonly ok: true; readonly amount: Amount }
  | {
      readonly ok: false
      /** Both readings of an ambiguous text, in words; absent where it is no amount at all. */
      readonly doubt?: string
    }

/**
 * Reads what a person typed, with or without symbol and grouping (`€ 1,234.50`, `1.234,50`, `1 234,5`), as minor
 * units, by the notation of the reader's language.
 */
export function typedAmount(text: string, currency: string, locale?: string): TypedAmount {
  const notation = notationOf(currency, locale)
  const read = parseAmount(text, currency, notation)
  if (read.ok) return read
  return read.readings === undefined
    ? { ok: false }
    : { ok: false, doubt: `${amountFault(text.trim(), currency, read, notation)}.` }
}
