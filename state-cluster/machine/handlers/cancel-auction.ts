/**
 * cancel_auction: withdraws an auction that has neither ended nor passed its deadline.
 * Replies: auction · auction_not_found · not_the_seller · auction_closed.
 * Events: auction_cancelled. Outbox entries: CANCELED_AUCTION. Rule CLOSE6.
 */

import type { ApplyContext } from '../apply-context.ts'
import type { CancelAuction } from '../commands.ts'
import type { Reply } from '../events.ts'
import { cancel, isPastClose } from '../lifecycle.ts'
import { manage } from './managed.ts'
import { refuseByTime } from './refuse.ts'

export function cancelAuction(context: ApplyContext, command: CancelAuction): Reply {
  return manage(context, command, (auction) => {
    if (auction.hasEnded || isPastClose(auction, context.atMs)) return refuseByTime('auction_closed', auction)
    cancel(context, auction)
    return undefined
  })
}
