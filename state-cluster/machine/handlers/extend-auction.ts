/**
 * extend_auction: moves the deadline of an open or paused auction later by a given time.
 *
 * Input: auction, the seller or an operator, and `byMs`. Replies: auction · terms_invalid (`byMs` is not 1 ms to
 * 366 days) · auction_not_found · not_the_seller · state_changed · auction_closed (ended, or past its deadline) · auction_not_open
 * (scheduled) · limit_exceeded (the deadline would pass the last date), checked in this order.
 * Events: auction_extended, reason operator. Leaves soft close and outages to lifecycle.ts and outage.ts.
 *
 * Invariant: a deadline that has passed is not moved here.
 * Source: docs/spec.md CLOSE4, CLOSE6, CLOSE7, LIMIT3.
 */
import type { ApplyContext } from '../apply-context.ts'
import type { ExtendAuction } from '../commands.ts'
import type { Reply } from '../events.ts'
import { extend, isPastClose } from '../lifecycle.ts'
import { isWithin } from '../terms.ts'
import { manage } from './managed.ts'
import { refuse, refuseByTime } from './refuse.ts'

export function extendAuction(context: ApplyContext, command: ExtendAuction): Reply {
  const { limits } = context.state
  if (!isWithin(command.byMs, 1, limits.extendMsMax)) return refuse('terms_invalid')
  return manage(context, command, (auction) => {
    if (auction.hasEnded || isPastClose(auction, context.atMs)) return refuseByTime('auction_closed', auction)
    if (auction.status === 'scheduled') return refuseByTime('auction_not_open', auction)
    const closesAtMs = auction.closesAtMs + command.byMs
    if (closesAtMs > limits.closesAtMsMax) return refuse('limit_exceeded')
    extend(context, auction, closesAtMs, 'operator')
    return undefined
  })
}
