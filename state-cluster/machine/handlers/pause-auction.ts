/**
 * pause_auction: stops the clock of an open auction; no bids until it resumes.
 * Replies: auction · auction_not_found · not_the_seller · auction_closed (ended, or past its deadline) ·
 * auction_not_open (scheduled or paused). Events: auction_paused. Rules PAUSE1–PAUSE4.
 */
import type { PauseAuction } from '../commands.ts'
import type { Reply } from '../events.ts'
import { isPastClose, pause } from '../lifecycle.ts'
import type { Turn } from '../turn.ts'
import { manage } from './managed.ts'
import { refuseByTime } from './refuse.ts'

export function pauseAuction(turn: Turn, command: PauseAuction): Reply {
  return manage(turn, command, (auction) => {
    if (auction.hasEnded || isPastClose(auction, turn.atMs)) return refuseByTime('auction_closed', auction)
    if (auction.status !== 'open') return refuseByTime('auction_not_open', auction)
    pause(turn, auction)
    return undefined
  })
}
