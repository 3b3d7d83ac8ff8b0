/**
 * A group's checkpoint as rows, for a follower that lags or a backup.
 *
 * The machine's rows come first, then the history. They are read from a view in pages, so that no turn of the event
 * loop reads more than one page.
 * Invariant: the rows are those of the view's checkpoint, whatever is written meanwhile; each value was checked
 * against its checksum and still carries it, for its own key, so that the receiver can check again. Events may be
 * ahead of the checkpoint; the log gives the same again.
 */
import type { GroupId } from '../../protocol/ids.ts'
import { compareNames, stagedRows } from './checkpoint.ts'
import {
  decodeBytes,
  encodeBytes,
  eventsRange,
  keyAfter,
  type NamedRow,
  nameOfRowKey,
  rowKey,
  rowRange,
} from './layout.ts'
import { pageRows, pagesOf } from './pages.ts'
import type { StoreReader, StoreRow } from './store.ts'

/** State and history, for a backup. Throws StoreError `corrupt`. */
export function* snapshotPages(reader: StoreReader, groupId: GroupId): Generator<readonly StoreRow[]> {
  yield* statePages(reader, groupId)
  for (const page of pagesOf(reader, eventsRange(groupId))) {
    for (const { key, value } of page) decodeBytes(key, value, 'block of events')
    yield page
  }
}

/** The machine's rows, in order of their keys, from the first one after `after` on. Throws StoreError `corrupt`. */
export function* statePages(
  reader: StoreReader,
  groupId: GroupId,
  after?: Uint8Array,
): Generator<readonly StoreRow[]> {
  const isDue = ([name]: NamedRow): boolean =>
    after === undefined || Buffer.compare(rowKey(groupId, name), after) > 0
  const staged = stagedRows(reader, groupId).filter(isDue)
  let at = 0
  const stagedRow = ([name, bytes]: NamedRow): StoreRow[] => {
    const key = rowKey(groupId, name)
    return bytes === undefined ? [] : [{ key, value: encodeBytes(key, bytes) }]
  }
  const range = rowRange(groupId)
  const from = after === undefined ? range.from : keyAfter(after)
  for (const page of pagesOf(reader, { ...range, from })) {
    const merged: StoreRow[] = []
    for (const row of page) {
      const name = nameOfRowKey(row.key)
      while (at < staged.length && compareNames((staged[at] as NamedRow)[0], name) < 0)
        merged.push(...stagedRow(staged[at++] as NamedRow))
      const over = staged[at]
      if (over !== undefined && compareNames(over[0], name) === 0) {
        merged.push(...stagedRow(over))
        at += 1
      } else {
        decodeBytes(row.key, row.value, 'row of the state')
        merged.push(row)
      }
    }
    yield merged
  }
  for (; at < staged.length; at += pageRows) yield staged.slice(at, at + pageRows).flatMap(stagedRow)
}
