import { describe, expect, test } from 'vitest'
import { ManualClock } from './clock.ts'
import { silentLogger } from './logger.ts'
import { DeadlineError, type Service, startServices, withDeadline } from './services.ts'

function sample(name: string, trace: string[], parts: Partial<Service> = {}): Service {
  return {
    name,
    startDeadlineMs: 100,
    stopDeadlineMs: 100,
    async start() {
      trace.push(`+${name}`)
    },
    async stop() {
      trace.push(`-${name}`)
    },
    ...parts,
  }
}

const never = new Promise<never>(() => undefined)

describe('services', () => {
  const context = () => ({ clock: new ManualClock(), logger: silentLogger })

  test('SERVICE1 they start in order and stop in the reverse order, once', async () => {
    const trace: string[] = []
    const running = await startServices([sample('a', trace), sample('b', trace)], context())
    expect(trace).toEqual(['+a', '+b'])
    const stops = await Promise.all([running.stop(), running.stop()])
    expect(stops).toEqual([[], []])
    expect(trace).toEqual(['+a', '+b', '-b', '-a'])
  })

  test('SERVICE2 a start that fails stops what had started and is passed on', async () => {
    const trace: string[] = []
    const broken = sample('b', trace, { start: () => Promise.reject(new Error('no port')) })
    const starting = startServices([sample('a', trace), broken, sample('c', trace)], context())
    await expect(starting).rejects.toThrow('no port')
    expect(trace).toEqual(['+a', '-b', '-a'])
  })

  test('SERVICE3 a start beyond its deadline fails', async () => {
    const trace: string[] = []
    const parts = context()
    const starting = startServices([sample('slow', trace, { start: () => never })], parts)
    parts.clock.advance(101)
    await expect(starting).rejects.toBeInstanceOf(DeadlineError)
  })

  test('SERVICE4 a service that will not stop is left behind and named; the others stop', async () => {
    const trace: string[] = []
    const parts = context()
    const stuck = sample('stuck', trace, { stop: () => never })
    const angry = sample('angry', trace, { stop: () => Promise.reject(new Error('in use')) })
    const running = await startServices([sample('a', trace), angry, stuck], parts)
    const stopping = running.stop()
    parts.clock.advance(101)
    const faults = await stopping
    expect(faults.map(({ message }) => message)).toEqual(['stopping stuck took longer than 100 ms', 'in use'])
    expect(trace).toContain('-a')
  })

  test('SERVICE5 work within its deadline leaves no timer behind', async () => {
    const clock = new ManualClock()
    expect(await withDeadline(Promise.resolve(7), 10, 'work', clock)).toBe(7)
    expect(clock.timerCount).toBe(0)
  })
})
