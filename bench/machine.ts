/**
 * What the auction machine costs by itself, without disk or network: microseconds a bid, bytes an open auction,
 * and the time to checkpoint, hash and restore a large state. One process, one core; commands are made before
 * the clock starts and pass through the codec as in a log.
 */
import { cpus } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { AuctionId, RequestId, ServerId, SubjectId } from '../protocol/ids.ts'
import { defaultIncrements } from '../protocol/money.ts'
import type { Command } from '../state-cluster/machine/commands.ts'
import {
  apply,
  decodeEntry,
  emptyState,
  encodeEntry,
  entryVersion,
  restore,
  rows,
  type State,
  stateHash,
  takeDirty,
} from '../state-cluster/machine/index.ts'

export interface MachineFigures {
  readonly bids: number
  /** In entries of 100 bids on 1,000 auctions, 50 bidders each; decoding and checkpoints not counted. */
  readonly bidMicros: number
  readonly refusedBidMicros: number
  readonly decodeBidMicros: number
  /** Taking the changed rows of the bids, every 10,000 bids, per bid. */
  readonly checkpointMicrosPerBid: number
  readonly openAuctions: number
  /** Heap after collection, with titles of 40 characters, three tags, reserve, soft close, a seller's id each. */
  readonly bytesPerOpenAuction: number
  readonly createMicros: number
  /** One bid on each of them. */
  readonly bytesPerFirstBid: number
  readonly takeAllRowsMs: number
  readonly hashAllRowsMs: number
  readonly restoreMs: number
  readonly closeMicros: number
  readonly node: string
  readonly cpuModel: string
}

const startMs = 1_700_000_000_000
const increments = defaultIncrements('USD')

setFlagsFromString('--expose_gc')
const collect = runInNewContext('gc') as () => void

function heapBytes(): number {
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

function createAuction(at: number): Command {
  const id = at.toString(36).padStart(20, 'a')
  return {
    type: 'create_auction',
    subject: `seller-${at % 5_000}` as SubjectId,
    requestId: `request-${id}` as RequestId,
    auctionId: id as AuctionId,
    serverId: 'server-1' as ServerId,
    terms: {
      title: `Lot ${at}, a thing of interest to some bidder`.padEnd(40, '.').slice(0, 40),
      tags: [`tag-${at % 100}`, `topic-${at % 20}`, 'sale'].sort(),
      format: 'english',
      currency: 'USD',
      openingBid: 100,
      durationMs: 7 * 86_400_000 + (at % 1_000_000),
      reserve: 5_000,
      increments: increments.map((band) => ({ ...band })),
      softClose: { windowMs: 60_000, extensionMs: 60_000 },
    },
  }
}

function bidOn(auction: number, bidder: string, amount: number, request: number): Command {
  return {
    type: 'place_bid',
    subject: bidder as SubjectId,
    requestId: `bid-${request}-of-a-session` as RequestId,
    auctionId: auction.toString(36).padStart(20, 'a') as AuctionId,
    amount,
    kind: 'max',
  }
}

/** Applies commands in entries of `size`; gives the seconds spent in `apply` and in decoding. */
function run(state: State, atMs: number, commands: readonly Command[], size: number) {
  let applySeconds = 0
  let decodeSeconds = 0
  for (let at = 0; at < commands.length; at += size) {
    const tuple = encodeEntry({ version: entryVersion, atMs, commands: commands.slice(at, at + size) })
    const bytesLike = structuredClone(tuple)
    const began = performance.now()
    const entry = decodeEntry(bytesLike)
    const decoded = performance.now()
    apply(state, entry)
    applySeconds += (performance.now() - decoded) / 1_000
    decodeSeconds += (decoded - began) / 1_000
  }
  return { applySeconds, decodeSeconds }
}

function withServer(): State {
  const state = emptyState()
  const command: Command = { type: 'register_server', serverId: 'server-1' as ServerId }
  apply(state, { version: entryVersion, atMs: startMs, commands: [command] })
  return state
}

function measureBids(count: number) {
  const auctions = 1_000
  const state = withServer()
  run(
    state,
    startMs,
    Array.from({ length: auctions }, (_, at) => createAuction(at)),
    100,
  )
  let request = 0
  const bids = (from: number, isRising: boolean): Command[] =>
    Array.from({ length: 10_000 }, (_, i) => {
      const round = Math.floor((from + i) / auctions)
      const amount = isRising ? 1_000 + round * 20_000 : 1
      return bidOn((from + i) % auctions, `bidder-${(round * 7) % 50}`, amount, request++)
    })
  let applied = 0
  let decoded = 0
  let checkpoint = 0
  for (let from = 0; from < count; from += 10_000) {
    const spent = run(state, startMs + 1 + from, bids(from, true), 100)
    const began = performance.now()
    takeDirty(state)
    checkpoint += (performance.now() - began) / 1_000
    applied += spent.applySeconds
    decoded += spent.decodeSeconds
  }
  let refused = 0
  for (let from = 0; from < count; from += 10_000)
    refused += run(state, startMs + count + from, bids(from, false), 100).applySeconds
  const micros = (seconds: number): number => Math.round((seconds / count) * 1e9) / 1_000
  return {
    bids: count,
    bidMicros: micros(applied),
    refusedBidMicros: micros(refused),
    decodeBidMicros: micros(decoded),
    checkpointMicrosPerBid: micros(checkpoint),
  }
}

/** Lets every remembered request expire, so that the heap shows auctions and nothing else. */
function forgetRequests(state: State, atMs: number): void {
  const pulse: Command = {
    type: 'acknowledge_notices',
    serverId: 'server-1' as ServerId,
    epoch: 1,
    upTo: 2 ** 50,
  }
  const commands = Array.from({ length: 10_000 }, () => pulse)
  for (let i = 0; i < 30; i++) apply(state, { version: entryVersion, atMs, commands })
}

/** Pulses day by day until all auctions have ended; microseconds an auction. */
function measureCloses(state: State, fromMs: number): number {
  const dayMs = 86_400_000
  const settings = { outageThresholdMs: dayMs, outageExtensionMinMs: 5_000 }
  const conduct: Command = { type: 'conduct', serverId: 'server-1' as ServerId, epoch: 1 }
  apply(state, {
    version: entryVersion,
    atMs: fromMs + 3_600_000,
    commands: [{ type: 'configure_house', settings }, conduct],
  })
  let spentMs = 0
  for (let day = 1; day <= 9; day++) {
    for (let hasMore = true; hasMore; ) {
      const entry = { version: entryVersion, atMs: fromMs + 3_600_000 + day * dayMs, commands: [conduct] }
      const began = performance.now()
      const [reply] = apply(state, entry).replies
      spentMs += performance.now() - began
      hasMore = reply?.ok === true && reply.type === 'conducted' && reply.more
    }
  }
  const { sold, passed } = { sold: state.auctions.countOf('sold'), passed: state.auctions.countOf('passed') }
  if (sold + passed !== state.auctions.size) throw new Error('an auction did not end')
  return Math.round((spentMs / (sold + passed)) * 1e6) / 1_000
}

function measureMemory(count: number) {
  const before = heapBytes()
  const state = withServer()
  let createSeconds = 0
  for (let from = 0; from < count; from += 10_000) {
    const commands = Array.from({ length: 10_000 }, (_, i) => createAuction(from + i))
    createSeconds += run(state, startMs, commands, 100).applySeconds
    if ((from + 10_000) % 200_000 === 0) process.stderr.write(`machine: ${from + 10_000} auctions created\n`)
  }
  const atMs = startMs + 3_600_000
  forgetRequests(state, atMs)
  const took = performance.now()
  takeDirty(state)
  const takeAllRowsMs = performance.now() - took
  const open = heapBytes()

  const hash = stateHash(state)
  let began = performance.now()
  const again = restore(rows(state))
  const restoreMs = performance.now() - began
  if (stateHash(again) !== hash) throw new Error('the restored state has another hash')
  for (const auction of state.auctions.all()) state.changes.touch(auction)
  began = performance.now()
  stateHash(state)
  const hashAllRowsMs = performance.now() - began

  const opened = heapBytes()
  for (let from = 0; from < count; from += 10_000) {
    const bids = Array.from({ length: 10_000 }, (_, i) => bidOn(from + i, `bidder-${i % 500}`, 900, from + i))
    run(state, atMs, bids, 100)
  }
  forgetRequests(state, atMs + 3_600_000)
  takeDirty(state)
  const bid = heapBytes()

  return {
    closeMicros: measureCloses(state, atMs),
    openAuctions: count,
    bytesPerOpenAuction: Math.round((open - before) / count),
    createMicros: Math.round((createSeconds / count) * 1e9) / 1_000,
    bytesPerFirstBid: Math.round((bid - opened) / count),
    takeAllRowsMs: Math.round(takeAllRowsMs),
    hashAllRowsMs: Math.round(hashAllRowsMs),
    restoreMs: Math.round(restoreMs),
  }
}

/** Measures; takes about a minute and 2 GB with the defaults. Progress goes to stderr. */
export async function machine(bids = 1_000_000, openAuctions = 1_000_000): Promise<MachineFigures> {
  return {
    ...measureBids(bids),
    ...measureMemory(openAuctions),
    node: process.version,
    cpuModel: cpus()[0]?.model ?? 'unknown',
  }
}
