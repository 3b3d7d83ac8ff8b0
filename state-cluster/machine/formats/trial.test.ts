/**
 * Shows that the interface of formats fits other kinds of auction than the English.
 *
 * Four small formats, for this test only, pass the contract suite and show their own rules. They are no product: a
 * real format also needs its own terms, rules in docs/spec.md, and a description for clients.
 */
import { describe, expect, it, vi } from 'vitest'
import { Sale, startMs } from '../testing/sale.ts'
import { formatCases } from './contract.ts'
import type { BidDecision, Format } from './format.ts'

vi.mock('./registry.ts', async (importOriginal) => {
  const { formats } = await importOriginal<typeof import('./registry.ts')>()
  const all: Format[] = [...formats]
  return { formats: all, formatOf: (name: string) => all.find((format) => format.name === name) }
})

const { formats } = (await import('./registry.ts')) as unknown as { formats: Format[] }
const [english] = formats
if (english === undefined) throw new Error('no format')

const tooLow: BidDecision = { isAccepted: false, code: 'bid_too_low' }

/** Suppliers underbid each other; the lowest bid wins at its price, at or under the reserve. */
const reverse: Format = {
  ...english,
  name: 'reverse',
  direction: 'falling',
  termsFault: (terms) => (terms.buyNow === undefined ? undefined : 'buyNow must be left out'),
  askingBid: (auction) =>
    auction.price === undefined ? auction.terms.openingBid : Math.max(1, auction.price - 50),
  decideBid: (auction, { amount, atMs }) =>
    amount > reverse.askingBid(auction, atMs) || amount >= (auction.price ?? Number.POSITIVE_INFINITY)
      ? tooLow
      : { isAccepted: true, leads: true, price: amount, maxBid: amount, ends: false },
  reserveStatus: ({ price, terms }) =>
    terms.reserve === undefined ? 'none' : price !== undefined && price <= terms.reserve ? 'met' : 'not_met',
  hammer: (auction) =>
    auction.highBidder === undefined || reverse.reserveStatus(auction) === 'not_met'
      ? undefined
      : { winner: auction.highBidder, price: auction.highBidder.maxBid },
}

/** One secret bid counts, the highest; a bidder may raise its own. */
const sealed: Format = {
  ...english,
  name: 'sealed',
  isSealed: true,
  termsFault: (terms) => (terms.buyNow === undefined ? undefined : 'buyNow must be left out'),
  askingBid: (auction) => auction.terms.openingBid,
  decideBid: ({ highBidder, terms }, { amount, bidder }) => {
    if (amount < terms.openingBid) return tooLow
    if (bidder !== undefined && amount <= bidder.maxBid) return tooLow
    const leads = highBidder === undefined || amount > highBidder.maxBid
    return { isAccepted: true, leads, price: terms.openingBid, maxBid: amount, ends: false }
  },
  reserveStatus: ({ terms }) => (terms.reserve === undefined ? 'none' : 'not_met'),
  hammer: ({ highBidder, terms }) =>
    highBidder === undefined || highBidder.maxBid < (terms.reserve ?? 0)
      ? undefined
      : { winner: highBidder, price: highBidder.maxBid },
}

/** As sealed, at the second price. */
const vickrey: Format = {
  ...sealed,
  name: 'vickrey',
  hammer: (auction) => {
    const { bidders, highBidder, terms } = auction
    if (highBidder === undefined || highBidder.maxBid < (terms.reserve ?? 0)) return undefined
    const others = bidders.filter((bidder) => bidder !== highBidder).map((bidder) => bidder.maxBid)
    return { winner: highBidder, price: Math.max(terms.openingBid, terms.reserve ?? 0, ...others) }
  },
}

/** The price falls by 1 a second from the opening bid; the first bid takes it. */
const dutch: Format = {
  ...english,
  name: 'dutch',
  termsFault: (terms) => (terms.buyNow === undefined ? undefined : 'buyNow must be left out'),
  askingBid: ({ highBidder, opensAtMs, price, terms }, atMs) =>
    highBidder === undefined || price === undefined
      ? Math.max(1, terms.openingBid - Math.floor((atMs - opensAtMs) / 1_000))
      : price,
  decideBid: (auction, { amount, atMs }) => {
    const price = dutch.askingBid(auction, atMs)
    return amount < price ? tooLow : { isAccepted: true, leads: true, price, maxBid: price, ends: true }
  },
}

/** As English, but it falls due a second before its deadline, and waits. */
const early: Format = {
  ...english,
  name: 'early',
  dueMs: ({ closesAtMs }) => (asked.has(closesAtMs) ? closesAtMs : closesAtMs - 1_000),
  fallDue: ({ closesAtMs }, atMs) => {
    asked.add(closesAtMs)
    return atMs < closesAtMs ? 'wait' : 'close'
  },
}
const asked = new Set<number>()

/** As English, but it never ends: a fault that the trunk must detect. */
const stuck: Format = { ...english, name: 'stuck', fallDue: () => 'wait' }

const trials = [reverse, sealed, vickrey, dutch]
formats.push(...trials, early, stuck)

for (const format of trials)
  describe(`a ${format.name} format`, () => {
    for (const one of formatCases(format)) it(one.title, () => one.run())
  })

function sale(format: Format, openingBid: number, reserve?: number): Sale {
  const one = new Sale()
  one.enlist()
  one.auction('a1', { format: format.name, openingBid, ...(reserve === undefined ? {} : { reserve }) })
  return one
}

describe('other kinds of format', () => {
  it('a price that falls with each bid, sold at no more than the reserve', () => {
    const one = sale(reverse, 3_000, 2_000)
    one.accept('ann', 2_500)
    expect(one.refuse('bob', 2_480)).toMatchObject({ code: 'bid_too_low', askingBid: 2_450 })
    expect(one.accept('bob', 2_300)).toMatchObject({ price: 2_300, askingBid: 2_250 })
    expect(one.view()).toMatchObject({ highBidder: 'bidder-2', reserve: 'not_met' })
    one.accept('ann', 1_900)
    one.manage('close_auction')
    expect(one.view()).toMatchObject({ status: 'sold', hammerPrice: 1_900, winner: 'bidder-1' })
  })

  it('secret bids: nobody learns a price, a high bidder or its own standing before the end', () => {
    const one = sale(sealed, 100)
    expect(one.accept('ann', 700)).toMatchObject({
      price: 100,
      askingBid: 100,
      you: { status: 'none', maxBid: 700 },
    })
    one.accept('bob', 900)
    one.accept('eve', 800)
    const shown = JSON.stringify([one.view(), one.events.map((event) => ({ ...event, secret: undefined }))])
    for (const amount of ['700', '800', '900']) expect(shown).not.toContain(`:${amount},`)
    expect(one.typesSince(0)).toEqual(['auction_opened', 'bid_placed', 'bid_placed', 'bid_placed'])
    expect(one.outbox().map((outboxEntry) => outboxEntry.kind)).not.toContain('OUTBID')
    expect(one.view().highBidder).toBeUndefined()
    expect(one.standing('bob')).toEqual({ status: 'none', maxBid: 900 })
    one.restart().manage('close_auction')
    expect(one.view()).toMatchObject({ status: 'sold', hammerPrice: 900, winner: 'bidder-2' })
    expect(one.standing('ann')).toEqual({ status: 'lost', maxBid: 700 })
  })

  it('a hammer price that is not the high bid', () => {
    const one = sale(vickrey, 100)
    one.accept('ann', 700)
    one.accept('bob', 900)
    one.manage('close_auction')
    expect(one.view()).toMatchObject({ status: 'sold', hammerPrice: 700, winner: 'bidder-2' })
  })

  it('a price that falls by the clock, and a bid that ends the auction', () => {
    const one = sale(dutch, 500)
    one.runTo(startMs + 10_000)
    expect(one.view().askingBid).toBe(490)
    expect(one.refuse('ann', 489)).toMatchObject({ code: 'bid_too_low', askingBid: 490 })
    one.runTo(startMs + 12_000)
    expect(one.accept('ann', 489)).toMatchObject({ price: 488, you: { status: 'won', maxBid: 488 } })
    expect(one.view()).toMatchObject({ status: 'sold', hammerPrice: 488, winner: 'bidder-1' })
    expect(one.refuse('bob', 9_999)).toMatchObject({ code: 'auction_closed' })
  })
  it('a format that is due before its end and waits; one that waits without a later time ends the process', () => {
    const one = sale(early, 100)
    one.runTo(startMs + 59_000)
    expect(one.view().status).toBe('open')
    expect(asked).toEqual(new Set([startMs + 60_000]))
    one.runTo(startMs + 60_000)
    expect(one.view().status).toBe('passed')
    const other = sale(stuck, 100)
    expect(() => other.runTo(startMs + 60_000)).toThrow(/an auction that waits is due later/)
  })
})
