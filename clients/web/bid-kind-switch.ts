/**
 * A switch between a hidden maximum and an exact bid, made of two radio buttons.
 * Invariant: one kind is chosen at all times, and the help text is about that one.
 */
import type { BidKind } from '../../protocol/fields.ts'
import { h, setText } from './dom.ts'

export interface BidKindSwitch {
  readonly element: HTMLElement
  readonly help: HTMLElement
  chosen(): BidKind
}

const kindWords: Readonly<Record<BidKind, { readonly label: string; readonly help: string }>> = {
  max: {
    label: 'Up to',
    help: 'The house bids for you, only as far as needed, up to this amount. Nobody sees it.',
  },
  exact: { label: 'Exactly', help: 'Your bid is this amount, no less, even if less would do.' },
}

export function bidKindSwitch(helpId: string): BidKindSwitch {
  let chosen: BidKind = 'max'
  const help = h('p', { class: 'hint', id: helpId }, kindWords[chosen].help)
  const parts = (['max', 'exact'] as const).map((kind) => {
    const id = `bid-kind-${kind}`
    const input = h('input', { type: 'radio', name: 'bid-kind', id, value: kind, checked: kind === chosen })
    input.addEventListener('change', () => {
      chosen = kind
      setText(help, kindWords[kind].help)
    })
    return [input, h('label', { for: id }, kindWords[kind].label)]
  })
  const legend = h('legend', { class: 'visually-hidden' }, 'Kind of bid')
  return { element: h('fieldset', { class: 'switch' }, legend, ...parts.flat()), help, chosen: () => chosen }
}
