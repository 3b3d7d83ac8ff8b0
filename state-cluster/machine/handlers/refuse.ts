/**
 * Makes rejections, with the facts that the caller may react to.
 *
 * The commands decide when to refuse, and in which order.
 *
 * Invariant: a rejection carries an asking bid, a deadline or a seq at most, and nothing secret.
 * Source: `Rejected` in events.ts.
 */
import type { Auction } from '../auction.ts'
import type { Rejected, RejectionCode } from '../events.ts'

export function refuse(code: RejectionCode): Rejected {
  return { ok: false, code }
}

/** For a bid that is too low or changes nothing: adds the asking bid. */
export function refuseBid(code: RejectionCode, auction: Auction, atMs: number): Rejected {
  return { ok: false, code, askingBid: auction.format.askingBid(auction, atMs), seq: auction.seq }
}

/** For an auction whose status does not allow the command: adds the deadline. */
export function refuseByTime(
  code: 'auction_not_open' | 'auction_closed' | 'not_paused',
  auction: Auction,
): Rejected {
  return { ok: false, code, closesAt: auction.closesAtMs, seq: auction.seq }
}
