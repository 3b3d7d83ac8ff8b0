/**
 * pause_auction: stops the clock of an open auction.
 *
 * Input: auction, and the seller or an operator. Replies: auction · auction_not_found · not_the_seller · state_changed ·
 * auction_closed (ended, or past its deadline) · auction_not_open (scheduled or paused), checked in this order.
 * Events: auction_paused. Leaves the return of the remaining time to resume-auction.ts.
 *
 * Invariant: an auction whose deadline has passed cannot be paused, so a pause never postpones a due close.
 * Source: docs/spec.md PAUSE1, PAUSE3, CLOSE4, CLOSE7.
 */
import type { ApplyContext } from '../apply-context.ts'
import type { PauseAuction } from '../commands.ts'
import type { Reply } from '../events.ts'
import { isPastClose, pause } from '../lifecycle.ts'
import { manage } from './managed.ts'
import { refuseByTime } from './refuse.ts'

export function pauseAuction(context: ApplyContext, command: PauseAuction): Reply {
  return manage(context, command, (auction) => {
    if (auction.hasEnded || isPastClose(auction, context.atMs)) return refuseByTime('auction_closed', auction)
    if (auction.status !== 'open') return refuseByTime('auction_not_open', auction)
    pause(context, auction)
    return undefined
  })
}
