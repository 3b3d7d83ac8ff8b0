/** The audit names each kind of fault that it is there for, and finds none in a clean record. */
import { expect, test } from 'vitest'
import type { AuctionView } from '../../protocol/auction-view.ts'
import type { PublicEventFrame } from '../../protocol/server-frames.ts'
import { type AuditInput, audit } from './audit.ts'
import type { HistoryRow, Outage, Post, Rule } from './record.ts'

const auctionId = 'lot'

/** Ada bids 100, Bob 300, Ada 250 (outbid at once), the close at 10,000 moves to 16,000 by an outage; Bob wins. */
function clean() {
  const bid = (
    seq: number,
    bidder: string,
    highBidder: string,
    price: number,
    mine: [string, number],
  ): HistoryRow => ({
    seq,
    serverTime: 1_000 * seq,
    bidder,
    highBidder,
    price,
    own: [{ bidder: mine[0], amount: mine[1], requestId: `${mine[0]}-${seq}` }],
  })
  const history = [
    bid(2, 'bidder-1', 'bidder-1', 100, ['ada', 100]),
    bid(3, 'bidder-2', 'bidder-2', 125, ['bob', 300]),
    bid(4, 'bidder-1', 'bidder-2', 275, ['ada', 250]),
  ]
  const placed = history.map(({ own, ...row }) => ({ type: 'bid_placed', auctionId, epoch: 1, ...row }))
  const event = (type: string, seq: number, serverTime: number, more = {}) => ({
    type,
    auctionId,
    epoch: 1,
    seq,
    serverTime,
    ...more,
  })
  const events = [
    ...placed,
    event('auction_extended', 5, 11_000, { closesAt: 16_000, reason: 'outage' }),
    event('auction_sold', 6, 16_010, { hammerPrice: 275, winner: 'bidder-2' }),
  ] as unknown as PublicEventFrame[]
  const view = {
    status: 'sold',
    seq: 6,
    closesAt: 16_000,
    hammerPrice: 275,
    winner: 'bidder-2',
    reserve: 'none',
  } as AuctionView
  const post = (recipient: string, kind: string, seq: number): Post => ({
    recipient,
    id: `0-${kind}-${seq}-${recipient}`,
    kind,
    auctionId,
    seq,
    isSigned: true,
  })
  const posts = [
    post('ada', 'NEW_BID', 2),
    post('bob', 'NEW_BID', 3),
    post('ada', 'OUTBID', 3),
    post('ada', 'NEW_BID', 4),
    post('ada', 'OUTBID', 4),
    post('bob', 'WON_AUCTION', 6),
    post('ada', 'END_OF_AUCTION', 6),
  ]
  const outage: Outage = { name: 'kill', fromMs: 9_500, toMs: 10_500 }
  return {
    auctions: [{ id: auctionId, firstClosesAt: 10_000, view, history }],
    bids: history.map(({ own: [mine], seq }) => ({
      ...(mine as HistoryRow['own'][number]),
      auctionId,
      answer: 'accepted' as 'accepted' | 'rejected' | 'unknown',
      seq,
    })),
    watched: [
      { watcher: 'first', auctionId, firstSeq: 1, firstClosesAt: 10_000, events, missed: 0 },
      {
        watcher: 'second',
        auctionId,
        firstSeq: 3,
        firstClosesAt: 10_000,
        events: events.slice(2),
        missed: 0,
      },
    ],
    privately: [
      { bidder: 'bob', auctionId, type: 'won' as const, seq: 6 },
      { bidder: 'ada', auctionId, type: 'lost' as const, seq: 6 },
    ],
    outages: [outage],
    posts,
  } satisfies AuditInput
}

type Record = ReturnType<typeof clean>

/** The record as plain data that a fault can be made in. */
type Mutable<Value> = { -readonly [Key in keyof Value]: Mutable<Value[Key]> }

function rulesOf(make: (record: Mutable<Record>) => void): Rule[] {
  const record = structuredClone(clean()) as unknown as Mutable<Record>
  make(record)
  return [...new Set(audit(record as unknown as Record).findings.map(({ rule }) => rule))]
}

const rowAt = (record: Mutable<Record>, seq: number): Mutable<HistoryRow> =>
  record.auctions[0]?.history.find((row) => row.seq === seq) as Mutable<HistoryRow>

/** An event, for all who saw it. */
const change = (record: Mutable<Record>, seq: number, fields: object): void => {
  for (const { events } of record.watched)
    for (const event of events) if (event.seq === seq) Object.assign(event, fields)
}

test('a clean record has no findings, and is counted', () => {
  const { findings, counts } = audit(clean())
  expect(findings).toEqual([])
  expect(counts).toMatchObject({ bidsAcknowledged: 3, bidsInHistory: 3, outageExtensions: 1, webhooks: 7 })
})

const faults: readonly [what: string, rule: Rule, make: (record: Mutable<Record>) => void][] = [
  [
    'a lost bid',
    'acknowledged bid lost',
    ({ auctions, watched }) => {
      auctions[0]?.history.splice(2, 1)
      for (const { events } of watched)
        events.splice(
          events.findIndex(({ seq }) => seq === 4),
          1,
        )
    },
  ],
  [
    'a doubled bid',
    'bid counted twice',
    (record) => {
      const row = rowAt(record, 4)
      record.auctions[0]?.history.push({ ...row, seq: 5 })
    },
  ],
  [
    'a late bid',
    'late',
    (record) => {
      rowAt(record, 4).serverTime = 10_000
    },
  ],
  [
    'a bid after an extended close',
    'late',
    (record) => {
      const row = rowAt(record, 4)
      record.auctions[0]?.history.push({ ...row, seq: 7, serverTime: 16_005 })
    },
  ],
  [
    'a bid that is recorded for another bidder',
    'misattributed',
    (record) => {
      rowAt(record, 4).own = [{ bidder: 'bob', amount: 250, requestId: 'ada-4' }]
    },
  ],
  [
    'a bid that another one replaces',
    'misattributed',
    (record) => {
      rowAt(record, 4).own = [{ bidder: 'cyd', amount: 250, requestId: 'cyd-4' }]
      rowAt(record, 4).bidder = 'bidder-3'
      change(record, 4, { bidder: 'bidder-3' })
    },
  ],
  [
    'a refused bid in the history',
    'refused bid counted',
    ({ bids }) => {
      Object.assign(bids[2] as object, { answer: 'rejected' })
    },
  ],
  [
    'another amount than was bid',
    'acknowledged bid changed',
    ({ bids }) => {
      Object.assign(bids[1] as object, { amount: 301 })
    },
  ],
  [
    'a leader who bid less',
    'wrong high bidder',
    (record) => {
      rowAt(record, 4).highBidder = 'bidder-1'
      change(record, 4, { highBidder: 'bidder-1' })
    },
  ],
  [
    'a falling price',
    'price fell',
    (record) => {
      rowAt(record, 4).price = 120
      change(record, 4, { price: 120 })
    },
  ],
  [
    'a history out of order',
    'history out of order',
    ({ auctions }) => {
      auctions[0]?.history.reverse()
    },
  ],
  [
    'watchers who saw different things',
    'watchers differ',
    ({ watched }) => {
      const [event] = watched[1]?.events ?? []
      watched[1]?.events.splice(0, 1, { ...event, price: 5 } as PublicEventFrame)
    },
  ],
  [
    'a gap in what one saw',
    'event missed',
    ({ watched }) => {
      watched[0]?.events.splice(1, 1)
    },
  ],
  [
    'a feed that ends before the end',
    'event missed',
    ({ watched }) => {
      watched[1]?.events.pop()
    },
  ],
  [
    'a snapshot in place of events',
    'event missed',
    ({ watched }) => {
      ;(watched[0] as { missed: number }).missed = 1
    },
  ],
  [
    'two hammers',
    'more than one outcome',
    ({ watched }) => {
      for (const { events } of watched)
        events.push({ ...(events.at(-1) as PublicEventFrame), seq: 7 } as PublicEventFrame)
    },
  ],
  [
    'a winner who was not the highest',
    'wrong outcome',
    ({ auctions }) => {
      Object.assign(auctions[0]?.view as object, { winner: 'bidder-1' })
    },
  ],
  [
    'an auction that stays open',
    'not closed',
    ({ auctions }) => {
      Object.assign(auctions[0]?.view as object, { status: 'open' })
    },
  ],
  ['a close before the deadline', 'closed early', (record) => change(record, 6, { serverTime: 15_990 })],
  [
    'an extension below the minimum',
    'outage extension wrong',
    (record) => {
      change(record, 5, { closesAt: 15_999 })
      Object.assign(record.auctions[0]?.view as object, { closesAt: 15_999 })
    },
  ],
  [
    'an extension of what was not near its close',
    'outage extension wrong',
    (record) => change(record, 5, { serverTime: 4_500 }),
  ],
  [
    'an outage made good twice',
    'outage extension wrong',
    (record) => {
      for (const { events } of record.watched) {
        const again = { ...events.at(-2), seq: 6, serverTime: 11_100, closesAt: 16_101 } as PublicEventFrame
        events.splice(-1, 1, again, { ...events.at(-1), seq: 7, serverTime: 16_110 } as PublicEventFrame)
      }
      Object.assign(record.auctions[0]?.view as object, { closesAt: 16_101, seq: 7 })
    },
  ],
  [
    'an outage over the close that gave nothing',
    'outage extension missing',
    ({ outages }) => {
      outages[0] = { name: 'kill', fromMs: 15_000, toMs: 17_000 }
    },
  ],
  [
    'a loser who receives that it won',
    'private frame wrong',
    ({ privately }) => {
      Object.assign(privately[0] as object, { bidder: 'ada' })
    },
  ],
  [
    'a notification that never came',
    'notification missing',
    ({ posts }) => {
      posts.pop()
    },
  ],
  [
    'one fact under two ids',
    'notification repeated',
    ({ posts }) => {
      posts.push({ ...(posts[0] as Post), id: 'another' })
    },
  ],
  [
    'a notification to another buyer',
    'notification not expected',
    ({ posts }) => {
      posts.push({ ...(posts[5] as Post), recipient: 'ada', id: 'wrong' })
    },
  ],
  [
    'a webhook without a signature',
    'webhook not signed',
    ({ posts }) => {
      Object.assign(posts[0] as object, { isSigned: false })
    },
  ],
]

test.each(faults)('it names %s', (_, rule, make) => {
  expect(rulesOf(make)).toContain(rule)
})

test('an outage that was over before the deadline, or of other auctions, owes nothing', () => {
  const outages: Outage[] = [
    { name: 'short', fromMs: 2_000, toMs: 3_000 },
    { name: 'elsewhere', fromMs: 15_000, toMs: 17_000, auctionIds: new Set(['other']) },
  ]
  expect(audit({ ...clean(), outages }).findings).toEqual([])
})

test('what was extended before anybody watched it is judged by the deadline that the first watcher saw', () => {
  const record = clean()
  const [auction] = record.auctions
  expect(
    audit({ ...record, auctions: [{ ...auction, firstClosesAt: 3_500 }] } as AuditInput).findings,
  ).toEqual([])
})
