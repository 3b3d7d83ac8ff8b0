/** Refusals with the facts that the asker may react to; nothing secret is among them. Source: events.ts `Rejected`. */
import type { Auction } from '../auction.ts'
import type { Rejected, RejectionCode } from '../events.ts'

export function refuse(code: RejectionCode): Rejected {
  return { ok: false, code }
}

/** For a bid that is too low or changes nothing: what would do. */
export function refuseBid(code: RejectionCode, auction: Auction, atMs: number): Rejected {
  return { ok: false, code, askingBid: auction.format.askingBid(auction, atMs), seq: auction.seq }
}

/** For an auction that does not take this now. */
export function refuseByTime(
  code: 'auction_not_open' | 'auction_closed' | 'not_paused',
  auction: Auction,
): Rejected {
  return { ok: false, code, closesAt: auction.closesAtMs, seq: auction.seq }
}
