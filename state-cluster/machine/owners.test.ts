import { describe, expect, it } from 'vitest'
import type { AuctionId, RequestId, ServerId, SubjectId } from '../../protocol/ids.ts'
import { Random } from '../../runtime/random.ts'
import { apply } from './apply.ts'
import type { Command, MachineEntry } from './commands.ts'
import type { Conducted, Reassigned } from './events.ts'
import { limits } from './limits.ts'
import { rows, stateHash, takeDirty } from './state.ts'
import { restored } from './testing/restored.ts'
import { Sale, startMs, terms } from './testing/sale.ts'
import { ownersView } from './views.ts'

const id = (server: string): ServerId => server as ServerId
const enlist = (one: Sale, server: string) => one.ask({ type: 'enlist_server', serverId: id(server) })
const lease = (one: Sale, monitorId = 'm1', ttlMs = 60_000) =>
  one.ask({ type: 'acquire_monitor_lease', monitorId, ttlMs })

function reassign(one: Sale, server: string, change: Partial<Extract<Command, { type: 'reassign' }>> = {}) {
  const epoch = one.state.servers.get(id(server))?.epoch ?? 0
  return one.ask({ type: 'reassign', monitorId: 'm1', token: 1, serverId: id(server), epoch, ...change })
}

function release(one: Sale, server: string) {
  const epoch = one.state.servers.get(id(server))?.epoch ?? 0
  return one.ask({ type: 'release_server', serverId: id(server), epoch })
}

function moved(reply: unknown): Reassigned {
  const { ok, type } = reply as Reassigned
  if (!ok || type !== 'reassigned') throw new Error(`not handed over: ${JSON.stringify(reply)}`)
  return reply as Reassigned
}

/** Servers s1, s2 … that enlisted, with a monitor `m1` that holds the lease. */
function house(servers: number, few = limits): Sale {
  const one = new Sale(few)
  for (let at = 1; at <= servers; at++) enlist(one, `s${at}`)
  lease(one)
  return one
}

const closing = {
  subject: 'root' as SubjectId,
  requestId: 'close' as RequestId,
  auctionId: 'a1' as AuctionId,
}

const loadOf = (one: Sale, server: string) => one.state.servers.get(id(server))?.load

describe('enlisting', () => {
  it('OWNER4: a server that enlists is live and has a new epoch each time', () => {
    const one = new Sale()
    expect(enlist(one, 's1')).toEqual({ ok: true, type: 'server', epoch: 1 })
    expect(enlist(one, 's1')).toEqual({ ok: true, type: 'server', epoch: 2 })
    expect(one.conduct('s1', 1).replies).toEqual([{ ok: false, code: 'stale_epoch' }])
    expect(ownersView(one.state).servers).toMatchObject([
      { serverId: 's1', epoch: 2, standing: 'live', auctions: 0, outboxEntries: 0 },
    ])
  })

  it('OWNER5: an auction belongs to the live server where it was created, while its load is not much higher', () => {
    const one = house(2)
    for (let at = 0; at < 17; at++) {
      one.auction(`a${at}`, {}, 's2')
      expect(one.view(`a${at}`)).toMatchObject({ owner: 's2', epoch: 1 })
    }
    const last = one.apply({
      type: 'create_auction',
      subject: 'sam' as never,
      requestId: 'last' as never,
      auctionId: 'last' as never,
      serverId: id('s2'),
      terms,
    })
    expect(last.gained).toEqual(['s1'])
    expect(one.view('last').owner).toBe('s1')
    one.auction('elsewhere', {}, 's7')
    expect(one.view('elsewhere').owner).toBe('s1')
    expect(one.state.servers.get(id('s7'))).toBeUndefined()
  })

  it('OWNER5: with no live server it belongs to the one where it was created, and waits', () => {
    const one = house(1)
    release(one, 's1')
    one.auction('a1', { durationMs: 1_000 }, 's1')
    expect(one.view()).toMatchObject({ owner: 's1', status: 'open' })
  })

  it('OWNER5: so it does with a server that never enlisted, until a live one can take it', () => {
    const one = new Sale()
    lease(one)
    one.auction('a1', { durationMs: 1_000 }, 's9')
    expect(ownersView(one.state).servers).toMatchObject([
      { serverId: 's9', epoch: 0, standing: 'left', auctions: 1, outboxEntries: 1 },
    ])
    const hash = stateHash(one.state)
    expect(stateHash(one.restart().state)).toBe(hash)
    one.pass(3_000)
    enlist(one, 's1')
    expect(moved(reassign(one, 's9'))).toMatchObject({ auctions: 1, outboxEntries: 1, more: false })
    expect(one.view()).toMatchObject({
      owner: 's1',
      status: 'open',
      extensions: 1,
      closesAt: startMs + 8_000,
    })
  })
})

describe('release', () => {
  it('OWNER6: a released server hands everything over, and nothing is extended', () => {
    const one = house(2)
    one.auction('a1', { durationMs: 2_000 })
    one.auction('held')
    one.manage('pause_auction', 'sam', 'held')
    one.auction('later', { opensAtMs: startMs + 9_000 })
    one.auction('sold')
    one.accept('bob', 500, 'max', 'sold')
    one.manage('close_auction', 'sam', 'sold')
    const outboxEntries = one.outbox('s1')
    expect(outboxEntries.length).toBeGreaterThan(4)
    one.pass(1_500)
    const epoch = one.state.servers.get(id('s1'))?.epoch ?? 0
    const applied = one.apply({ type: 'release_server', serverId: id('s1'), epoch })
    expect(applied.replies).toEqual([
      { ok: true, type: 'reassigned', auctions: 3, outboxEntries: outboxEntries.length, more: false },
    ])
    expect(applied).toMatchObject({ gained: ['s2'], outboxCount: outboxEntries.length, events: [] })
    for (const name of ['a1', 'held', 'later'])
      expect(one.view(name)).toMatchObject({ owner: 's2', epoch: 2 })
    expect(one.view('a1').closesAt).toBe(startMs + 2_000)
    expect(one.view('sold').owner).toBe('s1')
    expect(one.outbox('s2')).toEqual(outboxEntries)
    expect(one.outbox('s1')).toEqual([])
    one.pass(500).conduct('s2')
    expect(one.view('a1').status).toBe('passed')
    one.manage('resume_auction', 'sam', 'held')
    expect(one.state.servers.get(id('s2'))?.running.size).toBe(1)
    one.auction('next', {}, 's1')
    expect(one.view('next').owner).toBe('s2')
  })

  it('OWNER6: the last server keeps its auctions until it or another one enlists', () => {
    const one = house(1)
    one.auction('a1', { durationMs: 2_000 })
    expect(moved(release(one, 's1'))).toMatchObject({ auctions: 0, outboxEntries: 0, more: false })
    one.pass(60_000)
    expect(one.view()).toMatchObject({ owner: 's1', status: 'open' })
    expect(one.refuse('bob', 500).code).toBe('auction_closed')
    enlist(one, 's2')
    lease(one)
    expect(moved(reassign(one, 's1', { token: 2 }))).toMatchObject({ auctions: 1, more: false })
    expect(one.view()).toMatchObject({ owner: 's2', closesAt: startMs + 65_000, extensions: 1 })
  })
})

describe('the monitor', () => {
  it('MONITOR1: the holder of the lease keeps its token; a monitor that takes it over gets the next', () => {
    const one = new Sale()
    expect(lease(one, 'm1', 1_000)).toEqual({
      ok: true,
      type: 'lease',
      monitorId: 'm1',
      token: 1,
      untilMs: startMs + 1_000,
    })
    one.pass(999)
    expect(lease(one, 'm2', 1_000)).toMatchObject({ monitorId: 'm1', token: 1, untilMs: startMs + 1_000 })
    expect(lease(one, 'm1', 1_000)).toMatchObject({ monitorId: 'm1', token: 1, untilMs: startMs + 1_999 })
    one.pass(1_000)
    expect(lease(one, 'm2', 1_000)).toMatchObject({ monitorId: 'm2', token: 2, untilMs: startMs + 2_999 })
    expect(lease(one, 'm1', 1_000)).toMatchObject({ monitorId: 'm2', token: 2 })
    one.pass(5_000)
    expect(lease(one, 'm2', 1_000)).toMatchObject({ monitorId: 'm2', token: 3 })
  })

  it('MONITOR2: a lease that is too short or too long is refused', () => {
    const one = new Sale()
    for (const ttlMs of [99, 60_001]) expect(lease(one, 'm1', ttlMs)).toMatchObject({ code: 'terms_invalid' })
    expect(ownersView(one.state).lease).toBeUndefined()
  })

  it('MONITOR3: only the monitor that holds the lease now may reassign', () => {
    const one = house(2)
    one.auction('a1')
    const before = stateHash(one.state)
    const wrong: Partial<Extract<Command, { type: 'reassign' }>>[] = [
      { monitorId: 'm2' },
      { token: 0 },
      { token: 2 },
    ]
    for (const change of wrong)
      expect(reassign(one, 's1', change)).toEqual({ ok: false, code: 'stale_epoch' })
    expect(stateHash(one.state)).toBe(before)
    // Its lease ran out while it was paused, and no monitor took it: it must acquire it again first.
    one.pass(60_000)
    expect(reassign(one, 's1')).toEqual({ ok: false, code: 'stale_epoch' })
    lease(one, 'm2')
    expect(reassign(one, 's1')).toEqual({ ok: false, code: 'stale_epoch' })
    expect(moved(reassign(one, 's1', { monitorId: 'm2', token: 2 })).auctions).toBe(1)
  })
})

describe('a dead server', () => {
  it('OWNER7: its auctions are spread over the live ones, in batches, first those that close first', () => {
    const one = house(3, { ...limits, conductBatchMax: 4, moveOutboxMax: 100 })
    for (let at = 0; at < 9; at++) one.auction(`a${at}`, { durationMs: 60_000 + at }, 's1')
    one.auction('x', {}, 's2')
    const epoch = 1
    expect(moved(reassign(one, 's1', { epoch }))).toMatchObject({ auctions: 4, more: true })
    expect(one.view('a0').epoch).toBe(2)
    expect(one.view('a4')).toMatchObject({ owner: 's1', epoch: 1 })
    expect(moved(reassign(one, 's1', { epoch }))).toMatchObject({ auctions: 4, more: true })
    expect(moved(reassign(one, 's1', { epoch }))).toMatchObject({ auctions: 1, more: false })
    expect(one.state.servers.get(id('s1'))).toBeUndefined()
    expect([loadOf(one, 's2'), loadOf(one, 's3')]).toEqual([5, 5])
    expect(one.outbox('s1')).toEqual([])
  })

  it('OWNER7: without a live server nothing moves and nothing closes, and outage rules apply later', () => {
    const one = house(1)
    one.auction('a1', { durationMs: 3_000 })
    one.pass(500).conduct('s1')
    expect(moved(reassign(one, 's1'))).toMatchObject({ auctions: 0, more: false })
    one.pass(20_000)
    expect(one.conduct('s1', 1).replies).toEqual([{ ok: false, code: 'stale_epoch' }])
    expect(one.view().status).toBe('open')
    expect(enlist(one, 's1')).toMatchObject({ epoch: 3 })
    expect(one.view()).toMatchObject({ status: 'open', extensions: 1, closesAt: startMs + 25_500 })
  })

  it('OWNER8: it is fenced, and one that enlisted since is not touched', () => {
    const one = house(2)
    one.auction('a1')
    expect(moved(reassign(one, 's1', { epoch: 1 })).auctions).toBe(1)
    for (const type of ['conduct', 'release_server'] as const)
      expect(one.ask({ type, serverId: id('s1'), epoch: 1 })).toEqual({ ok: false, code: 'stale_epoch' })
    expect(enlist(one, 's1')).toMatchObject({ epoch: 4 })
    one.auction('a2', {}, 's1')
    for (const epoch of [1, 2, 3])
      expect(reassign(one, 's1', { epoch })).toEqual({ ok: false, code: 'stale_epoch' })
    expect(one.view('a2').owner).toBe('s1')
    expect(reassign(one, 'nobody')).toEqual({ ok: false, code: 'stale_epoch' })
  })

  it('OWNER8: events of a moved auction have its new epoch, also after a restart', () => {
    const one = house(2)
    one.auction('a1')
    one.accept('bob', 500)
    reassign(one, 's1')
    one.restart()
    one.accept('ann', 900)
    expect(one.events.filter((event) => 'seq' in event).map((event) => event.epoch)).toContain(2)
    expect(one.view()).toMatchObject({ owner: 's2', epoch: 2 })
    const hash = stateHash(one.state)
    expect(stateHash(one.restart().state)).toBe(hash)
    expect(ownersView(one.state).servers.map((server) => server.standing)).toEqual(['live'])
  })
})

describe('the rows of servers that are gone', () => {
  it('OWNER10: names never run out, however many servers came and left or died', () => {
    const one = new Sale({ ...limits, serversMax: 3 })
    one.ask({ type: 'acquire_monitor_lease', monitorId: 'm1', ttlMs: 60_000 })
    enlist(one, 's1')
    for (let start = 1; start <= 100; start++) {
      const name = `pod-${start}`
      expect(enlist(one, name)).toMatchObject({ ok: true })
      one.auction(`a${start}`, {}, name)
      expect(moved(start % 2 === 0 ? release(one, name) : reassign(one, name)).more).toBe(false)
      if (start % 10 === 0) one.restart()
    }
    expect(one.auction('last')).toMatchObject({ ok: true })
    expect(ownersView(one.state).servers).toMatchObject([{ serverId: 's1', standing: 'live', auctions: 101 }])
    expect(limits.serversMax).toBe(1_024)
  })

  it('OWNER10: the bound counts those that are live, and those whose work nobody took over', () => {
    const one = new Sale({ ...limits, serversMax: 2 })
    enlist(one, 's1')
    one.auction('a1', { durationMs: 1_000 })
    release(one, 's1')
    enlist(one, 's2')
    expect(enlist(one, 's3')).toEqual({ ok: false, code: 'limit_exceeded' })
    expect(one.ask({ type: 'close_auction', operator: true, ...closing })).toMatchObject({ ok: true })
    // What it has to publish is work too.
    expect(enlist(one, 's3')).toEqual({ ok: false, code: 'limit_exceeded' })
    const positions = one.outbox('s1').map(({ position }) => position)
    one.ask({ type: 'acknowledge_positions', serverId: id('s1'), epoch: 1, positions })
    expect(enlist(one, 's3')).toMatchObject({ ok: true })
    expect(stateHash(one.restart().state)).toBe(stateHash(one.state))
  })

  it('OWNER10: no epoch is given again, and every command under an older one is refused', () => {
    const one = house(2)
    const given = new Map<string, number>()
    const random = new Random(7)
    for (let step = 0; step < 300; step++) {
      const name = random.pick(['s1', 's3', 's4'])
      const before = given.get(name) ?? 0
      const reply = enlist(one, name)
      if (!reply.ok || reply.type !== 'server') throw new Error('refused')
      expect(reply.epoch).toBeGreaterThan(before)
      given.set(name, reply.epoch)
      if (random.chance(0.3)) one.auction(`x${step}`, { durationMs: 1 + random.below(900) }, name)
      if (random.chance(0.5)) release(one, name)
      else if (random.below(2) === 0) reassign(one, name)
      if (random.chance(0.2)) one.restart()
      one.pass(100)
      for (const epoch of [before, Math.max(0, before - 1)])
        for (const type of ['conduct', 'release_server'] as const)
          expect(one.ask({ type, serverId: id(name), epoch })).toEqual({ ok: false, code: 'stale_epoch' })
    }
    expect(Math.max(...given.values())).toBeGreaterThan(50)
  })

  it('OWNER10: a row that goes and comes again between two checkpoints, or after one, is as it is after a restart', () => {
    for (const saves of [true, false]) {
      const one = house(2)
      one.auction('a1', { durationMs: 500 })
      one.accept('bob', 500)
      one.runTo(one.atMs + 1_000)
      for (let round = 0; round < 3; round++) {
        enlist(one, 's2')
        const { epoch } = one.state.servers.get(id('s2')) ?? { epoch: 0 }
        release(one, 's1')
        if (saves) takeDirty(one.state)
        expect(one.state.servers.get(id('s1'))).toBeUndefined()
        enlist(one, 's1')
        if (saves) takeDirty(one.state)
        const other = restored(rows(one.state))
        expect(stateHash(other)).toBe(stateHash(one.state))
        const entry: MachineEntry = {
          version: 1,
          atMs: one.pass(200).atMs,
          commands: [{ type: 'reassign', monitorId: 'm1', token: 1, serverId: id('s2'), epoch }],
        }
        expect(apply(other, entry)).toEqual(one.apply(...entry.commands))
        expect(stateHash(other)).toBe(stateHash(one.state))
      }
    }
  })
})

describe('outages of owners', () => {
  it('OUTAGE6: an auction near its close is extended at once, and once, when its owner is found dead', () => {
    const one = house(2)
    one.auction('near', { durationMs: 3_000 })
    one.auction('gone', { durationMs: 1_300 })
    one.auction('edge', { durationMs: 6_400 })
    one.auction('far', { durationMs: 60_000 })
    for (let pulse = 0; pulse < 4; pulse++) {
      one.pass(250).conduct('s1')
      one.conduct('s2')
    }
    const mark = one.events.length
    one.pass(400)
    reassign(one, 's1')
    expect(one.typesSince(mark)).toEqual(['auction_extended', 'auction_extended'])
    expect(one.events.slice(mark)).toMatchObject([
      { auctionId: 'gone', epoch: 2, reason: 'outage' },
      { auctionId: 'near', epoch: 2, reason: 'outage' },
    ])
    for (const name of ['gone', 'near']) expect(one.view(name).closesAt).toBe(startMs + 6_400)
    expect(one.view('edge')).toMatchObject({ closesAt: startMs + 6_400, extensions: 0 })
    expect(one.view('far').extensions).toBe(0)
    // The new owner's own pulse does not count that time as an outage.
    one.conduct('s2')
    expect(one.view('near').extensions).toBe(1)
    expect(one.view('near').status).toBe('open')
  })

  it('OUTAGE6: the outage lasts since the last pulse of the dead owner', () => {
    const one = house(2)
    one.auction('a1', { durationMs: 2_000 })
    one.pass(400).conduct('s1')
    one.pass(30_000)
    reassign(one, 's1')
    expect(one.view().closesAt).toBe(startMs + 35_400)
    const long = house(2)
    long.auction('a1', { durationMs: 33_000 })
    long.pass(1_000).conduct('s1')
    long.pass(30_000)
    reassign(long, 's1')
    expect(long.view().closesAt).toBe(startMs + 63_000)
  })

  it('OUTAGE7: when an owner enlists again, the time since its last pulse is an outage, however short', () => {
    const one = house(1)
    one.auction('a1', { durationMs: 1_000 })
    one.auction('far')
    one.pass(400).conduct('s1')
    one.pass(400).conduct('s1')
    one.pass(300)
    enlist(one, 's1')
    expect(one.view()).toMatchObject({ status: 'open', extensions: 1, closesAt: startMs + 6_100 })
    expect(one.view('far').extensions).toBe(0)
    one.conduct('s1', 2)
    expect(one.view().extensions).toBe(1)
    expect((one.conduct('s1', 2).replies[0] as Conducted).nextDueMs).toBe(startMs + 6_100)
  })

  it('OUTAGE8: while a close is near, a silence of more than 500 ms is an outage', () => {
    const at = (gapMs: number, durationMs: number) => {
      const one = house(1)
      one.auction('a1', { durationMs })
      one.conduct('s1')
      one.pass(gapMs).conduct('s1')
      return one.view()
    }
    expect(at(500, 400)).toMatchObject({ status: 'passed' })
    expect(at(501, 400)).toMatchObject({ status: 'open', closesAt: startMs + 5_501 })
    expect(at(2_000, 5_001)).toMatchObject({ extensions: 0 })
    expect(at(2_001, 5_001)).toMatchObject({ extensions: 1, closesAt: startMs + 7_002 })
  })

  it('OUTAGE8: pulses that stay slow are an outage only at first, and every auction closes', () => {
    const one = house(1)
    one.auction('a1', { durationMs: 3_000 })
    one.conduct('s1')
    for (let pulse = 0; pulse < 20; pulse++) one.pass(600).conduct('s1')
    expect(one.view()).toMatchObject({ status: 'passed', extensions: 1 })
  })

  it('OUTAGE9: an auction that moves to a silent server is not extended for the silence of that server', () => {
    const one = house(2)
    one.auction('theirs', { durationMs: 3_000 }, 's1')
    one.auction('own', { durationMs: 3_000 }, 's2')
    one.conduct('s1')
    one.conduct('s2')
    one.pass(450).conduct('s1')
    one.pass(100)
    reassign(one, 's1')
    // The receiver was silent for 550 ms: that is an outage of its own auction, which is extended here.
    expect(one.view('own')).toMatchObject({ extensions: 1, closesAt: startMs + 5_550 })
    expect(one.view('theirs')).toMatchObject({ extensions: 1, closesAt: startMs + 5_550 })
    one.pass(3).conduct('s2')
    one.pass(490).conduct('s2')
    for (const name of ['own', 'theirs']) expect(one.view(name).extensions).toBe(1)
    one.pass(990).conduct('s2')
    for (const name of ['own', 'theirs']) expect(one.view(name).extensions).toBe(2)
  })

  it('OUTAGE9: a silence that was no outage yet counts from the hand-over', () => {
    const one = house(2)
    one.auction('theirs', { durationMs: 3_000 }, 's1')
    one.auction('own', { durationMs: 3_000 }, 's2')
    one.conduct('s1')
    one.conduct('s2')
    one.pass(400)
    reassign(one, 's1')
    one.pass(400).conduct('s2')
    expect(one.view('own').extensions).toBe(0)
    expect(one.view('theirs').extensions).toBe(1)
  })

  it('OWNER9: the reply to a pulse has its stamp, so that a conductor needs no wall clock', () => {
    const one = house(1)
    one.auction('a1', { durationMs: 3_000 })
    const reply = one.pass(100).conduct('s1').replies[0]
    const expected = {
      ok: true,
      type: 'conducted',
      nextDueMs: startMs + 3_000,
      more: false,
      atMs: startMs + 100,
    }
    expect(reply).toEqual(expected)
  })

  it('OUTAGE8: an auction that is created after a pulse does not shorten the pulse timeout', () => {
    const one = house(1)
    one.pass(900)
    one.auction('a1', { durationMs: 200 })
    one.pass(250).conduct('s1')
    expect(one.view()).toMatchObject({ status: 'passed', extensions: 0 })
  })
})

describe('outbox entries of owners', () => {
  const acknowledge = (one: Sale, server: string, positions: readonly number[], epoch = 1) =>
    one.ask({ type: 'acknowledge_positions', serverId: id(server), epoch, positions })

  it('OUTBOX5: exactly the named ones leave the outbox', () => {
    const one = house(2)
    for (let at = 0; at < 6; at++) one.auction(`a${at}`, {}, at % 2 === 0 ? 's1' : 's2')
    expect(one.outbox('s1').map((outboxEntry) => outboxEntry.position)).toEqual([1, 3, 5])
    expect(acknowledge(one, 's1', [1, 2, 5])).toEqual({ ok: true, type: 'done' })
    expect(one.outbox('s1').map((outboxEntry) => outboxEntry.position)).toEqual([3])
    expect(one.outbox('s2').map((outboxEntry) => outboxEntry.position)).toEqual([2, 4, 6])
    expect(acknowledge(one, 's1', [3], 2)).toEqual({ ok: false, code: 'stale_epoch' })
    acknowledge(one, 's1', [3, 99])
    expect(one.outbox('s1')).toEqual([])
    const hash = stateHash(one.state)
    expect(stateHash(one.restart().state)).toBe(hash)
  })

  it('OUTBOX6: the entry of a buyer that registers through a released server belongs to a live one', () => {
    const one = house(2)
    one.buyer('ann', ['clock'])
    expect(one.outbox('s1')).toHaveLength(1)
    release(one, 's1')
    expect(one.outbox('s2')).toHaveLength(1)
    one.buyer('bob', ['clock'])
    expect(one.outbox('s1')).toEqual([])
    expect(one.outbox('s2')).toMatchObject([{ recipient: 'ann' }, { recipient: 'bob' }])
    release(one, 's2')
    one.buyer('eve', ['clock'])
    expect(one.outbox('s1')).toMatchObject([{ recipient: 'eve' }])
  })

  it('OUTBOX6: outbox entries move to the owners of their auctions, in order of position, and none is lost', () => {
    const one = house(3)
    one.auction('a1', {}, 's1')
    one.auction('a2', {}, 's2')
    one.auction('a3', {}, 's1')
    one.accept('bob', 500, 'max', 'a1')
    one.accept('bob', 500, 'max', 'a2')
    one.accept('bob', 500, 'max', 'a3')
    const all = [...one.outbox('s1'), ...one.outbox('s2')].map((outboxEntry) => outboxEntry.position).sort()
    const read = one.outbox('s2').map((outboxEntry) => outboxEntry.position)
    reassign(one, 's1')
    const owners = ['s2', 's3'].map((server) => one.outbox(server))
    for (const outboxEntries of owners) {
      const positions = outboxEntries.map((outboxEntry) => outboxEntry.position)
      expect(positions).toEqual([...positions].sort())
    }
    for (const [at, outboxEntries] of owners.entries())
      for (const outboxEntry of outboxEntries)
        expect(one.view(outboxEntry.auctionId).owner).toBe(`s${at + 2}`)
    expect(
      owners
        .flat()
        .map((outboxEntry) => outboxEntry.position)
        .sort(),
    ).toEqual(all)
    // s2 acknowledges only the entries that it had read before the others arrived.
    acknowledge(one, 's2', read)
    const left = ['s2', 's3']
      .flatMap((server) => one.outbox(server).map((outboxEntry) => outboxEntry.position))
      .sort()
    expect(left).toEqual(all.filter((position) => !read.includes(position)))
    expect(stateHash(one.restart().state)).toBe(stateHash(one.state))
    expect(one.outbox('s1')).toEqual([])
  })
})
