import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entriesSize, entrySize, payloadsSize } from './sizes.ts'
import type { Entry } from './types.ts'

const entry = (term: number, index: number, length: number): Entry => ({
  type: 'EntryNormal',
  term,
  index,
  data: new Uint8Array(length),
})

/** Bytes of a base-128 varint, the slow way. */
function naiveVarintSize(value: number): number {
  let size = 1
  for (let rest = BigInt(value) >> 7n; rest > 0n; rest >>= 7n) size++
  return size
}

describe('entrySize', () => {
  it('is the size of the protobuf encoding', () => {
    expect(entrySize(entry(1, 1, 0))).toBe(6)
    expect(entrySize(entry(1, 1, 10))).toBe(18)
    expect(entrySize(entry(300, 1, 200))).toBe(4 + 2 + 1 + 1 + 2 + 200)
  })

  it('counts the bytes of every safe integer right', () => {
    const edges = [...Array(53).keys()].flatMap((bit) => [2 ** bit - 1, 2 ** bit, 2 ** bit + 1])
    for (const value of [...edges, Number.MAX_SAFE_INTEGER]) {
      expect([value, entrySize(entry(0, value, 0))]).toEqual([value, 4 + 1 + naiveVarintSize(value)])
    }
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (term, index) => {
        expect(entrySize(entry(term, index, 0))).toBe(4 + naiveVarintSize(term) + naiveVarintSize(index))
      }),
    )
  })

  it('sums up, and payloads count alone', () => {
    const entries = [entry(1, 1, 0), entry(1, 2, 10), entry(1, 3, 5)]
    expect(entriesSize(entries)).toBe(6 + 18 + 13)
    expect(payloadsSize(entries)).toBe(15)
    expect(payloadsSize([])).toBe(0)
  })
})
