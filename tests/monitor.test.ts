/**
 * Servers that die, hang and leave, with two monitors and real processes: auctions have another owner at once, the
 * bidders of a dead server continue, nothing closes while they could not bid, and a planned stop disturbs no bidder.
 */
import { randomUUID } from 'node:crypto'
import { afterEach, expect, test } from 'vitest'
import type { Session } from '../clients/core/index.ts'
import type { AuctionView } from '../protocol/auction-view.ts'
import type { AuctionId, RequestId } from '../protocol/ids.ts'
import { houseHttp, openSession, SeqRecorder } from './bidder.ts'
import { TestCluster } from './cluster.ts'
import { freePort, healthHeaders, martillo, until } from './processes.ts'
import type { Station } from './station.ts'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

const env: NodeJS.ProcessEnv = { MARTILLO_DRAIN_GRACE_MS: '1000', MARTILLO_HEARTBEAT_MS: '2000' }

/** On a machine that is busy with other things too, a server may say nothing for a while and live. */
const patient: NodeJS.ProcessEnv = { MARTILLO_MONITOR_SILENCE_MS: '10000' }

class Desk {
  readonly cluster: TestCluster
  readonly token: string

  constructor(cluster: TestCluster) {
    this.cluster = cluster
    this.token = cluster.operatorToken()
  }

  static async open(envOf?: (name: string) => NodeJS.ProcessEnv): Promise<Desk> {
    const cluster = await TestCluster.open({ monitors: 2, env, ...(envOf && { envOf }) })
    cleanUps.push(() => cluster.close())
    return new Desk(cluster)
  }

  server(at: number): Station {
    return this.cluster.servers[at] as Station
  }

  at(server: number) {
    return houseHttp(this.server(server).url, this.token)
  }

  /** Auctions that the server of this number owns. */
  async create(server: number, count: number, durationMs: number): Promise<AuctionId[]> {
    const made: AuctionId[] = []
    while (made.length < count) {
      const terms = { title: `Lot ${made.length}`, tags: [], openingBid: 100, durationMs }
      const { id, owner } = await this.at(server).createAuction(terms)
      if (owner === `server-${server + 1}`) made.push(id)
    }
    return made
  }

  async views(server: number, ids: readonly AuctionId[]): Promise<AuctionView[]> {
    return await Promise.all(ids.map((id) => this.at(server).auction(id)))
  }

  /** A bidder whose first connection is to the server of this number. */
  async bidder(server: number): Promise<Session> {
    const { token } = await this.at(server).registerBuyer({ name: 'Bidder', interests: [] })
    const urls = [this.server(server).url, this.server(1 - server).url] as const
    const session = openSession(urls[0], token, 'json', [urls[1]])
    cleanUps.push(() => session.close())
    await session.opened()
    return session
  }
}

test('MONITOR3, OUTAGE6: a killed server: its bidders go on elsewhere, its auctions are extended, none is lost', async () => {
  const desk = await Desk.open(() => patient)
  const near = await desk.create(0, 10, 10_000)
  const far = await desk.create(0, 10, 600_000)
  const bidder = await desk.bidder(0)
  const recorders = [near[0], far[0]].map((id) => {
    const recorder = new SeqRecorder()
    recorder.watch(bidder, id as AuctionId)
    return recorder
  })
  const acknowledged = new Map<AuctionId, string[]>()
  const bid = async (auctionId: AuctionId, amount: number): Promise<void> => {
    const requestId = randomUUID() as RequestId
    const outcome = await bidder.placeBid({ auctionId, amount, requestId })
    expect(outcome.type).toBe('bid_accepted')
    acknowledged.set(auctionId, [...(acknowledged.get(auctionId) ?? []), requestId])
  }
  for (const id of [...near, ...far]) await bid(id, 100)
  const closesAt = (await desk.views(0, near)).map((view) => view.closesAt)
  await until('the closes are near', () => Date.now() > Math.max(...closesAt) - 2_000)
  await desk.server(0).kill()
  // Bids that fall into the gap wait for the other server and count once.
  await Promise.all([...near, ...far].map((id) => bid(id, 500)))
  for (const view of await desk.views(1, [...near, ...far])) {
    expect(view).toMatchObject({ owner: 'server-2', status: 'open', bidCount: 2 })
    // A machine that is busy may add an outage of its own to that of the dead owner.
    if (near.includes(view.id)) expect(view.extensions).toBeGreaterThan(0)
    else expect(view.extensions).toBe(0)
  }
  const extended = (await desk.views(1, near)).map((view) => view.closesAt)
  for (const [at, time] of extended.entries()) expect(time - (closesAt[at] as number)).toBeGreaterThan(2_000)
  await until('all are sold', async () =>
    (await desk.views(1, near)).every(({ status }) => status === 'sold'),
  )
  for (const [auctionId, requests] of acknowledged) {
    const { bids } = await desk.at(1).bids(auctionId, { after: 0, limit: 100 })
    expect(bids).toHaveLength(requests.length)
  }
  for (const recorder of recorders) expect(recorder).toMatchObject({ gaps: 0, repeats: 0 })
})

test('WATCH7: with the acting monitor killed, the other one notices the next death', async () => {
  const desk = await Desk.open()
  const ids = await desk.create(0, 5, 600_000)
  const acting = desk.cluster.monitors.find(({ log }) => log.includes('monitor_acting')) as Station
  const standby = desk.cluster.monitors.find((one) => one !== acting) as Station
  await acting.kill()
  await desk.server(0).kill()
  await until('the standby handed them over', async () =>
    (await desk.views(1, ids)).every(({ owner }) => owner === 'server-2'),
  )
  await until('it says so', () => standby.log.includes('server_reassigned'))
})

test('OWNER8: a server that was only asleep cannot act on what it lost, and comes back as another', async () => {
  const desk = await Desk.open()
  const ids = await desk.create(0, 5, 600_000)
  desk.server(0).pause()
  await until('it is taken for dead', async () =>
    (await desk.views(1, ids)).every(({ owner, epoch }) => owner === 'server-2' && epoch === 2),
  )
  desk.server(0).resume()
  await until('it found out', () => desk.server(0).log.includes('conductor_fenced'))
  await until('it is live again', async () => {
    const { owner } = await desk
      .at(0)
      .createAuction({ title: 'Next', tags: [], openingBid: 100, durationMs: 600_000 })
    return owner === 'server-1'
  })
  for (const view of await desk.views(0, ids))
    expect(view).toMatchObject({ owner: 'server-2', status: 'open' })
})

test('OWNER6, CONDUCT8: a server that is stopped by plan hands over first; it is not taken for dead, and no bid is refused', async () => {
  const desk = await Desk.open(() => patient)
  const mine = await desk.create(0, 5, 600_000)
  const bidder = await desk.bidder(0)
  const recorder = new SeqRecorder()
  recorder.watch(bidder, mine[0] as AuctionId)
  for (const id of mine) await bidder.placeBid({ auctionId: id, amount: 100 })
  const stopped = desk.server(0).stop()
  for (let amount = 1_000; amount < 6_000; amount += 1_000) {
    for (const auctionId of mine) {
      const outcome = await bidder.placeBid({ auctionId, amount })
      expect(outcome.type).toBe('bid_accepted')
    }
  }
  expect(await stopped).toMatchObject({ code: 0 })
  for (const view of await desk.views(1, mine))
    expect(view).toMatchObject({ owner: 'server-2', epoch: 2, extensions: 0, bidCount: 6 })
  for (const monitor of desk.cluster.monitors) expect(monitor.log).not.toContain('server_reassigned')
  expect(recorder).toMatchObject({ gaps: 0, repeats: 0 })
})

test('WATCH11: a monitor says what it sees, on its page and on the command line', async () => {
  const port = await freePort()
  const desk = await Desk.open((name) => ({
    ...patient,
    ...(name === 'monitor-1' ? { MARTILLO_HEALTH_PORT: String(port) } : {}),
  }))
  await desk.create(0, 1, 600_000)
  const page = `http://127.0.0.1:${port}`
  await until('it lists the servers', async () =>
    (await (await fetch(page, { headers: healthHeaders })).text()).includes('server-2'),
  )
  expect((await fetch(page)).status).toBe(401)
  const unknown = await martillo(['monitor', 'status', '--page', page], { MARTILLO_HEALTH_TOKEN: '' })
  expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('asks for its health token') })
  const status = await martillo(['monitor', 'status', '--page', page])
  expect(status.stdout).toMatch(/server-1 {2}live {2}epoch 1 {2}up {2}1 auctions/)
  const json = await martillo(['monitor', 'status', '--page', page, '--json'])
  expect(JSON.parse(json.stdout)).toMatchObject({ groups: [{ groupId: 0 }], cluster: { ready: true } })
  expect(await martillo(['monitor', 'status', '--page', 'http://127.0.0.1:9'])).toMatchObject({ code: 3 })
})
