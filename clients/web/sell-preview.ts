/**
 * A preview of the card that the list will show for a new auction.
 * Invariant: it never takes the focus, and screen readers pass over it. Fields not typed yet get a neutral value.
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import type { AuctionId, SubjectId } from '../../protocol/ids.ts'
import type { App } from './app.ts'
import { auctionCard } from './auction-card.ts'
import { h } from './dom.ts'
import { typedAmount } from './money-text.ts'
import { durationUnits, readSellForm, type SellFields, tagsOf } from './sell-form.ts'

export interface SellPreview {
  readonly element: HTMLElement
  update(fields: SellFields): void
  leave(): void
}

const durationMsUntyped = 30 * durationUnits.minutes

export function sellPreview({ session, ticker }: App, first: SellFields): SellPreview {
  const card = auctionCard(previewOf(first, session.serverNowMs()), ticker)
  card.element.querySelector('a')?.setAttribute('tabindex', '-1')
  const element = h(
    'aside',
    { class: 'preview', 'aria-hidden': 'true' },
    h('p', { class: 'figure-label' }, 'In the list'),
    h('ul', { class: 'cards' }, card.element),
  )
  return {
    element,
    update: (fields) => card.update(previewOf(fields, session.serverNowMs())),
    leave: () => card.leave(),
  }
}

function previewOf(fields: SellFields, nowMs: number): AuctionView {
  const read = readSellForm(fields, nowMs)
  const typed = typedAmount(fields.openingBid, fields.currency)
  const openingBid = typed.ok ? typed.amount : 0
  return {
    id: 'preview' as AuctionId,
    title: fields.title.trim() === '' ? 'Your title' : fields.title.trim(),
    tags: tagsOf(fields.tags),
    item: null,
    format: 'english',
    currency: fields.currency,
    status: fields.opensAt === '' ? 'open' : 'scheduled',
    openingBid,
    price: null,
    askingBid: openingBid,
    bidCount: 0,
    highBidder: null,
    reserve: fields.reserve.trim() === '' ? 'none' : 'not_met',
    buyNow: null,
    opensAt: (read.ok ? read.terms.opensAt : undefined) ?? nowMs,
    closesAt: nowMs + (read.ok ? read.terms.durationMs : durationMsUntyped),
    extensions: 0,
    seq: 0,
    epoch: 0,
    owner: '',
    sellerId: '' as SubjectId,
  }
}
