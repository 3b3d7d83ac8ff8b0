/**
 * Runs a recorded sale through a house and compares the outcome.
 * Each auction is created, its bids are placed in order by their bidders, and it is closed. Invariant: auctions run
 * concurrently; a bid of one auction is sent after the answer to the one before. A refused bid is counted, not
 * repeated.
 */
import { randomUUID } from 'node:crypto'
import type { AuctionView } from '../../../protocol/auction-view.ts'
import type { BidKind } from '../../../protocol/fields.ts'
import type { AuctionId, SubjectId } from '../../../protocol/ids.ts'
import { durationMsMax, pageLimitMax, titleLengthMax } from '../../../protocol/limits.ts'
import type { Amount, IncrementTable } from '../../../protocol/money.ts'
import type { BidOutcome, HouseHttp, Session } from '../../core/index.ts'
import type { Target } from '../target.ts'
import { clip, plain } from '../text.ts'
import { Bidders } from './bidders.ts'
import { type RecordedAuction, type RecordedBid, showsMaxima } from './recorded-sale.ts'

/**
 * `hidden_reserve`: the winner's maximum is the recorded price, which a reserve must have lifted the price to.
 * `plain_bids`: the same, but the whole sale looks like one of plain bids, whose last bid is the price.
 */
export type Difference = 'hidden_reserve' | 'plain_bids' | 'differs'

/** With this many auctions at the winner's maximum, and no sign of hidden maxima, reserves are no explanation. */
const plainAuctionsMin = 3

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
  /** What the recorded bids are played as. */
  readonly kind: BidKind
  /** Absent: the default ones. */
  readonly increments?: IncrementTable
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
  const atMaximum = isPlain(sale) ? 'plain_bids' : 'hidden_reserve'
  const runSome = async (): Promise<void> => {
    const http = await sellerOf(options)
    for (const recorded of waiting) {
      if (options.signal.aborted) return
      const { placed, ...result } = await rehearseOne(recorded, http, bidders, options)
      const difference = differenceOf(result, placed, atMaximum)
      options.onAuction(difference === undefined ? result : { ...result, difference })
    }
  }
  try {
    await Promise.all(Array.from({ length: Math.min(options.concurrency, sale.length) }, runSome))
  } finally {
    bidders.close()
  }
  return bidders.size
}

/** Whether a sale has no sign of hidden maxima, in enough auctions for that to mean something. */
function isPlain(sale: readonly RecordedAuction[]): boolean {
  return sale.filter(({ bids }) => bids.length > 1).length >= plainAuctionsMin && !sale.some(showsMaxima)
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
  { currency, increments, kind, onBid }: RehearsalOptions,
): Promise<AuctionResult & { readonly placed: Placed }> {
  const { id: auctionId } = await http.createAuction({
    title: clip(plain(`${recorded.item} (${recorded.id})`).trim(), titleLengthMax),
    tags: ['rehearsal'],
    currency,
    openingBid: recorded.openingBid,
    durationMs: durationMsMax,
    ...(increments === undefined ? {} : { increments }),
  })
  const placed = await placeAll(recorded.bids, bidders, (session, amount) => {
    onBid()
    return session.placeBid({ auctionId, amount, kind })
  })
  const view = await http.manage(auctionId, 'close')
  const winner = typeof view.winner === 'string' ? await winnerOf(view, http, placed) : undefined
  return {
    recorded,
    auctionId,
    placed,
    ...(typeof view.hammerPrice === 'number' ? { price: view.hammerPrice } : {}),
    ...(winner === undefined ? {} : { winner }),
    bidsAccepted: placed.bidderOfSeq.size,
    bidsRefused: placed.refused,
  }
}

async function placeAll(
  bids: readonly RecordedBid[],
  bidders: Bidders,
  place: (session: Session, amount: Amount) => Promise<BidOutcome>,
): Promise<Placed> {
  const bidderOfSeq = new Map<number, string>()
  const maximumOf = new Map<string, Amount>()
  const refused: Record<string, number> = {}
  for (const { bidder, amount } of bids) {
    const outcome = await bidders.with(bidder, (session) => place(session, amount))
    if (outcome.type === 'bid_rejected') refused[outcome.code] = (refused[outcome.code] ?? 0) + 1
    else {
      bidderOfSeq.set(outcome.seq, bidder)
      maximumOf.set(bidder, Math.max(amount, maximumOf.get(bidder) ?? 0))
    }
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

/** A reserve only lifts a price, and only to the winner's maximum; `atMaximum` is what that means in this sale. */
function differenceOf(
  { recorded, price, winner }: Pick<AuctionResult, 'recorded' | 'price' | 'winner'>,
  { maximumOf }: Placed,
  atMaximum: Difference,
): Difference | undefined {
  if (winner === undefined || price === undefined || winner !== recorded.winner) return 'differs'
  if (price === recorded.price) return undefined
  return price < recorded.price && maximumOf.get(winner) === recorded.price ? atMaximum : 'differs'
}
