/**
 * cancel_auction: cancels an auction that has not ended and is not past its deadline.
 *
 * Input: auction, and the seller or an operator. Replies: auction · auction_not_found · not_the_seller · state_changed ·
 * auction_closed, checked in this order. Events: auction_cancelled. Outbox entries: CANCELED_AUCTION.
 * Leaves the steps of a cancellation to lifecycle.ts.
 *
 * Invariant: a cancelled auction has no winner, and nobody gets won or lost.
 * Source: docs/spec.md CLOSE4, CLOSE5, CLOSE7.
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
