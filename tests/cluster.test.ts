/**
 * Three state nodes and a server as real processes: the leader is killed with SIGKILL while bidders bid, comes
 * back, and every acknowledged bid is there once, in one order; afterwards all nodes hold the same.
 */
import { afterAll, expect, test } from 'vitest'
import type { BidEntry } from '../protocol/http-bodies.ts'
import type { AuctionId, RequestId } from '../protocol/ids.ts'
import { Random } from '../runtime/random.ts'
import { houseHttp, openSession, SeqRecorder } from './bidder.ts'
import { TestCluster } from './cluster.ts'
import { until } from './processes.ts'
import type { Station } from './station.ts'

const kills = 5
const bidderCount = 4
const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000)

const cleanUps: (() => unknown)[] = []
afterAll(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp()
})

test(`NODE1 and NODE2: acknowledged bids survive ${kills} kills of the leader, once and in one order (seed ${seed})`, async () => {
  const random = new Random(seed)
  const cluster = await TestCluster.open({
    nodes: 3,
    servers: 1,
    env: { MARTILLO_BIDS_PER_SECOND: '100000', MARTILLO_BIDS_BURST: '100000', MARTILLO_LOG_LEVEL: 'warn' },
  })
  cleanUps.push(() => cluster.close())
  const url = (cluster.servers[0] as Station).url
  const operator = houseHttp(url, cluster.operatorToken())
  const terms = { title: 'A ship', tags: ['cluster'], openingBid: 100, durationMs: 3_600_000 }
  const auctionId: AuctionId = (await operator.createAuction(terms)).id
  const tokens: string[] = []
  for (let at = 0; at < bidderCount; at++) {
    tokens.push((await operator.registerBuyer({ name: `Bidder ${at}`, interests: [] })).token)
  }

  const acknowledged: { bidder: number; requestId: RequestId; seq: number; amount: number }[] = []
  const refusals: unknown[] = []
  const recorders: SeqRecorder[] = []
  let isBidding = true
  const bidders = tokens.map(async (token, bidder) => {
    const session = openSession(url, token, bidder % 2 === 0 ? 'json' : 'msgpack')
    cleanUps.push(() => session.close())
    const recorder = new SeqRecorder()
    recorders.push(recorder)
    recorder.watch(session, auctionId)
    let asking = 100
    for (let count = 0; isBidding; count++) {
      const requestId = `bid-${bidder}-${count}` as RequestId
      const amount = asking + random.below(500)
      const outcome = await session.placeBid({ auctionId, amount, requestId })
      if (outcome.type === 'bid_accepted') {
        acknowledged.push({ bidder, requestId, seq: outcome.seq, amount })
        asking = outcome.askingBid
      } else {
        asking = outcome.askingBid ?? amount + 100
        if (outcome.code !== 'bid_too_low' && outcome.code !== 'already_leading') refusals.push(outcome)
      }
    }
  })

  for (let kill = 0; kill < kills; kill++) {
    const before = acknowledged.length
    await until('bids are acknowledged', () => acknowledged.length >= before + 20)
    await new Promise((resolve) => setTimeout(resolve, random.unit() * 30))
    let leader: Station | undefined
    await until('a node leads', async () => {
      leader = await cluster.leader()
      return leader !== undefined
    })
    await (leader as Station).kill()
    const atKill = acknowledged.length
    await until('the other two go on', () => acknowledged.length >= atKill + 5)
    await (leader as Station).start()
  }
  isBidding = false
  await Promise.all(bidders)

  expect(refusals).toEqual([])
  await cluster.untilEqual()
  const rows: BidEntry[][] = []
  for (const token of tokens) {
    const http = houseHttp(url, token)
    const own: BidEntry[] = []
    for (let after: number | undefined = 0; after !== undefined; ) {
      const page: Awaited<ReturnType<typeof http.bids>> = await http.bids(auctionId, { after, limit: 500 })
      own.push(...page.bids)
      after = page.next
    }
    rows.push(own)
  }
  const seqs = (rows[0] as BidEntry[]).map(({ seq }) => seq)
  expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b))
  for (const bid of acknowledged) {
    const mine = (rows[bid.bidder] as BidEntry[]).filter(({ you }) => you?.requestId === bid.requestId)
    expect(mine, `${bid.requestId} is there once`).toHaveLength(1)
    expect(mine[0]).toMatchObject({ seq: bid.seq, you: { amount: bid.amount } })
  }
  const { seq: last } = await operator.auction(auctionId)
  for (const recorder of recorders) {
    await until('every watcher has seen the last event', () => recorder.seen.at(-1) === last)
    expect(recorder).toMatchObject({ gaps: 0, repeats: 0 })
  }
})
