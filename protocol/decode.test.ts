/** What the decoders refuse, with which code and words, and that no bytes whatever make them throw. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { FrameRead } from './client-frames.ts'
import { decodeClientBinary, decodeClientText } from './decode.ts'
import { frameErrors } from './frame-errors.ts'
import { depthMax, frameBytesMax } from './limits.ts'
import { writeMsgpack } from './msgpack.ts'

const bid = { type: 'place_bid', id: 7, auctionId: 'a1', amount: 1200, requestId: 'r1' }

/** The same value through both subprotocols; they must agree. */
function decode(value: unknown): FrameRead {
  const fromText = decodeClientText(JSON.stringify(value))
  expect(decodeClientBinary(writeMsgpack(value))).toEqual(fromText)
  return fromText
}

const bytes = (...list: readonly number[]): Uint8Array => Uint8Array.from(list)

function nested(levels: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < levels; level += 1) value = [value]
  return value
}

describe('frames that are refused', () => {
  it('WIRE7 names the field, the expected value and the request that it answers', () => {
    expect(decode({ ...bid, auctionId: 'no spaces' })).toEqual({
      ok: false,
      code: 'field_invalid',
      message: 'auctionId must be an id: 1 to 128 characters of A-Z a-z 0-9 . _ : @ -',
      replyTo: 7,
    })
    expect(decode({ ...bid, kind: 'proxy' })).toMatchObject({ message: 'kind must be "max" or "exact"' })
    expect(decode({ type: 'subscribe', id: 1, auctionId: 'a1', since: { epoch: 1 } })).toMatchObject({
      message: 'since.seq must be an integer from 0 to 9007199254740991',
    })
    expect(decode({ type: 'subscribe', id: 1, auctionId: 'a1', since: 'yesterday' })).toMatchObject({
      message: 'since must be {epoch, seq}',
    })
    expect(decode({ type: 'sync_time', id: 1, t0: 'now' })).toMatchObject({ message: 't0 must be a number' })
  })

  it('WIRE5 takes an id of text or integer and nothing else', () => {
    for (const id of ['', 'x'.repeat(128), 0, -1, Number.MAX_SAFE_INTEGER])
      expect(decode({ ...bid, id })).toMatchObject({ ok: true, frame: { id } })
    for (const id of ['x'.repeat(129), 1.5, 2 ** 53, null, [], {}, true]) {
      const refused = decode({ ...bid, id })
      expect(refused).toMatchObject({ ok: false, code: 'field_invalid' })
      expect(refused).not.toHaveProperty('replyTo')
    }
    expect(decode({ ...bid, id: undefined })).toMatchObject({
      message: 'id must be text of up to 128 characters or an integer',
    })
  })

  it('WIRE6 drops unknown fields and refuses unknown types', () => {
    expect(decode({ ...bid, bidder: 'somebody-else', admin: true })).toEqual({ ok: true, frame: bid })
    for (const type of ['steal_bid', 'toString', '__proto__', '', 5, null, undefined])
      expect(decode({ type, id: 'q' })).toMatchObject({ ok: false, code: 'unknown_type', replyTo: 'q' })
  })

  it('WIRE5 takes a request id of printable ASCII and nothing else', () => {
    for (const requestId of ['r', 'q+/Zm9v==', 'bid #1 of 2', '~'.repeat(128)])
      expect(decode({ ...bid, requestId })).toMatchObject({ ok: true, frame: { requestId } })
    for (const requestId of ['', 'x'.repeat(129), 'a\n', 'ä', 5, null, {}])
      expect(decode({ ...bid, requestId })).toMatchObject({
        code: 'field_invalid',
        message: 'requestId must be text of 1 to 128 printable characters of ASCII',
      })
  })

  it('WIRE24 takes null for a field that may be left out, and for no other', () => {
    expect(decode({ ...bid, kind: null })).toEqual(decode(bid))
    const subscribe = { type: 'subscribe', id: 1, auctionId: 'a1' }
    expect(decode({ ...subscribe, since: null })).toEqual({ ok: true, frame: subscribe })
    expect(decode({ ...bid, kind: null, requestId: null })).toMatchObject({
      code: 'field_invalid',
      replyTo: 7,
    })
    expect(decode({ ...subscribe, id: null })).toMatchObject({ code: 'field_invalid' })
  })

  it('WIRE8 answers a number that is no amount as amount_invalid, with the ids for the rejection', () => {
    for (const amount of [-1, 0.5, 2 ** 53, 1e300, -0.0001])
      expect(decode({ ...bid, amount })).toMatchObject({
        ok: false,
        code: 'amount_invalid',
        replyTo: 7,
        bid: { auctionId: 'a1', requestId: 'r1' },
      })
    for (const amount of ['1200', null, [], undefined])
      expect(decode({ ...bid, amount })).toMatchObject({ ok: false, code: 'field_invalid' })
    expect(decode({ ...bid, amount: -1, requestId: '' })).toMatchObject({ ok: false, code: 'field_invalid' })
  })

  it('WIRE4 takes whole numbers however they are written', () => {
    expect(decodeClientText(JSON.stringify(bid).replace('1200', '1.2e3'))).toEqual({ ok: true, frame: bid })
    const negativeZero = decodeClientText(JSON.stringify(bid).replace('1200', '-0'))
    expect(negativeZero).toEqual({ ok: true, frame: { ...bid, amount: 0 } })
    const asDouble = writeMsgpack({ ...bid, amount: 0.5 })
    const at = asDouble.indexOf(0xcb)
    new DataView(asDouble.buffer).setFloat64(at + 1, 1200)
    expect(decodeClientBinary(asDouble)).toEqual({ ok: true, frame: bid })
  })

  it('WIRE1 refuses a frame that is too large', () => {
    expect(decodeClientText(' '.repeat(frameBytesMax + 1))).toMatchObject({ code: 'frame_too_large' })
    expect(decodeClientBinary(new Uint8Array(frameBytesMax + 1))).toMatchObject({ code: 'frame_too_large' })
    const padding = frameBytesMax - JSON.stringify({ ...bid, padding: '' }).length
    expect(decodeClientText(JSON.stringify({ ...bid, padding: 'x'.repeat(padding) }))).toMatchObject({
      ok: true,
    })
  })

  it('WIRE2 refuses values nested too deep in both, and accepts the deepest lawful ones', () => {
    expect(decode({ ...bid, extra: nested(depthMax - 1) })).toMatchObject({ ok: true })
    expect(decode({ ...bid, extra: nested(depthMax) })).toMatchObject({ code: 'too_deep' })
    expect(decodeClientText('['.repeat(frameBytesMax))).toMatchObject({ code: 'too_deep' })
    expect(decodeClientText(`{"a":${'{"a":'.repeat(2000)}`)).toMatchObject({ code: 'too_deep' })
    expect(decodeClientBinary(new Uint8Array(frameBytesMax).fill(0x91))).toMatchObject({ code: 'too_deep' })
    expect(decodeClientText(JSON.stringify({ ...bid, note: '[['.repeat(500) }))).toMatchObject({ ok: true })
    expect(decodeClientText(JSON.stringify({ ...bid, note: '\\"[['.repeat(500) }))).toMatchObject({
      ok: true,
    })
  })

  it('refuses text that is not JSON', () => {
    for (const text of ['', '{', '{"type":', "{'type':1}", '{"a":1}{"b":2}', 'NaN', '﻿{}', '\u0000'])
      expect(decodeClientText(text)).toMatchObject({ ok: false, code: 'malformed_json' })
    for (const value of [[], 'hi', 5, null, true])
      expect(decode(value)).toEqual({ ok: false, code: 'not_an_object', message: 'a frame is an object' })
  })
})

describe('WIRE3 msgpack that is refused', () => {
  it.each([
    ['nothing', bytes()],
    ['a truncated map', bytes(0x81)],
    ['a truncated key', bytes(0x81, 0xa4, 0x74)],
    ['bytes after the value', bytes(0x80, 0x80)],
    ['an array that declares four billion elements', bytes(0xdd, 0xff, 0xff, 0xff, 0xff)],
    ['a map that declares four billion entries', bytes(0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, 0x61, 0x01)],
    ['text that declares four billion bytes', bytes(0xdb, 0xff, 0xff, 0xff, 0xff, 0x61)],
    ['binary', bytes(0xc4, 0x01, 0x00)],
    ['a fixed extension', bytes(0xd4, 0x00, 0x00)],
    ['a timestamp', bytes(0xd6, 0xff, 0x00, 0x00, 0x00, 0x00)],
    ['a long extension', bytes(0xc9, 0xff, 0xff, 0xff, 0xff, 0x01)],
    ['the reserved byte', bytes(0xc1)],
    ['a key that is a number', bytes(0x81, 0x01, 0x01)],
    ['a key that is an array', bytes(0x81, 0x90, 0x01)],
    ['infinity', bytes(0xca, 0x7f, 0x80, 0x00, 0x00)],
    ['not a number', bytes(0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0)],
    ['overlong UTF-8', bytes(0xa2, 0xc0, 0xaf)],
    ['a surrogate in UTF-8', bytes(0xa3, 0xed, 0xa0, 0x80)],
    ['UTF-8 beyond Unicode', bytes(0xa4, 0xf5, 0x80, 0x80, 0x80)],
    ['UTF-8 that is cut off', bytes(0xa1, 0xe2)],
  ])('refuses %s', (_, payload) => {
    expect(decodeClientBinary(payload)).toMatchObject({ ok: false, code: 'malformed_msgpack' })
  })

  it('keeps __proto__ an ordinary field', () => {
    const payload = writeMsgpack(JSON.parse('{"__proto__":{"type":"place_bid"},"id":1}'))
    expect(decodeClientBinary(payload)).toMatchObject({ ok: false, code: 'unknown_type' })
  })

  it('refuses every truncation of a good frame', () => {
    const whole = writeMsgpack({ ...bid, auctionId: 'x'.repeat(100), amount: 2 ** 40 })
    for (let length = 0; length < whole.length; length += 1)
      expect(decodeClientBinary(whole.subarray(0, length))).toMatchObject({ code: 'malformed_msgpack' })
  })

  it('WIRE4 reads 64-bit integers, and refuses those beyond 2^53−1 as amounts', () => {
    // As clients in typed languages write it: what the house itself writes as a double, here as a 64-bit integer.
    const top = writeMsgpack({ ...bid, amount: Number.MAX_SAFE_INTEGER })
    const at = top.indexOf(0xcb)
    top[at] = 0xcf
    new DataView(top.buffer, top.byteOffset).setBigUint64(at + 1, BigInt(Number.MAX_SAFE_INTEGER))
    expect(decodeClientBinary(top)).toMatchObject({ ok: true, frame: { amount: Number.MAX_SAFE_INTEGER } })
    for (let beyond = 1; beyond < 256; beyond += 1) {
      const wide = top.slice()
      wide[at + 1] = beyond
      expect(decodeClientBinary(wide)).toMatchObject({ code: 'amount_invalid' })
    }
  })
})

describe('WIRE9 fuzz', () => {
  const isDecent = (read: FrameRead): boolean =>
    read.ok || read.code === 'amount_invalid' || Object.hasOwn(frameErrors, read.code)

  it('arbitrary bytes never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (payload) => {
        expect(isDecent(decodeClientBinary(payload))).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })

  it('bytes after a container header never throw', () => {
    const head = fc.constantFrom(0x8f, 0x9f, 0xdc, 0xdd, 0xde, 0xdf, 0xd9, 0xda, 0xdb, 0xc7, 0xc9, 0xcf, 0xd3)
    fc.assert(
      fc.property(fc.array(head, { maxLength: 40 }), fc.uint8Array({ maxLength: 60 }), (heads, tail) => {
        expect(isDecent(decodeClientBinary(bytes(...heads, ...tail)))).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  it('arbitrary text never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), (text) => {
        expect(isDecent(decodeClientText(text))).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })

  it('frames with any fields are judged the same in both subprotocols', () => {
    const value = fc.jsonValue({ maxDepth: 3 })
    const fields = fc.dictionary(
      fc.constantFrom('auctionId', 'amount', 'kind', 'requestId', 'since', 't0'),
      value,
    )
    const type = fc.constantFrom('subscribe', 'unsubscribe', 'place_bid', 'buy_now', 'sync_time')
    fc.assert(
      fc.property(type, value, fields, (name, id, rest) => {
        // Lone surrogates are the one thing that JSON can say and UTF-8 cannot.
        const clean = JSON.parse(JSON.stringify({ ...rest, type: name, id }).replace(/\\ud[89a-f]../g, '?'))
        expect(isDecent(decode(clean))).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  it('flipping any byte of good frames never throws', () => {
    const good = writeMsgpack({
      type: 'subscribe',
      id: 'ü',
      auctionId: 'a1',
      since: { epoch: 1, seq: 2 ** 33 },
    })
    for (let at = 0; at < good.length; at += 1)
      for (let byte = 0; byte < 256; byte += 1) {
        const flipped = good.slice()
        flipped[at] = byte
        expect(isDecent(decodeClientBinary(flipped))).toBe(true)
      }
  })
})
