/** The random driver: nothing is violated, runs repeat, and every fault that can be planted is found. */
import { describe, expect, it } from 'vitest'
import { Random } from '../../../runtime/random.ts'
import { type FuzzResult, fuzz } from './driver.ts'
import { faultNamed, faultNames } from './faults.ts'
import { TraceHash } from './random.ts'

const steps = 20_000

const randomOf = (seed: number) => (episode: number) => new Random(seed, episode)

function run(seed: number): Promise<FuzzResult> {
  return fuzz({ random: randomOf(seed), steps })
}

describe('the random driver', () => {
  for (const seed of [1, 2, 3]) {
    it(`finds nothing violated with seed ${seed}`, async () => {
      const { violation, counts } = await run(seed)
      expect(violation?.message ?? null).toBeNull()
      const least: Record<string, number> = {
        elections: 50,
        jointConfigs: 5,
        snapshotsInstalled: 5,
        truncations: 5,
        writesLost: 5,
        readsConfirmed: 2,
        applied: 1000,
        episodesAtRest: 2,
      }
      for (const [what, count] of Object.entries(least)) {
        expect(counts[what] ?? 0, what).toBeGreaterThanOrEqual(count)
      }
    })
  }

  it('repeats a run with the same seed, and differs with another seed', async () => {
    const first = await run(7)
    expect(await run(7)).toEqual(first)
    expect((await run(8)).traceHash).not.toBe(first.traceHash)
  })

  for (const name of faultNames) {
    it(`finds the planted fault ${name}`, async () => {
      const fault = faultNamed(name)
      if (fault === undefined) throw new Error(`no fault ${name}`)
      const { violation } = await fuzz({ random: randomOf(1), steps: 200_000, fault })
      expect(violation).not.toBeNull()
      expect(violation?.trace.length).toBeGreaterThan(10)
    })
  }

  it('reports by its consequence alone that earlier terms were committed by counting', async () => {
    const fault = faultNamed('commit-earlier-term')
    if (fault === undefined) throw new Error('no such fault')
    let rule: string | undefined
    for (let seed = 1; seed <= 6 && rule === undefined; seed++) {
      const { violation } = await fuzz({
        random: randomOf(seed),
        steps: 100_000,
        fault,
        hasPrecautions: false,
      })
      rule = violation?.rule
    }
    expect(rule).toBe('leader completeness')
  })
})

describe('the trace hash', () => {
  it('tells sequences apart by their order', () => {
    const hash = (...values: readonly number[]): string => {
      const trace = new TraceHash()
      for (const value of values) trace.add(value)
      return trace.hex()
    }
    expect(hash(1, 2, 3)).toBe(hash(1, 2, 3))
    expect(hash(1, 2, 3)).not.toBe(hash(1, 3, 2))
    expect(hash()).toMatch(/^[0-9a-f]{16}$/)
  })
})
