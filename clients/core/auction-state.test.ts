/** The view kept up to date from events. */
import { describe, expect, it } from 'vitest'
import { applyEvent, isEnded } from './auction-state.ts'
import { auctionId, bidPlaced, view } from './testing/frames.ts'

const base = { auctionId, seq: 2, epoch: 3, serverTime: 1 } as const

describe('CLIENT16 applyEvent', () => {
  it('takes price, high bidder and reserve from a bid', () => {
    const after = applyEvent(view({ reserve: 'not_met' }), { ...bidPlaced(2), reserve: 'met' })
    expect(after).toMatchObject({
      price: 200,
      askingBid: 205,
      bidCount: 2,
      highBidder: 'bidder-1',
      reserve: 'met',
      seq: 2,
    })
  })

  it('keeps the buy-now price until the first bid, or until the reserve is met', () => {
    expect(applyEvent(view({ buyNow: 900 }), bidPlaced(2)).buyNow).toBeNull()
    const reserved = view({ buyNow: 900, reserve: 'not_met' })
    const below = applyEvent(reserved, { ...bidPlaced(2), reserve: 'not_met' })
    expect(below).toMatchObject({ buyNow: 900 })
    expect(applyEvent(below, { ...bidPlaced(3), reserve: 'met' }).buyNow).toBeNull()
  })

  it('follows the life of an auction', () => {
    const open = applyEvent(view({ status: 'scheduled' }), { ...base, type: 'auction_opened', closesAt: 50 })
    expect(open).toMatchObject({ status: 'open', closesAt: 50, seq: 2, epoch: 3 })
    const extended = applyEvent(open, {
      ...base,
      type: 'auction_extended',
      closesAt: 60,
      reason: 'soft_close',
    })
    expect(extended).toMatchObject({ closesAt: 60, extensions: 1 })
    const paused = applyEvent(extended, { ...base, type: 'auction_paused' })
    expect(paused.status).toBe('paused')
    const resumed = applyEvent(paused, { ...base, type: 'auction_resumed', closesAt: 70 })
    expect(resumed).toMatchObject({ status: 'open', closesAt: 70 })
    expect(isEnded(resumed)).toBe(false)
    const sold = applyEvent(resumed, { ...base, type: 'auction_sold', hammerPrice: 90, winner: 'bidder-1' })
    expect(sold).toMatchObject({ status: 'sold', hammerPrice: 90, winner: 'bidder-1', price: 90 })
    for (const [type, status] of [
      ['auction_passed', 'passed'],
      ['auction_cancelled', 'cancelled'],
    ] as const) {
      const ended = applyEvent(view({ buyNow: 5 }), { ...base, type })
      expect(ended.status).toBe(status)
      expect(ended).toMatchObject({ buyNow: null, hammerPrice: null, winner: null })
      expect(isEnded(ended)).toBe(true)
    }
  })
})
