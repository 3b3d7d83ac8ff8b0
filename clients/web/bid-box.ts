/**
 * Where a bid is made: amount, quick raises, kind of bid, buy now.
 * Invariant: while the reader types, nothing overwrites it; a bid under way cannot be sent a second time; the
 * amount that the reader sees is the amount that is sent, to the cent. No message claims a lead that is lost or not
 * known to last.
 */
import type { AuctionView, Standing } from '../../protocol/auction-view.ts'
import type { BidKind } from '../../protocol/fields.ts'
import type { Amount } from '../../protocol/money.ts'
import { amountEntry } from './amount-entry.ts'
import { bidKindSwitch } from './bid-kind-switch.ts'
import { acceptedWords, type BidContext, readBid, rejectedWords, submitWords } from './bid-words.ts'
import { button, h, setAttribute, setText, show } from './dom.ts'
import type { Identity } from './identity.ts'
import { isStale, type LotState } from './lot-model.ts'
import { money } from './money-text.ts'
import { quickRaises } from './quick-raises.ts'
import { leastBid } from './raises.ts'
import { hashOf } from './route.ts'

export interface BidActions {
  readonly bid: (amount: Amount, kind: BidKind) => void
  readonly buyNow: () => void
}

/** Why a reader may not bid, and where to change that. */
export interface Barrier {
  readonly text: string
  readonly label: string
}

export interface BidBox {
  readonly element: HTMLElement
  update(state: LotState, isConnected: boolean): void
}

/** What keeps this reader from bidding; `undefined` for a bidder. */
export function barrierFor(identity: Identity | undefined): Barrier | undefined {
  if (identity === undefined)
    return {
      text: 'To bid, tell the house who you are. It takes a name, nothing else.',
      label: 'Register to bid',
    }
  if (identity.roles.includes('bidder')) return undefined
  return { text: 'You are signed in, but not as a bidder.', label: 'Change account' }
}

export function bidBox(actions: BidActions, barrier: Barrier | undefined): BidBox {
  const form = bidForm(actions)
  const notice = barrierNotice(barrier)
  const element = h('div', { class: 'bid-box' }, form.element, notice)
  return {
    element,
    update(state, isConnected) {
      const { auction } = state
      if (auction === undefined) return
      const isOpen = auction.status === 'open'
      const mayBid = barrier === undefined
      show(element, isOpen)
      show(form.element, isOpen && mayBid)
      show(notice, isOpen && !mayBid)
      if (isOpen && mayBid) form.update(state, contextOf(auction, state.you), isConnected)
    },
  }
}

function contextOf(auction: AuctionView, you: Standing): BidContext {
  const leadingMaximum = you.status === 'winning' ? you.maxBid : undefined
  const { askingBid, currency, increments } = auction
  return { auction, you, least: leastBid(askingBid, currency, increments, leadingMaximum) }
}

function barrierNotice(barrier: Barrier | undefined): HTMLElement {
  const link = { class: 'button button-primary button-wide', href: hashOf({ page: 'account' }) }
  return h(
    'div',
    { class: 'barrier' },
    h('p', {}, barrier?.text ?? ''),
    barrier && h('a', link, barrier.label),
  )
}

/** The form of a reader who may bid, for an auction that is open. */
function bidForm(actions: BidActions) {
  let context: BidContext | undefined
  let drawnOutcome: LotState['outcome']
  /** Whether the message is that of the outcome, and not a fault of what was typed since. */
  let isOutcomeShown = false
  const message = h('p', { class: 'message', id: 'bid-message', role: 'alert' })
  const amount = amountEntry('bid-amount', 'bid-message bid-help', () => say(''))
  const quick = quickRaises(fill)
  const kind = bidKindSwitch('bid-help')
  const submit = submitButton()
  const buyNow = button('', () => actions.buyNow(), { class: 'button button-wide' })
  const label = h('label', { for: 'bid-amount', class: 'field-label' }, 'Your bid')
  const heading = h('div', { class: 'bid-row' }, label, kind.element)
  const controls = [heading, amount.element, quick.element, kind.help, message, submit, buyNow]
  const element = h('form', { class: 'bid-form', novalidate: true }, ...controls)

  function say(text: string, isGood = false): void {
    isOutcomeShown = false
    setText(message, text)
    setAttribute(message, 'data-tone', text === '' ? undefined : isGood ? 'good' : 'bad')
    amount.setInvalid(text !== '' && !isGood)
  }

  function fill(value: Amount): void {
    if (context === undefined) return
    amount.fill(value, context.auction.currency)
    say('')
  }

  function send(): void {
    if (context === undefined) return
    const read = readBid(amount.text(), context)
    if (read.ok) {
      actions.bid(read.amount, kind.chosen())
      return
    }
    say(read.fault)
    amount.focus()
  }

  /** What an accepted bid was answered holds only as long as the standing that it brought. */
  function withdrawOutcome(state: LotState): void {
    if (!isOutcomeShown || drawnOutcome?.type !== 'bid_accepted') return
    if (isStale(state) || state.you.status !== drawnOutcome.you.status) say('')
  }

  /** A new outcome once: an accepted bid fills in the next amount, and then both kinds are put in words. */
  function drawOutcome({ outcome, you }: LotState, { auction, least }: BidContext): void {
    if (outcome === drawnOutcome) return
    drawnOutcome = outcome
    if (outcome === undefined) return
    if (outcome.type === 'bid_accepted') {
      fill(least)
      say(acceptedWords(outcome.you, you, auction), outcome.you.status !== 'outbid')
    } else say(rejectedWords(outcome.code, outcome.askingBid, auction))
    isOutcomeShown = true
  }

  element.addEventListener('submit', (event) => {
    event.preventDefault()
    send()
  })
  return {
    element,
    update(state: LotState, next: BidContext, isConnected: boolean): void {
      const before = context?.least
      context = next
      const { auction, least, you } = next
      amount.showCurrency(auction.currency)
      if (before === undefined || (before !== least && amount.isFollowing())) fill(least)
      quick.update(auction, least)
      const isPending = state.pending !== undefined
      submit.disabled = isPending || !isConnected
      setText(submit, submitWords(isPending, isConnected, you))
      buyNow.disabled = isPending || !isConnected
      show(buyNow, auction.buyNow !== null)
      if (auction.buyNow !== null) setText(buyNow, `Buy now for ${money(auction.buyNow, auction.currency)}`)
      drawOutcome(state, next)
      withdrawOutcome(state)
    },
  }
}

function submitButton(): HTMLButtonElement {
  const attributes = { type: 'submit', class: 'button button-primary button-wide button-tall' }
  return h('button', attributes, 'Place bid')
}
