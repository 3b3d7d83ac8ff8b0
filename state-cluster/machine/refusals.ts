/**
 * Which refusals are remembered: those that a late copy of the same request could turn.
 *
 * A refusal has no effect, so most are judged again when the request is repeated, and come out the same. The others
 * would let a copy that was long on its way count after its sender was refused. Leaves the memory, which is bounded
 * and apart from that of accepted requests, to request-memory.ts.
 *
 * Invariant: every code is in the table, so that a new one has to be thought about.
 * Source: docs/spec.md REQUEST7.
 */
import type { RejectionCode } from './events.ts'

const turnable: Readonly<Record<RejectionCode, boolean>> = {
  // Time passes, others act, a limit is free again.
  bid_too_low: true,
  auction_not_open: true,
  auction_closed: true,
  already_leading: true,
  not_paused: true,
  limit_exceeded: true,
  state_changed: true,
  // Judged by the request itself, or by what never changes.
  amount_invalid: false,
  auction_exists: false,
  auction_not_found: false,
  buy_now_gone: false,
  not_a_bidder: false,
  not_the_seller: false,
  own_auction: false,
  terms_invalid: false,
  // Says nothing of the request.
  duplicate_request_differs: false,
  outcome_unknown: false,
  stale_epoch: false,
}

export function mayTurn(code: RejectionCode): boolean {
  return turnable[code]
}
