/**
 * One auction, live: it joins the parts of the page to one state.
 * Invariant: everything shown comes from `lot-model.ts`; this file turns events into its actions and hands each
 * new state to the parts. After `leave` nothing is drawn and no watch or timer is left.
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import type { AuctionId } from '../../protocol/ids.ts'
import { isEnded, type WatchEvent } from '../core/index.ts'
import type { App, View } from './app.ts'
import { biddingPanel } from './bidding-panel.ts'
import { bidsPanel } from './bids-panel.ts'
import { h, setAttribute, show } from './dom.ts'
import { descriptionOf } from './lot-description.ts'
import { lotHeading } from './lot-heading.ts'
import { emptyLot, isStale, type LotAction, type LotState, lotReducer } from './lot-model.ts'
import { LotRequests } from './lot-requests.ts'
import { lotTerms } from './lot-terms.ts'
import { priceAnnouncer } from './price-announcer.ts'
import { sellerDesk } from './seller-desk.ts'
import { staleMark } from './stale-mark.ts'
import { sentenceOf } from './words.ts'

const idleMs = 1_000

export function lotPage(app: App, auctionId: AuctionId): View {
  const { session, ticker } = app
  let state: LotState = emptyLot
  let hasLeft = false
  const requests = new LotRequests(app, auctionId, {
    state: () => state,
    dispatch,
    hasLeft: () => hasLeft,
  })
  const parts = lotParts(app, auctionId, requests)

  function dispatch(action: LotAction): void {
    if (hasLeft) return
    const before = state
    state = lotReducer(state, action)
    if (state === before) return
    parts.draw(state, before)
    if (state.auction !== undefined) ticker.refresh()
  }

  function onWatchEvent(event: WatchEvent): void {
    if (event.type === 'refused') dispatch({ type: 'refused', code: event.code })
    else if (event.type === 'event') {
      dispatch({ type: 'event', auction: event.auction, event: event.event })
      parts.announce(event.auction)
    } else {
      dispatch({ type: 'snapshot', auction: event.auction })
      void requests.loadHistory(event.auction)
    }
  }

  let heardMs = session.serverNowMs()
  const mark = staleMark({
    stale: () => dispatch({ type: 'stale', sinceMs: heardMs }),
    current: () => dispatch({ type: 'current' }),
  })
  const ends = [
    session.watch(auctionId, onWatchEvent, (isCurrent) => {
      if (!isCurrent) heardMs = session.serverNowMs() - session.silentMs
      mark.setCurrent(isCurrent)
    }),
    session.on('private', (event) => {
      if (event.auctionId === auctionId) dispatch({ type: 'private', event })
    }),
    session.on('state', () => parts.updateBidBox(state)),
    ticker.add((nowMs) => parts.tick(state, nowMs)),
  ]
  return {
    element: parts.element,
    title: 'Auction',
    leave() {
      hasLeft = true
      parts.leave()
      mark.leave()
      for (const end of ends) end()
    },
  }
}

/** The parts of the page; each draws what it is handed. */
function lotParts(app: App, auctionId: AuctionId, requests: LotRequests) {
  const { session, identity } = app
  const heading = lotHeading()
  const bidding = biddingPanel(app, {
    bid: (amount, kind) => void requests.bid(amount, kind),
    buyNow: () => void requests.buyNow(),
  })
  const desk = identity === undefined ? undefined : sellerDesk(app, auctionId)
  const description = h('div', { class: 'lot-description' })
  const bids = bidsPanel({
    loadEarlier: () => requests.loadEarlier(),
    serverNowMs: () => session.serverNowMs(),
  })
  const terms = lotTerms()
  const announcer = priceAnnouncer()
  const side = h('div', { class: 'lot-side' }, bidding.element, desk?.element)
  const main = h('div', { class: 'lot-main' }, description, bids.element, terms.element)
  const frame = lotFrame([heading.element, side, main], announcer.element)

  function introduce(auction: AuctionView): void {
    heading.introduce(auction)
    document.title = `${auction.title} · Martillo`
    description.replaceChildren(...descriptionOf(auction.item))
    show(description, description.childElementCount > 0)
  }

  function drawDesk(auction: AuctionView): void {
    if (desk === undefined) return
    const mayManage = identity?.roles.includes('operator') === true || auction.sellerId === identity?.id
    desk.update(auction)
    show(desk.element, mayManage && !isEnded(auction))
  }

  return {
    element: frame.element,
    updateBidBox: bidding.updateBox,
    announce: announcer.announce,
    draw(state: LotState, before: LotState): void {
      const { auction } = state
      if (auction === undefined) {
        if (state.refused !== undefined) frame.showRefused(state.refused)
        return
      }
      frame.showBody(isStale(state))
      if (isStale(state)) announcer.withdraw()
      heading.update(auction, isStale(state))
      bidding.update(state, auction)
      bids.update(state)
      if (before.auction === undefined) introduce(auction)
      terms.update(auction)
      drawDesk(auction)
    },
    tick(state: LotState, serverNowMs: number): number {
      const { auction } = state
      bids.tick(serverNowMs)
      return auction === undefined ? idleMs : bidding.tick(auction, serverNowMs, isStale(state))
    },
    leave(): void {
      bids.leave()
      announcer.leave()
    },
  }
}

/** The page around its body: a placeholder first, then the body or the reason why there is none. */
function lotFrame(body: readonly HTMLElement[], announcer: HTMLElement) {
  const waiting = h('div', { class: 'lot-waiting placeholder', 'aria-hidden': 'true' })
  const problem = h('div', { class: 'empty', role: 'alert', hidden: true })
  const lot = h('div', { class: 'lot', hidden: true }, ...body)
  return {
    element: h('section', { class: 'page' }, waiting, problem, lot, announcer),
    showBody(isStale: boolean): void {
      show(waiting, false)
      show(lot, true)
      setAttribute(lot, 'data-stale', isStale ? 'true' : undefined)
    },
    showRefused(code: string): void {
      show(waiting, false)
      show(problem, true)
      problem.replaceChildren(
        h('p', { class: 'empty-title' }, sentenceOf(code)),
        h('a', { class: 'button', href: '#/' }, 'To the auctions'),
      )
    },
  }
}
