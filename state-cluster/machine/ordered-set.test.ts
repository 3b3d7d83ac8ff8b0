import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mergeAfter, OrderedSet } from './ordered-set.ts'

function contents<T extends number | string>(set: OrderedSet<T>): T[] {
  return mergeAfter([set], undefined, Number.MAX_SAFE_INTEGER)
}

describe('OrderedSet', () => {
  it('is a sorted set, whatever is added and removed', () => {
    const step = fc.record({ add: fc.boolean(), value: fc.integer({ min: 0, max: 700 }) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 2_000 }), (steps) => {
        const set = new OrderedSet<number>()
        const twin = new Set<number>()
        for (const { add, value } of steps) {
          expect(add ? set.add(value) : set.delete(value)).toBe(add ? !twin.has(value) : twin.has(value))
          if (add) twin.add(value)
          else twin.delete(value)
        }
        expect(set.size).toBe(twin.size)
        expect(contents(set)).toEqual([...twin].sort((x, y) => x - y))
        for (let value = 0; value < 700; value += 7) expect(set.has(value)).toBe(twin.has(value))
      }),
      { numRuns: 60 },
    )
  })

  it('has many values, in any order of insertion and removal', () => {
    const set = new OrderedSet<number>()
    const count = 20_000
    const scattered = Array.from({ length: count }, (_, i) => (i * 7_919) % count)
    for (const value of scattered) set.add(value)
    expect(set.size).toBe(count)
    expect(set.firstAfter(undefined)).toBe(0)
    expect(set.firstAfter(9_999)).toBe(10_000)
    expect(set.firstAfter(count - 1)).toBeUndefined()
    for (const value of scattered) if (value % 100 !== 0) set.delete(value)
    expect(contents(set)).toEqual(Array.from({ length: count / 100 }, (_, i) => i * 100))
  })

  it('orders strings by UTF-16 units', () => {
    const set = new OrderedSet<string>()
    for (const value of ['b', 'ä', 'a', 'B', 'aa']) set.add(value)
    expect(contents(set)).toEqual(['B', 'a', 'aa', 'b', 'ä'])
  })
})

describe('mergeAfter', () => {
  it('gives the union in order, each once, and no more than requested', () => {
    const values = fc.uniqueArray(fc.integer({ min: 1, max: 300 }), { maxLength: 300 })
    fc.assert(
      fc.property(fc.array(values, { maxLength: 6 }), fc.nat(300), fc.nat(50), (lists, after, limit) => {
        const sets = lists.map((list) => {
          const set = new OrderedSet<number>()
          for (const value of list) set.add(value)
          return set
        })
        const expected = [...new Set(lists.flat())].filter((value) => value > after).sort((x, y) => x - y)
        expect(mergeAfter(sets, after, limit)).toEqual(expected.slice(0, limit))
      }),
    )
  })
})
