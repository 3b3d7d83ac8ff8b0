/**
 * Replays logs of released versions: the same entries must give the same replies, events and state for ever (ENTRY4).
 * A line is an entry of the log; the last line has the hashes. To record
 * the history of a new version, add its name to `recorded` and run once with `MARTILLO_REWRITE=1`: files that
 * exist are never written again.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { apply } from './apply.ts'
import { decodeEntry, type EntryTuple, encodeEntry } from './codec.ts'
import { commandCodes, type MachineEntry } from './commands.ts'
import { encodeEvent } from './event-codec.ts'
import { hashPlain, hexOf, type Plain } from './plain.ts'
import { encodeReply } from './reply-codec.ts'
import { emptyState, rows, stateHash } from './state.ts'
import { restored } from './testing/restored.ts'
import { Sale } from './testing/sale.ts'
import { Stream } from './testing/streams.ts'

interface Outcome {
  readonly state: string
  /** A hash of all replies and events in order. */
  readonly outputs: string
  readonly events: number
}

const folder = new URL('testdata/histories/', import.meta.url)
const pathOf = (name: string): string => fileURLToPath(new URL(`${name}.jsonl`, folder))

function replay(entries: readonly EntryTuple[], restartEvery = Number.POSITIVE_INFINITY): Outcome {
  let state = emptyState()
  let outputs = ''
  let count = 0
  for (const [index, tuple] of entries.entries()) {
    const { replies, events } = apply(state, decodeEntry(tuple))
    count += events.length
    const tuples: Plain[] = [outputs, replies.map(encodeReply), events.map(encodeEvent)]
    outputs = hexOf(hashPlain(0, tuples))
    if (index % restartEvery === restartEvery - 1) state = restored(rows(state))
  }
  return { state: stateHash(state), outputs, events: count }
}

function written(entries: readonly EntryTuple[]): string {
  return [...entries, replay(entries)].map((line) => `${JSON.stringify(line)}\n`).join('')
}

/** JSON has no NaN and no infinity, so entries with such amounts are left out. */
function isJson(entry: MachineEntry): boolean {
  const tuple = encodeEntry(entry)
  return hexOf(hashPlain(0, JSON.parse(JSON.stringify(tuple)))) === hexOf(hashPlain(0, tuple))
}

function randomEntries(seed: number, count: number): EntryTuple[] {
  const stream = new Stream(seed)
  return Array.from({ length: count }, () => stream.next())
    .filter(isJson)
    .map(encodeEntry)
}

/** A sale from its opening to its close, with a pause, a soft close, an outage and a buy-now. */
function sale(): EntryTuple[] {
  const one = new Sale()
  one.enlist()
  one.buyer('ann', ['clock'], 'https://ann.example/hook')
  one.auction('a1', {
    tags: ['clock'],
    reserve: 2_000,
    softClose: { windowMs: 5_000, extensionMs: 9_000, limit: 3 },
  })
  one.auction('a2', { buyNow: 9_000, item: '{"year":1890}' })
  one.auction('a3', { opensAtMs: one.atMs + 30_000 })
  one.accept('ann', 1_500)
  one.accept('bob', 1_500)
  one.accept('ann', 2_500)
  one.manage('pause_auction')
  one.pass(10_000).manage('resume_auction', 'root', 'a1', true)
  one.buyNow('bob', 'a2')
  one.runTo(one.atMs + 58_000)
  one.accept('bob', 3_000)
  one.extend(1_000)
  one.pass(20_000).conduct()
  one.accept('eve', 5_000, 'exact', 'a3')
  one.runTo(one.atMs + 40_000)
  one.manage('cancel_auction', 'sam', 'a3')
  const settings = { outageExtensionMinMs: 4_000, outageThresholdMs: 1_500 }
  one.ask({ type: 'configure_house', settings, features: [] })
  one.ask({ type: 'acknowledge_positions', serverId: 's1' as never, epoch: 1, positions: [1, 2, 4, 5] })
  return one.entries
}

/** Servers that enlist, die, enlist again and are released, under two monitors. */
function owners(): EntryTuple[] {
  const one = new Sale()
  const serverId = (name: string) => name as never
  for (const name of ['s1', 's2', 's3']) one.ask({ type: 'enlist_server', serverId: serverId(name) })
  one.ask({ type: 'acquire_monitor_lease', monitorId: 'm1', ttlMs: 30_000 })
  for (let at = 0; at < 12; at++) one.auction(`a${at}`, { durationMs: 4_000 + at * 900 }, `s${(at % 2) + 1}`)
  one.accept('bob', 700, 'max', 'a0')
  one.accept('ann', 900, 'max', 'a1')
  one.manage('pause_auction', 'sam', 'a2')
  one.pass(3_000).conduct('s1')
  one.conduct('s2')
  one.ask({ type: 'acknowledge_positions', serverId: serverId('s2'), epoch: 1, positions: [2, 4] })
  const found = { type: 'reassign', monitorId: 'm1', token: 1, serverId: serverId('s1'), epoch: 1 } as const
  one.pass(700).ask(found)
  one.ask({ ...found, token: 2 })
  one.ask({ type: 'enlist_server', serverId: serverId('s1') })
  one.auction('b1', {}, 's1')
  one.manage('resume_auction', 'sam', 'a2')
  one.pass(900).conduct('s2')
  one.conduct('s3')
  one.ask({ type: 'release_server', serverId: serverId('s2'), epoch: 1 })
  for (let pulse = 0; pulse < 60; pulse++) {
    one.pass(240).conduct('s3')
    one.conduct('s1', 3)
  }
  one.pass(30_000).ask({ type: 'acquire_monitor_lease', monitorId: 'm2', ttlMs: 1_000 })
  one.conduct('s3')
  return one.entries
}

/** Hand-overs to a server that was itself silent (OUTAGE9). */
function silentReceivers(): EntryTuple[] {
  const one = new Sale()
  const serverId = (name: string) => name as never
  one.ask({ type: 'acquire_monitor_lease', monitorId: 'm1', ttlMs: 60_000 })
  for (const round of [1, 2, 3]) {
    for (const name of ['s1', 's2']) one.ask({ type: 'enlist_server', serverId: serverId(name) })
    const epochs = one.state.servers.sorted().map((server) => server.epoch)
    const [first = 0, second = 0] = epochs
    for (let at = 0; at < 6; at++)
      one.auction(`r${round}.${at}`, { durationMs: 3_000 + at * 700 }, `s${(at % 2) + 1}`)
    one.accept('ann', 800, 'max', `r${round}.0`)
    one.conduct('s1', first)
    one.conduct('s2', second)
    one.pass(450).conduct('s1', first)
    one.pass(100)
    const found = { type: 'reassign', monitorId: 'm1', token: 1, serverId: serverId('s1') } as const
    one.ask({ ...found, epoch: first })
    for (let pulse = 0; pulse < 40; pulse++) one.pass(pulse === 9 ? 900 : 240).conduct('s2', second)
  }
  return one.entries
}

/** House time is shifted back from years ahead, and forwards. */
function shifted(): EntryTuple[] {
  const one = new Sale()
  const shift = (byMs: number): void => {
    const toMs = one.atMs + byMs
    one.ask({ type: 'shift_clock', toMs })
    one.atMs = toMs
    one.conduct()
  }
  const yearsMs = 73 * 365 * 24 * 3_600_000
  one.enlist()
  one.ask({ type: 'acquire_monitor_lease', monitorId: 'm1', ttlMs: 30_000 })
  one.auction('a1', { durationMs: 40_000 })
  one.auction('a2', { opensAtMs: one.atMs + 50_000 })
  one.accept('ann', 700)
  one.pass(yearsMs)
  one.auction('a3')
  one.pass(2_000)
  shift(10_000 - yearsMs)
  one.accept('bob', 900, 'max', 'a3')
  one.manage('pause_auction', 'sam', 'a3')
  for (let pulse = 0; pulse < 8; pulse++) one.pass(500).conduct()
  shift(45_000)
  one.manage('resume_auction', 'sam', 'a3')
  one.bid('ann', 5_000, 'max', 'a1')
  for (let pulse = 0; pulse < 20; pulse++) one.pass(5_000).conduct()
  return one.entries
}

/** Revoked tokens beside a sale: they touch nothing but the house's facts. */
function revocations(): EntryTuple[] {
  const one = new Sale()
  one.enlist()
  one.auction('a1')
  const subject = (name: string) => name as never
  for (let at = 0; at < 12; at++) {
    one.pass(1_000).ask({ type: 'revoke_tokens', subject: subject(`s${at % 5}`) })
    one.ask({ type: 'revoke_tokens', subject: subject('past'), untilMs: one.atMs - 500 })
    one.accept('ann', 1_000 + at * 500)
  }
  one.pass(1_000).ask({ type: 'revoke_tokens', untilMs: one.atMs - 3_000 })
  one.pass(1_000).ask({ type: 'revoke_tokens' })
  one.ask({ type: 'revoke_tokens', subject: subject('late') })
  return one.entries
}

const recorded: Readonly<Record<string, () => EntryTuple[]>> = {
  'v1-a-sale': sale,
  'v1-owners': owners,
  'v1-shifted': shifted,
  'v1-silent-receivers': silentReceivers,
  'v1-revocations': revocations,
  'v1-random': () => randomEntries(20_261_120, 400),
}

if (process.env['MARTILLO_REWRITE'] === '1')
  for (const [name, make] of Object.entries(recorded))
    if (!existsSync(pathOf(name))) writeFileSync(pathOf(name), written(make()))

const names = readdirSync(folder).map((name) => name.replace('.jsonl', ''))

describe('histories', () => {
  for (const name of names) {
    const lines = readFileSync(pathOf(name), 'utf8').trim().split('\n')
    const entries = lines.slice(0, -1).map((line) => JSON.parse(line) as EntryTuple)
    const outcome = JSON.parse(lines.at(-1) ?? '') as Outcome

    it(`ENTRY4: ${name} gives the state, replies and events that were recorded`, () => {
      expect(entries.length).toBeGreaterThan(20)
      expect(replay(entries)).toEqual(outcome)
    })

    it(`ENTRY4, HASH1: ${name} does so with a restart after every seventh entry`, () => {
      expect(replay(entries, 7)).toEqual(outcome)
    })
  }

  it('ENTRY4: every command of every released version is in them', () => {
    const seen = new Set<unknown>()
    for (const name of names)
      for (const line of readFileSync(pathOf(name), 'utf8').trim().split('\n').slice(0, -1))
        for (const command of (JSON.parse(line) as EntryTuple)[2]) seen.add(command[0])
    expect([...seen].sort((x, y) => Number(x) - Number(y))).toEqual(Object.values(commandCodes))
  })

  it('ENTRY4: exist for every recorded version', () => {
    expect(names.sort()).toEqual(Object.keys(recorded).sort())
  })
})
