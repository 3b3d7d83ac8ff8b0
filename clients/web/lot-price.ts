/**
 * The price of an auction, its high bidder and its number of bids.
 * Invariant: a price that differs from the one drawn before flashes; the first one does not.
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import { flash, headline } from './auction-card.ts'
import { h, setText } from './dom.ts'
import { money } from './money-text.ts'
import { aliasInWords, bidsInWords } from './words.ts'

export interface LotPrice {
  readonly element: HTMLElement
  /** `alias` is the reader's own, where it is known. */
  update(auction: AuctionView, alias: string | undefined, isStale: boolean): void
}

export function lotPrice(): LotPrice {
  const label = h('p', { class: 'figure-label' })
  const price = h('p', { class: 'lot-price' })
  const highBidder = h('p', { class: 'lot-high-bidder' })
  let drawn: AuctionView | undefined
  return {
    element: h('div', {}, label, price, highBidder),
    update(auction, alias, isStale) {
      const { label: words, amount } = headline(auction, isStale)
      setText(label, words)
      setText(price, money(amount, auction.currency))
      if (drawn !== undefined && drawn.price !== auction.price) flash(price)
      setText(highBidder, bidderAndCount(auction, alias))
      drawn = auction
    },
  }
}

function bidderAndCount(auction: AuctionView, alias: string | undefined): string {
  const bids = bidsInWords(auction.bidCount)
  const bidder = auction.winner ?? auction.highBidder
  if (bidder === null) return bids
  return `${bidder === alias ? 'You' : aliasInWords(bidder)} · ${bids}`
}
