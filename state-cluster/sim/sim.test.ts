import { describe, expect, it } from 'vitest'
import { Random } from '../raft/fuzz/random.ts'
import { drawOptions, faultNames } from './options.ts'
import { plantNamed, plants } from './planted.ts'
import { regressions } from './regressions.ts'
import { again, play } from './testing/play.ts'

describe('the simulator', () => {
  it('SIM1: the same seed is the same run, step by step', async () => {
    const lines: string[][] = [[], []]
    const runs = []
    for (const own of lines) {
      runs.push(await play({ seed: 7, minutes: 0.4, writeHistory: (line) => own.push(line) }))
    }
    expect(runs[0]).toEqual(runs[1])
    expect(lines[0]).toEqual(lines[1])
    expect(lines[0]?.length).toBeGreaterThan(200)
  })

  it('SIM2: fixed seeds break no rule, and what they were drawn for happens', async () => {
    const total = new Map<string, number>()
    for (let seed = 1; seed <= 8; seed++) {
      const result = await play({ seed, minutes: 0.7 })
      expect(result.violation, again(result)).toBeNull()
      for (const [name, count] of Object.entries(result.counts))
        total.set(name, (total.get(name) ?? 0) + count)
    }
    for (const name of [
      'bids.acknowledged',
      'bids.refused',
      'retries',
      'reads',
      'fault.crash',
      'fault.partition',
    ])
      expect(total.get(name), name).toBeGreaterThan(0)
  })

  it('SIM2: in a calm world everything is answered, and nothing is unknown', async () => {
    const { counts, violation } = await play({ seed: 2, minutes: 1, faults: [] })
    expect(violation).toBeNull()
    expect(counts['bids.acknowledged']).toBeGreaterThan(50)
    expect(counts['bids.unknown'] ?? 0).toBe(0)
    expect(Object.keys(counts).filter((name) => name.startsWith('fault.') && counts[name] !== 0)).toEqual([])
  })

  it('SIM2: fresh seeds break no rule', async () => {
    for (let time = 0; time < 3; time++) {
      const seed = Math.floor(Math.random() * 2 ** 31)
      const result = await play({ seed, minutes: 0.7 })
      expect(result.violation, again(result)).toBeNull()
    }
  })

  it('SIM2: seeds that once broke a rule do so no more', async () => {
    for (const { seed, minutes, found } of regressions) {
      const result = await play({ seed, minutes })
      expect(result.violation, `${again(result)} (${found})`).toBeNull()
    }
  })

  it('SIM3: planted mistakes are found', async () => {
    const quick = [
      'acknowledge-before-fsync',
      'retry-counted-twice',
      'close-by-local-clock',
      'failed-fsync-ignored',
    ]
    for (const name of quick) {
      const plant = plantNamed(name)
      expect(plant, name).toBeDefined()
      let found = false
      for (let seed = 1; seed <= 10 && !found; seed++)
        found = (await play({ seed, minutes: 1, plant })).violation !== null
      expect(found, name).toBe(true)
    }
  })

  it('SIM3: what is planted is named once, and needs only trouble that there is', () => {
    expect(new Set(plants.map(({ name }) => name)).size).toBe(plants.length)
    for (const { needs } of plants) for (const need of needs) expect(faultNames).toContain(need)
  })

  it('SIM1: equal seeds draw equal options, others draw others', () => {
    const draw = (seed: number): string =>
      JSON.stringify(drawOptions(new Random(seed), { seed: 0, minutes: 1 }))
    expect(draw(3)).toBe(draw(3))
    expect(new Set([1, 2, 3, 4, 5].map(draw)).size).toBe(5)
  })
})
