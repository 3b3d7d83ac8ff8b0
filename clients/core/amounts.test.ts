/** Amounts as people write and read them. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { amountMax } from '../../protocol/money.ts'
import { amountText, formatAmount, parseAmount } from './amounts.ts'

describe('CLIENT15 parseAmount', () => {
  it('reads units exactly, in the digits of the currency', () => {
    const cases: readonly (readonly [string, string, number])[] = [
      ['12.50', 'EUR', 1250],
      ['12,5', 'EUR', 1250],
      ['12', 'EUR', 1200],
      ['0.07', 'EUR', 7],
      ['000.1', 'EUR', 10],
      ['1.10', 'USD', 110],
      ['4.35', 'USD', 435],
      ['1000', 'JPY', 1000],
      ['7.00', 'JPY', 7],
      ['1.234', 'KWD', 1234],
      ['90071992547409.91', 'EUR', amountMax],
    ]
    for (const [text, currency, amount] of cases)
      expect([text, parseAmount(text, currency)]).toEqual([text, amount])
  })

  it('refuses text that is not exactly an amount', () => {
    for (const text of [
      '',
      '-1',
      '+1',
      '1e3',
      '1.005',
      '1,000.00',
      '.5',
      '5.',
      'abc',
      '0x10',
      '90071992547409.92',
      '9'.repeat(40),
    ])
      expect([text, parseAmount(text, 'EUR')]).toEqual([text, undefined])
    expect(parseAmount('1.5', 'JPY')).toBeUndefined()
  })

  it('reads back whatever was written, for every amount and currency', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.constantFrom('EUR', 'JPY', 'KWD', 'UYW'), (amount, currency) => {
        expect(parseAmount(amountText(amount, currency), currency)).toBe(amount)
      }),
    )
  })
})

describe('formatAmount', () => {
  it('groups thousands and names the currency', () => {
    expect(formatAmount(123_456_789, 'EUR')).toBe('1,234,567.89 EUR')
    expect(formatAmount(5, 'EUR')).toBe('0.05 EUR')
    expect(formatAmount(1000, 'JPY')).toBe('1,000 JPY')
  })
})
