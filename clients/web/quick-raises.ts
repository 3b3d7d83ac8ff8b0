/**
 * Buttons that fill in a suggested amount.
 * Invariant: the buttons are replaced only when their amounts change, so that one under a finger stays.
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import type { Amount } from '../../protocol/money.ts'
import { button, h } from './dom.ts'
import { shortMoney } from './money-text.ts'
import { raises } from './raises.ts'

export interface QuickRaises {
  readonly element: HTMLElement
  update(auction: AuctionView, least: Amount): void
}

export function quickRaises(choose: (amount: Amount) => void): QuickRaises {
  const element = h('div', { class: 'quick', role: 'group', 'aria-label': 'Suggested amounts' })
  let drawn = ''
  return {
    element,
    update({ currency, increments }, least) {
      const amounts = raises(least, currency, increments)
      const key = `${currency}${amounts.join()}`
      if (key === drawn) return
      drawn = key
      element.replaceChildren(
        ...amounts.map((amount) =>
          button(shortMoney(amount, currency), () => choose(amount), { class: 'button button-chip' }),
        ),
      )
    },
  }
}
