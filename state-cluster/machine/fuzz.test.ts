import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AuctionId, RequestId, ServerId, SubjectId } from '../../protocol/ids.ts'
import { Random } from '../../runtime/random.ts'
import { apply } from './apply.ts'
import type { RowChange } from './changes.ts'
import { decodeEntry, encodeEntry } from './codec.ts'
import type { Command, MachineEntry } from './commands.ts'
import { type Applied, isPublic, type PublicEvent, rejectionCodes } from './events.ts'
import { type Limits, limits } from './limits.ts'
import { emptyState, rows, type State, stateHash, takeDirty } from './state.ts'
import { violationsOf } from './testing/invariants.ts'
import { restored } from './testing/restored.ts'
import { Sale, terms } from './testing/sale.ts'
import { Stream } from './testing/streams.ts'

/** Bounds so low that the streams reach them. */
const low: Limits = {
  ...limits,
  auctionsMax: 30,
  buyersMax: 3,
  distinctTagsMax: 3,
  biddersMax: 3,
  conductBatchMax: 2,
  requestWindowMs: 20_000,
  requestsPerSubjectMax: 20,
  requestsMax: 70,
  refusalsPerSubjectMax: 5,
  refusalsMax: 30,
  requestTransitMs: 1_000,
  requestOwnTransitMs: 500,
  outboxMax: 40,
}

const seeds = fc.nat(2 ** 31)

/** Checks the public events of one auction from outside. */
class Watcher {
  private readonly last = new Map<
    string,
    { seq: number; price: number; highBidder: string; ended: boolean }
  >()

  see(events: Applied['events'], atMs: number): void {
    for (const event of events) {
      expect(event.atMs).toBe(atMs)
      if (!isPublic(event)) continue
      const last = this.last.get(event.auctionId) ?? { seq: 0, price: -1, highBidder: '', ended: false }
      expect(event.seq).toBe(last.seq + 1)
      expect(last.ended).toBe(false)
      this.last.set(event.auctionId, { ...last, ...this.after(event, last), seq: event.seq })
    }
  }

  private after(event: PublicEvent, last: { price: number; highBidder: string }): object {
    if (event.type === 'auction_sold') {
      expect(event).toMatchObject({ hammerPrice: last.price, winner: last.highBidder })
      return { ended: true }
    }
    if (event.type === 'auction_passed' || event.type === 'auction_cancelled') return { ended: true }
    if (event.type !== 'bid_placed') return {}
    const isOwnRaise = event.bidder === last.highBidder && event.highBidder === last.highBidder
    expect(isOwnRaise ? event.price >= last.price : event.price > last.price).toBe(true)
    expect(event.askingBid).toBeGreaterThanOrEqual(event.price)
    return { price: event.price, highBidder: event.highBidder }
  }
}

function copyOf(entry: MachineEntry): MachineEntry {
  return decodeEntry(encodeEntry(entry))
}

function shuffled<T>(list: readonly T[], seed: number): T[] {
  const random = new Random(seed)
  return list
    .map((item) => ({ item, rank: random.unit() }))
    .sort((x, y) => x.rank - y.rank)
    .map(({ item }) => item)
}

describe('random streams of commands', () => {
  it('ENTRY3, CLOSE2, BID10: nothing throws and no rule of the state or of the events breaks', () => {
    fc.assert(
      fc.property(seeds, fc.constantFrom(limits, low), (seed, bounds) => {
        const stream = new Stream(seed)
        const state = emptyState(bounds)
        const watcher = new Watcher()
        for (let i = 0; i < 150; i++) {
          const entry = stream.next()
          const { replies, events } = apply(state, entry)
          expect(replies).toHaveLength(entry.commands.length)
          watcher.see(events, entry.atMs)
          expect(violationsOf(state)).toEqual([])
        }
      }),
      { numRuns: 60 },
    )
  })

  it('HASH1, HASH2: replay and restore, at any point, in any order of rows, give an equal state and equal answers', () => {
    fc.assert(
      fc.property(seeds, fc.nat(120), fc.constantFrom(limits, low), (seed, at, bounds) => {
        const stream = new Stream(seed)
        const entries = Array.from({ length: 150 }, () => stream.next())
        const one = emptyState(bounds)
        let other = emptyState(bounds)
        for (const [index, entry] of entries.entries()) {
          if (index === at) other = restored(shuffled([...rows(other)], seed), bounds)
          expect(apply(other, copyOf(entry))).toEqual(apply(one, copyOf(entry)))
          if (index % 10 === 0) expect(stateHash(other)).toBe(stateHash(one))
        }
        expect(stateHash(other)).toBe(stateHash(one))
        expect(stateHash(restored(rows(one), bounds))).toBe(stateHash(one))
        expect([...rows(other)]).toEqual([...rows(one)])
      }),
      { numRuns: 60 },
    )
  })

  it('HASH3: changed rows, applied to the stored ones, give the rows of the state', () => {
    fc.assert(
      fc.property(
        seeds,
        fc.constantFrom(limits, low),
        fc.integer({ min: 1, max: 40 }),
        (seed, bounds, every) => {
          const stream = new Stream(seed)
          const state = emptyState(bounds)
          const stored = new Map<string, RowChange>()
          const checkpoint = (): void => {
            const changes = takeDirty(state)
            expect(new Set(changes.map((change) => `${change.kind} ${change.key}`)).size).toBe(changes.length)
            for (const change of changes) {
              if (change.value === undefined) expect(stored.delete(`${change.kind} ${change.key}`)).toBe(true)
              else stored.set(`${change.kind} ${change.key}`, change)
            }
            const expected = [...rows(state)].map((row) => [`${row.kind} ${row.key}`, row] as const)
            expect(stored).toEqual(new Map(expected))
          }
          for (let i = 0; i < 120; i++) {
            // As the log gives it: there −0 is 0.
            apply(state, copyOf(stream.next()))
            if (i % every === 0) checkpoint()
          }
          checkpoint()
          const again = restored([...stored.values()] as Parameters<typeof restored>[0], bounds)
          expect(stateHash(again)).toBe(stateHash(state))
          expect(takeDirty(again)).toEqual([])
        },
      ),
      { numRuns: 40 },
    )
  })

  it('ENTRY3: they reach every kind of reply', () => {
    const seen = new Set<string>()
    for (const [seed, bounds] of [
      [1, limits],
      [2, low],
    ] as const) {
      const stream = new Stream(seed)
      const state = emptyState(bounds)
      for (let i = 0; i < 1_500; i++)
        for (const reply of apply(state, stream.next()).replies) seen.add(reply.ok ? reply.type : reply.code)
    }
    const answers = ['bid', 'auction', 'buyer', 'server', 'conducted', 'done', 'lease', 'reassigned']
    // The edge checks whether a subject is a bidder.
    const refusals = Object.keys(rejectionCodes).filter((code) => code !== 'not_a_bidder')
    expect([...seen].sort()).toEqual([...answers, ...refusals].sort())
  })

  it('HASH2: the hash is right with more changes than stay unhashed, in one entry and over many', () => {
    const one = new Sale()
    one.enlist()
    const commands: Command[] = []
    for (let i = 0; i < 24_000; i++) {
      const id = { requestId: `r${i}` as RequestId, auctionId: `a${i}` as AuctionId }
      const subject = `seller-${i % 300}` as SubjectId
      commands.push({ type: 'create_auction', subject, ...id, serverId: 's1' as ServerId, terms })
      const bidder = `bidder-${i % 300}` as SubjectId
      commands.push({ type: 'place_bid', subject: bidder, ...id, amount: 500, kind: 'max' })
    }
    one.apply(...commands.slice(0, 40_000))
    for (const command of commands.slice(40_000)) one.apply(command)
    expect(one.state.auctions.size).toBe(24_000)
    expect(stateHash(restored(rows(one.state)))).toBe(stateHash(one.state))
  })

  it('HASH2: one row more, less or other gives another hash', () => {
    const state: State = emptyState()
    const stream = new Stream(11)
    for (let i = 0; i < 150; i++) apply(state, stream.next())
    const all = [...rows(state)]
    const hash = stateHash(state)
    const hashes = new Set([hash])
    // Only rows to which no other row refers can be left out: buyers, and blocks of requests and outbox entries.
    const loose = all.filter((row) => ['buyer', 'requests', 'refusals', 'outbox'].includes(row.kind))
    expect(loose.length).toBeGreaterThan(5)
    for (const row of loose) hashes.add(stateHash(restored(all.filter((other) => other !== row))))
    const house = all.find((row) => row.kind === 'house')
    if (house === undefined) throw new Error('no house row')
    for (let field = 0; field < 7; field++) {
      const value = house.value.map((item, index) => (index === field ? Number(item) + 1 : item))
      hashes.add(stateHash(restored(all.map((row) => (row === house ? { ...row, value } : row)))))
    }
    expect(hashes.size).toBe(1 + loose.length + 7)
  })
})
