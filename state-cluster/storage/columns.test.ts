import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromColumns, toColumns } from './columns.ts'
import { pack, unpack } from './pack.ts'

describe('columns', () => {
  it('STORE9: give back tuples of any lengths and kinds, also packed', () => {
    const cell = fc.oneof(
      fc.nat({ max: Number.MAX_SAFE_INTEGER }),
      fc.string(),
      fc.boolean(),
      fc.constant(null),
      fc.constantFrom(0, Number.MAX_SAFE_INTEGER),
    )
    fc.assert(
      fc.property(fc.array(fc.array(cell, { maxLength: 6 }), { maxLength: 40 }), (tuples) => {
        expect(fromColumns(toColumns(tuples))).toEqual(tuples)
        expect(fromColumns(unpack(pack(toColumns(tuples))))).toEqual(tuples)
      }),
    )
  })

  it('STORE6: what does not fit together is no tuples', () => {
    const [lengths, first, second] = toColumns([
      [1, 'a'],
      [2, 'b'],
    ])
    for (const damaged of [
      null,
      [lengths, 3],
      [lengths],
      [lengths, first],
      [lengths, first, second?.slice(1)],
      [lengths, [...(first ?? []), 1], second],
      [lengths?.slice(1), first, second],
    ])
      expect(() => fromColumns(damaged)).toThrow()
  })
})
