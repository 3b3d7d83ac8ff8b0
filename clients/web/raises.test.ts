import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { amountMax } from '../../protocol/money.ts'
import { leastBid, raises } from './raises.ts'

describe('suggested amounts', () => {
  it('are the asking bid and two and five increments above it', () => {
    expect(raises(34_000, 'EUR')).toEqual([34_000, 35_000, 36_500])
    expect(raises(2_450, 'EUR')).toEqual([2_450, 2_600, 2_900])
    expect(raises(100, 'EUR', [{ from: 0, step: 10 }])).toEqual([100, 120, 150])
  })

  it('begin above the own maximum for who leads', () => {
    expect(leastBid(34_000, 'EUR', undefined)).toBe(34_000)
    expect(leastBid(34_000, 'EUR', undefined, 35_000)).toBe(35_500)
    expect(leastBid(34_000, 'EUR', undefined, 20_000)).toBe(34_000)
  })

  it('rise strictly and stay within amounts', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: amountMax }), (asking) => {
        const amounts = raises(asking, 'EUR')
        expect(amounts[0]).toBe(asking)
        expect([...amounts].sort((a, b) => a - b)).toEqual(amounts)
        expect(new Set(amounts).size).toBe(amounts.length)
        expect(amounts.every((amount) => amount <= amountMax)).toBe(true)
      }),
    )
    expect(raises(amountMax, 'EUR')).toEqual([amountMax])
  })
})
