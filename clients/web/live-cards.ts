/**
 * The cards of a list, kept live while their auctions can change.
 * Invariant: at most `cardsMax` cards are there and an auction has one; `leave` ends every watch and timer.
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import { isEnded, type WatchEvent } from '../core/index.ts'
import type { App } from './app.ts'
import { type AuctionCard, auctionCard } from './auction-card.ts'
import { h } from './dom.ts'
import type { ListFilter } from './route.ts'
import { staleMark } from './stale-mark.ts'

/** A house bounds how many auctions one socket may watch. */
export const cardsMax = 480

const placeholders = 6

interface Entry {
  auction: AuctionView
  readonly card: AuctionCard
  stopWatching: () => void
}

export class LiveCards {
  readonly element: HTMLElement
  readonly #app: App
  readonly #filter: ListFilter
  readonly #entries = new Map<string, Entry>()

  /** Begins with placeholders. */
  constructor(app: App, filter: ListFilter, label: string) {
    this.#app = app
    this.#filter = filter
    this.element = h('ul', { class: 'cards', 'aria-label': label })
    for (let at = 0; at < placeholders; at += 1)
      this.element.append(h('li', { class: 'card-item placeholder', 'aria-hidden': 'true' }))
  }

  get size(): number {
    return this.#entries.size
  }

  /** Makes cards for auctions that have none yet; returns whether there were any. */
  add(auctions: readonly AuctionView[]): boolean {
    const before = this.size
    for (const auction of auctions) this.#add(auction)
    return this.size > before
  }

  /** Puts the cards in order. Only after some were added: a card under a finger must not move by itself. */
  arrange(): void {
    const sorted = [...this.#entries.values()].sort((a, b) => compare(this.#filter, a.auction, b.auction))
    this.element.replaceChildren(...sorted.map(({ card }) => card.element))
  }

  removePlaceholders(): void {
    this.element.replaceChildren()
  }

  leave(): void {
    for (const { card, stopWatching } of this.#entries.values()) {
      card.leave()
      stopWatching()
    }
  }

  #add(auction: AuctionView): void {
    if (this.#entries.has(auction.id) || this.size >= cardsMax) return
    const card = auctionCard(auction, this.#app.ticker)
    const entry: Entry = { auction, card, stopWatching: () => undefined }
    this.#entries.set(auction.id, entry)
    if (isEnded(auction)) return
    const onEvent = (event: WatchEvent): void => {
      if (event.type === 'refused') return
      entry.auction = event.auction
      card.update(event.auction)
      // No event follows the end. The watch may not be assigned yet while its first event arrives.
      if (isEnded(event.auction)) queueMicrotask(() => entry.stopWatching())
    }
    const mark = staleMark({
      stale: () => card.setCurrent(false),
      current: () => card.setCurrent(true),
    })
    const stop = this.#app.session.watch(auction.id, onEvent, mark.setCurrent)
    entry.stopWatching = () => {
      mark.leave()
      stop()
    }
  }
}

/** What ends or opens first comes first; what has ended, last ended first. */
function compare(filter: ListFilter, a: AuctionView, b: AuctionView): number {
  if (filter.status === 'scheduled') return a.opensAt - b.opensAt
  if (filter.status === 'open') return a.closesAt - b.closesAt
  return Number(isEnded(a)) - Number(isEnded(b)) || b.closesAt - a.closesAt
}
