import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AuctionId, RequestId, SubjectId } from '../../protocol/ids.ts'
import { TransportError } from '../../wire/errors.ts'
import { Fields, packTuple, unpackTuple } from '../../wire/tuples.ts'
import type { FeedBatch } from '../cluster.ts'
import { type RejectionCode, type Reply, rejectionCodes } from '../machine/events.ts'
import { group } from '../peers/testing/fixtures.ts'
import { readOfCode, reads } from './reads.ts'
import { createAuction, enlistServer, placeBid, registerBuyer } from './testing/fake-cluster.ts'
import {
  decodeAuctionPage,
  decodeAuctionView,
  decodeBuyer,
  decodeOutboxEntry,
  decodeOwners,
  decodeStanding,
  decodeStatus,
  encodeAuctionPage,
  encodeAuctionView,
  encodeBuyer,
  encodeOutboxEntry,
  encodeOwners,
  encodeStanding,
  encodeStatus,
} from './view-codec.ts'
import {
  decodeFeed,
  decodeGap,
  decodeIndexDone,
  decodeLeader,
  decodeProposeDone,
  decodeReadDone,
  decodeReplyBody,
  decodeRequest,
  decodeStatusDone,
  decodeWelcome,
  encodeCommandBytes,
  encodeDone,
  encodeFailure,
  encodeFeed,
  encodeGap,
  encodeGroupRequest,
  encodeLeader,
  encodePropose,
  encodeProposeDone,
  encodeRead,
  encodeReadDone,
  encodeStatusDone,
  encodeStatusRequest,
  encodeSubscribe,
  encodeWelcome,
} from './wire.ts'

const count = fc.maxSafeNat()
const id = fc.stringMatching(/^[A-Za-z0-9._:@-]{1,40}$/)
const text = fc.string({ maxLength: 60 })
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })

/** Objects whose undefined fields are absent, as `exactOptionalPropertyTypes` has them. */
function shape<T>(fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<T> {
  return fc
    .record(fields)
    .map(
      (record) => Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T,
    )
}

const view = shape<Parameters<typeof encodeAuctionView>[0]>({
  id,
  title: text,
  tags: fc.array(text, { maxLength: 4 }),
  item: optional(text),
  format: id,
  currency: fc.constant('EUR'),
  status: fc.constantFrom('scheduled', 'open', 'paused', 'sold', 'passed', 'cancelled'),
  openingBid: count,
  price: optional(count),
  askingBid: count,
  bidCount: count,
  highBidder: optional(id),
  reserve: fc.constantFrom('none', 'not_met', 'met'),
  buyNow: optional(count),
  increments: fc.array(fc.record({ from: count, step: count }), { maxLength: 5 }),
  softClose: optional(shape({ windowMs: count, extensionMs: count, limit: optional(count) })),
  opensAt: count,
  closesAt: count,
  extensions: count,
  seq: count,
  epoch: count,
  owner: id,
  sellerId: id,
  hammerPrice: optional(count),
  winner: optional(id),
})

const standing = shape<Parameters<typeof encodeStanding>[0]>({
  status: fc.constantFrom('none', 'winning', 'outbid', 'won', 'lost'),
  maxBid: optional(count),
})
const buyer = shape<Parameters<typeof encodeBuyer>[0]>({
  id,
  name: text,
  interests: fc.array(text, { maxLength: 4 }),
  endpoint: optional(text),
})
const outboxEntry = shape<Parameters<typeof encodeOutboxEntry>[0]>({
  position: count,
  kind: fc.constantFrom(
    'NEW_AUCTION',
    'MATCHING_AUCTIONS',
    'NEW_BID',
    'CANCELED_AUCTION',
    'END_OF_AUCTION',
    'WON_AUCTION',
    'OUTBID',
  ),
  atMs: count,
  auctionId: optional(id),
  seq: optional(count),
  recipient: optional(id),
  price: optional(count),
})
const page = shape<Parameters<typeof encodeAuctionPage>[0]>({
  auctions: fc.array(view, { maxLength: 3 }),
  next: optional(text),
})
const groupStatus = fc.record({
  groupId: fc.nat(65_535).map(group),
  ready: fc.boolean(),
  term: count,
  commitIndex: count,
  appliedIndex: count,
  firstIndex: count,
  checkpointIndex: count,
  stateHash: id,
  openAuctions: count,
  auctions: count,
  buyers: count,
  outboxLength: count,
})
const status = fc.record({ ready: fc.boolean(), groups: fc.array(groupStatus, { maxLength: 3 }) })

/** Through MessagePack, as on the wire. */
function travel(value: unknown): unknown {
  return unpackTuple(packTuple([value]))[0]
}

const batch: FeedBatch = {
  groupId: group(3),
  index: 17,
  atMs: 1_700_000_000_000,
  hasOutboxEntries: true,
  events: [
    {
      type: 'bid_placed',
      auctionId: 'a1' as AuctionId,
      seq: 2,
      epoch: 1,
      atMs: 1_700_000_000_000,
      price: 500,
      askingBid: 550,
      bidCount: 1,
      highBidder: 'bidder-1',
      bidder: 'bidder-1',
      reserve: 'none',
      secret: { bidderId: 'bob' as SubjectId, amount: 500, kind: 'max', requestId: 'r1' as RequestId },
    },
    {
      type: 'outbid',
      auctionId: 'a1' as AuctionId,
      seq: 2,
      epoch: 1,
      atMs: 1_700_000_000_000,
      bidderId: 'eve' as SubjectId,
      price: 500,
      askingBid: 550,
    },
  ],
}

describe('the link on the wire', () => {
  it('LINK2: views, buyers, outbox entries, standings and status come back equal', () => {
    fc.assert(
      fc.property(view, page, standing, buyer, outboxEntry, status, (a, b, c, d, e, f) => {
        expect(decodeAuctionView(travel(encodeAuctionView(a)))).toEqual(a)
        expect(decodeAuctionPage(travel(encodeAuctionPage(b)))).toEqual(b)
        expect(decodeStanding(travel(encodeStanding(c)))).toEqual(c)
        expect(decodeBuyer(travel(encodeBuyer(d)))).toEqual(d)
        expect(decodeOutboxEntry(travel(encodeOutboxEntry(e)))).toEqual(e)
        expect(decodeStatus(travel(encodeStatus(f)))).toEqual(f)
      }),
    )
  })

  it('LINK2: owners, with and without a lease, and feeds that move auctions come back equal', () => {
    const standings = ['live', 'dead', 'left'] as const
    const servers = standings.map((standing, at) => ({
      serverId: `s${at}` as never,
      epoch: at,
      standing,
      lastConductedMs: 1_700_000_000_000 + at,
      auctions: at * 3,
      outboxEntries: at * 5,
    }))
    const bare = { atMs: 1_700_000_000_009, servers }
    expect(decodeOwners(travel(encodeOwners(bare)))).toEqual(bare)
    const held = { ...bare, lease: { monitorId: 'm1', token: 4, untilMs: 1_700_000_001_000 } }
    expect(decodeOwners(travel(encodeOwners(held)))).toEqual(held)
    const moved = {
      groupId: group(1),
      index: 9,
      atMs: 1,
      events: [],
      hasOutboxEntries: false,
      gained: ['s2' as never],
    }
    expect(decodeFeed(encodeFeed(moved))).toEqual(moved)
    const { gained: _, ...rest } = moved
    const due = { ...rest, deadlines: [{ serverId: 's1' as never, atMs: 1_700_000_000_000 }] }
    expect(decodeFeed(encodeFeed(due))).toEqual(due)
    expect(decodeFeed(encodeFeed({ ...due, ...moved }))).toEqual({ ...due, ...moved })
  })

  it('LINK2: requests come back equal', () => {
    const commands = [createAuction('a1'), placeBid('a1', 'bob', 500), registerBuyer('eve'), enlistServer]
    const propose = encodePropose(7, group(2), commands.map(encodeCommandBytes))
    expect(decodeRequest(propose)).toEqual({ op: 'propose', id: 7, groupId: 2, commands })
    expect(decodeRequest(encodeSubscribe(8, group(1), undefined))).toEqual({
      op: 'subscribe',
      id: 8,
      groupId: 1,
      after: undefined,
    })
    expect(decodeRequest(encodeSubscribe(8, group(1), 99))).toMatchObject({ after: 99 })
    for (const op of ['unsubscribe', 'readIndex'] as const) {
      expect(decodeRequest(encodeGroupRequest(9, op, group(4)))).toEqual({ op, id: 9, groupId: 4 })
    }
    expect(decodeRequest(encodeStatusRequest(10))).toEqual({ op: 'status', id: 10 })
    const read = decodeRequest(encodeRead(11, [{ groupId: group(1), index: 5 }], 1, ['a1']))
    expect(read).toMatchObject({ op: 'read', id: 11, code: 1, minIndexes: [{ groupId: 1, index: 5 }] })
  })

  it('LINK2: the arguments of every read come back equal, and codes are unique', () => {
    const args = {
      auction: { auctionId: 'a1' as AuctionId },
      auctions: { status: 'open' as const, tag: 'clocks', after: '17', limit: 20 },
      standing: { auctionId: 'a1' as AuctionId, bidderId: 'bob' as SubjectId },
      events: { auctionId: 'a1' as AuctionId, afterSeq: 4, limit: 100 },
      eventsSince: { auctionId: 'a1' as AuctionId, since: { epoch: 2, seq: 9 }, limit: 100 },
      bidders: { auctionId: 'a1' as AuctionId, after: 3, limit: 10 },
      interestedBuyers: { tags: ['a', 'b'], after: 'bob' as SubjectId, limit: 10 },
      buyer: { buyerId: 'bob' as SubjectId },
      outbox: { groupId: group(2), serverId: 'server-1' as never, after: 5, limit: 10 },
      owners: { groupId: group(2) },
      house: { groupId: group(2) },
    } satisfies { [Name in keyof typeof reads]: Parameters<(typeof reads)[Name]['encodeArgs']>[0] }
    for (const [name, read] of Object.entries(reads)) {
      const given = args[name as keyof typeof args]
      const encoded = read.encodeArgs(given as never)
      const fields = new Fields(travel(encoded) as unknown[], 'args')
      expect(read.decodeArgs(fields)).toEqual(given)
      fields.end()
      expect(readOfCode(read.code)).toBe(read)
    }
    expect(reads.auctions.decodeArgs(new Fields([null, null, null, 5], 'args'))).toEqual({ limit: 5 })
    expect(new Set(Object.values(reads).map((read) => read.code)).size).toBe(Object.keys(reads).length)
  })

  it("LINK2: replies come back equal, each command's own", () => {
    const replies: Reply[] = [
      { ok: true, type: 'server', epoch: 4 },
      ...(Object.keys(rejectionCodes) as RejectionCode[]).map((code): Reply => ({ ok: false, code })),
      {
        ok: true,
        type: 'bid',
        auctionId: 'a1' as AuctionId,
        seq: 3,
        price: 5,
        askingBid: 6,
        you: { status: 'winning', maxBid: 9 },
      },
    ]
    const outcomes = [...replies, 'overloaded', 'unknown', 'unavailable', 'stopped'] as const
    const done = decodeReplyBody(encodeProposeDone(3, { kind: 'done', index: 12, outcomes }))
    if (done.failure !== undefined) throw new Error('a failure')
    expect(decodeProposeDone(done.fields)).toEqual({ index: 12, outcomes })
    expect(decodeReplyBody(encodeFailure(4, 'not_leader', { leaderId: 2, term: 9 }))).toEqual({
      id: 4,
      failure: 'not_leader',
      leader: { leaderId: 2, term: 9 },
    })
    expect(decodeReplyBody(encodeFailure(4, 'stale'))).toMatchObject({ failure: 'stale' })
    const read = decodeReplyBody(encodeReadDone(5, [{ groupId: group(1), index: 7 }], ['x']))
    if (read.failure !== undefined) throw new Error('a failure')
    expect(decodeReadDone(read.fields)).toEqual({ applied: [{ groupId: 1, index: 7 }], answer: ['x'] })
    const index = decodeReplyBody(encodeDone(6, 44))
    if (index.failure !== undefined) throw new Error('a failure')
    expect(decodeIndexDone(index.fields)).toBe(44)
  })

  it('LINK2: pushed frames come back equal, secrets of the audit included', () => {
    expect(decodeFeed(encodeFeed(batch))).toEqual(batch)
    expect(decodeGap(encodeGap(group(1), 8))).toEqual({ groupId: 1, index: 8 })
    expect(decodeLeader(encodeLeader(group(1), { leaderId: 2, term: 3 }))).toEqual({
      groupId: 1,
      view: { leaderId: 2, term: 3 },
    })
    const members = [{ nodeId: 2, address: { host: 'state-2.example', port: 4100 } }]
    const welcome = { groups: [group(0), group(1)], members }
    expect(decodeWelcome(encodeWelcome(welcome))).toEqual(welcome)
    const known = { ready: false, groups: [] }
    const reply = decodeReplyBody(encodeStatusDone(1, known, members))
    if (reply.failure !== undefined) throw new Error('a failure')
    expect(decodeStatusDone(reply.fields)).toEqual({ status: known, members })
  })

  it('LINK2: damaged frames give a typed error or a whole value, never anything else', () => {
    const frames: [Uint8Array, (body: Uint8Array) => unknown][] = [
      [
        encodePropose(7, group(2), [createAuction('a1'), placeBid('a1', 'bob', 5)].map(encodeCommandBytes)),
        decodeRequest,
      ],
      [encodeSubscribe(8, group(1), 99), decodeRequest],
      [encodeFeed(batch), decodeFeed],
      [
        encodeWelcome({ groups: [group(0)], members: [{ nodeId: 1, address: { host: 'h', port: 1 } }] }),
        decodeWelcome,
      ],
      [encodeLeader(group(1), { leaderId: 2, term: 3 }), decodeLeader],
      [
        encodeProposeDone(3, { kind: 'done', index: 1, outcomes: [{ ok: true, type: 'done' }] }),
        (body) => {
          const reply = decodeReplyBody(body)
          return reply.failure === undefined ? decodeProposeDone(reply.fields) : reply
        },
      ],
      [
        encodeRead(1, [], reads.auctions.code, reads.auctions.encodeArgs({ limit: 4 })),
        (body) => {
          const request = decodeRequest(body)
          return request.op === 'read' ? readOfCode(request.code)?.decodeArgs(request.args) : request
        },
      ],
    ]
    const damage = fc.record({
      which: fc.nat(frames.length - 1),
      at: fc.nat(),
      byte: fc.nat(255),
      cut: fc.nat(),
    })
    fc.assert(
      fc.property(damage, ({ which, at, byte, cut }) => {
        const [good, decode] = frames[which] as (typeof frames)[number]
        const bytes = Buffer.from(good)
        bytes[at % bytes.length] = byte
        try {
          decode(cut % 3 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes)
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(TransportError)
          expect((thrown as TransportError).code).toBe('malformed')
        }
      }),
      { numRuns: 5_000 },
    )
  })
})
