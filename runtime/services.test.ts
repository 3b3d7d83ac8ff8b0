import { describe, expect, test } from 'vitest'
import { ManualClock } from './clock.ts'
import { silentLogger } from './logger.ts'
import { DeadlineError, type Service, startServices, withDeadline } from './services.ts'

function sample(name: string, trace: string[], parts: Partial<Service<string>> = {}): Service<string> {
  return {
    name,
    startDeadlineMs: 100,
    stopDeadlineMs: 100,
    async start() {
      trace.push(`+${name}`)
      return name.toUpperCase()
    },
    async stop(value) {
      trace.push(`-${value}`)
    },
    ...parts,
  }
}

const never = new Promise<never>(() => undefined)

describe('services', () => {
  const context = () => ({ clock: new ManualClock(), logger: silentLogger })

  test('SERVICE1 they start in order, each with those before it, and stop in the reverse order, once', async () => {
    const trace: string[] = []
    const running = await startServices(context(), async (start) => {
      const first = await start(sample('a', trace))
      const second = await start(sample(`${first}b`, trace))
      return { first, second }
    })
    expect(running.started).toEqual({ first: 'A', second: 'AB' })
    expect(trace).toEqual(['+a', '+Ab'])
    const stops = await Promise.all([running.stop(), running.stop()])
    expect(stops).toEqual([[], []])
    expect(trace).toEqual(['+a', '+Ab', '-AB', '-A'])
  })

  test('SERVICE2 a start that fails stops what had started and is passed on', async () => {
    const trace: string[] = []
    const broken = sample('b', trace, { start: () => Promise.reject(new Error('no port')) })
    const starting = startServices(context(), async (start) => {
      await start(sample('a', trace))
      await start(broken)
      await start(sample('c', trace))
    })
    await expect(starting).rejects.toThrow('no port')
    expect(trace).toEqual(['+a', '-A'])
    const between = startServices(context(), async (start) => {
      await start(sample('d', trace))
      throw new Error('no sense')
    })
    await expect(between).rejects.toThrow('no sense')
    expect(trace).toEqual(['+a', '-A', '+d', '-D'])
  })

  test('SERVICE3 a start beyond its deadline fails, and is stopped when it ends all the same', async () => {
    const trace: string[] = []
    const parts = context()
    let end = (_: string): void => undefined
    const slow = new Promise<string>((resolve) => {
      end = resolve
    })
    const starting = startServices(parts, (start) => start(sample('slow', trace, { start: () => slow })))
    parts.clock.advance(101)
    await expect(starting).rejects.toBeInstanceOf(DeadlineError)
    expect(trace).toEqual([])
    end('SLOW')
    await slow
    await Promise.resolve()
    expect(trace).toEqual(['-SLOW'])
  })

  test('SERVICE4 a service that does not stop is reported; the others stop', async () => {
    const trace: string[] = []
    const parts = context()
    const running = await startServices(parts, async (start) => {
      await start(sample('a', trace))
      await start(sample('angry', trace, { stop: () => Promise.reject(new Error('in use')) }))
      await start(sample('stuck', trace, { stop: () => never }))
    })
    const stopping = running.stop()
    parts.clock.advance(101)
    const faults = await stopping
    expect(faults.map(({ message }) => message)).toEqual(['stopping stuck took longer than 100 ms', 'in use'])
    expect(trace).toContain('-A')
  })

  test('SERVICE5 work within its deadline leaves no timer', async () => {
    const clock = new ManualClock()
    const work = Promise.resolve(7)
    expect(await withDeadline({ work, deadlineMs: 10, what: 'work', clock })).toBe(7)
    expect(clock.timerCount).toBe(0)
  })
})
