/** Our msgpack against an implementation that nobody here wrote, in both directions. */
import fc from 'fast-check'
import { Packr, Unpackr } from 'msgpackr'
import { describe, expect, it } from 'vitest'
import { readMsgpack, writeMsgpack } from './msgpack.ts'
import { readUtf8, utf8Length, writeUtf8 } from './utf8.ts'

const packr = new Packr({ useRecords: false, variableMapSize: true })
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' })

const text = fc.string({ unit: 'grapheme' })
const value = fc.jsonValue({ stringUnit: 'grapheme', maxDepth: 6 }).map((json) => {
  // msgpackr renames __proto__, and −0 is 0 in JSON.
  return JSON.parse(JSON.stringify(json).replaceAll('__proto__', 'proto')) as unknown
})
const integer = fc.oneof(fc.maxSafeInteger(), fc.integer({ min: -70_000, max: 70_000 }))

describe('writeMsgpack', () => {
  it('WIRE2 is read by msgpackr as the same value', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          value,
          integer,
          fc.array(integer),
          fc.double({ noNaN: true, noDefaultInfinity: true }).map((double) => double + 0),
        ),
        (written) => {
          expect(unpackr.unpack(writeMsgpack(written))).toEqual(written)
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('WIRE4 writes integers in their shortest form, and as doubles beyond 32 bits', () => {
    const sizes: readonly (readonly [number, number])[] = [
      [0, 1],
      [127, 1],
      [128, 2],
      [256, 3],
      [65_536, 5],
      [2 ** 32, 9],
      [Number.MAX_SAFE_INTEGER, 9],
      [-1, 1],
      [-32, 1],
      [-33, 2],
      [-129, 3],
      [-32_769, 5],
      [-(2 ** 31) - 1, 9],
      [Number.MIN_SAFE_INTEGER, 9],
    ]
    for (const [number, size] of sizes) {
      const written = writeMsgpack(number)
      expect([number, written.length]).toEqual([number, size])
      expect(written[0] === 0xcb).toBe(size === 9)
      expect(new Unpackr({ useRecords: false }).unpack(written)).toBe(number)
      expect(readMsgpack(written)).toEqual({ ok: true, value: number })
    }
  })

  it('leaves undefined fields out, as JSON does', () => {
    expect(readMsgpack(writeMsgpack({ a: 1, b: undefined }))).toEqual({ ok: true, value: { a: 1 } })
  })

  it('refuses values that JSON does not have, and can be used afterwards', () => {
    expect(() => writeMsgpack({ amount: 1n })).toThrow(TypeError)
    expect(readMsgpack(writeMsgpack({ amount: 1 }))).toEqual({ ok: true, value: { amount: 1 } })
  })

  it('grows for long lists and long text', () => {
    const long = { list: Array.from({ length: 70_000 }, (_, at) => at), text: 'ä'.repeat(70_000) }
    expect(unpackr.unpack(writeMsgpack(long))).toEqual(long)
    expect(readMsgpack(writeMsgpack(long))).toEqual({ ok: true, value: long })
  })
})

describe('readMsgpack', () => {
  it('WIRE2 reads what msgpackr writes', () => {
    fc.assert(
      fc.property(fc.oneof(value, integer), (written) => {
        expect(readMsgpack(packr.pack(written))).toEqual({ ok: true, value: written })
      }),
      { numRuns: 2000 },
    )
  })
})

describe('UTF-8', () => {
  it('WIRE3 agrees with the platform on every text and on every byte string', () => {
    const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
    fc.assert(
      fc.property(fc.oneof(text, fc.string({ unit: 'binary' })), (written) => {
        const bytes = new Uint8Array(utf8Length(written))
        expect(writeUtf8(written, bytes, 0)).toBe(bytes.length)
        expect(bytes).toEqual(new TextEncoder().encode(written))
        expect(readUtf8(bytes, 0, bytes.length)).toBe(strict.decode(bytes))
      }),
      { numRuns: 2000 },
    )
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(0x41, 0x80, 0xbf, 0xc2, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xa0, 0x90)),
        (list) => {
          const bytes = Uint8Array.from(list)
          let expected: string | undefined
          try {
            expected = strict.decode(bytes)
          } catch {
            expected = undefined
          }
          expect(readUtf8(bytes, 0, bytes.length)).toBe(expected)
        },
      ),
      { numRuns: 5000 },
    )
  })
})
