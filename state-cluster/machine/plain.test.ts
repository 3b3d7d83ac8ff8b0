import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { pack } from '../storage/pack.ts'
import { hashPlain, hexOf, type Plain, packedSizeMax } from './plain.ts'

const hex = (value: Plain, seed = 1): string => hexOf(hashPlain(seed, value))

describe('hashPlain', () => {
  it('gives these values on every machine and in every version', () => {
    expect(hex(null)).toMatchInlineSnapshot(`"1e739b266f7f8de1"`)
    expect(hex(['a1', [1, -1, Number.MAX_SAFE_INTEGER, 'café', true, false, null]])).toMatchInlineSnapshot(
      `"a8c4440e08a36c44"`,
    )
  })

  it('gives similar values different hashes', () => {
    const values: Plain[] = [
      null,
      0,
      1,
      -1,
      2 ** 32,
      2 ** 32 + 1,
      -(2 ** 32),
      1.5,
      '1.5',
      '',
      '0',
      'a',
      'aa',
      'a\u0000',
      true,
      false,
      [],
      [[]],
      [null],
      ['a', 'b'],
      ['ab'],
      [['a'], 'b'],
      [['a', 'b']],
    ]
    expect(new Set(values.map((value) => hex(value))).size).toBe(values.length)
    expect(hex('a', 1)).not.toBe(hex('a', 2))
  })

  it('changes when one field changes', () => {
    const plain = fc.array(fc.oneof(fc.maxSafeInteger(), fc.string(), fc.boolean()), {
      minLength: 1,
      maxLength: 6,
    })
    fc.assert(
      fc.property(plain, plain, (one, other) => {
        expect(hex(one) === hex(other)).toBe(JSON.stringify(one) === JSON.stringify(other))
      }),
    )
  })

  it('treats −0 as 0', () => {
    expect(hex(-0)).toBe(hex(0))
  })
})

describe('packedSizeMax', () => {
  it('STORE11: is never less than what the value takes in the log', () => {
    const { plain } = fc.letrec((tie) => ({
      plain: fc.oneof(
        fc.constantFrom(null, true, false),
        fc.maxSafeInteger(),
        fc.double(),
        fc.string({ unit: 'binary' }),
        fc.array(tie('plain'), { maxLength: 20 }),
      ),
    }))
    fc.assert(
      fc.property(plain, (value) => {
        expect(packedSizeMax(value as Plain)).toBeGreaterThanOrEqual(pack(value).length)
      }),
    )
  })
})
