/**
 * The card of one auction in a list, which changes in place as events arrive.
 * Invariant: it shows the view, and whether that is current; time runs by the server's clock.
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import { isEnded } from '../core/index.ts'
import { countdown } from './countdown.ts'
import { h, setAttribute, setText, show } from './dom.ts'
import { money } from './money-text.ts'
import { hashOf } from './route.ts'
import type { Ticker } from './ticker.ts'
import { aliasInWords, bidsInWords } from './words.ts'

export interface AuctionCard {
  readonly element: HTMLElement
  update(auction: AuctionView): void
  /** Whether the view is that of the house right now; a card begins as current. */
  setCurrent(isCurrent: boolean): void
  leave(): void
}

const statusWords: Readonly<Record<AuctionView['status'], string>> = {
  scheduled: 'Upcoming',
  open: 'Live',
  paused: 'Paused',
  sold: 'Sold',
  passed: 'Not sold',
  cancelled: 'Cancelled',
}

export function statusInWords(status: AuctionView['status']): string {
  return statusWords[status]
}

/** What the amount of an auction is called, and the amount. */
export function headline(
  auction: AuctionView,
  isStale: boolean,
): { readonly label: string; readonly amount: number } {
  if (auction.status === 'sold' && auction.price !== null) return { label: 'Sold for', amount: auction.price }
  if (auction.price !== null) {
    const label = auction.status === 'passed' ? 'Highest bid' : isStale ? 'Last known bid' : 'Current bid'
    return { label, amount: auction.price }
  }
  return { label: 'Opening bid', amount: auction.openingBid }
}

export function auctionCard(first: AuctionView, ticker: Ticker): AuctionCard {
  let auction = first
  let isCurrent = true
  const isStale = (): boolean => !isCurrent && !isEnded(auction)
  const tags = h('p', { class: 'card-tags' })
  const title = h('h3', { class: 'card-title' })
  const label = h('span', { class: 'card-label' })
  const price = h('span', { class: 'card-price' })
  const bids = h('span')
  const time = h('span', { class: 'card-time' })
  const status = h('span', { class: 'pill' })
  const reserve = h('span', { class: 'pill pill-quiet' })
  const link = h(
    'a',
    { class: 'card', href: hashOf({ page: 'auction', id: first.id }) },
    h('div', { class: 'card-head' }, status, reserve),
    title,
    tags,
    h('div', { class: 'card-figures' }, h('div', { class: 'card-amount' }, label, price)),
    h('div', { class: 'card-foot' }, bids, time),
  )
  const element = h('li', { class: 'card-item' }, link)

  const tick = (nowMs: number): number => {
    const { text, urgency, nextChangeMs } = timeOf(auction, nowMs, isStale())
    setText(time, text)
    setAttribute(time, 'data-urgency', urgency)
    return nextChangeMs
  }

  const draw = (): void => {
    const { label: words, amount } = headline(auction, isStale())
    const before = price.textContent
    setText(title, auction.title)
    setText(tags, auction.tags.join(' · '))
    setText(label, words)
    setText(price, money(amount, auction.currency))
    setText(
      bids,
      typeof auction.winner === 'string'
        ? `${bidsInWords(auction.bidCount)}, to ${aliasInWords(auction.winner)}`
        : bidsInWords(auction.bidCount),
    )
    setText(status, isStale() ? 'Not current' : statusInWords(auction.status))
    setAttribute(status, 'data-status', isStale() ? 'stale' : auction.status)
    setAttribute(link, 'data-stale', isStale() ? 'true' : undefined)
    show(reserve, auction.reserve !== 'none' && auction.status === 'open')
    setText(reserve, auction.reserve === 'met' ? 'Reserve met' : 'Reserve not met')
    if (before !== '' && before !== price.textContent) flash(price)
  }

  draw()
  const stopTicking = ticker.add(tick)
  return {
    element,
    update(next) {
      auction = next
      draw()
      ticker.refresh()
    },
    setCurrent(next) {
      isCurrent = next
      draw()
      ticker.refresh()
    },
    leave: stopTicking,
  }
}

/** The time of a card in words, and in how many ms they change. */
function timeOf(auction: AuctionView, nowMs: number, isStale: boolean) {
  const isScheduled = auction.status === 'scheduled'
  if (!isScheduled && auction.status !== 'open')
    return {
      text: auction.status === 'paused' ? 'On hold' : '',
      urgency: undefined,
      nextChangeMs: 60_000,
    }
  const left = countdown((isScheduled ? auction.opensAt : auction.closesAt) - nowMs)
  const over = isStale ? 'Not known' : isScheduled ? 'Opening' : 'Closing'
  const running = isScheduled ? `Opens in ${left.text}` : left.text
  return {
    text: left.urgency === 'over' ? over : running,
    urgency: isScheduled ? 'calm' : left.urgency,
    nextChangeMs: left.nextChangeMs,
  }
}

/** Draws the eye to a figure that has changed; those who asked for less motion see a change of colour only. */
export function flash(element: Element): void {
  element.classList.remove('flash')
  // The animation starts again only after the browser has seen the class gone.
  void (element as HTMLElement).offsetWidth
  element.classList.add('flash')
}
