/**
 * A house on a machine where uWebSockets.js does not load.
 *
 * Invariant: it starts, says once in its log what that costs, and sells. Source: spec EDGE1.
 */
import { call } from '../processes.ts'
import { opcodes, RawClient } from '../raw-client.ts'
import type { Attack } from './attack.ts'

/** Loaded before everything else: the modules of uWebSockets.js are not to be had. */
const hooks = `export async function resolve(specifier, context, next) {
  if (specifier.startsWith('uws-')) throw new Error('GLIBC_2.38 not found')
  return next(specifier, context)
}`
const registering = `import { register } from 'node:module'; register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hooks)}`)})`

export const attack: Attack = {
  point: 29,
  title: 'a machine on which uWebSockets.js does not load',
  async run(scene) {
    const house = await scene.house({
      env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(registering)}` },
    })
    const token = house.operatorToken()
    const created = await call(house.url, 'POST', '/auctions', {
      token,
      body: { title: 'A clock', tags: [], openingBid: 100, durationMs: 60_000 },
    })
    scene.holds('an auction is created', created.status === 201)
    const socket = await RawClient.openWebSocket(house.url)
    scene.onEnd(() => socket.destroy())
    socket.frame(opcodes.text, JSON.stringify({ type: 'subscribe', id: 1, auctionId: created.body['id'] }))
    await socket.until((text) => text.includes('"type":"subscribed"'))
    const { stderr } = await house.stop()
    const warnings = stderr.split('\n').filter((line) => line.includes('slow_carrier'))
    scene.fact('warnings', warnings.length)
    scene.holds('one line warns of it', warnings.length === 1)
    scene.holds('it says why', warnings[0]?.includes('GLIBC_2.38 not found') === true)
  },
}
