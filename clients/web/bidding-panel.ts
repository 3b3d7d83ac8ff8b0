/**
 * The bidding panel of an auction: price, clock, standing and bid box.
 * Invariant: the seller of an auction sees no bid box; everybody else sees one, or why they may not bid.
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import type { App } from './app.ts'
import { type BidActions, barrierFor, bidBox } from './bid-box.ts'
import { h, setAttribute, show } from './dom.ts'
import { lotClock } from './lot-clock.ts'
import { isStale, type LotState } from './lot-model.ts'
import { lotPrice } from './lot-price.ts'
import { standingBanner } from './standing-banner.ts'

export interface BiddingPanel {
  readonly element: HTMLElement
  update(state: LotState, auction: AuctionView): void
  /** Draws the bid box alone: the connection has changed. */
  updateBox(state: LotState): void
  /** Draws the time left; returns in how many ms it changes. */
  tick(auction: AuctionView, serverNowMs: number, isStale: boolean): number
}

export function biddingPanel({ session, identity }: App, actions: BidActions): BiddingPanel {
  const price = lotPrice()
  const clock = lotClock()
  const standing = standingBanner()
  const box = bidBox(actions, barrierFor(identity))
  const element = h(
    'section',
    { class: 'panel lot-panel', 'aria-label': 'Bidding' },
    h('div', { class: 'lot-figures' }, price.element, clock.element),
    standing.element,
    box.element,
  )

  function updateBox(state: LotState): void {
    const isOwn = identity !== undefined && state.auction?.sellerId === identity.id
    if (isOwn) show(box.element, false)
    else box.update(state, session.state.name === 'open' && !isStale(state))
  }

  return {
    element,
    update(state, auction) {
      setAttribute(element, 'data-stale', isStale(state) ? 'true' : undefined)
      price.update(auction, state.alias, isStale(state))
      standing.update(state)
      updateBox(state)
    },
    updateBox,
    tick: clock.tick,
  }
}
