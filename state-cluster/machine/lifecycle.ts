/**
 * The turns of an auction's life, each with its events and notices, whoever caused it (a command, a deadline, an
 * outage). Invariant: an auction ends once, what it ended as never changes, and it is sold at no less than its
 * reserve. Rules OPEN, SOFT, PAUSE, CLOSE of docs/spec.md.
 *
 *   scheduled ──► open ◄──► paused        sold, passed, cancelled are final
 *       │          │ │        │ │
 *       └──────────┴─┼────────┘ │──► cancelled
 *                    └──────────┘──► sold | passed
 */
import { addCapped } from '../../protocol/money.ts'
import { fail } from './assert.ts'
import { type Auction, aliasOf } from './auction.ts'
import type { AuctionExtended } from './events.ts'
import { isBeyond } from './face.ts'
import type { Hammer } from './formats/format.ts'
import type { Turn } from './turn.ts'

/** Whether the deadline of an open auction has passed: from then on no bid counts, whatever happens later. */
export function isPastClose(auction: Auction, atMs: number): boolean {
  return auction.status === 'open' && atMs >= auction.closesAtMs
}

/** Opens an auction that is new or whose time has come. */
export function open(turn: Turn, auction: Auction): void {
  if (auction.status !== 'open') turn.state.auctions.setStatus(auction, 'open')
  turn.publish({ type: 'auction_opened', ...turn.stamp(auction), closesAt: auction.closesAtMs })
}

/** Moves the deadline. A paused auction's deadline moves as well and runs again when it resumes. */
export function extend(
  turn: Turn,
  auction: Auction,
  closesAtMs: number,
  reason: AuctionExtended['reason'],
): void {
  if (closesAtMs <= auction.closesAtMs) fail('an extension moves the deadline forward', { id: auction.id })
  auction.closesAtMs = closesAtMs
  auction.extensions++
  auction.owner.schedule(auction)
  turn.publish({ type: 'auction_extended', ...turn.stamp(auction), closesAt: closesAtMs, reason })
}

export function pause(turn: Turn, auction: Auction): void {
  auction.pausedAtMs = turn.atMs
  turn.state.auctions.setStatus(auction, 'paused')
  turn.publish({ type: 'auction_paused', ...turn.stamp(auction) })
}

/** Gives back the time that was left when the pause began. */
export function resume(turn: Turn, auction: Auction): void {
  if (auction.pausedAtMs === undefined) fail('a paused auction knows since when', { id: auction.id })
  auction.closesAtMs += turn.atMs - auction.pausedAtMs
  auction.pausedAtMs = undefined
  turn.state.auctions.setStatus(auction, 'open')
  turn.publish({ type: 'auction_resumed', ...turn.stamp(auction), closesAt: auction.closesAtMs })
}

/** The hammer falls: sold or passed, by the rules of the format. */
export function close(turn: Turn, auction: Auction): void {
  const hammer = auction.format.hammer(auction)
  if (hammer === undefined) pass(turn, auction)
  else sell(turn, auction, hammer)
}

export function sell(turn: Turn, auction: Auction, { winner, price }: Hammer): void {
  assertNotEnded(auction)
  const { reserve } = auction.terms
  if (reserve !== undefined && isBeyond(auction, reserve, price))
    fail('reserve: sold at no worse than it', { id: auction.id })
  auction.pausedAtMs = undefined
  auction.hammerPrice = price
  auction.winner = winner
  turn.state.auctions.setStatus(auction, 'sold')
  turn.publish({
    type: 'auction_sold',
    ...turn.stamp(auction),
    hammerPrice: price,
    winner: aliasOf(winner),
  })
  turn.tell('won', winner, price)
  for (const bidder of auction.bidders) if (bidder !== winner) turn.tell('lost', bidder, price)
  turn.notify('WON_AUCTION', auction, winner.id, price)
  turn.notify('END_OF_AUCTION', auction, undefined, price)
}

/** Ends an auction; nobody has it. */
function pass(turn: Turn, auction: Auction): void {
  assertNotEnded(auction)
  auction.pausedAtMs = undefined
  turn.state.auctions.setStatus(auction, 'passed')
  turn.publish({ type: 'auction_passed', ...turn.stamp(auction) })
  for (const bidder of auction.bidders) turn.tell('lost', bidder, auction.price ?? 0)
  turn.notify('END_OF_AUCTION', auction)
}

export function cancel(turn: Turn, auction: Auction): void {
  assertNotEnded(auction)
  auction.pausedAtMs = undefined
  turn.state.auctions.setStatus(auction, 'cancelled')
  turn.publish({ type: 'auction_cancelled', ...turn.stamp(auction) })
  turn.notify('CANCELED_AUCTION', auction)
}

/** After an accepted bid: a bid near the close leaves the others time to answer. SOFT rules. */
export function softClose(turn: Turn, auction: Auction): void {
  const terms = auction.terms.softClose
  if (terms === undefined || auction.closesAtMs - turn.atMs > terms.windowMs) return
  if (terms.limit !== undefined && auction.softExtensions >= terms.limit) return
  const closesAtMs = addCapped(turn.atMs, terms.extensionMs)
  if (closesAtMs <= auction.closesAtMs || closesAtMs > turn.state.limits.closesAtMsMax) return
  auction.softExtensions++
  extend(turn, auction, closesAtMs, 'soft_close')
}

function assertNotEnded(auction: Auction): void {
  if (auction.hasEnded) fail('one hammer: an auction ends once', { id: auction.id, status: auction.status })
}
