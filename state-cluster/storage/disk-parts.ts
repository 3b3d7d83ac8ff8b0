/**
 * What the bytes of a folder are: log, state, history.
 *
 * Every row is read and counted. That takes a second for a few hundred thousand rows, so it is for a person who
 * asks, not for every tick. Pages that LMDB keeps around the rows, and free ones, are in no part.
 * Invariant: all pages are read from one view, so the numbers are right whatever is written meanwhile.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { GroupId } from '../../protocol/ids.ts'
import { entryRange, eventsRange, incomingRange, rowRange, stagedRange } from './layout.ts'
import { pagesOf } from './pages.ts'
import type { StoreRange, StoreReader } from './store.ts'

export interface DiskParts {
  /** Entries of the log. */
  readonly logBytes: number
  /** Rows of the state, those that wait in a checkpoint or a snapshot for their places included. */
  readonly stateBytes: number
  /** Events of all auctions. */
  readonly historyBytes: number
}

/** Keys and values of all groups, in bytes. Other turns come in between. */
export async function partsOf(reader: StoreReader, groups: readonly GroupId[]): Promise<DiskParts> {
  const sum = async (rangesOf: (groupId: GroupId) => readonly StoreRange[]): Promise<number> => {
    let byteCount = 0
    for (const range of groups.flatMap(rangesOf)) {
      for (const page of pagesOf(reader, range)) {
        for (const { key, value } of page) byteCount += key.length + value.length
        await nextTurn()
      }
    }
    return byteCount
  }
  return {
    logBytes: await sum((groupId) => [entryRange(groupId, 0, 2 ** 48 - 1)]),
    stateBytes: await sum((groupId) => [rowRange(groupId), stagedRange(groupId, 0), incomingRange(groupId)]),
    historyBytes: await sum((groupId) => [eventsRange(groupId)]),
  }
}
