import { describe, expect, it } from 'vitest'
import type { AuctionId } from '../protocol/ids.ts'
import { groupOf } from './groups.ts'

/** Placements that earlier versions gave: the histories of such auctions are stored there. */
const placements: readonly (readonly [id: string, groupCount: number, groupId: number])[] = [
  ['a', 1, 0],
  ['a', 2, 1],
  ['lot-1', 3, 2],
  ['lot-2', 3, 0],
  ['lot-3', 3, 2],
  ['01JD3Q8W7Z', 5, 2],
  ['auction_42', 16, 6],
  ['x'.repeat(128), 1_024, 567],
  ['lot-1', 1_024, 93],
]

describe('STORE15 the group of an auction', () => {
  it.each(placements)(
    'STORE15 %s of %i groups is in group %i, in every version',
    (id, groupCount, groupId) => {
      expect(groupOf(id as AuctionId, groupCount)).toBe(groupId)
    },
  )
})
