/**
 * The wall clocks of the nodes, compared over the network.
 *
 * Once a second each node sends every other one its clocks, and the reading that it received last; from the round trip
 * follows how far apart two clocks are, give or take half of it. What a majority agrees on counts as the time.
 * Invariant: offsets are kept against the own monotonic clock, so that a jump of the own wall clock changes no other
 * node's; a reading that is old or came slowly does not count. What follows from it is the replica's and the node's.
 * Source: docs/spec.md TIME3; K. Marzullo, "Maintaining the time in a distributed system" (1984); RFC 5905, §8.
 *
 *   frame: [wall ms, monotonic ms, monotonic ms last received or null, ms since then, [[group, counted, shifts, house ms] …]]
 */
import type { GroupId } from '../../protocol/ids.ts'
import type { CancelTimer } from '../../runtime/clock.ts'
import type { Timing } from '../../wire/timing.ts'
import { Fields, packTuple, unpackTuple } from '../../wire/tuples.ts'
import { groupIdMax } from './raft-codec.ts'

/** What a node says of house time in a group. */
export interface HouseReading {
  readonly groupId: GroupId
  readonly isCounted: boolean
  readonly shifts: number
  readonly houseMs: number
}

/** What a majority of wall clocks agrees on. */
export interface AgreedTime {
  /** Epoch ms, now. */
  readonly wallMs: number
  /** How many clocks agree. */
  readonly clockCount: number
}

/** What a replica asks of the clocks. */
export interface WallClocks {
  /** The time on which a majority of these nodes' wall clocks agrees; `undefined` where there is none. */
  agreed(voters: readonly number[]): AgreedTime | undefined
  /**
   * A time (epoch ms) that has come, if no more clocks are wrong than a minority of these nodes has: at least one clock
   * that is right shows as much. `undefined` where too few clocks are known.
   */
  passed(voters: readonly number[]): number | undefined
  /** How far a node's wall clock is from that (ms, positive: ahead); `undefined` where that is not known. */
  offsetOf(nodeId: number, voters: readonly number[]): number | undefined
}

export interface PeerClocksOptions {
  readonly nodeId: number
  readonly timing: Timing
  /** To a node, if it is connected; a frame may be lost. */
  readonly send: (nodeId: number, body: Uint8Array) => void
  /** The nodes to compare with, this one or not. */
  readonly peers: () => Iterable<number>
  /** Of the groups in which this node knows it. */
  readonly readings: () => readonly HouseReading[]
  /** A node says that house time in a group is this now, give or take `errorMs`. */
  readonly heard: (nodeId: number, reading: HouseReading, errorMs: number) => void
  /** Called after each round. */
  readonly compared: () => void
}

interface Sample {
  /** The wall clock of the node less the own monotonic clock. */
  readonly offsetMs: number
  readonly atMs: number
}

interface Received {
  readonly theirMonotonicMs: number
  readonly atMs: number
}

/** Between two rounds. */
export const roundMs = 1_000
/** Wall clocks no further apart than this agree; one that is further from those that agree is off. */
export const clockBoundMs = 2_000
/** Half a round trip beyond which a reading says too little. */
const errorMsMax = 250
/** How long a reading counts: monotonic clocks part by some milliseconds in that time. */
const sampleMsMax = 60_000
/** Times travel in whole milliseconds; a frame that answers an earlier process of this node is off by more. */
const roundingMsMax = 2
const groupsMax = 1_024

export class PeerClocks implements WallClocks {
  readonly nodeId: number
  readonly #options: PeerClocksOptions
  readonly #samples = new Map<number, Sample>()
  readonly #received = new Map<number, Received>()
  #cancelRound: CancelTimer | undefined
  #isClosed = false

  constructor(options: PeerClocksOptions) {
    this.nodeId = options.nodeId
    this.#options = options
  }

  start(): void {
    if (this.#isClosed) return
    this.#cancelRound = this.#options.timing.clock.setTimer(roundMs, () => {
      this.#round()
      this.start()
    })
  }

  close(): void {
    this.#isClosed = true
    this.#cancelRound?.()
  }

  /** A node is connected from now on: it need not wait for the next round. */
  greet(nodeId: number): void {
    if (!this.#isClosed) this.#send(nodeId)
  }

  /** A frame of a node. Throws TransportError `malformed`. */
  received(nodeId: number, body: Uint8Array): void {
    if (this.#isClosed) return
    const { timing } = this.#options
    const frame = decode(body)
    const nowMs = timing.clock.monotonicMs()
    const isFirst = !this.#received.has(nodeId)
    this.#received.set(nodeId, { theirMonotonicMs: frame.monotonicMs, atMs: nowMs })
    // What answers nothing of this process took an unknown time.
    const roundTripMs = frame.echoMs === undefined ? -roundingMsMax : nowMs - frame.echoMs - frame.heldMs
    const isAnswer = roundTripMs > -roundingMsMax
    const errorMs = Math.max(0, roundTripMs / 2)
    if (isAnswer && errorMs <= errorMsMax) {
      this.#samples.set(nodeId, { offsetMs: frame.wallMs + errorMs - nowMs, atMs: nowMs })
      for (const reading of frame.readings) {
        this.#options.heard(nodeId, { ...reading, houseMs: reading.houseMs + errorMs }, errorMs)
      }
    }
    if (isFirst || frame.echoMs === undefined) this.#send(nodeId)
  }

  agreed(voters: readonly number[]): AgreedTime | undefined {
    const most = largestAgreement(this.#offsets(voters))
    if (most.length < majorityOf(voters)) return undefined
    const middle = ((most[(most.length - 1) >> 1] as number) + (most[most.length >> 1] as number)) / 2
    return { wallMs: middle + this.#options.timing.clock.monotonicMs(), clockCount: most.length }
  }

  passed(voters: readonly number[]): number | undefined {
    const wrongMax = voters.length - majorityOf(voters)
    const offset = this.#offsets(voters).at(-1 - wrongMax)
    return offset === undefined ? undefined : offset + this.#options.timing.clock.monotonicMs()
  }

  offsetOf(nodeId: number, voters: readonly number[]): number | undefined {
    const agreed = this.agreed(voters)
    const offset = this.#offset(nodeId)
    if (agreed === undefined || offset === undefined) return undefined
    return offset + this.#options.timing.clock.monotonicMs() - agreed.wallMs
  }

  /** Whether enough clocks are known for a majority, and none agrees. */
  isSplit(voters: readonly number[]): boolean {
    return this.#offsets(voters).length >= majorityOf(voters) && this.agreed(voters) === undefined
  }

  #offsets(voters: readonly number[]): number[] {
    return voters
      .map((nodeId) => this.#offset(nodeId))
      .filter((offset) => offset !== undefined)
      .sort((a, b) => a - b)
  }

  /** A node's wall clock less the own monotonic clock. */
  #offset(nodeId: number): number | undefined {
    const { clock } = this.#options.timing
    if (nodeId === this.#options.nodeId) return clock.nowMs() - clock.monotonicMs()
    const sample = this.#samples.get(nodeId)
    return sample === undefined || clock.monotonicMs() - sample.atMs > sampleMsMax
      ? undefined
      : sample.offsetMs
  }

  #round(): void {
    for (const nodeId of this.#options.peers()) this.#send(nodeId)
    this.#options.compared()
  }

  #send(nodeId: number): void {
    const { nodeId: self, timing, send, readings } = this.#options
    if (nodeId === self) return
    const nowMs = timing.clock.monotonicMs()
    const received = this.#received.get(nodeId)
    const body = packTuple([
      timing.clock.nowMs(),
      Math.round(nowMs),
      received === undefined ? null : received.theirMonotonicMs,
      received === undefined ? 0 : Math.round(nowMs - received.atMs),
      readings().map(({ groupId, isCounted, shifts, houseMs }) => [
        groupId,
        isCounted,
        shifts,
        Math.round(houseMs),
      ]),
    ])
    send(nodeId, body)
  }
}

/** The clock of this machine alone, for a replica whose node compares none. */
export function ownWallClock({ clock }: Timing): WallClocks {
  return {
    agreed: () => ({ wallMs: clock.nowMs(), clockCount: 1 }),
    passed: () => clock.nowMs(),
    offsetOf: () => 0,
  }
}

const majorityOf = (voters: readonly number[]): number => Math.floor(voters.length / 2) + 1

/** Of sorted offsets the longest run that is no wider than the bound; of two equally long, the narrower. */
function largestAgreement(offsets: readonly number[]): readonly number[] {
  let most: readonly number[] = []
  const widthOf = (run: readonly number[]): number => (run.at(-1) ?? 0) - (run[0] ?? 0)
  for (let from = 0; from < offsets.length; from++) {
    const run = offsets.slice(from).filter((offset) => offset - (offsets[from] as number) <= clockBoundMs)
    if (run.length > most.length || (run.length === most.length && widthOf(run) < widthOf(most))) most = run
  }
  return most
}

interface ClockFrame {
  readonly wallMs: number
  readonly monotonicMs: number
  readonly echoMs: number | undefined
  readonly heldMs: number
  readonly readings: readonly HouseReading[]
}

function decode(body: Uint8Array): ClockFrame {
  const fields = new Fields(unpackTuple(body), 'clocks')
  const frame = {
    wallMs: fields.integer(Number.MIN_SAFE_INTEGER),
    monotonicMs: fields.integer(),
    echoMs: fields.optionalInteger(),
    heldMs: fields.integer(),
    readings: fields.list(groupsMax).map(decodeReading),
  }
  fields.end()
  return frame
}

function decodeReading(tuple: unknown): HouseReading {
  const fields = Fields.of(tuple, 'house time')
  const reading = {
    groupId: fields.integer(0, groupIdMax) as GroupId,
    isCounted: fields.flag(),
    shifts: fields.integer(),
    houseMs: fields.integer(),
  }
  fields.end()
  return reading
}
