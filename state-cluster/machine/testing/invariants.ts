/**
 * Checks the invariants of a state from outside, after any entry; for tests only.
 *
 * It checks the list "What must never happen" as far as one machine can break it, and derived structures against the
 * rows. Costs O(state).
 *
 * Invariant: a check reads the state and never changes it; no violation means an empty list.
 * Source: docs/design.md "What must never happen".
 */
import type { Auction } from '../auction.ts'
import type { AuctionStatus } from '../events.ts'
import { Server } from '../servers.ts'
import type { State } from '../state.ts'
import { isBeyond } from '../visibility.ts'

const statuses: readonly AuctionStatus[] = ['scheduled', 'open', 'paused', 'sold', 'passed', 'cancelled']

/** The violations in words; empty when there is none. */
export function violationsOf(state: State): string[] {
  const violations: string[] = []
  for (const auction of state.auctions.all()) {
    const say = (violation: string): void => {
      violations.push(`${auction.id}: ${violation}`)
    }
    checkBids(auction, say)
    checkEnd(auction, say)
    checkPlace(state, auction, say)
  }
  const counted = statuses.reduce((sum, status) => sum + state.auctions.countOf(status), 0)
  if (counted !== state.auctions.size) violations.push('the sets by status do not add up')
  if (state.requests.size > state.limits.requestsMax) violations.push('too many requests are remembered')
  if (state.refusals.size > state.limits.refusalsMax) violations.push('too many refusals are remembered')
  if (state.buyers.size > state.limits.buyersMax) violations.push('too many buyers')
  if (state.auctions.size > state.limits.auctionsMax) violations.push('too many auctions')
  for (const server of state.servers.sorted())
    if (!server.isLive && server.load === 0 && state.outbox.lengthOf(server.id) === 0)
      violations.push(`${server.id} is not live, has no work, and has a row`)
  if (state.tags.size > state.limits.distinctTagsMax) violations.push('too many tags')
  return violations
}

function checkBids(auction: Auction, say: (violation: string) => void): void {
  const { bidders, highBidder, price, terms } = auction
  if ((highBidder === undefined) !== (price === undefined)) say('a price has a high bidder')
  if ((highBidder === undefined) !== (auction.bidCount === 0)) say('bids have a high bidder')
  if (bidders.length > auction.bidCount) say('a bidder without a bid')
  bidders.forEach((bidder, index) => {
    if (bidder.alias !== index + 1) say('aliases are in order of first bid')
    if (auction.bidderOf(bidder.id) !== bidder) say('a bidder is found by id')
    if (highBidder !== undefined && isBeyond(auction, bidder.maxBid, highBidder.maxBid))
      say('the high bidder has the best maximum')
    if (bidder.maxSeq > auction.seq) say('a maximum of a later seq')
  })
  if (highBidder !== undefined && price !== undefined && isBeyond(auction, price, highBidder.maxBid))
    say('the high bidder pays more than it bid')
  if (terms.format.name === 'english') checkEnglish(auction, say)
}

function checkEnglish({ highBidder, price, terms }: Auction, say: (violation: string) => void): void {
  if (price !== undefined && !(Number.isSafeInteger(price) && price >= terms.openingBid))
    say('the price is an amount, at least the opening bid')
  const { reserve } = terms
  if (
    reserve !== undefined &&
    highBidder !== undefined &&
    highBidder.maxBid >= reserve &&
    (price ?? 0) < reserve
  )
    say('a maximum that reaches the reserve sets the price to it at least')
}

function checkEnd(auction: Auction, say: (violation: string) => void): void {
  const { hammerPrice, highBidder, status, winner } = auction
  const { reserve } = auction.terms
  const isSold = status === 'sold'
  if (isSold !== (winner !== undefined)) say('sold means a winner')
  if (isSold !== (hammerPrice !== undefined)) say('sold means a hammer price')
  if (isSold && winner !== highBidder) say('the winner is the high bidder')
  if (winner !== undefined && hammerPrice !== undefined) {
    if (isBeyond(auction, hammerPrice, winner.maxBid)) say('the winner pays more than it bid')
    if (reserve !== undefined && isBeyond(auction, reserve, hammerPrice))
      say('sold at worse than the reserve')
    if (!auction.format.isSealed && hammerPrice !== auction.price) say('the hammer price is the high bid')
  }
  if ((status === 'paused') !== (auction.pausedAtMs !== undefined))
    say('a paused auction has the time of its pause, and no other has')
}

function checkPlace(state: State, auction: Auction, say: (violation: string) => void): void {
  const { ordinal, status, terms } = auction
  const owner = auction.hasEnded ? auction.owner : state.servers.get(auction.owner.id)
  if (owner !== auction.owner || !(owner instanceof Server)) {
    say('its owner is a server of the state')
    return
  }
  if (state.auctions.at(ordinal) !== auction) say('it is not found by ordinal')
  if (state.auctions.get(auction.id) !== auction) say('it is not found by id')
  for (const one of statuses) {
    const isHere = one === status
    if ((state.auctions.byStatus[one]?.has(ordinal) ?? false) !== isHere) say(`set of status ${one}`)
    for (const tag of terms.tags)
      if ((state.tags.get(tag)?.auctions[one]?.has(ordinal) ?? false) !== isHere) say(`set of ${tag}, ${one}`)
  }
  if (owner.openings.holds(auction) !== (status === 'scheduled')) say('in the openings while scheduled')
  if (owner.running.holds(auction) !== (status === 'open')) say('in the running ones while open')
  if (owner.paused.holds(auction) !== (status === 'paused')) say('in the paused ones while paused')
}
