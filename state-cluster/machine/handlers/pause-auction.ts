/**
 * pause_auction: stops the clock of an open auction; no bids until it resumes.
 * Replies: auction · auction_not_found · not_the_seller · auction_closed (ended, or past its deadline) ·
 * auction_not_open (scheduled or paused). Events: auction_paused. Rules PAUSE1–PAUSE4.
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
