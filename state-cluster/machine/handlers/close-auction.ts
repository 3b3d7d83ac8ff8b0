/**
 * close_auction: ends an open or paused auction now, by the rules of every close.
 *
 * Input: auction, and the seller or an operator. Replies: auction · auction_not_found · not_the_seller · state_changed ·
 * auction_closed (ended) · auction_not_open (scheduled), checked in this order. Events: auction_sold or
 * auction_passed, private won and lost. Outbox entries: WON_AUCTION when it is sold, END_OF_AUCTION.
 *
 * Invariant: the result is the one that the close at the deadline would give for the same bids.
 * Source: docs/spec.md CLOSE2–CLOSE4.
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
