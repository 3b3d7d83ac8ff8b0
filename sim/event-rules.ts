/**
 * What must never happen to one auction, judged by its events alone.
 *
 * Gaps in `seq`, a price that falls, a second hammer, a sale below the reserve, a bid too late, an amount that is no
 * integer, a secret in a public frame.
 *
 * Invariant: only events and the reserve of the terms are looked at, so that a defect of the auditor cannot hide one
 * of the machine. Source: docs/design.md, "What must never happen".
 */
import { publicEventFrame } from '../server/frames.ts'
import type { CreateAuction } from '../state-cluster/machine/commands.ts'
import { isPublic, type PrivateEvent, type PublicEvent } from '../state-cluster/machine/events.ts'
import type { Checks } from './checks.ts'

interface Seen {
  seq: number
  price: number
  highBidder: string
  closesAt: number
  isPaused: boolean
  ending: string | undefined
}

export class EventRules {
  readonly #checks: Checks
  readonly #seen = new Map<string, Seen>()
  readonly #reserves = new Map<string, number>()

  constructor(checks: Checks) {
    this.#checks = checks
  }

  /** A request for an auction with these terms was accepted. */
  noteTerms({ auctionId, terms }: Pick<CreateAuction, 'auctionId' | 'terms'>): void {
    if (terms.reserve !== undefined && !this.#reserves.has(auctionId))
      this.#reserves.set(auctionId, terms.reserve)
  }

  see(event: PublicEvent | PrivateEvent): void {
    const checks = this.#checks
    const facts = (): string => JSON.stringify(event)
    checks.hold(areIntegers(event), 'money is integer', facts)
    if (!isPublic(event)) return
    const seen = this.#seenOf(event.auctionId)
    checks.hold(event.seq === seen.seq + 1, 'one order', () => `${facts()} follows seq ${seen.seq}`)
    checks.hold(
      seen.ending === undefined,
      'one hammer',
      () => `${facts()} after the auction ended: ${seen.ending}`,
    )
    seen.seq = event.seq
    this.#move(seen, event, facts)
    this.#checkSecrets(event)
  }

  #move(seen: Seen, event: PublicEvent, facts: () => string): void {
    const checks = this.#checks
    switch (event.type) {
      case 'bid_placed': {
        const isOwnRaise = event.bidder === seen.highBidder && event.highBidder === seen.highBidder
        const isHigher = isOwnRaise ? event.price >= seen.price : event.price > seen.price
        checks.hold(isHigher, 'price is monotone', () => `${facts()} after a price of ${seen.price}`)
        checks.hold(
          event.atMs < seen.closesAt && !seen.isPaused,
          'late is late',
          () => `${facts()}, closing at ${seen.closesAt}`,
        )
        seen.price = event.price
        seen.highBidder = event.highBidder
        break
      }
      case 'auction_opened':
        seen.closesAt = event.closesAt
        break
      case 'auction_extended':
        checks.hold(event.closesAt > seen.closesAt, 'late is late', () => `${facts()} moves it back`)
        seen.closesAt = event.closesAt
        break
      case 'auction_paused':
        seen.isPaused = true
        break
      case 'auction_resumed':
        seen.isPaused = false
        seen.closesAt = event.closesAt
        break
      case 'auction_sold': {
        seen.ending = facts()
        const reserve = this.#reserves.get(event.auctionId) ?? 0
        checks.hold(event.hammerPrice >= reserve, 'reserve', () => `${facts()}, reserve ${reserve}`)
        checks.hold(
          event.winner === seen.highBidder && event.hammerPrice === seen.price,
          'one hammer',
          () => `${facts()}, leading ${seen.highBidder} at ${seen.price}`,
        )
        break
      }
      case 'auction_passed':
      case 'auction_cancelled':
        seen.ending = facts()
    }
  }

  #checkSecrets(event: PublicEvent): void {
    if (event.type !== 'bid_placed') return
    const frame = JSON.stringify(publicEventFrame(event))
    const { bidderId, requestId } = event.secret
    const isSafe =
      !frame.includes(`"${bidderId}"`) &&
      !frame.includes(`"${requestId}"`) &&
      !/"(amount|maxBid|secret)"/.test(frame)
    this.#checks.hold(isSafe, 'secrets stay secret', () => frame)
  }

  #seenOf(auctionId: string): Seen {
    let seen = this.#seen.get(auctionId)
    if (seen === undefined) {
      seen = { seq: 0, price: -1, highBidder: '', closesAt: -1, isPaused: false, ending: undefined }
      this.#seen.set(auctionId, seen)
    }
    return seen
  }
}

function areIntegers(event: PublicEvent | PrivateEvent): boolean {
  for (const name of ['price', 'askingBid', 'hammerPrice'] as const) {
    const amount = (event as unknown as Record<string, unknown>)[name]
    if (amount !== undefined && !(Number.isSafeInteger(amount) && (amount as number) >= 0)) return false
  }
  return true
}
