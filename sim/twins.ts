/**
 * The auction formats as the auditor knows them, computed from all offers each time.
 *
 * They share no code with the machine.
 *
 * Invariant: a format that the machine registers and this table lacks ends the run before it begins.
 * Source: docs/spec.md, the machine's rules of bids.
 */
import type { AuctionTerms, BidKind } from '../state-cluster/machine/commands.ts'

export interface TwinOffer {
  readonly bidder: string
  max: number
  /** The bid by which the maximum was reached: of equal ones, the earlier is the high bid. */
  reachedAt: number
}

/** The auction that a twin computes. */
export interface TwinLot {
  readonly terms: AuctionTerms
  /** In order of first bid. */
  readonly offers: TwinOffer[]
  bidCount: number
  price: number | undefined
  closesAt: number
}

export interface Twin {
  askingBid(lot: TwinLot): number
  /** Adds the bid to the auction, or returns why it is refused. */
  place(lot: TwinLot, bidder: string, amount: number, kind: BidKind): string | undefined
  highBid(lot: TwinLot): TwinOffer | undefined
  hammer(lot: TwinLot): { readonly winner: string; readonly price: number } | undefined
  offersBuyNow(lot: TwinLot): boolean
  reserveStatus(lot: TwinLot): 'none' | 'not_met' | 'met'
}

function plusStep(lot: TwinLot, amount: number): number {
  let step = 0
  for (const band of lot.terms.increments) if (band.from <= amount) step = band.step
  return Math.min(amount + step, Number.MAX_SAFE_INTEGER)
}

function highest(offers: readonly TwinOffer[]): TwinOffer | undefined {
  let best: TwinOffer | undefined
  for (const offer of offers) {
    if (best === undefined || offer.max > best.max) best = offer
    else if (offer.max === best.max && offer.reachedAt < best.reachedAt) best = offer
  }
  return best
}

function askingBid(lot: TwinLot): number {
  return lot.price === undefined ? lot.terms.openingBid : plusStep(lot, lot.price)
}

function placeEnglish(lot: TwinLot, bidder: string, amount: number, kind: BidKind): string | undefined {
  const before = highest(lot.offers)
  const asking = askingBid(lot)
  const isHighBidder = before?.bidder === bidder
  if (isHighBidder && amount <= (before?.max ?? 0)) return 'already_leading'
  if (isHighBidder ? kind === 'exact' && amount < asking : amount < asking || amount <= (lot.price ?? -1))
    return 'bid_too_low'

  lot.bidCount += 1
  const own = lot.offers.find((offer) => offer.bidder === bidder)
  if (own === undefined) lot.offers.push({ bidder, max: amount, reachedAt: lot.bidCount })
  else {
    own.max = amount
    own.reachedAt = lot.bidCount
  }
  const best = highest(lot.offers) as TwinOffer
  const second = highest(lot.offers.filter((offer) => offer !== best))
  let price: number
  if (best.bidder === bidder && kind === 'exact') price = amount
  else if (isHighBidder) price = lot.price as number
  else if (second === undefined) price = lot.terms.openingBid
  else price = Math.min(best.max, plusStep(lot, best.bidder === bidder ? (before?.max ?? 0) : amount))
  const { reserve } = lot.terms
  if (reserve !== undefined && best.max >= reserve) price = Math.max(price, reserve)
  lot.price = price
  return undefined
}

function reserveStatus({ terms, price }: TwinLot): 'none' | 'not_met' | 'met' {
  if (terms.reserve === undefined) return 'none'
  return price !== undefined && price >= terms.reserve ? 'met' : 'not_met'
}

const english: Twin = {
  askingBid,
  place: placeEnglish,
  highBid: (lot) => highest(lot.offers),
  hammer(lot) {
    const best = highest(lot.offers)
    if (best === undefined || lot.price === undefined || reserveStatus(lot) === 'not_met') return undefined
    return { winner: best.bidder, price: lot.price }
  },
  offersBuyNow: (lot) => lot.bidCount === 0 || reserveStatus(lot) === 'not_met',
  reserveStatus,
}

export const twins: Readonly<Record<string, Twin>> = { english }
