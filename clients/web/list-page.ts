/**
 * The list of auctions: a page of them by status and tag, each kept live over the socket, more on demand.
 * Invariant: at most `cardsMax` cards are there, each watched while it can still change; leaving ends all watches.
 */
import { type AuctionStatus, type AuctionView, auctionStatuses } from '../../protocol/auction-view.ts'
import { isEnded } from '../core/index.ts'
import { type App, sentenceFor, type View } from './app.ts'
import { type AuctionCard, auctionCard, statusInWords } from './auction-card.ts'
import { button, h, show } from './dom.ts'
import { hashOf, type ListFilter } from './route.ts'

const pageSize = 24
/** The house lets one socket watch a bounded number of auctions. */
export const cardsMax = 480
/** New auctions are looked for this often while the page is seen. */
const lookAgainMs = 15_000

const shownStatuses: readonly (AuctionStatus | undefined)[] = [
  'open',
  'scheduled',
  'sold',
  'passed',
  undefined,
]

interface Entry {
  auction: AuctionView
  readonly card: AuctionCard
  stopWatching: () => void
}

export function listPage(app: App, filter: ListFilter): View {
  const entries = new Map<string, Entry>()
  let next: string | undefined
  let isLeft = false

  const heading = h('h1', {}, headingOf(filter))
  const cards = h('ul', { class: 'cards', 'aria-label': headingOf(filter) })
  const notice = h('div', { class: 'empty', role: 'status' })
  const more = button('Show more', () => void load(false), { class: 'button button-wide', hidden: true })
  const element = h(
    'section',
    { class: 'page' },
    h('div', { class: 'page-head' }, heading, filters(app, filter)),
    cards,
    notice,
    more,
  )
  showPlaceholders()

  function showPlaceholders(): void {
    for (let at = 0; at < 6; at += 1)
      cards.append(h('li', { class: 'card-item placeholder', 'aria-hidden': 'true' }))
  }

  function put(auction: AuctionView): void {
    const known = entries.get(auction.id)
    if (known !== undefined || entries.size >= cardsMax) return
    const card = auctionCard(auction, app.ticker)
    const entry: Entry = { auction, card, stopWatching: () => undefined }
    entries.set(auction.id, entry)
    if (isEnded(auction)) return
    entry.stopWatching = app.session.watch(auction.id, (told) => {
      if (told.type === 'refused') return
      entry.auction = told.auction
      card.update(told.auction)
      if (!isEnded(told.auction)) return
      // Its end was seen; nothing follows.
      queueMicrotask(() => entry.stopWatching())
    })
  }

  /** In the order that matters here. Only when cards were added: what somebody is about to press stays put. */
  function arrange(): void {
    const sorted = [...entries.values()].sort((a, b) => compare(filter, a.auction, b.auction))
    cards.replaceChildren(...sorted.map(({ card }) => card.element))
  }

  async function load(isFirst: boolean): Promise<void> {
    more.disabled = true
    try {
      const page = await app.http.auctions({
        ...filter,
        limit: pageSize,
        ...(isFirst || next === undefined ? {} : { after: next }),
      })
      if (isLeft) return
      for (const auction of page.auctions) put(auction)
      arrange()
      next = page.next
      drawEnd()
    } catch (error) {
      if (isLeft) return
      if (isFirst) cards.replaceChildren()
      notice.replaceChildren(
        h('p', {}, sentenceFor(error)),
        button('Try again', () => void load(isFirst)),
      )
      show(notice, true)
    } finally {
      more.disabled = false
    }
  }

  function drawEnd(): void {
    show(more, next !== undefined && entries.size < cardsMax)
    show(notice, entries.size === 0)
    if (entries.size > 0) return
    notice.replaceChildren(
      h('p', { class: 'empty-title' }, emptyWords(filter)),
      h(
        'p',
        {},
        filter.status === 'open' && filter.tag === undefined
          ? 'When a seller opens an auction, it appears here by itself.'
          : 'Try another status or tag.',
      ),
      h('a', { class: 'button', href: '#/sell' }, 'Sell something'),
    )
  }

  /** New auctions at the front, without disturbing what is there. */
  async function lookAgain(): Promise<void> {
    if (document.hidden || isLeft || next !== undefined) return
    try {
      const page = await app.http.auctions({ ...filter, limit: entries.size + pageSize })
      const before = entries.size
      if (isLeft) return
      for (const auction of page.auctions) put(auction)
      if (entries.size > before) arrange()
      drawEnd()
    } catch (error) {
      // The sign of the connection says it already; the next look comes by itself.
      sentenceFor(error)
    }
  }

  void load(true)
  const looking = window.setInterval(() => void lookAgain(), lookAgainMs)
  return {
    element,
    title: 'Auctions',
    leave() {
      isLeft = true
      window.clearInterval(looking)
      for (const { card, stopWatching } of entries.values()) {
        card.leave()
        stopWatching()
      }
    },
  }
}

/** What ends or opens first comes first; what has ended, last ended first. */
function compare(filter: ListFilter, a: AuctionView, b: AuctionView): number {
  if (filter.status === 'scheduled') return a.opensAt - b.opensAt
  if (filter.status === 'open') return a.closesAt - b.closesAt
  return Number(isEnded(a)) - Number(isEnded(b)) || b.closesAt - a.closesAt
}

function headingOf(filter: ListFilter): string {
  const words = filter.status === undefined ? 'All auctions' : `${listWords(filter.status)} auctions`
  return filter.tag === undefined ? words : `${words}: ${filter.tag}`
}

function listWords(status: AuctionStatus): string {
  return status === 'passed' ? 'Unsold' : statusInWords(status)
}

function emptyWords(filter: ListFilter): string {
  if (filter.tag !== undefined) return `Nothing tagged “${filter.tag}” here.`
  return filter.status === 'open' ? 'Nothing is under the hammer right now.' : 'Nothing here yet.'
}

function filters(app: App, filter: ListFilter): HTMLElement {
  const withTag = filter.tag === undefined ? {} : { tag: filter.tag }
  const known = shownStatuses.includes(filter.status)
    ? shownStatuses
    : [...auctionStatuses.filter((status) => status === filter.status), ...shownStatuses]
  const links = known.map((status) => {
    const target: ListFilter = status === undefined ? withTag : { status, ...withTag }
    const isCurrent = status === filter.status
    return h(
      'a',
      {
        class: 'segment',
        href: hashOf({ page: 'list', filter: target }),
        'aria-current': isCurrent ? 'true' : undefined,
      },
      status === undefined ? 'All' : listWords(status),
    )
  })
  const tag = h('input', {
    type: 'search',
    id: 'tag-filter',
    placeholder: 'Filter by tag',
    value: filter.tag ?? '',
    autocomplete: 'off',
    enterkeyhint: 'search',
  })
  const form = h(
    'form',
    { class: 'tag-filter', role: 'search' },
    h('label', { class: 'visually-hidden', for: 'tag-filter' }, 'Filter by tag'),
    tag,
  )
  const apply = (): void => {
    const value = tag.value.trim().toLowerCase()
    const { status } = filter
    const target: ListFilter = {
      ...(status === undefined ? {} : { status }),
      ...(value === '' ? {} : { tag: value }),
    }
    if (value !== (filter.tag ?? '')) app.go(hashOf({ page: 'list', filter: target }))
  }
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    apply()
  })
  tag.addEventListener('change', apply)
  const segments = h('nav', { class: 'segments', 'aria-label': 'Status' }, ...links)
  return h('div', { class: 'filters' }, segments, form)
}
