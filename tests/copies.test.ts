/**
 * Copies of real nodes: a backup of a node that takes bids, restored as a house and compared with what was there;
 * and the last resort, one folder that continues alone when the majority is lost permanently.
 */
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { AuctionId, RequestId } from '../protocol/ids.ts'
import { houseHttp, openSession } from './bidder.ts'
import { TestCluster } from './cluster.ts'
import { martillo, startHouse } from './processes.ts'
import type { Station } from './station.ts'

const cleanUps: (() => unknown)[] = []
afterAll(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp()
})

const env = { MARTILLO_BIDS_PER_SECOND: '100000', MARTILLO_BIDS_BURST: '100000', MARTILLO_LOG_LEVEL: 'warn' }

async function withBids(cluster: TestCluster, count: number): Promise<AuctionId> {
  const url = (cluster.servers[0] as Station).url
  const operator = houseHttp(url, cluster.operatorToken())
  const terms = { title: 'A copy', tags: [], openingBid: 100, durationMs: 3_600_000 }
  const { id } = await operator.createAuction(terms)
  const { token } = await operator.registerBuyer({ name: 'Anna', interests: [] })
  const session = openSession(url, token, 'json')
  for (let at = 0; at < count; at++) {
    const bid = { auctionId: id, amount: 1_000 + at * 100, requestId: `bid-${at}` as RequestId }
    expect(await session.placeBid(bid)).toMatchObject({ type: 'bid_accepted' })
  }
  session.close()
  return id
}

describe('copies of the state', () => {
  test('BACKUP1 and BACKUP2: a backup of a running node becomes a house with the same history; a damaged one is refused', async () => {
    const cluster = await TestCluster.open({ nodes: 1, servers: 1, env })
    cleanUps.push(() => cluster.close())
    const id = await withBids(cluster, 300)
    const url = (cluster.servers[0] as Station).url
    const bids = await houseHttp(url).bids(id, { after: 0, limit: 500 })
    const folder = join(cluster.folder, 'backups')
    const health = (cluster.nodes[0] as Station).healthUrl as string
    const made = await martillo(['state', 'backup', folder, '--health', health, '--json'])
    expect(made).toMatchObject({ code: 0 })
    const { path } = JSON.parse(made.stdout) as { path: string }
    expect(readdirSync(folder)).toHaveLength(1)

    const dataDir = join(cluster.folder, 'restored')
    const restore = (file: string, to: string, name = 'restored') =>
      martillo(['state', 'restore', file, '--data', to, '--cluster', name, '--json'])
    const restored = await restore(path, dataDir)
    expect(restored).toMatchObject({ code: 0 })
    expect(restored.stdout).toContain('"event":"restored"')
    const house = await startHouse({ dataDir })
    cleanUps.push(() => house.stop('SIGKILL'))
    expect((await houseHttp(house.url).bids(id, { after: 0, limit: 500 })).bids).toEqual(bids.bids)

    const again = await restore(path, dataDir)
    expect(again.code, 'nothing is overwritten').toBe(1)
    const same = await restore(path, join(cluster.folder, 'same'), 'martillo')
    expect(same.stderr).toContain('another name')
    const bytes = readFileSync(path)
    const damaged = join(folder, 'damaged')
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1
    writeFileSync(damaged, bytes)
    expect((await restore(damaged, join(cluster.folder, 'from-damaged'))).code).toBe(1)
    truncateSync(path, bytes.length - 20)
    const cut = await restore(path, join(cluster.folder, 'from-cut'))
    expect(cut.code).toBe(1)
    expect(cut.stderr).toContain('backup')
  })

  test('MEMBER5: when the majority is lost permanently, one folder continues alone, under another name', async () => {
    const cluster = await TestCluster.open({ nodes: 3, servers: 1, env })
    cleanUps.push(() => cluster.close())
    const id = await withBids(cluster, 50)
    await cluster.untilEqual()
    const [left, ...gone] = cluster.nodes as [Station, Station, Station]
    const server = cluster.servers[0] as Station
    for (const node of [...gone, left, server]) await node.kill()
    const recover = (...more: string[]) =>
      martillo(['state', 'recover', '--data', left.dataDir, '--cluster', 'rescued', ...more])
    const hasty = await recover()
    expect(hasty.code).toBe(2)
    expect(hasty.stderr).toContain('--accept-loss')
    const recovered = await recover('--accept-loss', '--json')
    expect(recovered).toMatchObject({ code: 0 })
    expect(recovered.stdout).toContain('"event":"recovered"')
    await expect(left.start()).rejects.toThrow('belongs to cluster')
    await left.start({ MARTILLO_CLUSTER: 'rescued', MARTILLO_MEMBERS: `1=127.0.0.1:${left.port}` })
    await server.start()
    const view = await houseHttp(server.url).auction(id)
    expect(view).toMatchObject({ bidCount: 50, status: 'open' })
    await withBids(cluster, 5)
  })
})
