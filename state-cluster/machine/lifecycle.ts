/**
 * The steps of an auction's life, each with its events and outbox entries, whoever caused it (a command, a deadline, an
 * outage). Invariant: an auction ends once, what it ended as never changes, and it is sold at no less than its
 * reserve. Rules OPEN, SOFT, PAUSE, CLOSE of docs/spec.md.
 *
 *   scheduled ──► open ◄──► paused        sold, passed, cancelled are final
 *       │          │ │        │ │
 *       └──────────┴─┼────────┘ │──► cancelled
 *                    └──────────┘──► sold | passed
 */
import { type Amount, addCapped } from '../../protocol/money.ts'
import type { ApplyContext } from './apply-context.ts'
import { fail } from './assert.ts'
import { type Auction, aliasOf, type Bidder } from './auction.ts'
import type { AuctionExtended } from './events.ts'
import { isBeyond } from './face.ts'

/** Whether the deadline of an open auction has passed: from then on no bid counts, whatever happens later. */
export function isPastClose(auction: Auction, atMs: number): boolean {
  return auction.status === 'open' && atMs >= auction.closesAtMs
}

/** Opens an auction that is new or whose time has come. */
export function open(context: ApplyContext, auction: Auction): void {
  if (auction.status !== 'open') context.state.auctions.setStatus(auction, 'open')
  context.publish({ type: 'auction_opened', ...context.stamp(auction), closesAt: auction.closesAtMs })
}

/** Moves the deadline. A paused auction's deadline moves as well and runs again when it resumes. */
export function extend(
  context: ApplyContext,
  auction: Auction,
  closesAtMs: number,
  reason: AuctionExtended['reason'],
): void {
  if (closesAtMs <= auction.closesAtMs) fail('an extension moves the deadline forward', { id: auction.id })
  auction.closesAtMs = closesAtMs
  auction.extensions++
  auction.owner.schedule(auction)
  context.publish({ type: 'auction_extended', ...context.stamp(auction), closesAt: closesAtMs, reason })
}

export function pause(context: ApplyContext, auction: Auction): void {
  auction.pausedAtMs = context.atMs
  context.state.auctions.setStatus(auction, 'paused')
  context.publish({ type: 'auction_paused', ...context.stamp(auction) })
}

/** Gives back the time that was left when the pause began. */
export function resume(context: ApplyContext, auction: Auction): void {
  if (auction.pausedAtMs === undefined) fail('a paused auction knows since when', { id: auction.id })
  auction.closesAtMs += context.atMs - auction.pausedAtMs
  auction.pausedAtMs = undefined
  context.state.auctions.setStatus(auction, 'open')
  context.publish({ type: 'auction_resumed', ...context.stamp(auction), closesAt: auction.closesAtMs })
}

/** The hammer falls: sold or passed, by the rules of the format. */
export function close(context: ApplyContext, auction: Auction): void {
  const hammer = auction.format.hammer(auction)
  if (hammer === undefined) {
    pass(context, auction)
    return
  }
  const winner = auction.bidderOf(hammer.winner.id)
  if (winner === undefined) fail('the winner is one of the bidders', { id: auction.id })
  sell(context, auction, { winner, price: hammer.price })
}

interface Sold {
  readonly winner: Bidder
  readonly price: Amount
}

export function sell(context: ApplyContext, auction: Auction, { winner, price }: Sold): void {
  assertNotEnded(auction)
  const { reserve } = auction.terms
  if (reserve !== undefined && isBeyond(auction, reserve, price))
    fail('reserve: sold at no worse than it', { id: auction.id })
  auction.pausedAtMs = undefined
  auction.hammerPrice = price
  auction.winner = winner
  context.state.auctions.setStatus(auction, 'sold')
  context.publish({
    type: 'auction_sold',
    ...context.stamp(auction),
    hammerPrice: price,
    winner: aliasOf(winner),
  })
  context.tell('won', winner, price)
  for (const bidder of auction.bidders) if (bidder !== winner) context.tell('lost', bidder, price)
  context.notify('WON_AUCTION', auction, winner.id, price)
  context.notify('END_OF_AUCTION', auction, undefined, price)
}

/** Ends an auction; nobody has it. */
function pass(context: ApplyContext, auction: Auction): void {
  assertNotEnded(auction)
  auction.pausedAtMs = undefined
  context.state.auctions.setStatus(auction, 'passed')
  context.publish({ type: 'auction_passed', ...context.stamp(auction) })
  for (const bidder of auction.bidders) context.tell('lost', bidder, auction.price ?? 0)
  context.notify('END_OF_AUCTION', auction)
}

export function cancel(context: ApplyContext, auction: Auction): void {
  assertNotEnded(auction)
  auction.pausedAtMs = undefined
  context.state.auctions.setStatus(auction, 'cancelled')
  context.publish({ type: 'auction_cancelled', ...context.stamp(auction) })
  context.notify('CANCELED_AUCTION', auction)
}

/** After an accepted bid: a bid near the close leaves the others time to answer. SOFT rules. */
export function softClose(context: ApplyContext, auction: Auction): void {
  const terms = auction.terms.softClose
  if (terms === undefined || auction.closesAtMs - context.atMs > terms.windowMs) return
  if (terms.limit !== undefined && auction.softExtensions >= terms.limit) return
  const closesAtMs = addCapped(context.atMs, terms.extensionMs)
  if (closesAtMs <= auction.closesAtMs || closesAtMs > context.state.limits.closesAtMsMax) return
  auction.softExtensions++
  extend(context, auction, closesAtMs, 'soft_close')
}

function assertNotEnded(auction: Auction): void {
  if (auction.hasEnded) fail('one hammer: an auction ends once', { id: auction.id, status: auction.status })
}
