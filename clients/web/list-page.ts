/**
 * The list of auctions by status and tag, a page at a time.
 * Invariant: new auctions appear by themselves only when the whole list is loaded, so no page is skipped; after
 * `leave` nothing is drawn.
 */
import { type App, sentenceFor, type View } from './app.ts'
import { button, h, show } from './dom.ts'
import { emptyWords, headingOf, listFilters } from './list-filters.ts'
import { cardsMax, LiveCards } from './live-cards.ts'
import { hashOf, type ListFilter } from './route.ts'

const pageSize = 24
/** New auctions are looked for this often while the page is visible. */
const lookAgainMs = 15_000

export function listPage(app: App, filter: ListFilter): View {
  let next: string | undefined
  let hasLeft = false

  const heading = headingOf(filter)
  const cards = new LiveCards(app, filter, heading)
  const notice = h('div', { class: 'empty', role: 'status' })
  const more = button('Show more', () => void load(false), { class: 'button button-wide', hidden: true })
  const head = h(
    'div',
    { class: 'page-head' },
    h('h1', {}, heading),
    listFilters((hash) => app.go(hash), filter),
  )
  const element = h('section', { class: 'page' }, head, cards.element, notice, more)

  async function load(isFirst: boolean): Promise<void> {
    more.disabled = true
    try {
      const after = isFirst || next === undefined ? {} : { after: next }
      const page = await app.http.auctions({ ...filter, limit: pageSize, ...after })
      if (hasLeft) return
      cards.add(page.auctions)
      cards.arrange()
      next = page.next
      drawEnd()
    } catch (error) {
      if (hasLeft) return
      if (isFirst) cards.removePlaceholders()
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
    show(more, next !== undefined && cards.size < cardsMax)
    show(notice, cards.size === 0)
    if (cards.size === 0) notice.replaceChildren(...emptyNotice(filter))
  }

  /** Adds new auctions without disturbing the cards that are there. */
  async function lookAgain(): Promise<void> {
    if (document.hidden || hasLeft || next !== undefined) return
    try {
      const page = await app.http.auctions({ ...filter, limit: cards.size + pageSize })
      if (hasLeft) return
      if (cards.add(page.auctions)) cards.arrange()
      drawEnd()
    } catch (error) {
      // The masthead shows a lost connection already, and the next look comes by itself. Other errors are thrown.
      sentenceFor(error)
    }
  }

  void load(true)
  const looking = window.setInterval(() => void lookAgain(), lookAgainMs)
  return {
    element,
    title: 'Auctions',
    leave() {
      hasLeft = true
      window.clearInterval(looking)
      cards.leave()
    },
  }
}

function emptyNotice(filter: ListFilter): readonly HTMLElement[] {
  const hint =
    filter.status === 'open' && filter.tag === undefined
      ? 'When a seller opens an auction, it appears here by itself.'
      : 'Try another status or tag.'
  return [
    h('p', { class: 'empty-title' }, emptyWords(filter)),
    h('p', {}, hint),
    h('a', { class: 'button', href: hashOf({ page: 'sell' }) }, 'Sell something'),
  ]
}
