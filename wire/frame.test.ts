import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TransportError } from './errors.ts'
import { FrameDecoder, frameBytesMax, frameHeaderBytes, frameParts } from './frame.ts'

function bytesOf(kind: number, ...parts: Uint8Array[]): Buffer {
  return Buffer.concat(frameParts(kind, parts))
}

/** Everything that the decoder gives for the chunks, or the code of what it throws. */
function decodeAll(chunks: readonly Uint8Array[], decoder = new FrameDecoder()) {
  const frames: { kind: number; body: string }[] = []
  for (const chunk of chunks) {
    decoder.push(chunk)
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
      frames.push({ kind: frame.kind, body: Buffer.from(frame.body).toString('hex') })
    }
  }
  return frames
}

function codeOf(run: () => unknown): string {
  try {
    run()
  } catch (thrown) {
    if (thrown instanceof TransportError) return thrown.code
    throw thrown
  }
  return 'none'
}

const frame = fc.record({
  kind: fc.integer({ min: 1, max: 255 }),
  parts: fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 4 }),
})

describe('frames', () => {
  it('PEER6: frames come back as they went, however the stream is cut into chunks', () => {
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 300 })),
        (frames, cuts) => {
          const stream = Buffer.concat(frames.map(({ kind, parts }) => bytesOf(kind, ...parts)))
          const chunks: Uint8Array[] = []
          let at = 0
          for (const cut of cuts) {
            chunks.push(stream.subarray(at, at + cut))
            at += cut
          }
          chunks.push(stream.subarray(at))
          const expected = frames.map(({ kind, parts }) => ({
            kind,
            body: Buffer.concat(parts).toString('hex'),
          }))
          expect(decodeAll(chunks)).toEqual(expected)
        },
      ),
    )
  })

  it('PEER6: any single flipped bit is found, and nothing wrong is given out', () => {
    const good = Buffer.concat([bytesOf(16, Buffer.from('first')), bytesOf(17, Buffer.from('second'))])
    const expected = decodeAll([good])
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bad = Buffer.from(good)
      bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7))
      const decoder = new FrameDecoder(1024)
      const frames: { kind: number; body: string }[] = []
      const code = codeOf(() => {
        // Frames go on coming, as heartbeats do: a length that was hit cannot hide for ever.
        for (const chunk of [bad, Buffer.alloc(4096)]) frames.push(...decodeAll([chunk], decoder))
      })
      expect(['corrupt_frame', 'frame_too_large']).toContain(code)
      expect(expected.slice(0, frames.length)).toEqual(frames)
    }
  })

  it('PEER6: a frame beyond the limit is refused by its header alone', () => {
    const header = bytesOf(16, Buffer.alloc(100)).subarray(0, frameHeaderBytes)
    expect(codeOf(() => decodeAll([header], new FrameDecoder(50)))).toBe('frame_too_large')
    expect(codeOf(() => decodeAll([header], new FrameDecoder(101)))).toBe('none')
    expect(codeOf(() => frameParts(16, [Buffer.alloc(frameBytesMax)]))).toBe('frame_too_large')
  })

  it('PEER6: a frame within one chunk is a view of it, one across chunks is copied once', () => {
    const bytes = bytesOf(16, Buffer.from('payload'))
    const decoder = new FrameDecoder()
    decoder.push(bytes)
    const whole = decoder.next()
    expect(whole?.body.buffer).toBe(bytes.buffer)
    decoder.push(bytes.subarray(0, 12))
    expect(decoder.next()).toBeUndefined()
    expect(decoder.bufferedBytes).toBe(12)
    decoder.push(bytes.subarray(12))
    const joined = decoder.next()
    expect(Buffer.from(joined?.body ?? []).toString()).toBe('payload')
    expect(joined?.body.buffer).not.toBe(bytes.buffer)
    expect(decoder.bufferedBytes).toBe(0)
  })

  it('PEER6: payloads are sent by reference, not copied into the frame', () => {
    const payload = Buffer.from('payload')
    expect(frameParts(16, [payload])[1]).toBe(payload)
  })
})
