/**
 * The head of an auction's page: status, reserve, title and tags.
 * Invariant: status and reserve follow every view; title and tags are set once, because an auction never changes
 * them.
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import { statusInWords } from './auction-card.ts'
import { h, icon, setAttribute, setText, show } from './dom.ts'
import { hashOf } from './route.ts'

export interface LotHeading {
  readonly element: HTMLElement
  /** Sets the parts that never change. */
  introduce(auction: AuctionView): void
  /** `isStale`: the status may have changed unseen. */
  update(auction: AuctionView, isStale: boolean): void
}

export function lotHeading(): LotHeading {
  const status = h('span', { class: 'pill' })
  const reserve = h('span', { class: 'pill pill-quiet' })
  const title = h('h1', { class: 'lot-title' })
  const tags = h('p', { class: 'lot-tags' })
  const back = hashOf({ page: 'list', filter: { status: 'open' } })
  const element = h(
    'div',
    { class: 'lot-head' },
    h('a', { class: 'back', href: back }, icon('back'), 'Auctions'),
    h('div', { class: 'lot-pills' }, status, reserve),
    title,
    tags,
  )
  return {
    element,
    introduce(auction) {
      setText(title, auction.title)
      tags.replaceChildren(...auction.tags.map(tagLink))
    },
    update(auction, isStale) {
      setText(status, isStale ? 'Not current' : statusInWords(auction.status))
      setAttribute(status, 'data-status', isStale ? 'stale' : auction.status)
      show(reserve, auction.reserve !== 'none')
      setText(reserve, auction.reserve === 'met' ? 'Reserve met' : 'Reserve not met')
    },
  }
}

function tagLink(tag: string): HTMLElement {
  return h('a', { class: 'tag', href: hashOf({ page: 'list', filter: { status: 'open', tag } }) }, tag)
}
