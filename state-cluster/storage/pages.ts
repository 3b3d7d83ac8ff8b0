/**
 * Ranges of a store in pages, so that other work fits between them. Invariant: a page is read whole in one go, and is
 * the store's as it is then; from a view, all pages are of one moment.
 */
import { keyAfter } from './layout.ts'
import type { StoreRange, StoreReader, StoreRow } from './store.ts'

/** Rows of a page. */
export const pageRows = 512

export function* pagesOf(reader: StoreReader, range: StoreRange): Generator<readonly StoreRow[]> {
  for (let { from } = range; ; ) {
    const page = [...reader.range({ ...range, from, limit: pageRows })]
    if (page.length > 0) yield page
    if (page.length < pageRows) return
    from = keyAfter((page.at(-1) as StoreRow).key)
  }
}
