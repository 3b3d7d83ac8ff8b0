/**
 * Amounts for people: text in units of a currency to minor units and back, exactly. Which digits and marks are usual
 * where the text was typed, the caller says as an `AmountNotation`. Invariant: no floating point is involved; text
 * that can be read in two ways, has more digits than the currency, or is beyond 2^53−1 minor units, is not an amount.
 * Source: docs/protocol.md, "Values"; ISO 4217 for the digits; spec MONEY3, CLIENT15.
 */
import { type Amount, amountMax, digitsOf } from '../../protocol/money.ts'

/** How amounts are written in one place or language. */
export interface AmountNotation {
  /** The mark before the fraction. */
  readonly decimal: string
  /** The mark between groups of digits; absent where none is usual. */
  readonly group?: string
  /** Groups of two before the last three digits, as 12,34,567. */
  readonly hasGroupsOfTwo?: boolean
  /** The digits 0 to 9, where people also write them with others. */
  readonly digits?: string
  /** What may stand before or after the number besides the code of the currency. */
  readonly symbols?: readonly string[]
}

/** That of the command line and of files, which have no language: a point before the fraction. */
export const plainNotation: AmountNotation = { decimal: '.' }

export type AmountRead =
  | { readonly ok: true; readonly amount: Amount }
  | {
      readonly ok: false
      /** Where the text can be read in two ways: the larger number, then the smaller one. */
      readonly readings?: readonly [string, string]
    }

const noAmount: AmountRead = { ok: false }

/**
 * Reads `12.5`, `1200`, `0.05`, `1,234.50` or `1 234,5 EUR` as minor units of a currency. One point or comma before
 * exactly three digits is ambiguous, unless the notation and the digits of the currency say which of both it is.
 */
export function parseAmount(
  text: string,
  currency: string,
  notation: AmountNotation = plainNotation,
): AmountRead {
  const bare = withoutCurrency(plainDigits(text, notation), [currency, ...(notation.symbols ?? [])])
  if (!/^\d+(?:[.,' ٫٬]\d+)*$/.test(bare)) return noAmount
  const marks = bare.replace(/\d/g, '')
  const last = marks.at(-1)
  if (last === undefined) return exactly(bare, '', currency)
  const at = bare.lastIndexOf(last)
  const [head, tail] = [bare.slice(0, at), bare.slice(at + 1)]
  const before = marks.slice(0, -1)
  const isGrouped = isGroupedBy(bare, last, notation)
  if (before.includes(last) || " '٬".includes(last))
    return isGrouped ? exactly(joined(bare), '', currency) : noAmount
  if (before !== '' && !isGroupedBy(head, before.charAt(0), notation)) return noAmount
  const meaning = fractionOrGroup({ head: joined(head), tail, last, isGrouped, currency, notation })
  if (meaning === 'group') return exactly(joined(bare), '', currency)
  if (meaning === 'fraction') return exactly(joined(head), tail, currency)
  return { ok: false, readings: [joined(bare).replace(/^0+(?=\d)/, ''), `${joined(head)}.${tail}`] }
}

interface OneMark {
  readonly head: string
  readonly tail: string
  readonly last: string
  readonly isGrouped: boolean
  readonly currency: string
  readonly notation: AmountNotation
}

/** What the last mark of a text means, where it is the only one of its kind. */
function fractionOrGroup(one: OneMark): 'fraction' | 'group' | 'either' {
  const { head, tail, last, isGrouped, currency, notation } = one
  const digits = digitsOf(currency)
  const isUsual = last === notation.decimal || last === '٫'
  // A fraction of more digits than the currency has can be a slip of a grouping mark.
  if (tail.length !== 3) return isUsual || tail.length <= digits ? 'fraction' : 'either'
  if (isGrouped && last === notation.group) return 'group'
  if (isUsual && digits >= 3) return 'fraction'
  // No group begins with 0: 0.500 is half a unit.
  return /^0+$/.test(head) ? 'fraction' : 'either'
}

/** ASCII digits, one kind of space and of apostrophe, no marks of direction. */
function plainDigits(text: string, { digits }: AmountNotation): string {
  return [...text]
    .map((character) => {
      const value = digits === undefined ? -1 : [...digits].indexOf(character)
      if (value >= 0) return String(value)
      if (/[\uFF10-\uFF19\uFF0C\uFF0E]/.test(character))
        return String.fromCharCode(character.charCodeAt(0) - 0xfee0)
      if (/\s/.test(character)) return ' '
      return character === '’' ? "'" : /[\u061C\u200E\u200F]/.test(character) ? '' : character
    })
    .join('')
    .trim()
}

/** Without the currency's own code or symbol at one end; another currency's stays, and makes it no amount. */
function withoutCurrency(text: string, names: readonly string[]): string {
  const lower = text.toLowerCase()
  for (const name of names.map((one) => plainDigits(one, plainNotation).toLowerCase())) {
    if (name === '') continue
    if (lower.startsWith(name)) return text.slice(name.length).trim()
    if (lower.endsWith(name)) return text.slice(0, -name.length).trim()
  }
  return text
}

/** Whether `mark` stands before each group of digits, and no other mark anywhere. */
function isGroupedBy(text: string, mark: string, { hasGroupsOfTwo }: AmountNotation): boolean {
  const [first = '', ...groups] = text.split(mark)
  const last = groups.pop()
  if (last === undefined || !/^\d{3}$/.test(last)) return false
  const isOf = (length: number): boolean =>
    new RegExp(`^[1-9]\\d{0,${length - 1}}$`).test(first) &&
    groups.every((group) => group.length === length && /^\d+$/.test(group))
  return isOf(3) || (hasGroupsOfTwo === true && isOf(2))
}

function joined(text: string): string {
  return text.replace(/\D/g, '')
}

function exactly(whole: string, fractionText: string, currency: string): AmountRead {
  const digits = digitsOf(currency)
  const fraction = fractionText.replace(/0+$/, '')
  if (fraction.length > digits) return noAmount
  const minor = whole.replace(/^0+/, '') + fraction.padEnd(digits, '0')
  // 2^53−1 has 16 digits: anything longer is beyond it, anything up to it converts exactly.
  if (minor.length > 16) return noAmount
  const amount = Number(minor)
  return amount <= amountMax ? { ok: true, amount } : noAmount
}

/**
 * Why a text is no amount, as `10,000 can be read as 10000 USD or as 10.000 USD (write 10000 or 10.00)`. What it says
 * to write is read in one way only.
 */
export function amountFault(
  text: string,
  currency: string,
  { readings }: AmountRead & { readonly ok: false },
  { decimal }: AmountNotation = plainNotation,
): string {
  const write = (units: string): string => units.replace('.', decimal)
  if (readings === undefined)
    return `not an amount in ${currency}: ${text} (write it as ${write(sample(currency))})`
  const [large, small] = readings
  const [whole = '', fraction = ''] = small.split('.')
  const exact = exactly(whole, fraction, currency)
  const forms = exact.ok ? [large, write(amountText(exact.amount, currency))] : [large]
  return `${text} can be read as ${large} ${currency} or as ${write(small)} ${currency} (write ${forms.join(' or ')})`
}

/** Twelve and a half, or twelve where there are no halves. */
function sample(currency: string): string {
  return amountText(Math.floor(12.5 * 10 ** digitsOf(currency)), currency)
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
