import { describe, expect, it } from 'vitest'
import { ManualClock } from '../../runtime/clock.ts'
import { type StallKind, StallWatch } from './stall-watch.ts'

const microtasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

class World {
  readonly clock = new ManualClock()
  readonly stalls: [StallKind, number][] = []
  isStalled = false
  flushes = 0
  #release: (() => void)[] = []
  readonly watch = new StallWatch({
    clock: this.clock,
    flushed: () => {
      this.flushes += 1
      if (!this.isStalled) return Promise.resolve()
      return new Promise((resolve) => this.#release.push(resolve))
    },
    stalled: (kind, ms) => this.stalls.push([kind, ms]),
  })

  async run(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 50) {
      this.clock.advance(50)
      await microtasks()
    }
  }

  recover(): void {
    this.isStalled = false
    for (const release of this.#release.splice(0)) release()
  }
}

describe('the watch for stalls', () => {
  it('RARE1: a disk that stands still is reported once, when it goes on, with how long that was', async () => {
    const world = new World()
    world.watch.start()
    await world.run(1_000)
    expect(world.stalls).toEqual([])
    world.isStalled = true
    await world.run(2_000)
    const { flushes } = world
    await world.run(1_000)
    expect(world.flushes, 'one write in flight at most').toBe(flushes)
    world.recover()
    await world.run(500)
    expect(world.stalls).toHaveLength(1)
    expect(world.stalls[0]?.[0]).toBe('disk')
    expect(world.stalls[0]?.[1]).toBeGreaterThan(2_800)
    world.watch.stop()
    expect(world.clock.timerCount).toBe(0)
  })
})
