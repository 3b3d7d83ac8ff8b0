/**
 * Reads the price of an auction out to screen readers as it changes.
 * Invariant: it speaks at most once in `announceEveryMs`, except for the end, which is always read out.
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import { isEnded } from '../core/index.ts'
import { headline, statusInWords } from './auction-card.ts'
import { h, setText } from './dom.ts'
import { money } from './money-text.ts'

const announceEveryMs = 3_000

export interface PriceAnnouncer {
  readonly element: HTMLElement
  announce(auction: AuctionView): void
}

export function priceAnnouncer(): PriceAnnouncer {
  const element = h('p', { class: 'visually-hidden', 'aria-live': 'polite' })
  let announcedMs = 0
  return {
    element,
    announce(auction) {
      const nowMs = performance.now()
      if (nowMs - announcedMs < announceEveryMs && !isEnded(auction)) return
      announcedMs = nowMs
      const { label, amount } = headline(auction, false)
      setText(element, `${label} ${money(amount, auction.currency)}. ${statusInWords(auction.status)}.`)
    },
  }
}
