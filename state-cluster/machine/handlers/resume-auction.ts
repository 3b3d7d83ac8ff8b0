/**
 * resume_auction: starts the clock of a paused auction again.
 *
 * Input: auction, and the seller or an operator. Replies: auction · auction_not_found · not_the_seller · state_changed ·
 * auction_closed (ended) · not_paused · limit_exceeded (the deadline would pass the last date), checked in this order.
 * Events: auction_resumed.
 *
 * Invariant: the auction has the time that was left at the pause, and any extension made meanwhile.
 * Source: docs/spec.md PAUSE1–PAUSE3, CLOSE4, LIMIT3.
 */
import type { ApplyContext } from '../apply-context.ts'
import type { ResumeAuction } from '../commands.ts'
import type { Reply } from '../events.ts'
import { resume } from '../lifecycle.ts'
import { manage } from './managed.ts'
import { refuse, refuseByTime } from './refuse.ts'

export function resumeAuction(context: ApplyContext, command: ResumeAuction): Reply {
  return manage(context, command, (auction) => {
    if (auction.hasEnded) return refuseByTime('auction_closed', auction)
    const { pausedAtMs } = auction
    if (pausedAtMs === undefined) return refuseByTime('not_paused', auction)
    const closesAtMs = auction.closesAtMs + (context.atMs - pausedAtMs)
    if (closesAtMs > context.state.limits.closesAtMsMax) return refuse('limit_exceeded')
    resume(context, auction)
    return undefined
  })
}
