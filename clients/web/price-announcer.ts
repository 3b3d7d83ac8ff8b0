/**
 * Reads the price of an auction out to screen readers as it changes.
 * Invariant: it speaks at most once in `announceEveryMs`, except for the end; the latest price is always read out, and
 * nothing stays that may have changed unseen.
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
  /** Takes the last announcement back: what it said may have changed unseen. */
  withdraw(): void
  leave(): void
}

export function priceAnnouncer(): PriceAnnouncer {
  const element = h('p', { class: 'visually-hidden', 'aria-live': 'polite' })
  let announcedMs = Number.NEGATIVE_INFINITY
  let latest: AuctionView | undefined
  let timer: number | undefined

  function say(): void {
    timer = undefined
    if (latest === undefined) return
    announcedMs = performance.now()
    const { label, amount } = headline(latest, false)
    setText(element, `${label} ${money(amount, latest.currency)}. ${statusInWords(latest.status)}.`)
  }
  function cancel(): void {
    window.clearTimeout(timer)
    timer = undefined
    latest = undefined
  }
  return {
    element,
    announce(auction) {
      latest = auction
      const waitMs = isEnded(auction) ? 0 : announcedMs + announceEveryMs - performance.now()
      window.clearTimeout(timer)
      if (waitMs <= 0) say()
      else timer = window.setTimeout(say, waitMs)
    },
    withdraw() {
      cancel()
      setText(element, '')
    },
    leave: cancel,
  }
}
