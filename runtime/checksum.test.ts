import { describe, expect, it } from 'vitest'
import { crc32 } from './checksum.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('crc32', () => {
  it('gives the published check value', () => {
    expect(crc32(bytesOf('123456789'))).toBe(0xcbf43926)
    expect(crc32(new Uint8Array(0))).toBe(0)
  })

  it('of no further bytes is what it was before, wherever they lie', () => {
    for (const none of [new Uint8Array(), new Uint8Array(new ArrayBuffer(0)), bytesOf(''), Buffer.alloc(0)]) {
      expect(crc32(none, 0xcbf43926)).toBe(0xcbf43926)
    }
  })

  it('of two parts is that of the whole', () => {
    for (let cut = 0; cut <= 9; cut++) {
      const whole = bytesOf('123456789')
      expect(crc32(whole.subarray(cut), crc32(whole.subarray(0, cut)))).toBe(0xcbf43926)
    }
  })
})
