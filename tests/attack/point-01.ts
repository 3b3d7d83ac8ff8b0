/**
 * Pings without end from sockets that never read.
 *
 * Payloads are JSON but no frame of ours.
 *
 * Invariant: the house lives, and closes the sockets rather than answer without end. Source: RFC 6455, section 5.5.2.
 */
import { frameOf, opcodes, RawClient } from '../raw-client.ts'
import type { Attack } from './attack.ts'

const payloads = [
  '5',
  'null',
  '"x"',
  '[]',
  '{}',
  '{"serverTime":1,"auctionId":"a"}',
  '',
  '\u0000',
  'x'.repeat(125),
]
const pingsPerWrite = 1000
const writes = 3000

export const attack: Attack = {
  point: 1,
  title: 'pings without end from sockets that never read',
  async run(scene) {
    const house = await scene.house()
    const sent = await Promise.all(
      payloads.map(async (payload) => {
        const client = await RawClient.openWebSocket(house.url)
        scene.onEnd(() => client.destroy())
        client.pause()
        const pings = Buffer.concat(Array<Buffer>(pingsPerWrite).fill(frameOf(opcodes.ping, payload)))
        return (await client.flood(pings, writes)) * pingsPerWrite
      }),
    )
    scene.fact('pingsMost', Math.max(...sent))
    scene.holds('the house still answers', await scene.answers(`${house.url}/livez`))
    scene.holds(
      'every socket was cut off before all its pings were taken',
      Math.max(...sent) < writes * pingsPerWrite,
    )
  },
}
