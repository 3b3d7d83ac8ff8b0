/**
 * The fields of the form for a new auction, and their faults.
 * Invariant: a fault is shown at a field only after its reader has left it or tried to send.
 */

import { h, show } from './dom.ts'
import { field, select, textInput } from './field.ts'
import { zoneName } from './local-moment.ts'
import { amountForm } from './money-text.ts'
import { type DurationUnit, freshFields, type SellFaults, type SellFields } from './sell-form.ts'

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

export interface SellFieldSet {
  /** All fields in order, with their headings. */
  readonly elements: readonly HTMLElement[]
  read(): SellFields
  /** Shows the faults of the fields that were visited. */
  showFaults(faults: SellFaults): void
  /** Counts every field as visited. */
  visitAll(): void
  /** Puts the cursor into the first field with a fault. */
  focusFirst(faults: SellFaults): void
}

/** `left` is called when a reader leaves a field. */
export function sellFields(left: () => void): SellFieldSet {
  const currency = select(
    currencies.map((code) => [code, code] as const),
    'EUR',
    { 'aria-label': 'Currency' },
  )
  const unit = durationUnitSelect()
  const softClose = h('input', { type: 'checkbox', id: 'soft-close', checked: true })
  const fields = {
    ...itemFields(),
    ...amountFields(currency),
    ...timeFields(unit),
    ...softCloseFields(),
  }
  type Name = keyof typeof fields
  const names = Object.keys(fields) as Name[]
  const visited = new Set<Name>()

  for (const name of names) {
    const { control } = fields[name]
    control.addEventListener('blur', () => {
      if (control.value !== '') visited.add(name)
      left()
    })
  }
  return {
    elements: layout(fields, softClose),
    read() {
      const texts = Object.fromEntries(names.map((name) => [name, fields[name].control.value]))
      return {
        ...(texts as Record<Name, string>),
        currency: currency.value,
        durationUnit: unit.value as DurationUnit,
        hasSoftClose: softClose.checked,
      }
    },
    showFaults(faults) {
      for (const name of names) fields[name].fault(visited.has(name) ? faults[name] : undefined)
    },
    visitAll() {
      for (const name of names) visited.add(name)
    },
    focusFirst(faults) {
      const first = names.find((name) => faults[name] !== undefined)
      if (first !== undefined) fields[first].control.focus()
    },
  }
}

function durationUnitSelect(): HTMLSelectElement {
  const units = ['minutes', 'hours', 'days'] as const
  return select<DurationUnit>(
    units.map((unit) => [unit, unit] as const),
    'minutes',
    { 'aria-label': 'Unit of the duration' },
  )
}

function itemFields() {
  const title = textInput({ maxlength: 200, placeholder: 'Brass carriage clock, Paris, 1890' })
  return {
    title: field('title', 'Title', title),
    description: field('description', 'Description', h('textarea', { rows: 4 }), { optional: true }),
    tags: field('tags', 'Tags', textInput({ placeholder: 'clocks, brass' }), {
      optional: true,
      hint: 'Separated by commas. Buyers who follow one of them are notified.',
    }),
  }
}

function amountFields(currency: HTMLSelectElement) {
  const inputs: HTMLInputElement[] = []
  const amountInput = () => {
    const input = textInput({ inputmode: 'decimal', class: 'amount-text' })
    inputs.push(input)
    return input
  }
  const showForm = () => {
    for (const input of inputs) input.placeholder = amountForm(currency.value)
  }
  currency.addEventListener('input', showForm)
  const fields = {
    openingBid: field('opening-bid', 'Opening bid', amountInput(), { beside: currency }),
    reserve: field('reserve', 'Reserve', amountInput(), {
      optional: true,
      hint: 'Kept secret. Below it, nothing is sold.',
    }),
    buyNow: field('buy-now', 'Buy now', amountInput(), {
      optional: true,
      hint: 'Offered until the first bid, or until the reserve is met.',
    }),
  }
  showForm()
  return fields
}

function timeFields(unit: HTMLSelectElement) {
  const duration = textInput({ inputmode: 'numeric', value: freshFields.duration })
  return {
    duration: field('duration', 'Runs for', duration, { beside: unit }),
    opensAt: field('opens-at', 'Opens', h('input', { type: 'datetime-local' }), {
      optional: true,
      hint: `Left empty: at once. Times are those of ${zoneName()}.`,
    }),
  }
}

function softCloseFields() {
  const minutes = (value: string) => textInput({ inputmode: 'numeric', value })
  const beside = () => h('span', { class: 'unit' }, 'minutes')
  const window = minutes(freshFields.softCloseWindow)
  const extension = minutes(freshFields.softCloseExtension)
  return {
    softCloseWindow: field('soft-close-window', 'A bid in the last', window, { beside: beside() }),
    softCloseExtension: field('soft-close-extension', 'leaves at least', extension, { beside: beside() }),
  }
}

type Laid = Readonly<
  Record<Exclude<keyof SellFields, 'currency' | 'durationUnit' | 'hasSoftClose'>, { element: HTMLElement }>
>

/** The fields under their headings; those of the soft close are shown while it is chosen. */
function layout(fields: Laid, softClose: HTMLInputElement): readonly HTMLElement[] {
  const pair = (one: keyof Laid, other: keyof Laid): HTMLElement =>
    h('div', { class: 'field-pair' }, fields[one].element, fields[other].element)
  const spans = pair('softCloseWindow', 'softCloseExtension')
  const softCloseLabel = 'Soft close: a late bid gives everybody time to answer'
  softClose.addEventListener('input', () => show(spans, softClose.checked))
  return [
    fields.title.element,
    fields.description.element,
    fields.tags.element,
    h('h2', {}, 'Amounts'),
    fields.openingBid.element,
    pair('reserve', 'buyNow'),
    h('h2', {}, 'Time'),
    pair('duration', 'opensAt'),
    h('div', { class: 'check' }, softClose, h('label', { for: 'soft-close' }, softCloseLabel)),
    spans,
  ]
}
