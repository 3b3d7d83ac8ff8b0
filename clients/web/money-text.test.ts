/** Amounts on the page: in the reader's language, with the digits of ISO 4217, read without a guess. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { amountMax, digitsOf } from '../../protocol/money.ts'
import { amountForm, currencySymbol, money, plainAmount, shortMoney, typedAmount } from './money-text.ts'

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
    expect([amountForm('EUR', 'de'), amountForm('JPY', 'ja'), amountForm('KWD', 'en')]).toEqual([
      '0,00',
      '0',
      '0.000',
    ])
  })
})

describe('MONEY4 the digits of a currency', () => {
  it.each([
    [123_450, 'HUF', 'hu', '1234,50\u00a0Ft'],
    [123_450, 'HUF', 'en', 'Ft\u00a01,234.50'],
    [150, 'LBP', 'en', 'L£1.50'],
    [1_500, 'IQD', 'en', 'IQD\u00a01.500'],
    [150, 'COP', 'en', '$1.50'],
    [150, 'TZS', 'en', 'TZS\u00a01.50'],
    [15, 'UYW', 'en', 'UYW\u00a00.0015'],
    [1_500, 'CLP', 'en', '$1,500'],
  ])('%d of %s in %s is %s', (amount, currency, locale, text) => {
    expect(money(amount, currency, locale)).toBe(text)
  })

  it('are those of ISO 4217 for every currency that the browser knows', () => {
    for (const currency of Intl.supportedValuesOf('currency')) {
      const digits = money(1, currency, 'en').match(/\.(\d+)$/)?.[1]?.length ?? 0
      expect([currency, digits]).toEqual([currency, digitsOf(currency)])
    }
  })
})

const languages = ['en', 'en-IN', 'de', 'de-CH', 'de-AT', 'fr', 'es', 'pl', 'sv', 'ja', 'hi', 'ar-EG', 'fa']

describe('MONEY3 amounts as typed', () => {
  it.each([
    ['12', 'EUR', 'en', 1_200],
    ['12.5', 'EUR', 'en', 1_250],
    ['12,50', 'EUR', 'en', 1_250],
    ['12.50', 'EUR', 'de', 1_250],
    ['1,234', 'EUR', 'en', 123_400],
    ['1.234', 'EUR', 'de', 123_400],
    ['1,234.50', 'EUR', 'de', 123_450],
    ['1.234,50', 'EUR', 'en', 123_450],
    ['1 234,50 €', 'EUR', 'fr', 123_450],
    ['€ 1’234.50', 'EUR', 'de-CH', 123_450],
    ['$1,234,567', 'USD', 'en', 123_456_700],
    ['12 USD', 'USD', 'en', 1_200],
    ['1,234', 'JPY', 'ja', 1_234],
    ['1.234', 'KWD', 'en', 1_234],
    ['1,234', 'KWD', 'de', 1_234],
    ['1,234', 'KWD', 'en', 1_234_000],
    ['1,23,456', 'INR', 'en-IN', 12_345_600],
    ['١٬٢٣٤٫٥٠', 'USD', 'ar-EG', 123_450],
    ['0', 'EUR', 'en', 0],
  ])('%j in %s, %s, is %d', (text, currency, locale, amount) => {
    expect(typedAmount(text, currency, locale)).toEqual({ ok: true, amount })
  })

  it.each([
    ['1.234', 'EUR', 'en', '(write 1234)'],
    ['1,000', 'EUR', 'de', '1000 EUR or as 1,000 EUR (write 1000 or 1,00)'],
    ['1.234', 'KWD', 'fr', '(write 1234 or 1,234)'],
    ['1,234', 'EUR', 'de-CH', '(write 1234)'],
    ['1.000', 'JPY', 'ja', '(write 1000 or 1)'],
  ])('%j in %s, %s, is refused with both readings', (text, currency, locale, words) => {
    expect(typedAmount(text, currency, locale)).toEqual({
      ok: false,
      doubt: expect.stringContaining(words),
    })
  })

  it.each([
    '',
    'abc',
    '.',
    '1.2.3',
    '12.345.6',
    '1,23,456',
    '12 50',
    '-5',
    '−5',
    '1e5',
    '12 USD',
    '$12',
    '9999999999999999999',
  ])('%j is no amount of euros', (text) => {
    expect(typedAmount(text, 'EUR', 'en')).toEqual({ ok: false })
  })

  it('what is shown can be typed again, in every language', () => {
    const amounts = fc.integer({ min: 0, max: amountMax })
    const currencies = fc.constantFrom('EUR', 'JPY', 'KWD', 'UYW', 'HUF', 'USD', 'DKK')
    fc.assert(
      fc.property(amounts, currencies, fc.constantFrom(...languages), (amount, currency, locale) => {
        for (const write of [plainAmount, money, shortMoney]) {
          const text = write(amount, currency, locale)
          expect([text, typedAmount(text, currency, locale)]).toEqual([text, { ok: true, amount }])
        }
      }),
      { numRuns: 500 },
    )
  })
})
