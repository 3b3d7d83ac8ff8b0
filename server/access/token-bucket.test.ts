import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KeyedBuckets, TokenBucket } from './token-bucket.ts'

describe('rates', () => {
  test('RATE1 a burst passes at once, then the steady rate, and a refusal names the time to wait', () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 3 }, 0)
    expect([0, 0, 0].map((at) => bucket.take(at))).toEqual([0, 0, 0])
    expect(bucket.take(0)).toBe(100)
    expect(bucket.take(50)).toBe(50)
    expect(bucket.take(100)).toBe(0)
    expect(bucket.take(100)).toBe(100)
    expect([5000, 5000, 5000].map((at) => bucket.take(at))).toEqual([0, 0, 0])
    expect(bucket.take(5000)).toBeGreaterThan(0)
  })

  test('RATE1 over any stretch no more than the burst and the rate passes, and waiting for the returned time succeeds', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.integer({ min: 1, max: 100 }),
        fc.array(fc.integer({ min: 0, max: 200 }), { maxLength: 200 }),
        (perSecond, burst, gaps) => {
          const bucket = new TokenBucket({ perSecond, burst }, 0)
          let nowMs = 0
          let taken = 0
          for (const gapMs of gaps) {
            nowMs += gapMs
            const waitMs = bucket.take(nowMs)
            if (waitMs === 0) taken += 1
            else {
              nowMs += waitMs
              expect(bucket.take(nowMs)).toBe(0)
              taken += 1
            }
            expect(taken).toBeLessThanOrEqual(burst + (nowMs * perSecond) / 1000 + 1e-6)
          }
        },
      ),
    )
  })

  test('RATE2 keys do not share a bucket, and their number is bounded: the one unused for longest is dropped', () => {
    const buckets = new KeyedBuckets({ perSecond: 1, burst: 1 }, 3)
    for (const key of ['a', 'b', 'c']) expect(buckets.take(key, 0)).toBe(0)
    expect(buckets.take('a', 0)).toBeGreaterThan(0)
    expect(buckets.take('d', 0)).toBe(0)
    expect(buckets.size).toBe(3)
    expect(buckets.take('a', 0)).toBeGreaterThan(0)
    expect(buckets.take('b', 0)).toBe(0)
    for (let at = 0; at < 10_000; at += 1) buckets.take(`key-${at}`, 0)
    expect(buckets.size).toBe(3)
  })
})
