/**
 * The promise, on one machine: the house is killed with SIGKILL at random moments while bidders bid, and every
 * bid that was acknowledged is there once, in order, after every start. Bidders use the public client, half of
 * them on each subprotocol; what they received is compared with what the house answers afterwards.
 */
import { afterAll, expect, test } from 'vitest'
import { amountText } from '../clients/core/index.ts'
import type { BidEntry } from '../protocol/http-bodies.ts'
import type { AuctionId, RequestId } from '../protocol/ids.ts'
import { Random } from '../runtime/random.ts'
import { houseHttp, openSession, SeqRecorder } from './bidder.ts'
import { freePort, removeFolder, startHouse, temporaryFolder, until } from './processes.ts'

const kills = 20
const bidderCount = 6
const auctionCount = 3
const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000)

const dataDir = temporaryFolder()
const cleanUps: (() => unknown)[] = [() => removeFolder(dataDir)]
afterAll(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp()
})

interface Acknowledged {
  readonly auctionId: AuctionId
  readonly requestId: RequestId
  readonly bidder: number
  readonly seq: number
  readonly amount: number
}

test(`acknowledged bids survive ${kills} kills, in one order, without gap or repeat (seed ${seed})`, async () => {
  const random = new Random(seed)
  const port = await freePort()
  let house = await startHouse({ dataDir, port })
  cleanUps.push(() => house.stop('SIGKILL'))
  const operator = houseHttp(house.url, house.operatorToken())

  const auctions: AuctionId[] = []
  for (let at = 0; at < auctionCount; at++) {
    const terms = { title: `Lot ${at}`, tags: ['kill'], openingBid: 100, durationMs: 3_600_000 }
    auctions.push((await operator.createAuction(terms)).id)
  }
  const tokens: string[] = []
  for (let at = 0; at < bidderCount; at++) {
    tokens.push((await operator.registerBuyer({ name: `Bidder ${at}`, interests: [] })).token)
  }

  const acknowledged: Acknowledged[] = []
  const recorders: SeqRecorder[] = []
  const failures: unknown[] = []
  let isBidding = true
  const bidders = tokens.map(async (token, bidder) => {
    const session = openSession(house.url, token, bidder % 2 === 0 ? 'json' : 'msgpack')
    cleanUps.push(() => session.close())
    const asking = new Map<AuctionId, number>(auctions.map((auctionId) => [auctionId, 100]))
    for (const auctionId of auctions) {
      const recorder = new SeqRecorder()
      recorders.push(recorder)
      recorder.watch(session, auctionId)
    }
    for (let count = 0; isBidding; count++) {
      const auctionId = auctions[random.below(auctionCount)] as AuctionId
      const requestId = `bid-${bidder}-${count}` as RequestId
      const amount = (asking.get(auctionId) as number) + random.below(500)
      const outcome = await session.placeBid({ auctionId, amount, requestId })
      if (outcome.type === 'bid_accepted') {
        acknowledged.push({ auctionId, requestId, bidder, seq: outcome.seq, amount })
        asking.set(auctionId, outcome.askingBid)
      } else {
        asking.set(auctionId, outcome.askingBid ?? amount + 100)
        if (outcome.code !== 'bid_too_low' && outcome.code !== 'already_leading') failures.push(outcome)
      }
    }
  })

  /** Every page of an auction's history, as one bidder may see it. */
  const history = async (auctionId: AuctionId, bidder: number): Promise<BidEntry[]> => {
    const http = houseHttp(house.url, tokens[bidder])
    const bids: BidEntry[] = []
    for (let after: number | undefined = 0; after !== undefined; ) {
      const page: Awaited<ReturnType<typeof http.bids>> = await http.bids(auctionId, { after, limit: 500 })
      bids.push(...page.bids)
      after = page.next
    }
    return bids
  }

  /** Compares the house with what bidders received up to now. */
  const audit = async (): Promise<number> => {
    const known = acknowledged.slice()
    let count = 0
    for (const auctionId of auctions) {
      const own = await Promise.all(tokens.map((_, bidder) => history(auctionId, bidder)))
      const rows = own.at(-1) as BidEntry[]
      const seqs = rows.map((row) => row.seq)
      expect(seqs, 'the history is in order').toEqual([...new Set(seqs)].sort((a, b) => a - b))
      for (let at = 1; at < rows.length; at++) {
        expect((rows[at] as BidEntry).price).toBeGreaterThanOrEqual((rows[at - 1] as BidEntry).price)
      }
      for (const bid of known.filter((one) => one.auctionId === auctionId)) {
        const mine = (own[bid.bidder] as BidEntry[]).filter((row) => row.you?.requestId === bid.requestId)
        expect(mine, `${bid.requestId} of ${amountText(bid.amount, 'EUR')} is there once`).toHaveLength(1)
        expect(mine[0]).toMatchObject({ seq: bid.seq, you: { amount: bid.amount } })
        count++
      }
    }
    return count
  }

  for (let kill = 0; kill < kills; kill++) {
    const before = acknowledged.length
    await until('bids are acknowledged', () => acknowledged.length >= before + 10)
    // A moment somewhere within the next few batches, so that a kill meets every stage of a bid.
    await new Promise((resolve) => setTimeout(resolve, random.unit() * 30))
    await house.stop('SIGKILL')
    house = await startHouse({ dataDir, port })
    expect(await audit()).toBeGreaterThanOrEqual(before + 10)
  }

  isBidding = false
  await Promise.all(bidders)
  expect(failures).toEqual([])
  expect(await audit()).toBe(acknowledged.length)
  const last = new Map<AuctionId, number>()
  for (const auctionId of auctions) last.set(auctionId, (await operator.auction(auctionId)).seq)
  for (const [at, recorder] of recorders.entries()) {
    const auctionId = auctions[at % auctionCount] as AuctionId
    await until('every watcher has seen the last event', () => recorder.seen.at(-1) === last.get(auctionId))
    expect(recorder).toMatchObject({ gaps: 0, repeats: 0 })
  }
})
