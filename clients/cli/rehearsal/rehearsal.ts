/**
 * Runs a recorded sale through a house and compares the outcome.
 * Each auction is created, its bids are placed in order by their bidders, and it is closed. Invariant: auctions run
 * concurrently; a bid of one auction is sent after the answer to the one before. A refused bid is counted, not
 * repeated.
 */
import { randomUUID } from 'node:crypto'
import type { AuctionView } from '../../../protocol/auction-view.ts'
import type { AuctionId, SubjectId } from '../../../protocol/ids.ts'
import { durationMsMax, pageLimitMax, titleLengthMax } from '../../../protocol/limits.ts'
import type { Amount } from '../../../protocol/money.ts'
import type { HouseHttp } from '../../core/index.ts'
import type { Target } from '../target.ts'
import { clip, plain } from '../text.ts'
import { Bidders } from './bidders.ts'
import type { RecordedAuction, RecordedBid } from './recorded-sale.ts'

/** `hidden_reserve`: the winner's maximum is the recorded price, which a reserve must have lifted it to. */
export type Difference = 'hidden_reserve' | 'differs'

export interface AuctionResult {
  readonly recorded: RecordedAuction
  readonly auctionId: AuctionId
  /** Absent: nobody won it. */
  readonly price?: Amount
  readonly winner?: string
  /** Absent: winner and price are the recorded ones. */
  readonly difference?: Difference
  readonly bidsAccepted: number
  /** Lawful refusals, by code. */
  readonly bidsRefused: Readonly<Record<string, number>>
}

export interface RehearsalOptions {
  readonly target: Target
  readonly operatorToken: string
  readonly currency: string
  /** Auctions side by side. */
  readonly concurrency: number
  readonly signal: AbortSignal
  readonly onBid: () => void
  readonly onAuction: (result: AuctionResult) => void
}

/** Waits of up to 15 s each, growing from a quarter of one. */
const unreachableRepeatsMax = 10
const sellerTtlSeconds = 7 * 24 * 60 * 60

/** What the house took of one auction's bids. */
interface Placed {
  /** Who made the bid of each event. */
  readonly bidderOfSeq: ReadonlyMap<number, string>
  /** The highest amount that each bidder was taken at. */
  readonly maximumOf: ReadonlyMap<string, Amount>
  readonly refused: Readonly<Record<string, number>>
}

/** Resolves when all auctions have run, or early when the signal says stop. Returns how many bidders took part. */
export async function rehearse(sale: readonly RecordedAuction[], options: RehearsalOptions): Promise<number> {
  const bidders = new Bidders(options.target, options.operatorToken, unreachableRepeatsMax)
  // An unreachable house fails here at once; a restart later on is waited for.
  await options.target.http(options.operatorToken).auctions({ limit: 1 })
  const waiting = sale.values()
  const runSome = async (): Promise<void> => {
    const http = await sellerOf(options)
    for (const recorded of waiting) {
      if (options.signal.aborted) return
      options.onAuction(await rehearseOne(recorded, http, bidders, options))
    }
  }
  try {
    await Promise.all(Array.from({ length: Math.min(options.concurrency, sale.length) }, runSome))
  } finally {
    bidders.close()
  }
  return bidders.size
}

/**
 * A seller for one row of auctions. Each row has its own, so that between a request and its retry no others of
 * the same subject crowd it out of the house's memory of requests.
 */
async function sellerOf({ target, operatorToken }: RehearsalOptions): Promise<HouseHttp> {
  const operator = target.http(operatorToken, { unreachableRepeatsMax })
  const subject = `rehearsal-${randomUUID()}` as SubjectId
  const { token } = await operator.issueToken({ subject, roles: ['seller'], ttlSeconds: sellerTtlSeconds })
  return target.http(token, { unreachableRepeatsMax })
}

async function rehearseOne(
  recorded: RecordedAuction,
  http: HouseHttp,
  bidders: Bidders,
  { currency, onBid }: RehearsalOptions,
): Promise<AuctionResult> {
  const { id: auctionId } = await http.createAuction({
    title: clip(plain(`${recorded.item} (${recorded.id})`).trim(), titleLengthMax),
    tags: ['rehearsal'],
    currency,
    openingBid: recorded.openingBid,
    durationMs: durationMsMax,
  })
  const placed = await placeAll(auctionId, recorded.bids, bidders, onBid)
  const view = await http.manage(auctionId, 'close')
  const winner = typeof view.winner === 'string' ? await winnerOf(view, http, placed) : undefined
  const facts = {
    recorded,
    auctionId,
    ...(typeof view.hammerPrice === 'number' ? { price: view.hammerPrice } : {}),
    ...(winner === undefined ? {} : { winner }),
    bidsAccepted: placed.bidderOfSeq.size,
    bidsRefused: placed.refused,
  }
  const difference = differenceOf(facts, placed)
  return difference === undefined ? facts : { ...facts, difference }
}

async function placeAll(
  auctionId: AuctionId,
  bids: readonly RecordedBid[],
  bidders: Bidders,
  onBid: () => void,
): Promise<Placed> {
  const bidderOfSeq = new Map<number, string>()
  const maximumOf = new Map<string, Amount>()
  const refused: Record<string, number> = {}
  for (const { bidder, amount } of bids) {
    const outcome = await bidders.with(bidder, (session) =>
      session.placeBid({ auctionId, amount, kind: 'max' }),
    )
    if (outcome.type === 'bid_rejected') refused[outcome.code] = (refused[outcome.code] ?? 0) + 1
    else {
      bidderOfSeq.set(outcome.seq, bidder)
      maximumOf.set(bidder, Math.max(amount, maximumOf.get(bidder) ?? 0))
    }
    onBid()
  }
  return { bidderOfSeq, maximumOf, refused }
}

/** The bidder with the winner's alias: the public history shows which alias made which bid. */
async function winnerOf(view: AuctionView, http: HouseHttp, placed: Placed): Promise<string | undefined> {
  let after: number | undefined = 0
  while (after !== undefined) {
    const page: Awaited<ReturnType<HouseHttp['bids']>> = await http.bids(view.id, {
      after,
      limit: pageLimitMax,
    })
    const bid = page.bids.find((entry) => entry.bidder === view.winner)
    if (bid !== undefined) return placed.bidderOfSeq.get(bid.seq)
    after = page.next
  }
  return undefined
}

function differenceOf(
  { recorded, price, winner }: Pick<AuctionResult, 'recorded' | 'price' | 'winner'>,
  { maximumOf }: Placed,
): Difference | undefined {
  if (winner !== recorded.winner) return 'differs'
  if (price === recorded.price) return undefined
  return maximumOf.get(winner) === recorded.price ? 'hidden_reserve' : 'differs'
}
