/**
 * The report of a rehearsal: JSON lines, a table for people, and the sum.
 * Invariant: every auction of the sale counts once in the sum; one that did not run counts as unexplained.
 */
import { formatAmount } from '../../core/index.ts'
import { clip, plain, table } from '../text.ts'
import type { RecordedAuction } from './recorded-sale.ts'
import type { AuctionResult } from './rehearsal.ts'

/** One auction as a machine-readable line; amounts in minor units, as everywhere on the wire. */
export function auctionJson(result: AuctionResult, currency: string): object {
  const { recorded, auctionId, price, winner, difference, bidsAccepted, bidsRefused } = result
  return {
    event: 'auction',
    auctionid: recorded.id,
    item: recorded.item,
    auctionId,
    currency,
    recordedPrice: recorded.price,
    obtainedPrice: price ?? null,
    recordedWinner: recorded.winner,
    obtainedWinner: winner ?? null,
    difference: difference ?? null,
    bids: recorded.bids.length,
    bidsAccepted,
    bidsRefused,
  }
}

export interface Summary {
  readonly event: 'summary'
  readonly auctions: number
  /** Auctions with the recorded winner. */
  readonly winners: number
  /** Auctions with the recorded price. */
  readonly prices: number
  readonly hidden_reserve: number
  /** Of the unexplained: auctions of a sale of plain bids, which `--exact` plays. */
  readonly plain_bids: number
  /** Auctions that differ without an explanation, or did not run. */
  readonly unexplained: number
  readonly bids: number
  readonly bidsAccepted: number
  readonly bidsRefused: number
}

export function summaryOf(sale: readonly RecordedAuction[], results: readonly AuctionResult[]): Summary {
  const count = (holds: (result: AuctionResult) => boolean): number => results.filter(holds).length
  const bids = results.reduce((sum, { recorded }) => sum + recorded.bids.length, 0)
  const bidsAccepted = results.reduce((sum, result) => sum + result.bidsAccepted, 0)
  const plainBids = count(({ difference }) => difference === 'plain_bids')
  const hiddenReserves = count(({ difference }) => difference === 'hidden_reserve')
  return {
    event: 'summary',
    auctions: sale.length,
    winners: count(({ recorded, winner }) => winner === recorded.winner),
    prices: count(({ recorded, price }) => price === recorded.price),
    hidden_reserve: hiddenReserves,
    plain_bids: plainBids,
    unexplained: sale.length - hiddenReserves - count(({ difference }) => difference === undefined),
    bids,
    bidsAccepted,
    bidsRefused: bids - bidsAccepted,
  }
}

const resultColumns = [
  { title: 'AUCTION' },
  { title: 'ITEM' },
  { title: 'BIDS', isRight: true },
  { title: 'RECORDED', isRight: true },
  { title: 'OBTAINED', isRight: true },
  { title: 'WON BY' },
  { title: 'NOW WON BY' },
  { title: 'DIFFERENCE' },
] as const

/** All results for people, in the order of the file (they come in that of completion), and the sum in words. */
export function resultsText(
  sale: readonly RecordedAuction[],
  results: readonly AuctionResult[],
  summary: Summary,
  currency: string,
): string {
  const money = (amount: number | undefined): string =>
    amount === undefined ? '-' : formatAmount(amount, currency)
  const resultOf = new Map(results.map((result) => [result.recorded, result]))
  const rows = sale.flatMap((recorded) => {
    const result = resultOf.get(recorded)
    if (result === undefined) return []
    const { price, winner, difference, bidsAccepted } = result
    const item = clip(plain(recorded.item), 28)
    const bids = `${bidsAccepted}/${recorded.bids.length}`
    const prices = [money(recorded.price), money(price)]
    return [
      [recorded.id, item, bids, ...prices, plain(recorded.winner), plain(winner ?? '-'), difference ?? ''],
    ]
  })
  const { auctions, winners, prices, hidden_reserve, plain_bids, unexplained, bids, bidsAccepted } = summary
  return [
    table(resultColumns, rows),
    '',
    `${winners} of ${auctions} auctions have the recorded winner, ${prices} the recorded price;`,
    `${hidden_reserve} differ by a hidden reserve, ${unexplained} without an explanation.`,
    `${bidsAccepted} of ${bids} recorded bids were accepted.`,
    ...(plain_bids === 0 ? [] : ['All bids rise to the price, as plain bids do: try --exact.']),
  ].join('\n')
}
