/**
 * Every rejection of the house, by its stable code, with title and HTTP status.
 * Invariant: the codes are exactly those of the auction machine (a test compares them); a released code keeps its
 * meaning. The order of the checks that yield them is the machine's. Source: docs/protocol.md, "Rejection codes" and
 * "HTTP".
 */

export interface RejectionMeaning {
  /** Status of the HTTP answer. */
  readonly status: 403 | 404 | 409 | 422 | 423 | 503
  /** One sentence for people, without a full stop. */
  readonly title: string
}

export const rejections = {
  bid_too_low: { status: 409, title: 'The bid is below the asking bid' },
  auction_not_open: { status: 423, title: 'The auction is not open for bids' },
  auction_closed: { status: 423, title: 'The auction is closed' },
  auction_not_found: { status: 404, title: 'There is no such auction' },
  own_auction: { status: 403, title: 'A seller cannot bid on its own auction' },
  already_leading: { status: 409, title: 'You already lead with a maximum at least as high' },
  buy_now_gone: { status: 409, title: 'The buy-now price is no longer offered' },
  amount_invalid: { status: 422, title: 'The amount is not an integer in minor units within range' },
  not_a_bidder: { status: 403, title: 'This takes a token with the role of a bidder' },
  duplicate_request_differs: { status: 422, title: 'This request id was used before, for something else' },
  limit_exceeded: { status: 422, title: 'A limit of the house is reached' },
  not_the_seller: { status: 403, title: 'Only the seller of this auction or an operator may do this' },
  not_paused: { status: 409, title: 'The auction is not paused' },
  terms_invalid: { status: 422, title: 'The terms contradict each other or are out of range' },
  auction_exists: { status: 409, title: 'There is already an auction with this id' },
  stale_epoch: { status: 409, title: 'Another server conducts this auction by now' },
  state_changed: { status: 409, title: 'The auction is not in the state that the request expects' },
  outcome_unknown: {
    status: 503,
    title: 'It is not known whether this was decided; ask again with the same Idempotency-Key',
  },
} as const satisfies Readonly<Record<string, RejectionMeaning>>

export type RejectionCode = keyof typeof rejections

/** Whether a string is a rejection code of this version. */
export function isRejectionCode(code: string): code is RejectionCode {
  return Object.hasOwn(rejections, code)
}

/**
 * The HTTP status of a rejection. A bid that is too low lost to a higher bid (409) unless nobody has bid yet:
 * then it broke the rule of the opening bid (422).
 */
export function statusOfRejection(code: RejectionCode, bidCount: number): number {
  if (code === 'bid_too_low' && bidCount === 0) return 422
  return rejections[code].status
}
