/**
 * close_auction: the hammer falls now, on an open or paused auction.
 * Replies: auction · auction_not_found · not_the_seller · auction_closed (ended) · auction_not_open (scheduled).
 * Events: auction_sold or auction_passed, private won and lost. Outbox entries: those of an end. Rules CLOSE1–CLOSE5.
 */

import type { ApplyContext } from '../apply-context.ts'
import type { CloseAuction } from '../commands.ts'
import type { Reply } from '../events.ts'
import { close } from '../lifecycle.ts'
import { manage } from './managed.ts'
import { refuseByTime } from './refuse.ts'

export function closeAuction(context: ApplyContext, command: CloseAuction): Reply {
  return manage(context, command, (auction) => {
    if (auction.hasEnded) return refuseByTime('auction_closed', auction)
    if (auction.status === 'scheduled') return refuseByTime('auction_not_open', auction)
    close(context, auction)
    return undefined
  })
}
