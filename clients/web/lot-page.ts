/**
 * One auction, live: price, time, how the reader stands, the bid box, the history and its chart.
 * Invariant: everything shown comes from `lot-model.ts`; this file turns what happens into its actions and its
 * state into text. The hammer is never drawn from the clock here: at zero it says "closing" until the house has
 * decided.
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import type { BidKind } from '../../protocol/fields.ts'
import type { AuctionId } from '../../protocol/ids.ts'
import type { Amount } from '../../protocol/money.ts'
import { type BidOutcome, isEnded, ProblemError } from '../core/index.ts'
import { type App, sentenceFor, type View } from './app.ts'
import { askTwice } from './ask-twice.ts'
import { flash, headline, statusInWords } from './auction-card.ts'
import { bidBox } from './bid-box.ts'
import { countdown } from './countdown.ts'
import { button, h, icon, setAttribute, setText, show } from './dom.ts'
import { historyList } from './history-list.ts'
import { emptyLot, type LotAction, type LotState, lotReducer } from './lot-model.ts'
import { money } from './money-text.ts'
import type { PriceChart } from './price-chart.ts'
import { hashOf } from './route.ts'
import { sellerDesk } from './seller-desk.ts'
import { standingOf } from './standing.ts'
import { aliasInWords, bidsInWords, sentenceOf } from './words.ts'

/** Events whose bids are asked for at once when the page opens. */
const historyPage = 500
/** The price is read out at most this often. */
const announceEveryMs = 3_000

export function lotPage(app: App, auctionId: AuctionId): View {
  const { session, http, identity, ticker } = app
  let state: LotState = emptyLot
  let isLeft = false
  let chart: PriceChart | undefined
  const ends: (() => void)[] = []

  const status = h('span', { class: 'pill' })
  const reserve = h('span', { class: 'pill pill-quiet' })
  const title = h('h1', { class: 'lot-title' })
  const tags = h('p', { class: 'lot-tags' })
  const label = h('p', { class: 'figure-label' })
  const price = h('p', { class: 'lot-price' })
  const leader = h('p', { class: 'lot-leader' })
  const timeLabel = h('p', { class: 'figure-label' })
  const time = h('p', { class: 'lot-time', role: 'timer' })
  const timeNote = h('p', { class: 'lot-time-note' })
  const standing = h('div', { class: 'standing', role: 'status' })
  const announcer = h('p', { class: 'visually-hidden', 'aria-live': 'polite' })
  const description = h('div', { class: 'lot-description' })
  const history = historyList()
  const earlier = button('Show earlier bids', () => void loadEarlier(), { class: 'button button-quiet' })
  const chartBox = h('div', { class: 'chart-box' })
  const terms = h('dl', { class: 'terms' })
  const problem = h('div', { class: 'empty', role: 'alert', hidden: true })
  const box = bidBox({
    bid: (amount, kind) => void bid(amount, kind),
    buyNow: () => void buyNow(),
    barrier: barrier(),
  })
  const isOperator = identity?.roles.includes('operator') === true
  const desk = identity === undefined ? undefined : sellerDesk(app, auctionId)

  const panel = h(
    'section',
    { class: 'panel lot-panel', 'aria-label': 'Bidding' },
    h(
      'div',
      { class: 'lot-figures' },
      h('div', {}, label, price, leader),
      h('div', { class: 'lot-clock' }, timeLabel, time, timeNote),
    ),
    standing,
    box.element,
  )
  const body = h(
    'div',
    { class: 'lot', hidden: true },
    h(
      'div',
      { class: 'lot-head' },
      h(
        'a',
        { class: 'back', href: hashOf({ page: 'list', filter: { status: 'open' } }) },
        icon('back'),
        'Auctions',
      ),
      h('div', { class: 'lot-pills' }, status, reserve),
      title,
      tags,
    ),
    h('div', { class: 'lot-side' }, panel, desk?.element),
    h(
      'div',
      { class: 'lot-main' },
      description,
      h(
        'section',
        { class: 'panel', 'aria-labelledby': 'bids-title' },
        h('h2', { id: 'bids-title' }, 'Bids'),
        chartBox,
        history.element,
        earlier,
      ),
      h(
        'section',
        { class: 'panel', 'aria-labelledby': 'terms-title' },
        h('h2', { id: 'terms-title' }, 'Terms'),
        terms,
      ),
    ),
  )
  const waiting = h('div', { class: 'lot-waiting placeholder', 'aria-hidden': 'true' })
  const element = h('section', { class: 'page' }, waiting, problem, body, announcer)

  function barrier() {
    if (identity === undefined)
      return {
        text: 'To bid, tell the house who you are. It takes a name, nothing else.',
        link: { href: hashOf({ page: 'account' }), label: 'Register to bid' },
      }
    if (!identity.roles.includes('bidder'))
      return {
        text: 'You are signed in, but not as a bidder.',
        link: { href: hashOf({ page: 'account' }), label: 'Change account' },
      }
    return undefined
  }

  function dispatch(action: LotAction): void {
    if (isLeft) return
    const before = state
    state = lotReducer(state, action)
    if (state !== before) draw(before)
  }

  // What happens.

  ends.push(
    session.watch(auctionId, (told) => {
      if (told.type === 'refused') dispatch({ type: 'refused', code: told.code })
      else if (told.type === 'event') {
        dispatch({ type: 'event', auction: told.auction, event: told.event })
        announce(told.auction)
      } else {
        dispatch({ type: 'snapshot', auction: told.auction })
        void loadHistory(told.auction)
      }
    }),
    session.on('private', (event) => {
      if (event.auctionId === auctionId) dispatch({ type: 'private', event })
    }),
    session.on('state', () => drawBox()),
    ticker.add(tick),
  )

  async function loadHistory(auction: AuctionView): Promise<void> {
    const known = state.history.at(-1)?.seq
    // After a gap: from what is known on. First: the last of it.
    const after = known ?? Math.max(0, auction.seq - historyPage)
    const hasEarlier = known === undefined ? after > 0 : state.hasEarlier
    for (let from = after; ; ) {
      const page = await answered(http.bids(auctionId, { after: from, limit: historyPage }))
      if (page === undefined) return
      dispatch({ type: 'history', bids: page.bids, hasEarlier })
      if (page.next === undefined) return
      from = page.next
    }
  }

  async function loadEarlier(): Promise<void> {
    const first = state.history[0]?.seq
    if (first === undefined) return
    earlier.disabled = true
    const after = Math.max(0, first - 1 - historyPage)
    const page = await answered(http.bids(auctionId, { after, limit: historyPage }))
    earlier.disabled = false
    if (page !== undefined) dispatch({ type: 'history', bids: page.bids, hasEarlier: after > 0 })
  }

  async function answered<Answer>(asked: Promise<Answer>): Promise<Answer | undefined> {
    try {
      return await asked
    } catch (error) {
      if (!isLeft && !(error instanceof ProblemError && error.problem.code === 'auction_not_found'))
        app.say(sentenceFor(error), 'bad')
      return undefined
    }
  }

  async function bid(amount: Amount, kind: BidKind): Promise<void> {
    dispatch({ type: 'bid_sent', bid: { amount, kind } })
    await seeThrough(session.placeBid({ auctionId, amount, kind }))
  }

  async function buyNow(): Promise<void> {
    const { auction } = state
    if (auction === undefined || auction.buyNow === null) return
    const words = money(auction.buyNow, auction.currency)
    if (!(await askTwice(`Buy “${auction.title}” for ${words}? This ends the auction.`, `Buy for ${words}`)))
      return
    dispatch({ type: 'bid_sent', bid: { kind: 'exact' } })
    await seeThrough(session.buyNow({ auctionId }))
  }

  async function seeThrough(asked: Promise<BidOutcome>): Promise<void> {
    const outcome = await answered(asked)
    dispatch(outcome === undefined ? { type: 'bid_failed' } : { type: 'bid_answered', outcome })
  }

  // What is shown.

  function draw(before: LotState): void {
    const { auction } = state
    if (auction === undefined) {
      if (state.refused !== undefined) drawRefused(state.refused)
      return
    }
    show(waiting, false)
    show(body, true)
    drawFigures(auction, before.auction)
    drawStanding()
    drawBox()
    history.update(state)
    show(earlier, state.hasEarlier)
    if (before.auction === undefined) drawOnce(auction)
    drawTerms(auction)
    desk?.update(auction)
    if (desk !== undefined)
      show(desk.element, (isOperator || auction.sellerId === identity?.id) && !isEnded(auction))
    if (state.history !== before.history) void drawChart(auction)
    ticker.refresh()
  }

  function drawRefused(code: string): void {
    show(waiting, false)
    show(problem, true)
    problem.replaceChildren(
      h('p', { class: 'empty-title' }, sentenceOf(code)),
      h('a', { class: 'button', href: '#/' }, 'To the auctions'),
    )
  }

  function drawFigures(auction: AuctionView, before: AuctionView | undefined): void {
    const { label: words, amount } = headline(auction)
    setText(status, statusInWords(auction.status))
    setAttribute(status, 'data-status', auction.status)
    show(reserve, auction.reserve !== 'none')
    setText(reserve, auction.reserve === 'met' ? 'Reserve met' : 'Reserve not met')
    setText(label, words)
    setText(price, money(amount, auction.currency))
    if (before !== undefined && before.price !== auction.price) flash(price)
    const who = auction.winner ?? auction.highBidder
    setText(
      leader,
      who === null
        ? bidsInWords(auction.bidCount)
        : `${who === state.alias ? 'You' : aliasInWords(who)} · ${bidsInWords(auction.bidCount)}`,
    )
  }

  function drawStanding(): void {
    const shown = standingOf(state)
    show(standing, shown !== undefined)
    if (shown === undefined) return
    setAttribute(standing, 'data-tone', shown.tone)
    if (standing.textContent === shown.title + shown.text) return
    standing.replaceChildren(
      icon(shown.tone === 'bad' ? 'alert' : shown.tone === 'good' ? 'check' : 'gavel'),
      h('div', {}, h('strong', {}, shown.title), h('span', {}, shown.text)),
    )
  }

  function drawBox(): void {
    const isOwn = identity !== undefined && state.auction?.sellerId === identity.id
    if (isOwn) show(box.element, false)
    else box.update(state, session.state.name === 'open')
  }

  function drawOnce(auction: AuctionView): void {
    setText(title, auction.title)
    document.title = `${auction.title} · Martillo`
    tags.replaceChildren(
      ...auction.tags.map((tag) =>
        h('a', { class: 'tag', href: hashOf({ page: 'list', filter: { status: 'open', tag } }) }, tag),
      ),
    )
    description.replaceChildren(...describe(auction.item))
    show(description, description.childElementCount > 0)
  }

  function drawTerms(auction: AuctionView): void {
    const { currency, softClose } = auction
    const when = (ms: number): string =>
      new Date(ms).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })
    const rows: (readonly [string, string] | undefined)[] = [
      ['Opening bid', money(auction.openingBid, currency)],
      isEnded(auction) ? undefined : ['Next bid from', money(auction.askingBid, currency)],
      auction.buyNow === null ? undefined : ['Buy now', money(auction.buyNow, currency)],
      [auction.status === 'scheduled' ? 'Opens' : 'Opened', when(auction.opensAt)],
      [isEnded(auction) ? 'Was to close' : 'Closes', when(auction.closesAt)],
      softClose && [
        'Soft close',
        `A bid in the last ${spanInWords(softClose.windowMs)} gives ${spanInWords(softClose.extensionMs)} more`,
      ],
      auction.extensions === 0
        ? undefined
        : ['Extended', auction.extensions === 1 ? 'once' : `${auction.extensions} times`],
      ['Sold by', auction.sellerId],
    ]
    terms.replaceChildren(
      ...rows
        .filter((row) => row !== undefined)
        .flatMap(([name, text]) => [h('dt', {}, name), h('dd', {}, text)]),
    )
  }

  async function drawChart(auction: AuctionView): Promise<void> {
    if (state.history.length < 2) return
    if (chart === undefined) {
      const { priceChart } = await import('./price-chart.ts')
      if (isLeft || chart !== undefined) return
      chart = priceChart(auction.currency)
      chartBox.replaceChildren(chart.element)
    }
    chart.update(state, isEnded(auction) ? 0 : session.serverNowMs())
  }

  let announcedMs = 0
  function announce(auction: AuctionView): void {
    const nowMs = performance.now()
    if (nowMs - announcedMs < announceEveryMs && !isEnded(auction)) return
    announcedMs = nowMs
    const { label: words, amount } = headline(auction)
    setText(announcer, `${words} ${money(amount, auction.currency)}. ${statusInWords(auction.status)}.`)
  }

  function tick(nowMs: number): number {
    history.tick(nowMs)
    const { auction } = state
    if (auction === undefined) return 1_000
    const isScheduled = auction.status === 'scheduled'
    const isRunning = isScheduled || auction.status === 'open'
    show(time, isRunning)
    setText(timeLabel, timeLabelOf(auction))
    setText(timeNote, timeNoteOf(auction, nowMs))
    if (!isRunning) return 1_000
    const left = countdown((isScheduled ? auction.opensAt : auction.closesAt) - nowMs)
    setText(time, left.urgency === 'over' ? (isScheduled ? 'Opening…' : 'Closing…') : left.text)
    setAttribute(time, 'aria-label', left.words)
    setAttribute(time, 'data-urgency', left.urgency)
    return left.nextChangeMs
  }

  return {
    element,
    title: 'Auction',
    leave() {
      isLeft = true
      chart?.leave()
      for (const end of ends) end()
    },
  }
}

function timeLabelOf(auction: AuctionView): string {
  if (auction.status === 'scheduled') return 'Opens in'
  if (auction.status === 'open') return 'Closes in'
  return auction.status === 'paused' ? 'On hold' : 'Closed'
}

function timeNoteOf(auction: AuctionView, nowMs: number): string {
  if (auction.status === 'paused') return 'The seller has paused the sale. The time that was left stays.'
  if (isEnded(auction) && auction.closesAt > nowMs) return 'Before its time'
  if (isEnded(auction))
    return new Date(auction.closesAt).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })
  return auction.extensions > 0 && auction.status === 'open'
    ? `Extended ${auction.extensions === 1 ? 'once' : `${auction.extensions} times`}`
    : ''
}

function spanInWords(ms: number): string {
  return countdown(ms).words === 'closing' ? 'moment' : countdown(ms).words
}

/** The seller's description: text, or the fields of an object. Other shapes are not shown. */
function describe(item: unknown): HTMLElement[] {
  if (typeof item === 'string') return paragraphs(item)
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return []
  const { description, ...others } = item as Record<string, unknown>
  const facts = Object.entries(others).filter(
    ([, value]) => typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean',
  )
  return [
    ...(typeof description === 'string' ? paragraphs(description) : []),
    ...(facts.length === 0
      ? []
      : [
          h(
            'dl',
            { class: 'terms' },
            ...facts.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, String(value))]),
          ),
        ]),
  ]
}

function paragraphs(text: string): HTMLElement[] {
  return text.split(/\n{2,}/).map((paragraph) => h('p', {}, paragraph.trim()))
}
