import fc from 'fast-check'
import { Packr, Unpackr } from 'msgpackr'
import { describe, expect, it } from 'vitest'
import type { ServerId } from '../../protocol/ids.ts'
import { apply } from './apply.ts'
import { InvariantError } from './assert.ts'
import { decodeCommand, decodeEntry, encodeCommand, encodeEntry } from './codec.ts'
import { type Command, commandCodes, type MachineEntry } from './commands.ts'
import { decodeEvent, decodeHistory, encodeEvent, encodeHistory } from './event-codec.ts'
import type { Reply } from './events.ts'
import { isPublic, rejectionCodes } from './events.ts'
import { CodecError } from './plain-reader.ts'
import { decodeReply, encodeReply } from './reply-codec.ts'
import { emptyState, rows } from './state.ts'
import { restored } from './testing/restored.ts'
import { Sale, startMs } from './testing/sale.ts'
import { Stream } from './testing/streams.ts'

const packr = new Packr({ useRecords: false })
const unpackr = new Unpackr({ useRecords: false })
const throughBytes = (value: unknown): unknown => unpackr.unpack(packr.pack(value))

/** Entries in which every command occurs. */
function entries(count = 300) {
  const stream = new Stream(1)
  // A stream only goes forwards in time.
  const shift: MachineEntry = { version: 1, atMs: startMs, commands: [{ type: 'shift_clock', toMs: 5 }] }
  return [shift, ...Array.from({ length: count }, () => stream.next())]
}

/** Ways to damage a tuple: a field removed, added, or of another type, at any depth. */
function damaged(value: unknown, random: () => number): unknown {
  if (!Array.isArray(value) || value.length === 0) return random() % 2 === 0 ? { not: 'plain' } : [[[]]]
  const copy = [...value]
  const at = random() % copy.length
  switch (random() % 4) {
    case 0:
      copy.splice(at, 1)
      return copy
    case 1:
      copy.push('more')
      return copy
    case 2:
      copy[at] = undefined
      return copy
    default:
      copy[at] = damaged(copy[at], random)
      return copy
  }
}

describe('entries', () => {
  it('ENTRY1: an encoded entry decodes to an equal one, also through bytes', () => {
    const seen = new Set<string>()
    for (const entry of entries()) {
      for (const command of entry.commands) seen.add(command.type)
      expect(decodeEntry(throughBytes(encodeEntry(entry)))).toEqual(
        // −0 decodes to 0; every other amount stays the same.
        { ...entry, commands: entry.commands.map((command) => normal(command)) },
      )
    }
    expect([...seen].sort()).toEqual(Object.keys(commandCodes).sort())
  })

  it('ENTRY1: a soft close with a limit and a house with features decode to equal ones', () => {
    const base = { subject: 's', requestId: 'r', serverId: 's1', auctionId: 'a1' }
    const terms = {
      title: 't',
      tags: ['x'],
      format: 'english',
      currency: 'EUR',
      openingBid: 5,
      durationMs: 9,
      increments: [{ from: 0, step: 1 }],
      softClose: { windowMs: 1, extensionMs: 2, limit: 3 },
      item: '[]',
    }
    const commands = [
      { type: 'create_auction', ...base, terms },
      {
        type: 'configure_house',
        settings: { outageExtensionMinMs: 1, outageThresholdMs: 2 },
        features: [1, 9],
      },
      {
        type: 'configure_house',
        settings: {
          outageExtensionMinMs: 1,
          outageThresholdMs: 2,
          increments: { EUR: [{ from: 0, step: 5 }], JPY: [{ from: 0, step: 9 }] },
        },
        features: [],
      },
      { type: 'create_auction', ...base, terms: { ...terms, usesHouseIncrements: true } },
    ] as unknown as Command[]
    for (const command of commands)
      expect(decodeCommand(throughBytes(encodeCommand(command)))).toEqual(command)
  })

  it('ENTRY1: a damaged entry is refused as corrupt or decodes to another valid one, never in part', () => {
    const list = entries()
    fc.assert(
      fc.property(fc.nat(list.length - 1), fc.infiniteStream(fc.nat()), (at, numbers) => {
        const random = () => numbers.next().value
        const tuple = damaged(encodeEntry(list[at] as (typeof list)[number]), random)
        try {
          const entry = decodeEntry(tuple)
          expect(decodeEntry(encodeEntry(entry))).toEqual(entry)
        } catch (error) {
          expect(error).toBeInstanceOf(CodecError)
          expect(error).toMatchObject({ code: 'corrupt_data', retryable: false })
        }
      }),
      { numRuns: 2_000 },
    )
  })

  it('ENTRY1: any data from a disk is corrupt or decodes to a valid entry', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        for (const decode of [decodeEntry, decodeCommand, decodeReply, decodeEvent]) {
          try {
            decode(value)
          } catch (error) {
            expect(error).toBeInstanceOf(CodecError)
          }
        }
      }),
    )
    for (const tuple of [
      [1, 5],
      [1, 5, []],
      [1, -5, []],
      ['1', 5, []],
      [1, 5, [[99]]],
      [1, 5, [[3, 'b']]],
    ]) {
      if (JSON.stringify(tuple) === '[1,5,[]]') expect(decodeEntry(tuple).commands).toEqual([])
      else expect(() => decodeEntry(tuple)).toThrow(CodecError)
    }
    expect(() => decodeCommand([3, 'bob', 'r', 'a', 5, 2])).toThrow('kind of bid')
    expect(() => decodeCommand([3, '', 'r', 'a', 5, 1])).toThrow('not an id')
  })

  it('ENTRY1: released codes are stable', () => {
    expect(commandCodes).toEqual({
      register_buyer: 1,
      create_auction: 2,
      place_bid: 3,
      buy_now: 4,
      close_auction: 5,
      cancel_auction: 6,
      pause_auction: 7,
      resume_auction: 8,
      extend_auction: 9,
      enlist_server: 10,
      conduct: 11,
      acknowledge_positions: 12,
      configure_house: 13,
      release_server: 14,
      acquire_monitor_lease: 15,
      reassign: 16,
      shift_clock: 17,
      revoke_tokens: 18,
    })
    const bid = { subject: 'bob', requestId: 'r1', auctionId: 'a1', amount: 500, kind: 'exact' }
    expect(encodeCommand({ type: 'place_bid', ...bid } as Command)).toEqual([3, 'bob', 'r1', 'a1', 500, 1])
  })
})

describe('apply', () => {
  it('ENTRY2: an earlier stamp, an unknown version, or a stamp that is no date ends the process', () => {
    const state = emptyState()
    apply(state, { version: 1, atMs: startMs, commands: [] })
    apply(state, { version: 1, atMs: startMs, commands: [] })
    for (const [version, atMs] of [
      [1, startMs - 1],
      [2, startMs],
      [0, startMs],
      [1, startMs + 0.5],
      [1, Number.MAX_SAFE_INTEGER],
    ] as const)
      expect(() => apply(state, { version, atMs, commands: [] })).toThrow(InvariantError)
  })

  it('ENTRY2: a command that this version does not have ends the process', () => {
    const command = { type: 'withdraw_bid' } as unknown as Command
    expect(() => apply(emptyState(), { version: 1, atMs: 1, commands: [command] })).toThrow(
      'the command is known',
    )
  })

  it('ENTRY3: replies come in order of the commands, events in order of happening', () => {
    const one = new Sale()
    one.enlist()
    one.auction()
    const bid = (subject: string, amount: number): Command =>
      ({ type: 'place_bid', subject, requestId: `r${amount}`, auctionId: 'a1', amount, kind: 'max' }) as never
    const { replies, events } = one.apply(bid('bob', 500), bid('eve', 5), bid('eve', 700))
    expect(replies).toMatchObject([{ ok: true, seq: 2 }, { ok: false }, { ok: true, seq: 3 }])
    expect(events.map((event) => [event.type, event.seq])).toEqual([
      ['bid_placed', 2],
      ['bid_placed', 3],
      ['outbid', 3],
    ])
  })
})

describe('events and replies', () => {
  it('ENTRY1: events decode to equal ones, and histories have no private ones', () => {
    const state = emptyState()
    const seen = new Set<string>()
    for (const entry of entries(2_000)) {
      const { events, replies } = apply(state, entry)
      for (const reply of replies) expect(decodeReply(throughBytes(encodeReply(reply)))).toEqual(reply)
      for (const event of events) {
        seen.add(event.type)
        expect(decodeEvent(throughBytes(encodeEvent(event)))).toEqual(event)
        if (!isPublic(event))
          expect(() => decodeHistory(event.auctionId, encodeEvent(event)[1])).toThrow(CodecError)
        else expect(decodeHistory(event.auctionId, throughBytes(encodeHistory(event)))).toEqual(event)
      }
    }
    expect([...seen].sort()).toEqual([
      'auction_cancelled',
      'auction_extended',
      'auction_opened',
      'auction_passed',
      'auction_paused',
      'auction_resumed',
      'auction_sold',
      'bid_placed',
      'lost',
      'outbid',
      'won',
    ])
  })

  it('ENTRY1: commands and replies of owners and monitors decode to equal ones', () => {
    const serverId = 's1' as ServerId
    const commands: Command[] = [
      { type: 'enlist_server', serverId },
      { type: 'release_server', serverId, epoch: 4 },
      { type: 'acquire_monitor_lease', monitorId: 'm1', ttlMs: 900 },
      { type: 'reassign', monitorId: 'm1', token: 3, serverId, epoch: 4 },
      { type: 'acknowledge_positions', serverId, epoch: 4, positions: [1, 5, 9] },
    ]
    for (const command of commands) expect(decodeCommand(encodeCommand(command))).toEqual(command)
    const replies: Reply[] = [
      { ok: true, type: 'conducted', more: true, atMs: 7 },
      { ok: true, type: 'conducted', nextDueMs: 9, more: false, atMs: 7 },
      { ok: true, type: 'lease', monitorId: 'm1', token: 2, untilMs: 77 },
      { ok: true, type: 'reassigned', auctions: 3, outboxEntries: 9, more: true },
    ]
    for (const reply of replies) expect(decodeReply(encodeReply(reply))).toEqual(reply)
  })

  it('ENTRY1: every rejection decodes to an equal one', () => {
    for (const code of Object.keys(rejectionCodes) as (keyof typeof rejectionCodes)[]) {
      for (const facts of [{}, { askingBid: 5, seq: 2 }, { closesAt: 7 }]) {
        const reply: Reply = { ok: false, code, ...facts }
        expect(decodeReply(encodeReply(reply))).toEqual(reply)
      }
    }
    expect(() => decodeReply([9])).toThrow('kind 9')
    expect(() => decodeReply([0, 99, null, null, null])).toThrow('not known')
  })
})

describe('rows', () => {
  it('HASH4: rows that do not belong together are corrupt', () => {
    const one = new Sale()
    one.enlist()
    one.auction('a1')
    one.auction('a2')
    one.accept('bob', 500)
    const all = [...rows(one.state)]
    const without = (kind: string, key?: string) =>
      all.filter((row) => row.kind !== kind || (key !== undefined && row.key !== key))
    for (const broken of [
      without('server'),
      without('terms', 'a1'),
      without('terms', 'a2'),
      without('auction', 'a2'),
      without('bidder'),
      [...all, { kind: 'bidder' as const, key: 'a9/1', value: ['bob', 1, 1] }],
      [...all, { kind: 'bidder' as const, key: 'a1/x', value: ['bob', 1, 1] }],
      [...all, { kind: 'bidder' as const, key: 'a1/3', value: ['eve', 1, 1] }],
      [...all, { kind: 'bidder' as const, key: 'a2/1', value: ['eve', 1, 1] }],
      [...all, { kind: 'bidder' as const, key: 'a1/99999999999', value: ['eve', 1, 1] }],
      [...all, { kind: 'orders' as never, key: '1', value: [] }],
    ])
      expect(() => restored(broken)).toThrow(CodecError)
    expect(restored(all).auctions.size).toBe(2)
  })

  it('HASH4: a damaged row is corrupt or reads as another valid one', () => {
    const state = emptyState()
    for (const entry of entries(100)) apply(state, entry)
    const all = [...rows(state)]
    fc.assert(
      fc.property(fc.nat(all.length - 1), fc.infiniteStream(fc.nat()), (at, numbers) => {
        const random = () => numbers.next().value
        const broken = all.map((row, index) =>
          index === at ? { ...row, value: damaged(row.value, random) as typeof row.value } : row,
        )
        try {
          restored(broken)
        } catch (error) {
          expect(error).toBeInstanceOf(CodecError)
        }
      }),
      { numRuns: 500 },
    )
  })
})

function normal(command: Command): Command {
  if (command.type === 'place_bid') return { ...command, amount: command.amount + 0 }
  if (command.type !== 'create_auction') return command
  return { ...command, terms: { ...command.terms, openingBid: command.terms.openingBid + 0 } }
}
