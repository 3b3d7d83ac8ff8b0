/**
 * How the reader stands, as a coloured line of the bidding panel.
 * Invariant: the line is replaced only when its words change, so a screen reader reads it once.
 */
import { h, icon, setAttribute, show } from './dom.ts'
import type { LotState } from './lot-model.ts'
import { standingOf } from './standing.ts'

export interface StandingBanner {
  readonly element: HTMLElement
  update(state: LotState): void
}

const icons = { good: 'check', bad: 'alert', plain: 'gavel', stale: 'alert' } as const

export function standingBanner(): StandingBanner {
  const element = h('div', { class: 'standing', role: 'status' })
  return {
    element,
    update(state) {
      const shown = standingOf(state)
      show(element, shown !== undefined)
      if (shown === undefined) return
      setAttribute(element, 'data-tone', shown.tone)
      if (element.textContent === shown.title + shown.text) return
      const lines = h('div', {}, h('strong', {}, shown.title), h('span', {}, shown.text))
      element.replaceChildren(icon(icons[shown.tone]), lines)
    },
  }
}
