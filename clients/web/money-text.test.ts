import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { amountMax } from '../../protocol/money.ts'
import { currencySymbol, money, plainAmount, shortMoney, typedAmount } from './money-text.ts'

describe('amounts for the eye', () => {
  it('are written in the language of the reader, to the last minor unit', () => {
    expect(money(123_450, 'EUR', 'en')).toBe('€1,234.50')
    expect(money(123_450, 'EUR', 'de')).toBe('1.234,50\u00a0€')
    expect(money(5, 'USD', 'en')).toBe('$0.05')
    expect(money(1_234, 'JPY', 'en')).toBe('¥1,234')
    expect(money(1_234, 'KWD', 'en')).toMatch(/1\.234$/)
    expect(money(amountMax, 'EUR', 'en')).toBe('€90,071,992,547,409.91')
  })

  it('are shorter without a fraction of nothing', () => {
    expect(shortMoney(34_000, 'EUR', 'en')).toBe('€340')
    expect(shortMoney(34_050, 'EUR', 'en')).toBe('€340.50')
    expect(shortMoney(34_000, 'EUR', 'de')).toBe('340\u00a0€')
    expect(shortMoney(340, 'JPY', 'en')).toBe('¥340')
    expect(plainAmount(34_000, 'EUR')).toBe('340')
    expect(plainAmount(34_050, 'EUR')).toBe('340.50')
    expect(plainAmount(1_000, 'JPY')).toBe('1000')
    expect(currencySymbol('EUR', 'en')).toBe('€')
  })
})

describe('amounts as typed', () => {
  it.each([
    ['12', 'EUR', 1_200],
    ['12.5', 'EUR', 1_250],
    ['12,50', 'EUR', 1_250],
    ['1,234', 'EUR', 123_400],
    ['1.234', 'EUR', 123_400],
    ['1,234.50', 'EUR', 123_450],
    ['1.234,50', 'EUR', 123_450],
    ['1 234,50 €', 'EUR', 123_450],
    ['€ 1’234.50', 'EUR', 123_450],
    ['$1,234,567', 'USD', 123_456_700],
    ['12 USD', 'USD', 1_200],
    ['1,234', 'JPY', 1_234],
    ['1.234', 'KWD', 1_234],
    ['0', 'EUR', 0],
  ])('%j in %s is %d', (text, currency, amount) => {
    expect(typedAmount(text, currency)).toBe(amount)
  })

  it.each([
    '',
    'abc',
    '.',
    '1.2.3',
    '12.345.6',
    '1,23,456',
    '1.2345',
    '-5',
    '−5',
    '1e5',
    '9999999999999999999',
  ])('%j is no amount of euros', (text) => {
    expect(typedAmount(text, 'EUR')).toBeUndefined()
  })

  it('what is shown can be typed again', () => {
    const amounts = fc.integer({ min: 0, max: amountMax })
    fc.assert(
      fc.property(amounts, fc.constantFrom('EUR', 'JPY', 'KWD'), (amount, currency) => {
        expect(typedAmount(plainAmount(amount, currency), currency)).toBe(amount)
        expect(typedAmount(money(amount, currency, 'en'), currency)).toBe(amount)
      }),
    )
  })
})
