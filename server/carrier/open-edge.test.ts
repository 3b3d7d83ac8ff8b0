import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../runtime/clock.ts'
import { TestHouse } from '../testing/test-server.ts'
import { type CarrierChoice, openEdge } from './open-edge.ts'
import type { Edge, EdgeHandlers, EdgeOptions } from './socket.ts'
import { EdgeUnavailableError, loadNative } from './uws.ts'

const options: EdgeOptions = {
  host: '127.0.0.1',
  port: 0,
  socketPath: '/ws',
  messageBytesMax: 1024,
  bufferedBytesMax: 4096,
  idleTimeoutSeconds: 60,
  messageTimeoutMs: 10_000,
  clock: systemClock,
}
const handlers: EdgeHandlers<string> = {
  http: () => ({ status: 200, headers: {}, body: 'fine' }),
  upgrade: () => ({ accept: true, subprotocol: '', session: 's' }),
  open: () => undefined,
  message: () => undefined,
  drain: () => undefined,
  dropped: () => undefined,
  ping: () => undefined,
  pong: () => undefined,
  close: () => undefined,
  fault: () => undefined,
}
const fails: CarrierChoice['load'] = () =>
  Promise.reject(new EdgeUnavailableError('uWebSockets.js does not load: GLIBC_2.38 not found'))

let edge: Edge | undefined
afterEach(() => edge?.close())

test('EDGE1 where uWebSockets.js does not load the other carrier is taken, with a warning of why and of its cost', async () => {
  const warnings: unknown[] = []
  const warn = (cost: unknown): void => void warnings.push(cost)
  edge = await openEdge({ carrier: 'auto', warn, load: fails }, options, handlers)
  expect(edge.carrier).toBe('node')
  expect(await (await fetch(`http://127.0.0.1:${edge.port}/`)).text()).toBe('fine')
  expect(warnings).toEqual([
    {
      reason: 'uWebSockets.js does not load: GLIBC_2.38 not found',
      cost: expect.stringContaining('processor time'),
    },
  ])
})

test('EDGE1 where it loads it is taken, without a warning', async () => {
  const warnings: unknown[] = []
  edge = await openEdge({ carrier: 'auto', warn: (cost) => warnings.push(cost) }, options, handlers)
  expect(edge.carrier).toBe('uws')
  expect(warnings).toEqual([])
})

test('EDGE1 a carrier that is named is taken or refused, never replaced', async () => {
  const warn = (): void => undefined
  await expect(openEdge({ carrier: 'uws', warn, load: fails }, options, handlers)).rejects.toBeInstanceOf(
    EdgeUnavailableError,
  )
  const load = (): never => {
    throw new Error('not to be loaded')
  }
  edge = await openEdge({ carrier: 'node', warn, load }, options, handlers)
  expect(edge.carrier).toBe('node')
  // A fault of another kind is no reason for another carrier.
  const broken = (): Promise<never> => Promise.reject(new TypeError('a fault of ours'))
  await expect(openEdge({ carrier: 'auto', warn, load: broken }, options, handlers)).rejects.toThrow(
    'a fault',
  )
})

test('EDGE1 a server says in one line of its log that the slower carrier is taken, and which it has', async () => {
  const house = await TestHouse.open({ settings: { carrier: 'node' } })
  expect((await house.ask('/up')).status).toBe(200)
  const warnings = house.logLines.filter((line) => line.includes('slow_carrier'))
  expect(warnings).toHaveLength(1)
  expect(JSON.parse(warnings[0] as string)).toMatchObject({ level: 'warn', reason: 'it is set' })
  expect(house.logLines.find((line) => line.includes('server_listening'))).toContain('"carrier":"node"')
  await house.close()
  const fast = await TestHouse.open({ settings: { carrier: 'auto' } })
  expect(fast.logLines.filter((line) => line.includes('slow_carrier'))).toEqual([])
  expect(await loadNative()).toHaveProperty('App')
  await fast.close()
})
