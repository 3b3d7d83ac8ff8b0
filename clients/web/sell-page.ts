/**
 * The form for a new auction, with a preview of how it will stand in the list.
 * Invariant: what is wrong with a field is said at the field, once its reader has left it or tried to send; sending
 * twice makes one auction (one idempotency key for as long as the content stays the same).
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import type { AuctionId, RequestId, SubjectId } from '../../protocol/ids.ts'
import { ProblemError } from '../core/index.ts'
import { type App, sentenceFor, type View } from './app.ts'
import { auctionCard } from './auction-card.ts'
import { newId } from './browser.ts'
import { button, h, setText, show } from './dom.ts'
import { field, select, textInput } from './field.ts'
import { typedAmount } from './money-text.ts'
import { hashOf } from './route.ts'
import {
  type DurationUnit,
  freshFields,
  readSellForm,
  type SellFaults,
  type SellFields,
  type Terms,
  tagsOf,
} from './sell-form.ts'

const currencies = [
  'EUR',
  'USD',
  'GBP',
  'CHF',
  'JPY',
  'SEK',
  'DKK',
  'NOK',
  'PLN',
  'CAD',
  'AUD',
  'BRL',
  'MXN',
] as const

export function sellPage(app: App): View {
  const { identity } = app
  const maySell = identity?.roles.some((role) => role === 'seller' || role === 'operator') === true
  if (!maySell) return { element: whyNot(identity !== undefined), title: 'Sell', leave() {} }

  const currency = select(
    currencies.map((code) => [code, code] as const),
    'EUR',
    { 'aria-label': 'Currency' },
  )
  const unit = select<DurationUnit>(
    [
      ['minutes', 'minutes'],
      ['hours', 'hours'],
      ['days', 'days'],
    ],
    'minutes',
    { 'aria-label': 'Unit of the duration' },
  )
  const amountInput = () => textInput({ inputmode: 'decimal', placeholder: '0.00', class: 'amount-text' })
  const fields = {
    title: field(
      'title',
      'Title',
      textInput({ maxlength: 200, placeholder: 'Brass carriage clock, Paris, 1890' }),
    ),
    description: field('description', 'Description', h('textarea', { rows: 4 }), { optional: true }),
    tags: field('tags', 'Tags', textInput({ placeholder: 'clocks, brass' }), {
      optional: true,
      hint: 'Separated by commas. Buyers who follow one of them are told.',
    }),
    openingBid: field('opening-bid', 'Opening bid', amountInput(), { beside: currency }),
    reserve: field('reserve', 'Reserve', amountInput(), {
      optional: true,
      hint: 'Kept secret. Below it, nothing is sold.',
    }),
    buyNow: field('buy-now', 'Buy now', amountInput(), {
      optional: true,
      hint: 'Offered until the first bid, or until the reserve is met.',
    }),
    duration: field(
      'duration',
      'Runs for',
      textInput({ inputmode: 'numeric', value: freshFields.duration }),
      {
        beside: unit,
      },
    ),
    opensAt: field('opens-at', 'Opens', h('input', { type: 'datetime-local' }), {
      optional: true,
      hint: 'Left empty: at once.',
    }),
    softCloseWindow: field(
      'soft-close-window',
      'A bid in the last',
      textInput({ inputmode: 'numeric', value: freshFields.softCloseWindow }),
      { beside: h('span', { class: 'unit' }, 'minutes') },
    ),
    softCloseExtension: field(
      'soft-close-extension',
      'leaves at least',
      textInput({ inputmode: 'numeric', value: freshFields.softCloseExtension }),
      { beside: h('span', { class: 'unit' }, 'minutes') },
    ),
  }
  const softClose = h('input', { type: 'checkbox', id: 'soft-close', checked: true })
  const softCloseFields = h(
    'div',
    { class: 'field-pair' },
    fields.softCloseWindow.element,
    fields.softCloseExtension.element,
  )
  const message = h('p', { class: 'message', role: 'alert' })
  const submit = h(
    'button',
    { type: 'submit', class: 'button button-primary button-tall' },
    'Open the auction',
  )
  const form = h(
    'form',
    { class: 'panel form', novalidate: true },
    fields.title.element,
    fields.description.element,
    fields.tags.element,
    h('h2', {}, 'Amounts'),
    fields.openingBid.element,
    h('div', { class: 'field-pair' }, fields.reserve.element, fields.buyNow.element),
    h('h2', {}, 'Time'),
    h('div', { class: 'field-pair' }, fields.duration.element, fields.opensAt.element),
    h(
      'div',
      { class: 'check' },
      softClose,
      h('label', { for: 'soft-close' }, 'Soft close: a late bid gives everybody time to answer'),
    ),
    softCloseFields,
    message,
    h('div', { class: 'form-end' }, submit),
  )
  const preview = auctionCard(previewOf(readFields(), app), app.ticker)
  preview.element.querySelector('a')?.setAttribute('tabindex', '-1')
  const element = h(
    'section',
    { class: 'page' },
    h('div', { class: 'page-head' }, h('h1', {}, 'Sell something')),
    h(
      'div',
      { class: 'sell' },
      form,
      h(
        'aside',
        { class: 'preview', 'aria-hidden': 'true' },
        h('p', { class: 'figure-label' }, 'In the list'),
        h('ul', { class: 'cards' }, preview.element),
      ),
    ),
  )

  function readFields(): SellFields {
    const text = (name: keyof typeof fields): string => fields[name].control.value
    return {
      title: text('title'),
      description: text('description'),
      tags: text('tags'),
      currency: currency.value,
      openingBid: text('openingBid'),
      duration: text('duration'),
      durationUnit: unit.value as DurationUnit,
      opensAt: text('opensAt'),
      reserve: text('reserve'),
      buyNow: text('buyNow'),
      hasSoftClose: softClose.checked,
      softCloseWindow: text('softCloseWindow'),
      softCloseExtension: text('softCloseExtension'),
    }
  }

  /** Fields that were left or sent: only those are told what is wrong. */
  const visited = new Set<string>()

  function check(): SellFaults {
    const read = readSellForm(readFields(), app.session.serverNowMs())
    const faults = read.ok ? {} : read.faults
    for (const [name, one] of Object.entries(fields))
      one.fault(visited.has(name) ? faults[name as keyof SellFaults] : undefined)
    return faults
  }

  for (const [name, { control }] of Object.entries(fields)) {
    control.addEventListener('blur', () => {
      if (control.value !== '') visited.add(name)
      check()
    })
  }
  form.addEventListener('input', () => {
    setText(message, '')
    show(softCloseFields, softClose.checked)
    check()
    preview.update(previewOf(readFields(), app))
  })

  let sent: { readonly content: string; readonly key: RequestId } | undefined

  async function send(terms: Terms): Promise<void> {
    const content = JSON.stringify(terms)
    if (sent?.content !== content) sent = { content, key: newId() as RequestId }
    submit.disabled = true
    setText(submit, 'Opening…')
    try {
      const auction = await app.http.createAuction(terms, sent.key)
      app.say(auction.status === 'scheduled' ? 'The auction is planned.' : 'The auction is open.', 'good')
      app.go(hashOf({ page: 'auction', id: auction.id }))
    } catch (error) {
      if (error instanceof ProblemError) sent = undefined
      setText(message, sentenceFor(error))
      message.dataset['tone'] = 'bad'
      submit.disabled = false
      setText(submit, 'Open the auction')
    }
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    for (const name of Object.keys(fields)) visited.add(name)
    const faults = check()
    const wrong = Object.keys(fields).find((name) => faults[name as keyof SellFaults] !== undefined)
    if (wrong !== undefined) {
      fields[wrong as keyof typeof fields].control.focus()
      return
    }
    const read = readSellForm(readFields(), app.session.serverNowMs())
    if (read.ok) void send(read.terms)
  })

  return { element, title: 'Sell', leave: () => preview.leave() }
}

/** How the list would show it; what is not typed yet is left open. */
function previewOf(fields: SellFields, app: App): AuctionView {
  const read = readSellForm(fields, app.session.serverNowMs())
  const nowMs = app.session.serverNowMs()
  const openingBid = typedAmount(fields.openingBid, fields.currency) ?? 0
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
    closesAt: nowMs + (read.ok ? read.terms.durationMs : 1_800_000),
    extensions: 0,
    seq: 0,
    epoch: 0,
    owner: '',
    sellerId: '' as SubjectId,
  }
}

function whyNot(isSignedIn: boolean): HTMLElement {
  const copy = h('code', {}, 'npx martillo token --role seller --subject YOUR-NAME')
  return h(
    'section',
    { class: 'page page-narrow' },
    h('div', { class: 'page-head' }, h('h1', {}, 'Sell something')),
    h(
      'div',
      { class: 'panel' },
      h('p', {}, isSignedIn ? 'You are signed in, but not as a seller.' : 'To sell, sign in as a seller.'),
      h('p', { class: 'hint' }, 'The house gives sellers a token. On the machine where it runs:'),
      h('p', { class: 'command' }, copy),
      button(
        'I have a token',
        () => {
          location.hash = hashOf({ page: 'account' })
        },
        { class: 'button button-primary' },
      ),
    ),
  )
}
