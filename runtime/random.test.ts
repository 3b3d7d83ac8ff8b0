import { describe, expect, it } from 'vitest'
import { Random } from './random.ts'

describe('random numbers', () => {
  it('are the same for the same seeds on every platform', () => {
    const random = new Random(1, 2)
    expect([random.bits(), random.bits(), random.below(10), random.chance(0.5)]).toEqual([
      3869526614,
      2512177362,
      8,
      true,
    ])
    expect(new Random(2, 1).bits()).not.toBe(new Random(1, 2).bits())
    expect(new Random(2 ** 40).bits()).not.toBe(new Random(0).bits())
  })

  it('cover their range evenly', () => {
    const random = new Random(5)
    const seen = new Array<number>(8).fill(0)
    for (let i = 0; i < 8000; i++) {
      const at = random.below(8)
      seen[at] = (seen[at] as number) + 1
    }
    expect(Math.min(...seen)).toBeGreaterThan(850)
  })
})
