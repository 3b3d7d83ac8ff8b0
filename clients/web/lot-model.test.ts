import { describe, expect, it } from 'vitest'
import type { AuctionView, Standing } from '../../protocol/auction-view.ts'
import type { BidEntry } from '../../protocol/http-bodies.ts'
import type { AuctionId, RequestId, SubjectId } from '../../protocol/ids.ts'
import type { PrivateEventFrame, PublicEventFrame, ServerFrameOf } from '../../protocol/server-frames.ts'
import { applyEvent } from '../core/auction-state.ts'
import type { BidOutcome } from '../core/index.ts'
import { headline } from './auction-card.ts'
import { emptyLot, historyMax, isStale, type LotAction, type LotState, lotReducer } from './lot-model.ts'
import { standingOf } from './standing.ts'

const auctionId = 'a1' as AuctionId

function view(change: Partial<AuctionView> = {}): AuctionView {
  return {
    id: auctionId,
    title: 'Clock',
    tags: [],
    format: 'english',
    currency: 'EUR',
    status: 'open',
    openingBid: 1_000,
    askingBid: 1_000,
    bidCount: 0,
    reserve: 'none',
    opensAt: 0,
    closesAt: 60_000,
    extensions: 0,
    seq: 1,
    epoch: 1,
    owner: 's1',
    sellerId: 'sol' as SubjectId,
    ...change,
  }
}

type Placed = ServerFrameOf<'bid_placed'>

function placed(seq: number, bidder: string, price: number, highBidder = bidder): Placed {
  const askingBid = price + 50
  const bidCount = seq - 1
  return {
    type: 'bid_placed',
    auctionId,
    seq,
    epoch: 1,
    serverTime: seq * 1_000,
    price,
    askingBid,
    bidCount,
    bidder,
    highBidder,
    reserve: 'none',
  }
}

const entry = (frame: Placed, isOwn = false): BidEntry => {
  const { seq, epoch, serverTime, bidder, price, askingBid, bidCount, highBidder, reserve } = frame
  const own = { you: { amount: price, kind: 'max', requestId: 'r' as RequestId } } as const
  return {
    seq,
    epoch,
    serverTime,
    bidder,
    price,
    askingBid,
    bidCount,
    highBidder,
    reserve,
    ...(isOwn ? own : {}),
  }
}

const accepted = (seq: number, you: Standing): BidOutcome => ({
  type: 'bid_accepted',
  replyTo: 1,
  requestId: 'r' as RequestId,
  auctionId,
  seq,
  price: 1_000,
  askingBid: 1_050,
  you,
})

const ended = (
  type: 'auction_sold' | 'auction_passed' | 'auction_cancelled',
  winner = '',
): PublicEventFrame => {
  const base = { auctionId, seq: 90, epoch: 1, serverTime: 90_000 }
  return type === 'auction_sold' ? { type, ...base, hammerPrice: 2_000, winner } : { type, ...base }
}

/** Feeds public events as the session does, with the view after each. */
function fed(state: LotState, ...happened: (LotAction | PublicEventFrame)[]): LotState {
  let next = state
  for (const one of happened)
    next =
      'auctionId' in one
        ? lotReducer(next, { type: 'event', event: one, auction: applyEvent(next.auction ?? view(), one) })
        : lotReducer(next, one)
  return next
}

const opened = fed(emptyLot, { type: 'snapshot', auction: view() })
const seqs = (state: LotState) => state.history.map(({ seq }) => seq)

describe('the model of one auction', () => {
  it('keeps each bid once, in order, whether it came as an event or as history', () => {
    const bids = [2, 3, 4, 5].map((seq) => placed(seq, 'bidder-1', seq * 1_000))
    const [second, third, fourth, fifth] = bids as [Placed, Placed, Placed, Placed]
    const state = fed(
      opened,
      fourth,
      { type: 'history', bids: [entry(second), entry(third), entry(fourth)], hasEarlier: true },
      fifth,
      { type: 'history', bids: [entry(fourth), entry(fifth)] },
    )
    expect(seqs(state)).toEqual([2, 3, 4, 5])
    expect(state.hasEarlier).toBe(true)
  })

  it('keeps a bounded number of bids, the youngest', () => {
    const bids = Array.from({ length: historyMax + 5 }, (_, i) => entry(placed(i + 2, 'bidder-1', i)))
    const state = fed(opened, { type: 'history', bids, hasEarlier: true })
    expect(state.history).toHaveLength(historyMax)
    expect(state.history.at(-1)?.seq).toBe(historyMax + 6)
    expect(state.hasEarlier).toBe(false)
  })

  it('takes the standing from the snapshot', () => {
    const auction = view({ you: { status: 'winning', maxBid: 5_000 } })
    expect(fed(emptyLot, { type: 'snapshot', auction }).you).toEqual({ status: 'winning', maxBid: 5_000 })
  })

  it('learns its own alias when the answer comes before the event', () => {
    const state = fed(
      opened,
      { type: 'bid_sent', bid: { amount: 3_000, kind: 'max' } },
      { type: 'bid_answered', outcome: accepted(2, { status: 'winning', maxBid: 3_000 }) },
      placed(2, 'bidder-7', 1_000),
    )
    expect(state).toMatchObject({ alias: 'bidder-7', you: { status: 'winning', maxBid: 3_000 } })
    expect(state).not.toHaveProperty('pending')
  })

  it('learns its own alias when the event comes before the answer', () => {
    const state = fed(opened, placed(2, 'bidder-7', 1_000), {
      type: 'bid_answered',
      outcome: accepted(2, { status: 'winning', maxBid: 3_000 }),
    })
    expect(state).toMatchObject({ alias: 'bidder-7', you: { status: 'winning', maxBid: 3_000 } })
  })

  it('does not say "you lead" for an answer that later bids have overtaken', () => {
    const state = fed(opened, placed(2, 'bidder-7', 1_000), placed(3, 'bidder-8', 3_050), {
      type: 'bid_answered',
      outcome: accepted(2, { status: 'winning', maxBid: 3_000 }),
    })
    expect(state.you).toEqual({ status: 'outbid', maxBid: 3_000 })
  })

  it('follows the lead by public events alone once it knows its alias', () => {
    const own = fed(opened, placed(2, 'bidder-1', 1_000), {
      type: 'history',
      bids: [entry(placed(2, 'bidder-1', 1_000), true)],
    })
    expect(own.you.status).toBe('winning')
    const lost = fed(own, placed(3, 'bidder-2', 1_050))
    expect(lost.you.status).toBe('outbid')
    expect(fed(lost, placed(4, 'bidder-3', 1_100, 'bidder-1')).you.status).toBe('winning')
    expect(fed(lost, ended('auction_sold', 'bidder-1')).you.status).toBe('won')
    expect(fed(lost, ended('auction_sold', 'bidder-2')).you.status).toBe('lost')
    expect(fed(lost, ended('auction_passed')).you.status).toBe('lost')
    expect(fed(lost, ended('auction_cancelled')).you.status).toBe('none')
  })

  it('takes private news', () => {
    const event: PrivateEventFrame = {
      type: 'outbid',
      auctionId,
      seq: 3,
      epoch: 1,
      serverTime: 3_000,
      price: 2_000,
      askingBid: 2_050,
      you: { status: 'outbid', maxBid: 1_500 },
    }
    expect(fed(opened, { type: 'private', event }).you).toEqual({ status: 'outbid', maxBid: 1_500 })
  })

  it('a bid is under way until it is answered or given up, and a new one takes the old outcome away', () => {
    const rejected: BidOutcome = {
      type: 'bid_rejected',
      replyTo: 1,
      requestId: 'r' as RequestId,
      auctionId,
      code: 'bid_too_low',
    }
    const sent: LotAction = { type: 'bid_sent', bid: { amount: 1, kind: 'exact' } }
    const answered = fed(opened, sent, { type: 'bid_answered', outcome: rejected })
    expect(answered.outcome).toEqual(rejected)
    expect(answered).not.toHaveProperty('pending')
    expect(fed(answered, sent)).not.toHaveProperty('outcome')
    expect(fed(opened, sent, { type: 'bid_failed' })).not.toHaveProperty('pending')
  })

  it('keeps what it knows when the house refuses to let it watch', () => {
    expect(fed(emptyLot, { type: 'refused', code: 'auction_not_found' })).toMatchObject({
      refused: 'auction_not_found',
      history: [],
    })
  })
})

describe('how the reader stands, in a line', () => {
  const titleOf = (auction: AuctionView, you: Standing) => standingOf({ ...emptyLot, auction, you })

  it.each([
    [{}, { status: 'none' }, undefined],
    [{}, { status: 'winning', maxBid: 5_000 }, 'good'],
    [{}, { status: 'outbid' }, 'bad'],
    [{ status: 'sold', winner: 'bidder-1', hammerPrice: 9 }, { status: 'won' }, 'good'],
    [{ status: 'sold', winner: 'bidder-1', hammerPrice: 9 }, { status: 'lost' }, 'bad'],
    [{ status: 'sold', winner: 'bidder-1', hammerPrice: 9 }, { status: 'none' }, 'plain'],
    [{ status: 'passed' }, { status: 'lost' }, 'plain'],
    [{ status: 'cancelled' }, { status: 'none' }, 'plain'],
    [{ status: 'paused' }, { status: 'winning' }, 'plain'],
    [{ status: 'scheduled' }, { status: 'none' }, 'plain'],
  ] as const)('%j and %j is %s', (auction, you, tone) => {
    expect(titleOf(view(auction), you)?.tone).toBe(tone)
  })

  it('says what would be enough, and why leading may not be', () => {
    expect(titleOf(view({ askingBid: 2_050 }), { status: 'outbid' })?.text).toMatch(/20[.,]50/)
    expect(titleOf(view({ reserve: 'not_met' }), { status: 'winning' })?.text).toContain('reserve is not met')
    expect(titleOf(view({ status: 'passed', bidCount: 3 }), { status: 'lost' })?.text).toContain('reserve')
    expect(standingOf(emptyLot)).toBeUndefined()
  })
})

describe('CLIENT21 what may have changed unseen', () => {
  const led: LotState = {
    ...emptyLot,
    auction: view({ price: 1_000, highBidder: 'bidder-1', bidCount: 1 }),
    you: { status: 'winning', maxBid: 2_000 },
    alias: 'bidder-1',
  }
  const stale = lotReducer(led, { type: 'stale', sinceMs: Date.UTC(2026, 10, 20, 18, 0, 5) })

  it('is not claimed: a lead is something past, with the time when it was known', () => {
    expect(standingOf(led)?.title).toBe('You lead')
    expect(standingOf(stale)).toMatchObject({ tone: 'stale', title: 'Not current' })
    expect(standingOf(stale)?.text).toMatch(/last heard at .*05.* You led then\./)
    expect(headline(led.auction as AuctionView, isStale(led)).label).toBe('Current bid')
    expect(headline(stale.auction as AuctionView, isStale(stale)).label).toBe('Last known bid')
  })

  it('is claimed again once it is current', () => {
    expect(standingOf(lotReducer(stale, { type: 'current' }))?.title).toBe('You lead')
  })

  it('does not include what has ended', () => {
    const sold = view({ status: 'sold', winner: 'bidder-1', hammerPrice: 1_000, price: 1_000 })
    const ended: LotState = { ...stale, auction: sold, you: { status: 'won' } }
    expect([isStale(ended), standingOf(ended)?.title]).toEqual([false, 'It is yours'])
  })
})
