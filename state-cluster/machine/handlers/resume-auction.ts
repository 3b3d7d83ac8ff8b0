/**
 * resume_auction: starts the clock of a paused auction again, with the time that was left.
 * Replies: auction · auction_not_found · not_the_seller · auction_closed (ended) · not_paused ·
 * limit_exceeded (the deadline would pass the last date there is).
 * Events: auction_resumed. Rules PAUSE1–PAUSE4.
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
