/**
 * The bids of an auction, newest first. Invariant: a row is drawn once and only moves; at most `rowsMax` rows are
 * there at a time.
 */
import { ago } from './countdown.ts'
import { h, setAttribute, setText } from './dom.ts'
import type { HistoryBid, LotState } from './lot-model.ts'
import { money } from './money-text.ts'
import { aliasInWords } from './words.ts'

export const rowsMax = 200

export interface HistoryList {
  readonly element: HTMLElement
  update(state: LotState): void
  /** Says again how long ago each bid was. */
  tick(serverNowMs: number): void
}

interface Row {
  readonly element: HTMLElement
  readonly who: HTMLElement
  readonly when: HTMLElement
  readonly bid: HistoryBid
}

export function historyList(): HistoryList {
  const rows = new Map<number, Row>()
  const list = h('ol', { class: 'history', 'aria-label': 'Bids, newest first' })
  const empty = h('p', { class: 'hint' }, 'No bids yet. The first one sets the price to the opening bid.')
  const element = h('div', { class: 'history-box' }, empty, list)
  let newestSeq = 0

  function row(bid: HistoryBid, currency: string, isNews: boolean): Row {
    const who = h('span', { class: 'history-who' })
    const when = h('time', { class: 'history-when', datetime: new Date(bid.atMs).toISOString() })
    const price = h('span', { class: 'history-price' }, money(bid.price, currency))
    const outbid = bid.bidder !== bid.highBidder
    const note = outbid ? h('span', { class: 'history-note' }, 'outbid at once') : undefined
    const line = h(
      'li',
      { class: isNews ? 'history-row is-new' : 'history-row' },
      h('div', { class: 'history-name' }, who, note),
      price,
      when,
    )
    return { element: line, who, when, bid }
  }

  return {
    element,
    update({ history, auction, alias }) {
      if (auction === undefined) return
      empty.hidden = history.length > 0
      const shown = history.slice(-rowsMax)
      const wanted = new Set(shown.map(({ seq }) => seq))
      for (const [seq, { element: line }] of rows) {
        if (wanted.has(seq)) continue
        line.remove()
        rows.delete(seq)
      }
      let after: Element | null = null
      for (const bid of [...shown].reverse()) {
        let known = rows.get(bid.seq)
        if (known === undefined) {
          known = row(bid, auction.currency, newestSeq > 0 && bid.seq > newestSeq)
          rows.set(bid.seq, known)
        }
        const place: Element | null = after === null ? list.firstElementChild : after.nextElementSibling
        if (place !== known.element) list.insertBefore(known.element, place)
        after = known.element
        setText(known.who, bid.bidder === alias ? 'You' : aliasInWords(bid.bidder))
        setAttribute(known.element, 'data-own', bid.bidder === alias ? 'true' : undefined)
      }
      newestSeq = history.at(-1)?.seq ?? newestSeq
    },
    tick(serverNowMs) {
      for (const { when, bid } of rows.values()) setText(when, ago(Math.max(0, serverNowMs - bid.atMs)))
    },
  }
}
