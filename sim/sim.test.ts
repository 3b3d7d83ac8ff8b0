import { describe, expect, it } from 'vitest'
import { Random } from '../runtime/random.ts'
import { hunt, huntSeedsMax, isCaught } from './hunt.ts'
import { drawOptions, faultNames } from './options.ts'
import { type Plant, plantNamed, plants } from './planted.ts'
import { regressions } from './regressions.ts'
import type { RunResult } from './run.ts'
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

  it('SIM2: fixed seeds break no rule, and the faults that they draw happen', async () => {
    const total = new Map<string, number>()
    for (let seed = 1; seed <= 6; seed++) {
      const result = await play({ seed, minutes: 0.6 })
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

  it('SIM2: without faults every request is answered, and no outcome is unknown', async () => {
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

  for (const { seed, minutes, found } of regressions) {
    it(`SIM2: seed ${seed} breaks no rule any more: ${found}`, async () => {
      const result = await play({ seed, minutes })
      expect(result.violation, `${again(result)} (${found})`).toBeNull()
    })
  }

  it('SIM3: planted faults are found, in worlds that break no rule without them', async () => {
    const quick = [
      'applied-index-in-another-transaction',
      'retry-counted-twice',
      'close-by-local-clock',
      'failed-fsync-ignored',
    ]
    for (const name of quick) {
      const plant = plantNamed(name)
      if (plant === undefined) throw new Error(`there is no planted fault ${name}`)
      const result = await hunt({ plant, seed: 1, minutes: 1, play })
      expect(isCaught(result), `${name}, ${result.tried} seeds`).toBe(true)
    }
  })

  it('SIM3 and TIME7: stamps that follow a wrong clock are found, and right ones keep to true time', async () => {
    for (const name of [
      'stamps-follow-the-wall-clock',
      'a-node-believes-its-own-clock',
      'clocks-not-compared',
    ]) {
      const plant = plantNamed(name)
      if (plant === undefined) throw new Error(`there is no planted fault ${name}`)
      const result = await hunt({ plant, seed: 1, minutes: 0.7, play })
      expect(result.found?.violation?.rule, name).toBe('stamps keep to true time')
      expect(isCaught(result), `${name}, ${result.tried} seeds`).toBe(true)
      expect(result.without?.counts['clocks.ofNodes']).toBeGreaterThan(3)
    }
  })

  it('SIM3: the worlds that are drawn for a planted fault break no rule without it', async () => {
    for (const world of plants.filter(({ tune }) => tune !== undefined)) {
      const result = await play({ seed: 1, minutes: 0.4, world })
      expect(result.violation, `${again(result)} --world ${world.name}`).toBeNull()
    }
  })

  it('SIM3: a planted fault that breaks no rule is missed, and one in a world that is broken without it is not caught', async () => {
    const plant: Plant = { name: 'none', description: 'nothing is wrong', needs: [] }
    const sound = { seed: 1, minutes: 0.1, violation: null } as unknown as RunResult
    const broken = { ...sound, violation: { rule: 'progress', facts: '', elapsedMs: 0 } } as RunResult
    let plays = 0
    const missed = await hunt({
      plant,
      seed: 1,
      minutes: 0.1,
      play: () => {
        plays += 1
        return Promise.resolve(sound)
      },
    })
    expect([missed.tried, plays, isCaught(missed)]).toEqual([huntSeedsMax, huntSeedsMax, false])
    const always = await hunt({ plant, seed: 1, minutes: 0.1, play: async () => broken })
    expect([always.tried, isCaught(always)]).toEqual([1, false])
    const real = await hunt({ plant, seed: 5, minutes: 0.1, play: async (of) => (of.plant ? broken : sound) })
    expect(isCaught(real)).toBe(true)
  })

  it('SIM2: members are added and removed, and nodes and servers are stopped, while requests continue', async () => {
    const { counts, violation } = await play({
      seed: 3,
      minutes: 1,
      faults: ['members', 'nodeStop', 'serverStop', 'reset'],
    })
    expect(violation).toBeNull()
    for (const name of ['members', 'nodeStop', 'serverStop', 'reset'])
      expect(counts[`fault.${name}`], name).toBeGreaterThan(0)
    for (const name of ['members.added', 'members.promoted']) expect(counts[name], name).toBeGreaterThan(0)
  })

  it('SIM3: each planted fault has its own name, and needs only faults that exist', () => {
    expect(new Set(plants.map(({ name }) => name)).size).toBe(plants.length)
    for (const { needs } of plants) for (const need of needs) expect(faultNames).toContain(need)
  })

  it('SIM1: equal seeds draw equal options, different seeds different ones', () => {
    const draw = (seed: number): string =>
      JSON.stringify(drawOptions(new Random(seed), { seed: 0, minutes: 1 }))
    expect(draw(3)).toBe(draw(3))
    expect(new Set([1, 2, 3, 4, 5].map(draw)).size).toBe(5)
  })
})
