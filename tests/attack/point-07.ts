/**
 * Slow bodies, unfinished messages, unread answers and large listings of one address.
 *
 * Invariant: they take what belongs to their address and no more; probes and the operator are served meanwhile, and
 * memory stays within the bounds of docs/spec.md. Source: spec RATE8, RATE13, EDGE15, HTTP18.
 */
import { call, type House } from '../processes.ts'
import { frameOf, opcodes, RawClient } from '../raw-client.ts'
import type { Attack, Scene } from './attack.ts'

/** More than one address may have at once. */
const slowBodies = 2200
const unfinishedSockets = 500
const fragmentBytes = 16 * 1024
const fragments = 64
const auctions = 200

async function sendSlowBodies(scene: Scene, house: House): Promise<void> {
  const head =
    'POST /buyers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{'
  const clients: RawClient[] = []
  for (let at = 0; at < slowBodies; at += 1) {
    const client = await RawClient.open(house.url)
    client.write(head)
    clients.push(client)
  }
  const stranger = await call(house.url, 'GET', '/auctions')
  scene.fact('strangerStatus', stranger.status)
  scene.holds('the address of the slow bodies has no slot left', stranger.status === 503)
  for (const probe of ['/livez', '/readyz', '/up'])
    scene.holds(`${probe} answers meanwhile`, await scene.answers(house.url + probe, 2000))
  const operator = await call(house.url, 'GET', '/auctions', { token: house.operatorToken() })
  scene.holds('the operator is served meanwhile', operator.status === 200)
  for (const client of clients) client.destroy()
}

async function leaveMessagesUnfinished(scene: Scene, house: House): Promise<void> {
  const before = scene.memoryMiB
  const clients = await Promise.all(
    Array.from({ length: unfinishedSockets }, () => RawClient.openWebSocket(house.url)),
  )
  const fragment = Buffer.alloc(fragmentBytes, 'x')
  for (const client of clients) {
    client.write(frameOf(opcodes.text, fragment, { isFinal: false }))
    await client.flood(frameOf(opcodes.continuation, fragment, { isFinal: false }), fragments - 1)
  }
  const grown = scene.memoryMiB - before
  scene.fact('unfinishedGrownMiB', grown)
  scene.holds('unfinished messages of 1 MiB take at most 64 KiB a socket and what goes with it', grown < 150)
  for (const client of clients) client.destroy()
}

async function listLargeItems(scene: Scene, house: House): Promise<void> {
  const token = house.operatorToken()
  for (let at = 0; at < auctions; at += 1)
    await call(house.url, 'POST', '/auctions', {
      token,
      body: {
        title: 'A clock',
        tags: [],
        openingBid: 100,
        durationMs: 600_000,
        item: { text: 'x'.repeat(8000) },
      },
    })
  const response = await fetch(`${house.url}/auctions?limit=1000`)
  const { length } = await response.text()
  scene.fact('listingKiB', Math.round(length / 1024))
  scene.holds('a listing has no items', length < auctions * 2000)
}

/** Requests without end from connections that never read. */
async function askWithoutReading(scene: Scene, house: House): Promise<void> {
  const before = scene.memoryMiB
  const requests = Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1000))
  const clients = await Promise.all(Array.from({ length: 40 }, () => RawClient.open(house.url)))
  for (const client of clients) client.pause()
  const floods = clients.map((client) => client.flood(requests, 50))
  scene.holds(
    'others are answered while 40 connections ask without reading',
    await scene.answers(`${house.url}/livez`),
  )
  await Promise.all(floods)
  const grown = scene.memoryMiB - before
  scene.fact('unreadGrownMiB', grown)
  scene.holds('answers that nobody reads do not fill the memory', grown < 300)
  for (const client of clients) client.destroy()
}

export const attack: Attack = {
  point: 7,
  title: 'slow bodies, unfinished messages, unread answers and large listings of one address',
  async run(scene) {
    const house = await scene.house()
    await sendSlowBodies(scene, house)
    await leaveMessagesUnfinished(scene, house)
    await askWithoutReading(scene, house)
    await listLargeItems(scene, house)
    scene.holds('the house still answers', await scene.answers(`${house.url}/livez`))
  },
}
