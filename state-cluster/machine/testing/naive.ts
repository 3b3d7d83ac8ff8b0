/**
 * A naive twin of the English auction, to compare the machine with.
 *
 * After every bid, price and high bidder are computed anew from the list of all accepted bids. It shares no code with
 * the machine, not even the search in the increment table. Leaves deadlines, requests and events out.
 *
 * Invariant: the bids are the only state.
 * Source: docs/protocol.md "English auction rules".
 */
export interface NaiveTerms {
  readonly openingBid: number
  readonly reserve?: number
  readonly increments: readonly { readonly from: number; readonly step: number }[]
}

export interface NaiveBid {
  readonly bidder: string
  readonly amount: number
  readonly kind: 'max' | 'exact'
}

export interface NaiveOutcome {
  readonly price: number | undefined
  readonly highBidder: string | undefined
}

export class NaiveAuction {
  readonly bids: NaiveBid[] = []
  private readonly terms: NaiveTerms

  constructor(terms: NaiveTerms) {
    this.terms = terms
  }

  /** `undefined` when the bid counts, otherwise the code of the rejection. */
  place(bid: NaiveBid): 'bid_too_low' | 'already_leading' | undefined {
    const { price, highBidder } = this.outcome()
    const asking = this.askingBid()
    if (highBidder === bid.bidder) {
      if (bid.amount <= this.maximumOf(this.bids, highBidder)) return 'already_leading'
      if (bid.kind === 'exact' && bid.amount < asking) return 'bid_too_low'
    } else if (bid.amount < asking || (price !== undefined && bid.amount <= price)) return 'bid_too_low'
    this.bids.push(bid)
    return undefined
  }

  askingBid(): number {
    const { price } = this.outcome()
    return price === undefined ? this.terms.openingBid : this.plusStep(price)
  }

  outcome(): NaiveOutcome {
    let price: number | undefined
    for (let length = 1; length <= this.bids.length; length++) {
      const last = this.bids[length - 1] as NaiveBid
      const before = this.highBidderOf(this.bids.slice(0, length - 1))
      price = this.priceAfter(this.bids.slice(0, length), last, before, price)
    }
    return { price, highBidder: this.highBidderOf(this.bids) }
  }

  /** The winner and the price, or `undefined`: passed. */
  hammer(): { readonly winner: string; readonly price: number } | undefined {
    const { price, highBidder } = this.outcome()
    if (price === undefined || highBidder === undefined) return undefined
    return price < (this.terms.reserve ?? 0) ? undefined : { winner: highBidder, price }
  }

  private priceAfter(
    bids: readonly NaiveBid[],
    last: NaiveBid,
    highBidderBefore: string | undefined,
    priceBefore: number | undefined,
  ): number {
    const highBidder = this.highBidderOf(bids) as string
    const highest = this.maximumOf(bids, highBidder)
    const others = bids.filter((bid) => bid.bidder !== highBidder).map((bid) => bid.amount)
    let price: number
    if (priceBefore !== undefined && highBidderBefore === highBidder && last.bidder === highBidder)
      price = priceBefore
    else if (others.length === 0) price = this.terms.openingBid
    else price = Math.min(highest, this.plusStep(Math.max(...others)))
    if (last.kind === 'exact' && last.bidder === highBidder) price = last.amount
    const { reserve } = this.terms
    if (reserve !== undefined && highest >= reserve) price = Math.max(price, reserve)
    return price
  }

  /** The bidder who reached the highest maximum first. */
  private highBidderOf(bids: readonly NaiveBid[]): string | undefined {
    const highest = Math.max(...bids.map((bid) => bid.amount))
    return bids.find((bid) => bid.amount === highest)?.bidder
  }

  private maximumOf(bids: readonly NaiveBid[], bidder: string): number {
    return Math.max(...bids.filter((bid) => bid.bidder === bidder).map((bid) => bid.amount))
  }

  private plusStep(amount: number): number {
    let step = 0
    for (const band of this.terms.increments) if (band.from <= amount) step = band.step
    return Math.min(amount + step, Number.MAX_SAFE_INTEGER)
  }
}
