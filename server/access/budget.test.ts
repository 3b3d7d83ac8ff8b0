import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Budget, type Holder } from './budget.ts'

const of = (key: string, isExempt = false): Holder => ({ key, isExempt })

test('RATE13 one holder has its bound, all together have theirs, and an exempt one has none and takes none', () => {
  const budget = new Budget({ perHolderMax: 3, totalMax: 5 })
  expect([1, 2, 3, 4].map(() => budget.hold(of('a')))).toEqual([true, true, true, false])
  expect(budget.hold(of('b'), 3)).toBe(false)
  expect(budget.hold(of('b'), 2)).toBe(true)
  expect(budget.hold(of('c'))).toBe(false)
  expect(budget.hold(of('operator', true), 1000)).toBe(true)
  expect(budget.total).toBe(5)
  budget.release(of('operator', true), 1000)
  budget.release(of('a'))
  expect(budget.hold(of('c'))).toBe(true)
  expect(budget.hold(of('a'))).toBe(false)
})

test('RATE13 whatever is held and given back, the bounds hold and nothing is left at the end', () => {
  const step = fc.record({ key: fc.constantFrom('a', 'b', 'c'), amount: fc.integer({ min: 1, max: 4 }) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.infiniteStream(fc.boolean()), (steps, gives) => {
      const budget = new Budget({ perHolderMax: 6, totalMax: 10 })
      const held: { key: string; amount: number }[] = []
      const sum = (key?: string): number =>
        held
          .filter((one) => key === undefined || one.key === key)
          .reduce((all, { amount }) => all + amount, 0)
      for (const { key, amount } of steps) {
        const back = gives.next().value === true ? held.shift() : undefined
        if (back !== undefined) budget.release(of(back.key), back.amount)
        const fits = sum(key) + amount <= 6 && sum() + amount <= 10
        expect(budget.hold(of(key), amount)).toBe(fits)
        if (fits) held.push({ key, amount })
        expect(budget.total).toBe(sum())
      }
      for (const { key, amount } of held) budget.release(of(key), amount)
      expect(budget.total).toBe(0)
    }),
  )
})
