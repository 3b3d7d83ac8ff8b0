/**
 * The steps of an auction's life, each with its events and outbox entries.
 *
 * A command, a deadline or an outage causes a step. Leaves the decision when to take one to handlers/ and outage.ts,
 * and the result of a close to the format.
 *
 * Invariant: an auction ends once, its result never changes, and it is never sold at worse than its reserve.
 * Source: docs/spec.md OPEN1, SOFT1, SOFT2, PAUSE1–PAUSE3, CLOSE1–CLOSE6, RESERVE2.
 */
import { type Amount, addCapped } from '../../protocol/money.ts'
import type { ApplyContext } from './apply-context.ts'
import { fail } from './assert.ts'
import { type Auction, aliasOf, type Bidder } from './auction.ts'
import type { AuctionExtended } from './events.ts'
import { isBeyond } from './visibility.ts'

/*
 * scheduled ──► open ◄──► paused        sold, passed, cancelled are final
 *     │          │ │        │ │
 *     └──────────┴─┼────────┘ │──► cancelled
 *                  └──────────┘──► sold | passed
 */

/** Whether the deadline of an open auction has passed. From then on it accepts no bid. */
export function isPastClose(auction: Auction, atMs: number): boolean {
  return auction.status === 'open' && atMs >= auction.closesAtMs
}

/** Opens a new auction, or a scheduled one that is due. */
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
  if (auction.pausedAtMs === undefined) fail('a paused auction has the time of its pause', { id: auction.id })
  auction.closesAtMs += context.atMs - auction.pausedAtMs
  auction.pausedAtMs = undefined
  context.state.auctions.setStatus(auction, 'open')
  context.publish({ type: 'auction_resumed', ...context.stamp(auction), closesAt: auction.closesAtMs })
}

/** Ends an auction: sold or passed, by the rules of the format. */
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
  context.publishPrivate('won', winner, price)
  for (const bidder of auction.bidders) if (bidder !== winner) context.publishPrivate('lost', bidder, price)
  context.notify('WON_AUCTION', auction, winner.id, price)
  context.notify('END_OF_AUCTION', auction, undefined, price)
}

/** Ends an auction without a winner. */
function pass(context: ApplyContext, auction: Auction): void {
  assertNotEnded(auction)
  auction.pausedAtMs = undefined
  context.state.auctions.setStatus(auction, 'passed')
  context.publish({ type: 'auction_passed', ...context.stamp(auction) })
  for (const bidder of auction.bidders) context.publishPrivate('lost', bidder, auction.price ?? 0)
  context.notify('END_OF_AUCTION', auction)
}

export function cancel(context: ApplyContext, auction: Auction): void {
  assertNotEnded(auction)
  auction.pausedAtMs = undefined
  context.state.auctions.setStatus(auction, 'cancelled')
  context.publish({ type: 'auction_cancelled', ...context.stamp(auction) })
  context.notify('CANCELED_AUCTION', auction)
}

/** After an accepted bid: one near the close extends, so that others have time to bid (SOFT1, SOFT2). */
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
