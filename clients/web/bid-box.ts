/**
 * Where a bid is made: the amount with the asking bid filled in, quick raises, hidden maximum or plain bid, buy now.
 * Invariant: while the reader types, nothing overwrites it; a bid that is on its way cannot be sent a second time;
 * what the reader sees as the amount is what is sent, to the cent.
 */
import type { AuctionView, Standing } from '../../protocol/auction-view.ts'
import type { BidKind } from '../../protocol/fields.ts'
import type { Amount } from '../../protocol/money.ts'
import { button, h, setAttribute, setText, show } from './dom.ts'
import type { LotState } from './lot-model.ts'
import { currencySymbol, money, plainAmount, shortMoney, typedAmount } from './money-text.ts'
import { leastBid, raises } from './raises.ts'
import { sentenceOf } from './words.ts'

export interface BidBoxOptions {
  readonly bid: (amount: Amount, kind: BidKind) => void
  readonly buyNow: () => void
  /** Whether the reader may bid at all; otherwise why not, and where to go. */
  readonly barrier:
    | { readonly text: string; readonly link?: { readonly href: string; readonly label: string } }
    | undefined
}

export interface BidBox {
  readonly element: HTMLElement
  update(state: LotState, isConnected: boolean): void
}

const kindWords: Readonly<Record<BidKind, { readonly label: string; readonly help: string }>> = {
  max: {
    label: 'Up to',
    help: 'The house bids for you, only as far as needed, up to this amount. Nobody sees it.',
  },
  exact: { label: 'Exactly', help: 'Your bid is this amount, no less, even if less would do.' },
}

export function bidBox(options: BidBoxOptions): BidBox {
  let auction: AuctionView | undefined
  let you: Standing = { status: 'none' }
  /** The least that is worth bidding now. */
  let least: Amount | undefined
  let kind: BidKind = 'max'
  /** What was filled in; while the field still shows it, it follows the asking bid. */
  let filled: string | undefined

  const symbol = h('span', { class: 'amount-symbol', 'aria-hidden': 'true' })
  const input = h('input', {
    id: 'bid-amount',
    class: 'amount-input',
    inputmode: 'decimal',
    autocomplete: 'off',
    'aria-describedby': 'bid-message bid-help',
  })
  const field = h('div', { class: 'amount-field' }, symbol, input)
  const quick = h('div', { class: 'quick', role: 'group', 'aria-label': 'Suggested amounts' })
  const help = h('p', { class: 'hint', id: 'bid-help' })
  const message = h('p', { class: 'message', id: 'bid-message', role: 'alert' })
  const submit = h(
    'button',
    { type: 'submit', class: 'button button-primary button-wide button-tall' },
    'Place bid',
  )
  const buyNowButton = button('', () => options.buyNow(), { class: 'button button-wide' })
  const kinds = kindSwitch((chosen) => {
    kind = chosen
    drawKind()
  })
  const label = h('label', { for: 'bid-amount', class: 'field-label' }, 'Your bid')
  const form = h(
    'form',
    { class: 'bid-form', novalidate: true },
    h('div', { class: 'bid-row' }, label, kinds),
    field,
    quick,
    help,
    message,
    submit,
    buyNowButton,
  )
  const { barrier: why } = options
  const barrier = h(
    'div',
    { class: 'barrier' },
    h('p', {}, why?.text ?? ''),
    why?.link && h('a', { class: 'button button-primary button-wide', href: why.link.href }, why.link.label),
  )
  const element = h('div', { class: 'bid-box' }, form, barrier)

  function drawKind(): void {
    setText(help, kindWords[kind].help)
  }

  function fill(amount: Amount): void {
    if (auction === undefined) return
    filled = plainAmount(amount, auction.currency)
    input.value = filled
    say('')
  }

  function say(text: string, isGood = false): void {
    setText(message, text)
    setAttribute(message, 'data-tone', text === '' ? undefined : isGood ? 'good' : 'bad')
    setAttribute(input, 'aria-invalid', text !== '' && !isGood ? 'true' : undefined)
  }

  input.addEventListener('input', () => {
    if (input.value !== filled) filled = undefined
    say('')
  })
  input.addEventListener('focus', () => input.select())
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    if (auction === undefined) return
    const amount = typedAmount(input.value, auction.currency)
    if (amount === undefined) {
      say(`Type an amount such as ${plainAmount(least ?? auction.askingBid, auction.currency)}.`)
      input.focus()
    } else if (amount < auction.askingBid) {
      say(`The asking bid is ${money(auction.askingBid, auction.currency)}.`)
      input.focus()
    } else if (you.status === 'winning' && you.maxBid !== undefined && amount <= you.maxBid) {
      say(
        `You lead already, with a maximum of ${money(you.maxBid, auction.currency)}. Only more than that changes anything.`,
      )
      input.focus()
    } else options.bid(amount, kind)
  })

  let quickKey = ''
  function drawQuick(view: AuctionView, from: Amount): void {
    const amounts = raises(from, view.currency, view.increments)
    const key = `${view.currency}${amounts.join()}`
    if (key === quickKey) return
    quickKey = key
    quick.replaceChildren(
      ...amounts.map((amount) =>
        button(shortMoney(amount, view.currency), () => fill(amount), { class: 'button button-chip' }),
      ),
    )
  }

  function drawOutcome({ outcome, you: now }: LotState, view: AuctionView): void {
    if (outcome === undefined) return
    if (outcome.type === 'bid_accepted')
      say(acceptedWords(outcome.you, now, view), outcome.you.status !== 'outbid')
    else say(rejectedWords(outcome.code, outcome.askingBid, view))
  }

  let drawnOutcome: LotState['outcome']
  drawKind()
  return {
    element,
    update(state, isConnected) {
      const { auction: view, pending } = state
      if (view === undefined) return
      const before = least
      auction = view
      you = state.you
      const leadingMaximum = you.status === 'winning' ? you.maxBid : undefined
      least = leastBid(view.askingBid, view.currency, view.increments, leadingMaximum)
      const isOpen = view.status === 'open'
      show(element, isOpen)
      show(form, isOpen && options.barrier === undefined)
      show(barrier, isOpen && options.barrier !== undefined)
      if (!isOpen || options.barrier !== undefined) return
      setText(symbol, currencySymbol(view.currency))
      if (before === undefined || (before !== least && input.value === filled)) fill(least)
      drawQuick(view, least)
      submit.disabled = pending !== undefined || !isConnected
      setText(submit, submitWords(pending !== undefined, isConnected, state.you))
      buyNowButton.disabled = pending !== undefined || !isConnected
      show(buyNowButton, view.buyNow !== null)
      if (view.buyNow !== null) setText(buyNowButton, `Buy now for ${money(view.buyNow, view.currency)}`)
      if (state.outcome === drawnOutcome) return
      drawnOutcome = state.outcome
      if (state.outcome?.type === 'bid_accepted') fill(least)
      drawOutcome(state, view)
    },
  }
}

function submitWords(isPending: boolean, isConnected: boolean, you: Standing): string {
  if (isPending) return 'Sending your bid…'
  if (!isConnected) return 'Reconnecting…'
  return you.status === 'winning' ? 'Raise your maximum' : 'Place bid'
}

function acceptedWords(answered: Standing, now: Standing, view: AuctionView): string {
  if (answered.status === 'outbid')
    return `Your bid counts, but somebody's maximum is higher. To lead, bid ${money(view.askingBid, view.currency)} or more.`
  if (answered.status === 'won') return 'It is yours.'
  if (now.maxBid === undefined) return 'You lead.'
  return `You lead, with a maximum of ${money(now.maxBid, view.currency)}.`
}

function rejectedWords(code: string, askingBid: Amount | undefined, view: AuctionView): string {
  const sentence = sentenceOf(code)
  return code === 'bid_too_low' && askingBid !== undefined
    ? `${sentence} Bid ${money(askingBid, view.currency)} or more.`
    : sentence
}

/** Two radio buttons drawn as one switch. */
function kindSwitch(choose: (kind: BidKind) => void): HTMLElement {
  const parts = (['max', 'exact'] as const).map((kind) => {
    const input = h('input', {
      type: 'radio',
      name: 'bid-kind',
      id: `bid-kind-${kind}`,
      value: kind,
      checked: kind === 'max',
    })
    input.addEventListener('change', () => choose(kind))
    return [input, h('label', { for: `bid-kind-${kind}` }, kindWords[kind].label)]
  })
  return h(
    'fieldset',
    { class: 'switch' },
    h('legend', { class: 'visually-hidden' }, 'Kind of bid'),
    ...parts.flat(),
  )
}
