import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FeedRing } from './feed-ring.ts'

function indexesAfter(ring: FeedRing, from: number): number[] {
  const indexes: number[] = []
  for (let next = ring.after(from); next !== undefined; next = ring.after(next.index))
    indexes.push(next.index)
  return indexes
}

describe('the recent feed', () => {
  it('LINK8: holds every batch above its floor, within its bytes', () => {
    const pushes = fc.array(fc.record({ step: fc.integer({ min: 1, max: 5 }), bytes: fc.nat(40) }), {
      maxLength: 400,
    })
    fc.assert(
      fc.property(pushes, fc.nat(300), (steps, from) => {
        const ring = new FeedRing(200, 10)
        const all: number[] = []
        let index = 10
        for (const { step, bytes } of steps) {
          index += step
          all.push(index)
          ring.push(index, new Uint8Array(bytes))
          expect(ring.bytes).toBeLessThanOrEqual(200)
        }
        const place = Math.max(from, ring.floor)
        expect(indexesAfter(ring, place)).toEqual(all.filter((one) => one > place))
      }),
    )
  })

  it('LINK8: a batch that alone is too long is dropped, and counts as missed', () => {
    const ring = new FeedRing(100, 0)
    ring.push(1, new Uint8Array(50))
    ring.push(2, new Uint8Array(101))
    expect([ring.floor, ring.bytes, ring.after(2)]).toEqual([2, 0, undefined])
    ring.push(3, new Uint8Array(10))
    expect(indexesAfter(ring, 2)).toEqual([3])
  })

  it('LINK8: a snapshot leaves no batches', () => {
    const ring = new FeedRing(100, 0)
    ring.push(1, new Uint8Array(50))
    ring.restart(40)
    expect([ring.floor, ring.bytes, ring.after(0)]).toEqual([40, 0, undefined])
  })
})
