/**
 * Golden frames: what stands in testdata is what goes over the wire, byte for byte, in both subprotocols, and
 * every message of both registries has at least one.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { clientFrames } from './client-frames.ts'
import { decodeClientBinary, decodeClientText } from './decode.ts'
import { encodeServerFrame } from './encode.ts'
import { readJson, writeJson } from './json.ts'
import { readMsgpack, writeMsgpack } from './msgpack.ts'
import { type ServerFrame, serverFrameFault, serverFrames } from './server-frames.ts'

interface Golden {
  readonly text: string
  readonly hex: string
  readonly type: string
}

function goldenFrames(name: string): readonly Golden[] {
  const file = readFileSync(new URL(`testdata/${name}-frames.txt`, import.meta.url), 'utf8')
  const lines = file.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  const frames: Golden[] = []
  for (let at = 0; at < lines.length; at += 2) {
    const text = lines[at] as string
    frames.push({ text, hex: lines[at + 1] as string, type: (JSON.parse(text) as { type: string }).type })
  }
  return frames
}

const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

describe('WIRE2 golden client frames', () => {
  const frames = goldenFrames('client')

  it('WIRE11 has one for every client frame of the registry', () => {
    expect([...new Set(frames.map((frame) => frame.type))].sort()).toEqual(Object.keys(clientFrames).sort())
  })

  it.each(frames)('reads $text the same from text and from bytes', ({ text, hex }) => {
    const expected = { ok: true, frame: JSON.parse(text) }
    expect(decodeClientText(text)).toEqual(expected)
    expect(decodeClientBinary(bytesOf(hex))).toEqual(expected)
  })

  it.each(frames)('writes $text as the same bytes as ever', ({ text, hex }) => {
    expect(writeJson(JSON.parse(text))).toBe(text)
    expect(hexOf(writeMsgpack(JSON.parse(text)))).toBe(hex)
  })
})

describe('WIRE2 golden server frames', () => {
  const frames = goldenFrames('server')

  it('WIRE11 has one for every server frame of the registry', () => {
    expect([...new Set(frames.map((frame) => frame.type))].sort()).toEqual(Object.keys(serverFrames).sort())
  })

  it.each(frames)('WIRE10 $text is a server frame of this version', ({ text }) => {
    expect(serverFrameFault(JSON.parse(text))).toBeUndefined()
  })

  it.each(frames)('writes $text as the same bytes as ever', ({ text, hex }) => {
    const encoded = encodeServerFrame(JSON.parse(text) as ServerFrame)
    expect(encoded.json()).toBe(text)
    expect(hexOf(encoded.msgpack())).toBe(hex)
  })

  it.each(frames)('reads $text back from both', ({ text, hex }) => {
    expect(readJson(text)).toEqual({ ok: true, value: JSON.parse(text) })
    expect(readMsgpack(bytesOf(hex))).toEqual({ ok: true, value: JSON.parse(text) })
  })
})

describe('serverFrameFault', () => {
  it('WIRE10 finds a field too many, a field missing and an unknown type', () => {
    const drain = { type: 'drain', graceMs: 5 }
    expect(serverFrameFault(drain)).toBeUndefined()
    expect(serverFrameFault({ ...drain, reserve: 500_00 })).toContain('drain')
    expect(serverFrameFault({ type: 'drain' })).toContain('graceMs')
    expect(serverFrameFault({ type: 'toString' })).toContain('type')
    expect(serverFrameFault(null)).toContain('type')
  })
})

describe('encodeServerFrame', () => {
  it('WIRE12 makes each encoding once, however many sockets take it', () => {
    const encoded = encodeServerFrame({ type: 'drain', graceMs: 5 })
    expect(encoded.msgpack()).toBe(encoded.msgpack())
    expect(encoded.json()).toBe(encoded.json())
  })
})
