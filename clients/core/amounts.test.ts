/** Amounts as people write and read them. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { amountMax } from '../../protocol/money.ts'
import { amountFault, amountText, formatAmount, parseAmount } from './amounts.ts'

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
      expect([text, parseAmount(text, currency)]).toEqual([text, { ok: true, amount }])
  })

  it('reads groups and the currency itself, where they leave no doubt', () => {
    const cases: readonly (readonly [string, string, number])[] = [
      ['1,234.50', 'EUR', 123_450],
      ['1.234,50', 'EUR', 123_450],
      ['1 234,5', 'EUR', 123_450],
      ['1 234', 'EUR', 123_400],
      ["12'345.60", 'CHF', 1_234_560],
      ['1,234,567', 'USD', 123_456_700],
      ['1.234.567', 'JPY', 1_234_567],
      ['12.50 EUR', 'EUR', 1_250],
      ['usd 12', 'USD', 1_200],
      ['0.500', 'USD', 50],
      ['12.5000', 'USD', 1_250],
      ['１２．５０', 'USD', 1_250],
    ]
    for (const [text, currency, amount] of cases)
      expect([text, parseAmount(text, currency)]).toEqual([text, { ok: true, amount }])
  })

  it('refuses text that is not exactly an amount', () => {
    for (const text of [
      '',
      '-1',
      '+1',
      '1e3',
      '12 50',
      '1,23,456',
      '12,34.50',
      '0,123,456',
      '12 USD',
      '$12',
      '10²',
      '.5',
      '5.',
      'abc',
      '0x10',
      '90071992547409.92',
      '9'.repeat(40),
    ])
      expect([text, parseAmount(text, 'EUR')]).toEqual([text, { ok: false }])
    expect(parseAmount('1.5', 'JPY')).toEqual({ ok: false })
  })

  it('reads back whatever was written, for every amount and currency', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.constantFrom('EUR', 'JPY', 'KWD', 'UYW'), (amount, currency) => {
        expect(parseAmount(amountText(amount, currency), currency)).toEqual({ ok: true, amount })
      }),
    )
  })
})

describe('MONEY3 an amount that can be read in two ways', () => {
  it.each([
    ['10,000', 'USD', '10000', '10.000'],
    ['1,000', 'EUR', '1000', '1.000'],
    ['1.000', 'EUR', '1000', '1.000'],
    ['1.005', 'EUR', '1005', '1.005'],
    ['1,000', 'JPY', '1000', '1.000'],
    ['1.000', 'JPY', '1000', '1.000'],
    ['1,234', 'KWD', '1234', '1.234'],
    ['1000,000', 'USD', '1000000', '1000.000'],
    ['1,234.500', 'USD', '1234500', '1234.500'],
    ['1,0000', 'USD', '10000', '1.0000'],
    ['12,50', 'JPY', '1250', '12.50'],
    ['100,000 USD', 'USD', '100000', '100.000'],
  ])('is refused with both: %s in %s', (text, currency, large, small) => {
    expect(parseAmount(text, currency)).toEqual({ ok: false, readings: [large, small] })
  })

  it('is never read a thousand times too large or too small, in any currency', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 999_999 }),
        fc.constantFrom('EUR', 'JPY', 'KWD', 'UYW'),
        fc.constantFrom(',', '.'),
        (thousandths, currency, mark) => {
          const text = `${Math.floor(thousandths / 1000)}${mark}${String(thousandths % 1000).padStart(3, '0')}`
          const read = parseAmount(text, currency)
          const isOwnFraction = mark === '.' && (currency === 'KWD' || currency === 'UYW')
          expect(read.ok).toBe(isOwnFraction || (text.startsWith('0') && read.ok))
        },
      ),
    )
  })

  it('is refused in words that can be typed instead', () => {
    const words = (text: string, currency: string): string => {
      const read = parseAmount(text, currency)
      return read.ok ? '' : amountFault(text, currency, read)
    }
    expect(words('10,000', 'USD')).toBe(
      '10,000 can be read as 10000 USD or as 10.000 USD (write 10000 or 10.00)',
    )
    expect(words('1,000', 'JPY')).toContain('(write 1000 or 1)')
    expect(words('1,234', 'EUR')).toContain('(write 1234)')
    expect(words('ten', 'JPY')).toBe('not an amount in JPY: ten (write it as 12)')
    expect(words('ten', 'KWD')).toContain('(write it as 12.500)')
  })
})

describe('formatAmount', () => {
  it('groups thousands and names the currency', () => {
    expect(formatAmount(123_456_789, 'EUR')).toBe('1,234,567.89 EUR')
    expect(formatAmount(5, 'EUR')).toBe('0.05 EUR')
    expect(formatAmount(1000, 'JPY')).toBe('1,000 JPY')
  })
})
