/**
 * Names and their values as a definition list.
 * Invariant: each row is one `dt` with one `dd`, in the order given.
 */
import { h } from './dom.ts'

export type TermRow = readonly [name: string, text: string]

export function termsList(rows: readonly TermRow[]): HTMLElement {
  return h('dl', { class: 'terms' }, ...termRows(rows))
}

/** The rows alone, for a list that changes in place. */
export function termRows(rows: readonly TermRow[]): readonly HTMLElement[] {
  return rows.flatMap(([name, text]) => [h('dt', {}, name), h('dd', {}, text)])
}
