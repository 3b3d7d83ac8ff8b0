/**
 * extend_auction: moves the deadline of an open or paused auction later by a stated time.
 * Replies: auction · terms_invalid (the time is not 1 ms to 366 days) · auction_not_found · not_the_seller ·
 * auction_closed (ended, or past its deadline) · auction_not_open (scheduled) · limit_exceeded (the deadline
 * would pass the last date there is). Events: auction_extended, reason operator. Rule CLOSE7.
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
