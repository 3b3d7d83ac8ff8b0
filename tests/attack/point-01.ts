/**
 * Pings without end from sockets that never read.
 *
 * Payloads are JSON but no frame of ours.
 *
 * Invariant: the house lives, and closes the sockets rather than answer without end. Source: spec EDGE8, RATE12.
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
    const answered = await Promise.all(
      payloads.map(async (payload) => {
        const client = await RawClient.openWebSocket(house.url)
        scene.onEnd(() => client.destroy())
        client.pause()
        const pings = Buffer.concat(Array<Buffer>(pingsPerWrite).fill(frameOf(opcodes.ping, payload)))
        await client.flood(pings, writes)
        client.resume()
        await client.ended
        const wasRated = client.received.subarray(-30).includes(Buffer.from([4429 >> 8, 4429 & 255]))
        // A server that has waited long enough resets the connection, and the client does not get to read why.
        scene.holds(
          `a socket that pings ${JSON.stringify(payload)} without end is closed with 4429, or cut off`,
          wasRated || client.errorCode !== undefined,
        )
        return client.received.length / (payload.length + 2)
      }),
    )
    scene.fact('pingsSentByEach', pingsPerWrite * writes)
    scene.fact('pongsMost', Math.floor(Math.max(...answered)))
    scene.holds('the house still answers', await scene.answers(`${house.url}/livez`))
  },
}
