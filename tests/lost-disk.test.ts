/**
 * Real nodes whose data folder is lost or damaged: the node does not take part with what it has left, says what to do
 * and ends; the other two go on; one command and a start bring it back with the state that they have.
 */
import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { AuctionId, RequestId } from '../protocol/ids.ts'
import { houseHttp, openSession } from './bidder.ts'
import { TestCluster } from './cluster.ts'
import { martillo, until } from './processes.ts'
import type { Station } from './station.ts'

const cleanUps: (() => unknown)[] = []
afterAll(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp()
})

const env = { MARTILLO_BIDS_PER_SECOND: '100000', MARTILLO_BIDS_BURST: '100000', MARTILLO_LOG_LEVEL: 'warn' }
const title = 'A barometer of 1790'

interface Bidding {
  readonly cluster: TestCluster
  readonly auctionId: AuctionId
  readonly third: Station
  bids(count: number): Promise<void>
}

/** Three nodes, a server, an auction with some bids. */
async function begin(): Promise<Bidding> {
  const cluster = await TestCluster.open({ nodes: 3, servers: 1, env })
  cleanUps.push(() => cluster.close())
  const url = (cluster.servers[0] as Station).url
  const operator = houseHttp(url, cluster.operatorToken())
  const terms = { title, tags: [], openingBid: 100, durationMs: 3_600_000 }
  const { id: auctionId } = await operator.createAuction(terms)
  const { token } = await operator.registerBuyer({ name: 'Anna', interests: [] })
  const session = openSession(url, token, 'json')
  cleanUps.push(() => session.close())
  let made = 0
  const bids = async (count: number): Promise<void> => {
    for (const end = made + count; made < end; made++) {
      const bid = { auctionId, amount: 1_000 + made * 100, requestId: `bid-${made}` as RequestId }
      expect(await session.placeBid(bid)).toMatchObject({ type: 'bid_accepted' })
    }
  }
  await bids(20)
  const third = cluster.nodes[2] as Station
  return { cluster, auctionId, third, bids }
}

/** The command that the node named when it ended, given. */
async function rebuild({ cluster, third }: Bidding, said: string): Promise<void> {
  const others = cluster.nodes.slice(0, 2).map(({ port }) => `127.0.0.1:${port}`)
  const args = ['rebuild', '3', '--data', third.dataDir, '--state', others.join(',')]
  expect(said).toContain(`martillo state ${args.join(' ')}`)
  const rebuilt = await martillo(['state', ...args])
  expect(rebuilt).toMatchObject({ code: 0 })
  expect(rebuilt.stderr).toContain('start node 3 again')
}

/** It votes, and holds what the others hold. */
async function isBack({ cluster, third, bids, auctionId }: Bidding, bidCount: number): Promise<void> {
  await third.start()
  await until('the third votes', async () => {
    const status = await cluster.statusOf(third)
    return status?.groups[0]?.members.find(({ nodeId }) => nodeId === 3)?.role === 'voter'
  })
  await bids(5)
  await cluster.untilEqual()
  // With the first gone, nothing is acknowledged without the third.
  await (cluster.nodes[0] as Station).kill()
  await bids(5)
  const url = (cluster.servers[0] as Station).url
  expect(await houseHttp(url).auction(auctionId)).toMatchObject({ bidCount: bidCount + 10 })
}

describe('a state node without its data', () => {
  test('IDENT3 and REBUILD1: a lost folder: the node refuses to go on with an empty one, and is rebuilt from the others', async () => {
    const bidding = await begin()
    const { cluster, third, bids } = bidding
    await third.kill()
    rmSync(third.dataDir, { recursive: true })
    await bids(10)
    await third.start().catch(() => undefined)
    const { code, stderr } = await third.ended()
    expect(code).toBe(1)
    expect(stderr).toContain('the other nodes know node 3 with another data folder')
    await bids(10)
    await cluster.untilEqual(cluster.nodes.filter(({ isRunning }) => isRunning))
    await rebuild(bidding, stderr)
    await bids(10)
    await isBack(bidding, 50)
  })

  test('STORE6 and REBUILD1: bits flipped on the disk: the node does not serve them, and is rebuilt from the others', async () => {
    const bidding = await begin()
    const { cluster, third, bids } = bidding
    const early = await martillo([
      ...['state', 'rebuild', '3', '--data', third.dataDir, '--state', cluster.stateNodes],
    ])
    expect(early.code, 'not while the node runs').toBe(1)
    expect(early.stderr).toContain('in use')
    expect((await cluster.statusOf(third))?.groups[0]?.members).toHaveLength(3)
    await third.stop()
    await bids(10)
    expect(flip(join(third.dataDir, 'state/data.mdb'), title)).toBeGreaterThan(0)
    await expect(third.start()).rejects.toThrow('is damaged')
    const { code, stderr } = await third.ended()
    expect(code).toBe(1)
    expect(stderr).toContain('its checksum does not match')
    await bids(10)
    await rebuild(bidding, stderr)
    await bids(10)
    await isBack(bidding, 50)
  })

  test('STORE19, STORE20 and REBUILD1: a data file cut short, then emptied: each ends with a line, and the node is rebuilt', async () => {
    const bidding = await begin()
    const { third, bids } = bidding
    await third.kill()
    const file = join(third.dataDir, 'state/data.mdb')
    let said = ''
    for (const [bytes, how] of [
      [statSync(file).size >> 1, 'is cut short'],
      [0, 'is empty'],
    ] as const) {
      truncateSync(file, bytes)
      await bids(10)
      await third.start().catch(() => undefined)
      const { code, signal, stderr } = await third.ended()
      expect([code, signal]).toEqual([1, null])
      expect(stderr).toContain(`${file} ${how}`)
      said = stderr
    }
    await rebuild(bidding, said)
    await bids(10)
    await isBack(bidding, 50)
  })
})

/** Flips one bit of each occurrence of a text in a file; returns how many there were. */
function flip(file: string, text: string): number {
  const bytes = readFileSync(file)
  let count = 0
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1), count++) {
    const middle = at + (text.length >> 1)
    bytes[middle] = (bytes[middle] as number) ^ 0x10
  }
  writeFileSync(file, bytes)
  return count
}
