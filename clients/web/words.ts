/**
 * The codes of the house as sentences for a reader.
 * Invariant: every code of a rejection, a problem or a refused frame has a sentence (a missing one does not compile).
 */
import type { FrameErrorCode } from '../../protocol/frame-errors.ts'
import type { ProblemCode } from '../../protocol/problems.ts'

export const sentences: Readonly<Record<ProblemCode | FrameErrorCode, string>> = {
  bid_too_low: 'Somebody was faster: the asking bid is higher now.',
  auction_not_open: 'This auction does not take bids at the moment.',
  auction_closed: 'Too late: the hammer has fallen.',
  auction_not_found: 'There is no such auction.',
  own_auction: 'You are selling this, so you cannot bid on it.',
  already_leading: 'You lead already. To stay ahead, raise your maximum above the one that you have.',
  buy_now_gone: 'The buy-now price is no longer offered.',
  amount_invalid: 'That is not an amount.',
  not_a_bidder: 'You are signed in, but not as a bidder. Register as a buyer to bid.',
  duplicate_request_differs: 'This was sent once before with other content. Please try again.',
  limit_exceeded: 'A limit of the house is reached. Please try again later.',
  not_the_seller: 'Only the seller or the house may do this.',
  not_paused: 'The auction is not paused.',
  terms_invalid: 'These terms contradict each other.',
  auction_exists: 'There is already an auction with this id.',
  stale_epoch: 'Another server conducts this auction by now. Please try again.',
  state_changed: 'The auction has changed meanwhile. Look at it again, then decide.',
  malformed_json: 'The house did not understand the request.',
  malformed_msgpack: 'The house did not understand the request.',
  wrong_encoding: 'The house did not understand the request.',
  unknown_type: 'The house did not understand the request.',
  not_subscribed: 'This auction is not being watched. Reload the page.',
  frame_too_large: 'That is too much text.',
  not_an_object: 'The house did not understand the request.',
  too_deep: 'The house did not understand the request.',
  field_invalid: 'Something in the form is not right.',
  request_malformed: 'The house did not understand the request.',
  token_missing: 'Please sign in first.',
  token_invalid: 'You are no longer signed in. Please sign in again.',
  role_missing: 'Your account may not do this.',
  registration_closed: 'The house does not take new buyers at the moment. Ask it for a token.',
  not_found: 'There is nothing here.',
  method_not_allowed: 'The house does not do that.',
  request_timeout: 'The connection is very slow. Please try again.',
  body_too_large: 'That is too much text.',
  unsupported_media_type: 'The house did not understand the request.',
  upgrade_required: 'The house did not understand the request.',
  rate_limited: 'That was too fast. Please wait a moment.',
  headers_too_large: 'The house did not understand the request.',
  internal: 'Something went wrong in the house. Please try again.',
  unavailable: 'The house cannot decide anything right now. Please try again in a moment.',
  outcome_unknown: 'We do not know yet whether this counted. It is asked again; it will count once at most.',
  overloaded: 'The house is very busy. Please try again in a moment.',
  draining: 'This server is about to restart. Please try again in a moment.',
  version_unsupported: 'The house did not understand the request.',
}

/** The sentence for a code; unknown ones (a newer house) say so. */
export function sentenceOf(code: string): string {
  return Object.hasOwn(sentences, code)
    ? sentences[code as keyof typeof sentences]
    : `The house answered "${code}", which this page does not know. Reload it.`
}

/** `1 bid`, `2 bids`, `no bids yet`. */
export function bidsInWords(count: number): string {
  return count === 0 ? 'No bids yet' : `${count} ${count === 1 ? 'bid' : 'bids'}`
}

/** A date with its time, in the reader's own language and zone, which is named. */
export function momentInWords(atMs: number): string {
  return new Date(atMs).toLocaleString(undefined, {
    year: 'numeric',
    month: 'short',
    day: 'numeric',
    hour: 'numeric',
    minute: '2-digit',
    timeZoneName: 'short',
  })
}

/** A time of today to the second, in the reader's own language and zone. */
export function timeInWords(atMs: number): string {
  return new Date(atMs).toLocaleTimeString(undefined, { timeStyle: 'medium' })
}

/** `bidder-7` → `Bidder 7`. */
export function aliasInWords(alias: string): string {
  const number = /^bidder-(\d+)$/.exec(alias)?.[1]
  return number === undefined ? alias : `Bidder ${number}`
}
