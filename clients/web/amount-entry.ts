/**
 * The field for the amount of a bid, with the symbol of its currency.
 * Invariant: an amount that was filled in follows the auction only until the reader types.
 */
import type { Amount } from '../../protocol/money.ts'
import { h, setAttribute, setText } from './dom.ts'
import { currencySymbol, plainAmount } from './money-text.ts'

export interface AmountEntry {
  readonly element: HTMLElement
  text(): string
  /** Whether the field still shows what was filled in. */
  isFollowing(): boolean
  fill(amount: Amount, currency: string): void
  showCurrency(currency: string): void
  setInvalid(isInvalid: boolean): void
  focus(): void
}

/** `describedBy` holds the ids of what explains the field; `typed` is called whenever the reader changes it. */
export function amountEntry(id: string, describedBy: string, typed: () => void): AmountEntry {
  let filled: string | undefined
  const symbol = h('span', { class: 'amount-symbol', 'aria-hidden': 'true' })
  const input = h('input', {
    id,
    class: 'amount-input',
    inputmode: 'decimal',
    autocomplete: 'off',
    'aria-describedby': describedBy,
  })
  input.addEventListener('input', () => {
    if (input.value !== filled) filled = undefined
    typed()
  })
  input.addEventListener('focus', () => input.select())
  return {
    element: h('div', { class: 'amount-field' }, symbol, input),
    text: () => input.value,
    isFollowing: () => input.value === filled,
    fill(amount, currency) {
      filled = plainAmount(amount, currency)
      input.value = filled
    },
    showCurrency: (currency) => setText(symbol, currencySymbol(currency)),
    setInvalid: (isInvalid) => setAttribute(input, 'aria-invalid', isInvalid ? 'true' : undefined),
    focus: () => input.focus(),
  }
}
