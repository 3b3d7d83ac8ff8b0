/**
 * A labelled field of a form, with a hint and a place for its fault.
 * Invariant: the label, the hint and the fault belong to the control for screen readers too.
 */
import { type Child, h, setAttribute, setText, show } from './dom.ts'

export interface Field<Control extends HTMLElement> {
  readonly element: HTMLElement
  readonly control: Control
  /** Shows a fault; `undefined` removes it. */
  fault(text: string | undefined): void
}

export function field<Control extends HTMLElement>(
  id: string,
  label: string,
  control: Control,
  options: { readonly hint?: string; readonly optional?: boolean; readonly beside?: Child } = {},
): Field<Control> {
  const fault = h('p', { class: 'fault', id: `${id}-fault`, hidden: true })
  const hint =
    options.hint === undefined ? undefined : h('p', { class: 'hint', id: `${id}-hint` }, options.hint)
  control.id = id
  control.setAttribute('aria-describedby', hint === undefined ? fault.id : `${fault.id} ${hint.id}`)
  const element = h(
    'div',
    { class: 'field' },
    h(
      'label',
      { for: id, class: 'field-label' },
      label,
      options.optional && h('span', { class: 'field-optional' }, 'optional'),
    ),
    h('div', { class: 'field-row' }, control, options.beside),
    fault,
    hint,
  )
  return {
    element,
    control,
    fault(text) {
      setText(fault, text ?? '')
      show(fault, text !== undefined)
      setAttribute(control, 'aria-invalid', text === undefined ? undefined : 'true')
    },
  }
}

export function textInput(
  attributes: Readonly<Record<string, string | number | boolean>> = {},
): HTMLInputElement {
  return h('input', { type: 'text', autocomplete: 'off', ...attributes })
}

export function select<Value extends string>(
  options: readonly (readonly [Value, string])[],
  chosen: Value,
  attributes: Readonly<Record<string, string>> = {},
): HTMLSelectElement {
  return h(
    'select',
    attributes,
    ...options.map(([value, label]) => h('option', { value, selected: value === chosen }, label)),
  )
}
