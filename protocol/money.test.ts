/** Increment tables, amounts and ids at their edges. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isId } from './ids.ts'
import {
  addCapped,
  amountMax,
  defaultIncrements,
  digitsOf,
  incrementAt,
  incrementTableFault,
  isAmount,
} from './money.ts'

describe('MONEY1 amounts', () => {
  it('are safe integers from 0', () => {
    for (const value of [0, 1, amountMax]) expect(isAmount(value)).toBe(true)
    for (const value of [
      -1,
      0.5,
      amountMax + 1,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      '1',
      1n,
      null,
      undefined,
    ])
      expect(isAmount(value)).toBe(false)
  })

  it('never add up beyond the largest one', () => {
    expect(addCapped(amountMax - 1, 1)).toBe(amountMax)
    expect(addCapped(amountMax, amountMax)).toBe(amountMax)
    expect(addCapped(1, 2)).toBe(3)
  })
})

describe('MONEY2 increments', () => {
  it('the increment is that of the highest band that starts at or below the price', () => {
    const table = defaultIncrements('EUR')
    const expected: readonly (readonly [number, number])[] = [
      [0, 5],
      [99, 5],
      [100, 25],
      [499, 25],
      [500, 50],
      [2_499, 50],
      [2_500, 100],
      [9_999, 100],
      [10_000, 250],
      [25_000, 500],
      [50_000, 1_000],
      [100_000, 2_500],
      [250_000, 5_000],
      [500_000, 10_000],
      [amountMax, 10_000],
    ]
    for (const [price, step] of expected) expect([price, incrementAt(table, price)]).toEqual([price, step])
  })

  it('agrees with a scan over any table', () => {
    const bands = fc.uniqueArray(fc.integer({ min: 1, max: 10_000 }), { maxLength: 20 }).map((list) => {
      const starts = [0, ...list.sort((a, b) => a - b)]
      return starts.map((from, at) => ({ from, step: at + 1 }))
    })
    fc.assert(
      fc.property(bands, fc.integer({ min: 0, max: 11_000 }), (table, price) => {
        expect(incrementTableFault(table)).toBeUndefined()
        expect(incrementAt(table, price)).toBe(table.filter((band) => band.from <= price).at(-1)?.step)
      }),
    )
  })

  it('every currency’s default table is well formed, with steps of at least one minor unit', () => {
    for (const currency of ['EUR', 'JPY', 'KWD', 'UYW'])
      expect(incrementTableFault(defaultIncrements(currency))).toBeUndefined()
    expect(defaultIncrements('KWD')[0]).toEqual({ from: 0, step: 50 })
    expect([digitsOf('JPY'), digitsOf('EUR'), digitsOf('KWD'), digitsOf('CLF')]).toEqual([0, 2, 3, 4])
  })

  it('MONEY5 in a currency without decimals bands and steps are a hundred times as many units', () => {
    expect(incrementAt(defaultIncrements('JPY'), 1_000_000)).toBe(10_000)
    expect(defaultIncrements('KRW').slice(0, 3)).toEqual([
      { from: 0, step: 5 },
      { from: 100, step: 25 },
      { from: 500, step: 50 },
    ])
  })

  it('faults are named', () => {
    expect(incrementTableFault([])).toContain('bands')
    expect(incrementTableFault([{ from: 1, step: 1 }])).toContain('starts at 0')
    expect(incrementTableFault([{ from: 0, step: 0 }])).toContain('at least 1')
    expect(incrementTableFault([{ from: 0, step: 1.5 }])).toContain('integers')
    expect(
      incrementTableFault([
        { from: 0, step: 1 },
        { from: 0, step: 2 },
      ]),
    ).toContain('rise')
  })
})

describe('WIRE5 ids', () => {
  it('are 1 to 128 characters of the allowed ones', () => {
    for (const id of ['a', 'A.b_c:d@e-9', 'x'.repeat(128)]) expect(isId(id)).toBe(true)
    for (const id of ['', 'x'.repeat(129), 'a b', 'a/b', 'ä', 'a\n', 5, null]) expect(isId(id)).toBe(false)
  })
})
