import { describe, expect, test } from 'vitest'
import { ManualClock } from '../runtime/clock.ts'
import { silentLogger } from '../runtime/logger.ts'
import { type StateNode, StoreError } from '../state-cluster/index.ts'
import { ResumingNode } from './resuming-node.ts'

/** Enough turns for what awaits nothing but promises. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
}

const diskFull = (): StoreError => new StoreError('disk_full', 'no space left', { isStoreIntact: true })

class World {
  readonly clock = new ManualClock()
  readonly trace: string[] = []
  readonly fatal: unknown[] = []
  space = true
  /** Reports a fault of the node that was opened last. */
  fail: (error: Error) => void = () => undefined
  openFault: Error | undefined

  resuming(): Promise<ResumingNode> {
    return ResumingNode.open({
      open: async (port, onFatal) => {
        if (this.openFault !== undefined) throw this.openFault
        const opened = port === 0 ? 7001 : port
        this.trace.push(`open ${opened}`)
        this.fail = onFatal
        return {
          address: { host: '127.0.0.1', port: opened },
          clusterId: 'martillo',
          close: async () => void this.trace.push('close'),
        } as StateNode
      },
      port: 0,
      dataDir: 'data',
      hasRoom: () => this.space,
      clock: this.clock,
      logger: silentLogger,
      onFatal: (error) => this.fatal.push(error),
    })
  }
}

describe('a state node whose disk is full', () => {
  test('DISK1 stops, and starts again at the same port when there is space', async () => {
    const world = new World()
    const resuming = await world.resuming()
    world.space = false
    world.fail(diskFull())
    await settle()
    expect(world.trace).toEqual(['open 7001', 'close'])
    expect(resuming.node).toBeUndefined()
    world.clock.advance(5_000)
    await settle()
    expect(resuming.node).toBeUndefined()
    world.space = true
    world.clock.advance(1_000)
    await settle()
    expect(world.trace).toEqual(['open 7001', 'close', 'open 7001'])
    expect(resuming.node?.address.port).toBe(7001)
    expect(world.fatal).toEqual([])
  })

  test('DISK1 any other fault ends the process, also at the next start', async () => {
    const other = new StoreError('corrupt', 'a bit differs', {})
    const first = new World()
    await first.resuming()
    first.fail(other)
    expect(first.fatal).toEqual([other])
    const second = new World()
    await second.resuming()
    second.fail(diskFull())
    await settle()
    second.openFault = other
    second.clock.advance(1_000)
    await settle()
    expect(second.fatal).toEqual([other])
    expect(second.clock.timerCount).toBe(0)
  })

  test('DISK1 a stop meanwhile opens nothing any more', async () => {
    const world = new World()
    const resuming = await world.resuming()
    world.fail(diskFull())
    await settle()
    await resuming.close()
    world.clock.advance(10_000)
    await settle()
    expect(world.trace).toEqual(['open 7001', 'close'])
    expect(world.clock.timerCount).toBe(0)
  })
})
