/**
 * The terms of an auction, as a panel of names and values.
 * Invariant: a term that does not apply has no row; amounts and times come from the view alone.
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import { isEnded } from '../core/index.ts'
import { countdown } from './countdown.ts'
import { h } from './dom.ts'
import { money } from './money-text.ts'
import { type TermRow, termRows, termsList } from './terms-list.ts'
import { momentInWords } from './words.ts'

export interface LotTerms {
  readonly element: HTMLElement
  update(auction: AuctionView): void
}

export function lotTerms(): LotTerms {
  const list = termsList([])
  const title = h('h2', { id: 'terms-title' }, 'Terms')
  return {
    element: h('section', { class: 'panel', 'aria-labelledby': 'terms-title' }, title, list),
    update: (auction) => list.replaceChildren(...termRows(rowsOf(auction))),
  }
}

function rowsOf(auction: AuctionView): TermRow[] {
  const { currency, softClose, extensions } = auction
  const rows: (TermRow | undefined)[] = [
    ['Opening bid', money(auction.openingBid, currency)],
    isEnded(auction) ? undefined : ['Next bid from', money(auction.askingBid, currency)],
    auction.buyNow === null ? undefined : ['Buy now', money(auction.buyNow, currency)],
    [auction.status === 'scheduled' ? 'Opens' : 'Opened', momentInWords(auction.opensAt)],
    [isEnded(auction) ? 'Was to close' : 'Closes', momentInWords(auction.closesAt)],
    softClose && [
      'Soft close',
      `A bid in the last ${spanInWords(softClose.windowMs)} gives ${spanInWords(softClose.extensionMs)} more`,
    ],
    extensions === 0 ? undefined : ['Extended', extensions === 1 ? 'once' : `${extensions} times`],
    ['Sold by', auction.sellerId],
  ]
  return rows.filter((row) => row !== undefined)
}

function spanInWords(ms: number): string {
  const { words } = countdown(ms)
  return words === 'closing' ? 'moment' : words
}
