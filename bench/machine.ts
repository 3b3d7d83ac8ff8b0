/**
 * Bench: the auction machine alone, without disk or network.
 *
 * It measures microseconds a bid, bytes an open auction, and the time to checkpoint, restore and close very many of
 * them. Bids are measured in rounds, with checkpoints between them, and the median counts: by wall clock, and by
 * processor time of all threads, which does not depend on other users of the computer.
 *
 * Invariant: commands are made before the clock starts and pass through the codec, as from a log.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { AuctionId, RequestId, ServerId, SubjectId } from '../protocol/ids.ts'
import { defaultIncrements } from '../protocol/money.ts'
import type { Command } from '../state-cluster/machine/commands.ts'
import type { Applied } from '../state-cluster/machine/events.ts'
import {
  apply,
  decodeEntry,
  emptyState,
  encodeEntry,
  entryVersion,
  outboxPage,
  restoring,
  rows,
  type State,
  stateHash,
  takeDirty,
} from '../state-cluster/machine/index.ts'
import { median } from './report.ts'

const parameters = {
  auctions: 1_000,
  biddersPerAuction: 50,
  bidsPerEntry: 100,
  bidsPerRound: 50_000,
  rounds: 9,
  openAuctions: 1_000_000,
  titleLength: 40,
  tagsPerAuction: 3,
}

interface Cost {
  /** Median of the rounds, by wall clock. */
  readonly micros: number
  /** The same by processor time. */
  readonly cpuMicros: number
}

export interface MachineReport {
  readonly parameters: Readonly<Record<string, number>>
  readonly figures: {
    readonly acceptedBid: Cost
    readonly refusedBid: Cost
    readonly decodedBid: Cost
    /** Taking the changed rows after each round, per bid. */
    readonly checkpointedBid: Cost
    readonly createdAuction: Cost
    readonly closedAuction: Cost
    /** Heap after collection; with reserve, soft close, a tag list and an owner. */
    readonly bytesPerOpenAuction: number
    /** A remembered request id with its first answer. */
    readonly bytesPerRequest: number
    /** What the first bid on an auction adds. */
    readonly bytesPerFirstBid: number
    readonly takeAllRowsMs: number
    /** From rows, made one after the other, to a state with its hash. */
    readonly restoreMs: number
  }
}

const startMs = 1_700_000_000_000
const serverId = 'server-1' as ServerId
const increments = defaultIncrements('USD')

setFlagsFromString('--expose_gc')
const collect = runInNewContext('gc') as () => void

function heapBytes(): number {
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

/** Sums of what was spent between `start` and `stop`. */
class Watch {
  private wallMs = 0
  private cpuMicros = 0
  private began = 0
  private cpuBegan = process.cpuUsage()

  start(): void {
    this.cpuBegan = process.cpuUsage()
    this.began = performance.now()
  }

  stop(): void {
    this.wallMs += performance.now() - this.began
    const { user, system } = process.cpuUsage(this.cpuBegan)
    this.cpuMicros += user + system
  }

  get ms(): number {
    return Math.round(this.wallMs)
  }

  per(count: number): Cost {
    return { micros: rounded((this.wallMs * 1_000) / count), cpuMicros: rounded(this.cpuMicros / count) }
  }
}

function rounded(micros: number): number {
  return Math.round(micros * 1_000) / 1_000
}

function medianOf(rounds: readonly Cost[]): Cost {
  return {
    micros: median(rounds.map((round) => round.micros)),
    cpuMicros: median(rounds.map((round) => round.cpuMicros)),
  }
}

function auctionId(at: number): AuctionId {
  return at.toString(36).padStart(20, '0') as AuctionId
}

function createAuction(at: number): Command {
  return {
    type: 'create_auction',
    subject: `seller-${at % 5_000}` as SubjectId,
    requestId: `request-${auctionId(at)}` as RequestId,
    auctionId: auctionId(at),
    serverId,
    terms: {
      title: `Lot ${at}, a thing of interest to some bidder`.padEnd(40, '.').slice(0, parameters.titleLength),
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

function bidOn(auction: number, bidder: number, amount: number, request: number): Command {
  return {
    type: 'place_bid',
    subject: `bidder-${bidder}` as SubjectId,
    requestId: `bid-${request}-of-a-session` as RequestId,
    auctionId: auctionId(auction),
    amount,
    kind: 'max',
  }
}

/** Entries as they come from a log: nothing in them is shared with what made them. */
function entriesOf(atMs: number, commands: readonly Command[]): unknown[] {
  const entries: unknown[] = []
  for (let at = 0; at < commands.length; at += parameters.bidsPerEntry) {
    const some = commands.slice(at, at + parameters.bidsPerEntry)
    entries.push(JSON.parse(JSON.stringify(encodeEntry({ version: entryVersion, atMs, commands: some }))))
  }
  return entries
}

/** Decodes, then applies; fails when a command was not answered as expected. */
function run(
  state: State,
  entries: readonly unknown[],
  expectsOk: boolean,
  decoding: Watch,
  applying: Watch,
): void {
  decoding.start()
  const decoded = entries.map(decodeEntry)
  decoding.stop()
  let isAsExpected = true
  applying.start()
  for (const entry of decoded) {
    const { replies } = apply(state, entry)
    isAsExpected &&= replies.every((reply) => reply.ok === expectsOk)
  }
  applying.stop()
  if (!isAsExpected) throw new Error('a command was not answered as the bench expects')
}

function one(state: State, atMs: number, ...commands: Command[]): Applied {
  return apply(state, { version: entryVersion, atMs, commands })
}

function measureBids() {
  const { auctions, biddersPerAuction, bidsPerRound, rounds } = parameters
  const state = emptyState()
  one(state, startMs, { type: 'enlist_server', serverId })
  const lots = Array.from({ length: auctions }, (_, at) => createAuction(at))
  run(state, entriesOf(startMs, lots), true, new Watch(), new Watch())

  const accepted: Cost[] = []
  const refused: Cost[] = []
  const decoded: Cost[] = []
  const checkpointed: Cost[] = []
  let request = 0
  // The first round warms up.
  for (let round = 0; round <= rounds; round++) {
    const bids = Array.from({ length: bidsPerRound }, (_, at) => {
      const turn = round * (bidsPerRound / auctions) + Math.floor(at / auctions)
      return bidOn(at % auctions, (turn * 7 + at) % biddersPerAuction, 1_000 + turn * 20_000, request++)
    })
    const atMs = startMs + 1 + round * 3_000
    const [decoding, applying, refusing, taking] = [new Watch(), new Watch(), new Watch(), new Watch()]
    run(state, entriesOf(atMs, bids), true, decoding, applying)
    acknowledgeAll(state, atMs)
    taking.start()
    takeDirty(state)
    taking.stop()
    const lowBids = bids.map((_, at) => bidOn(at % auctions, biddersPerAuction + 1, 1, request++))
    run(state, entriesOf(atMs, lowBids), false, new Watch(), refusing)
    takeDirty(state)
    if (round === 0) continue
    accepted.push(applying.per(bidsPerRound))
    refused.push(refusing.per(bidsPerRound))
    decoded.push(decoding.per(bidsPerRound))
    checkpointed.push(taking.per(bidsPerRound))
  }
  return {
    acceptedBid: medianOf(accepted),
    refusedBid: medianOf(refused),
    decodedBid: medianOf(decoded),
    checkpointedBid: medianOf(checkpointed),
  }
}

function acknowledgeAll(state: State, atMs: number): void {
  const positions = outboxPage(state, serverId, 0, Number.MAX_SAFE_INTEGER).map(({ position }) => position)
  one(state, atMs, { type: 'acknowledge_positions', serverId, epoch: 1, positions })
}

/** Lets every remembered request expire, so that the heap shows auctions and nothing else. */
function forgetRequests(state: State, atMs: number): void {
  const nothing: Command = { type: 'acknowledge_positions', serverId, epoch: 1, positions: [] }
  const commands = Array.from({ length: 10_000 }, () => nothing)
  while (state.requests.size > 0) one(state, atMs, ...commands)
  takeDirty(state)
}

function measureMemory() {
  const count = parameters.openAuctions
  const before = heapBytes()
  const state = emptyState()
  one(state, startMs, { type: 'enlist_server', serverId })
  const creating = new Watch()
  for (let from = 0; from < count; from += 10_000) {
    const lots = Array.from({ length: 10_000 }, (_, at) => createAuction(from + at))
    run(state, entriesOf(startMs, lots), true, new Watch(), creating)
    if ((from + 10_000) % 200_000 === 0) process.stderr.write(`machine: ${from + 10_000} auctions created\n`)
  }
  acknowledgeAll(state, startMs)
  const taking = new Watch()
  taking.start()
  takeDirty(state)
  taking.stop()

  const requests = state.requests.size
  const remembering = heapBytes()
  const atMs = startMs + 3_600_000
  forgetRequests(state, atMs)
  const opened = heapBytes()

  for (let from = 0; from < count; from += 10_000) {
    const bids = Array.from({ length: 10_000 }, (_, at) => bidOn(from + at, at % 500, 900, from + at))
    run(state, entriesOf(atMs, bids), true, new Watch(), new Watch())
  }
  acknowledgeAll(state, atMs)
  forgetRequests(state, atMs + 3_600_000)
  const bid = heapBytes()

  const loading = new Watch()
  loading.start()
  const steps = restoring(rows(state))
  let step = steps.next()
  while (step.done !== true) step = steps.next()
  loading.stop()
  if (stateHash(step.value) !== stateHash(state)) throw new Error('the restored state has another hash')
  return {
    createdAuction: creating.per(count),
    closedAuction: measureCloses(state, atMs + 7_200_000),
    bytesPerOpenAuction: Math.round((opened - before) / count),
    bytesPerRequest: Math.round((remembering - opened) / requests),
    bytesPerFirstBid: Math.round((bid - opened) / count),
    takeAllRowsMs: taking.ms,
    restoreMs: loading.ms,
  }
}

/** Pulses day by day, with a house that takes a day of silence for none, until all auctions have ended. */
function measureCloses(state: State, fromMs: number): Cost {
  const dayMs = 86_400_000
  const settings = { outageThresholdMs: dayMs, outageExtensionMinMs: 5_000 }
  const conduct: Command = { type: 'conduct', serverId, epoch: 1 }
  one(state, fromMs, { type: 'configure_house', settings, features: [] }, conduct)
  const closing = new Watch()
  closing.start()
  for (let day = 1; day <= 9; day++) {
    for (let hasMore = true; hasMore; ) {
      const [reply] = one(state, fromMs + day * dayMs, conduct).replies
      hasMore = reply?.ok === true && reply.type === 'conducted' && reply.more
    }
  }
  closing.stop()
  const ended = state.auctions.countOf('sold') + state.auctions.countOf('passed')
  if (ended !== state.auctions.size) throw new Error('an auction did not end')
  return closing.per(ended)
}

/** Takes a minute or two and 4 GB of memory. Progress goes to stderr. */
export function benchMachine(): MachineReport {
  return { parameters, figures: { ...measureBids(), ...measureMemory() } }
}
