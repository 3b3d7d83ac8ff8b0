/**
 * Options of a run: sizes, workload, faults and their rates, drawn from its seed.
 *
 * Many seeds therefore see many worlds. The options are printed before anything happens.
 *
 * Invariant: equal seeds draw equal options, and nothing but the seed and the request counts; the order of the draws
 * is fixed.
 */
import type { Random } from '../runtime/random.ts'

/** Kinds of faults, each drawn with its own rate; `--fault NAME` leaves only the named ones on. */
export const faultNames = [
  'crash',
  'blackout',
  'pause',
  'partition',
  'loss',
  'duplication',
  'delay',
  'clock',
  'diskStall',
  'diskFull',
  'diskFail',
  'snapshotCrash',
  'voteCrash',
  'bitFlip',
  'tornWrite',
  'serverCrash',
  'serverPause',
  'doppelganger',
  'monitorCrash',
  'monitorPause',
  'members',
  'nodeStop',
  'serverStop',
  'reset',
] as const
export type FaultName = (typeof faultNames)[number]

const hourMs = 3_600_000

export interface SimOptions {
  readonly seed: number
  readonly minutes: number
  readonly nodes: number
  readonly servers: number
  /** 0: the auctions of a dead server wait until it is back. */
  readonly monitors: number
  readonly bidders: number
  /** Bids per virtual second, on average. */
  readonly bidsPerSecond: number
  /** Linearizable reads per virtual second, on average. */
  readonly readsPerSecond: number
  /** Times per virtual minute, on average, that many bidders bid at once. */
  readonly rushesPerMinute: number
  /** Pauses, closes and the like per virtual minute, on average. */
  readonly managesPerMinute: number
  /** Times per virtual minute, on average, that the settings of the house change. */
  readonly configuresPerMinute: number
  /** Auctions that are made per virtual minute, on average. */
  readonly auctionsPerMinute: number
  /** How long most of them last. */
  readonly durationMs: readonly [least: number, most: number]
  readonly network: {
    /** In one direction, most of the time. */
    readonly delayMs: readonly [least: number, most: number]
    /** Chance that a message between nodes takes far longer. */
    readonly spikes: number
    readonly spikeMs: number
    /** Chances that a message between nodes is lost, or arrives twice. */
    readonly loss: number
    readonly duplication: number
    /** Chance that a client's request, or its answer, is lost. */
    readonly clientLoss: number
  }
  readonly disk: {
    /** Of one durable commit. */
    readonly syncMs: readonly [least: number, most: number]
    readonly bytesPerMs: number
  }
  readonly clocks: {
    /** Error at the beginning, in either direction. */
    readonly skewMsMax: number
    /** Too fast or too slow by up to this, in parts per million. */
    readonly driftPpmMax: number
    /** A jump is up to this, forward or back. */
    readonly jumpMsMax: number
  }
  readonly replica: {
    readonly tickMs: number
    readonly electionTicks: number
    readonly commandsMax: number
    readonly proposalTimeoutMs: number
    readonly entriesInFlightMax: number
    readonly commandsPerEntryMax: number
    readonly logTailBytesMax: number
    readonly logKeptBytesMax: number
    readonly memberSilenceMs: number
    readonly checkpointRows: number
    readonly checkpointMs: number
  }
  /** Size of the chunks in which a snapshot is sent. */
  readonly snapshotChunkBytes: number
  /** Chance that a node that receives a snapshot is killed meanwhile. */
  readonly snapshotCrash: number
  /** Chance that a node is killed just after it voted, and soon back. */
  readonly voteCrash: number
  /** Times per virtual minute, of the faults that happen as events. 0: never. */
  readonly rates: Readonly<Record<FaultName, number>>
}

const seldom = [0, 0.5, 1, 3]

export interface DrawRequest {
  readonly seed: number
  readonly minutes: number
  /** Only these kinds of faults; an empty list: none. Absent: those that the seed draws. */
  readonly faults?: readonly FaultName[] | undefined
  /** Faults that happen at least at the favoured rate. */
  readonly favoured?: readonly FaultName[] | undefined
}

/** The least rate and chance of a favoured fault. */
const favouredPerMinute = 3
const favouredChance = 0.01

/** Draws for one run. A fault that is switched off draws all the same, so that the other draws stay. */
class Draws {
  readonly random: Random
  readonly #faults: readonly FaultName[] | undefined
  readonly #favoured: readonly FaultName[]

  constructor(random: Random, { faults, favoured = [] }: DrawRequest) {
    this.random = random
    this.#faults = faults
    this.#favoured = favoured
  }

  /** Times per virtual minute. */
  rate(name: FaultName, choices: readonly number[]): number {
    return this.#draw(name, choices, favouredPerMinute)
  }

  chance(name: FaultName, choices: readonly number[]): number {
    return this.#draw(name, choices, favouredChance)
  }

  #draw(name: FaultName, choices: readonly number[], favouredMin: number): number {
    const drawn = this.random.pick(choices)
    if (this.#favoured.includes(name)) return Math.max(drawn, favouredMin)
    return this.#faults === undefined || this.#faults.includes(name) ? drawn : 0
  }
}

/** Draws the options of a run. */
export function drawOptions(random: Random, request: DrawRequest): SimOptions {
  const { seed, minutes } = request
  const draws = new Draws(random, request)
  const delayMsMin = random.pick([0.1, 0.3, 1, 5])
  const drawn = {
    seed,
    minutes,
    ...drawWorkload(random),
    network: drawNetwork(draws, delayMsMin),
    disk: {
      syncMs: random.pick([
        [0.2, 0.5],
        [0.3, 3],
        [2, 20],
      ] as const),
      bytesPerMs: random.pick([20_000, 200_000]),
    },
    clocks: {
      skewMsMax: draws.chance('clock', [0, 50, 1_500]),
      driftPpmMax: draws.chance('clock', [0, 200, 5_000]),
      jumpMsMax: random.pick([200, 30_000, hourMs, 73 * 365 * 24 * hourMs]),
    },
    shortReplica: drawReplica(random),
    snapshotChunkBytes: random.pick([2_000, 20_000, 256 * 1024]),
    voteCrash: draws.chance('voteCrash', [0, 0.03, 0.3]),
    snapshotCrash: draws.chance('snapshotCrash', [0, 0.1, 0.5]),
    rates: drawRates(draws),
  }
  const { shortReplica, ...rest } = drawn
  return { ...rest, replica: { ...shortReplica, ...drawLogKeeping(random) } }
}

/** How many processes there are, and what their clients do. */
function drawWorkload(random: Random) {
  return {
    nodes: random.pick([3, 3, 3, 5]),
    servers: random.pick([1, 2, 2, 3]),
    monitors: random.pick([0, 1, 2, 2]),
    bidders: 3 + random.below(12),
    bidsPerSecond: random.pick([4, 8, 12]),
    readsPerSecond: random.pick([1, 5, 10]),
    managesPerMinute: 20,
    rushesPerMinute: random.pick([0, 2, 10]),
    configuresPerMinute: random.pick([0, 0, 2]),
    auctionsPerMinute: random.pick([4, 10, 20]),
    durationMs: random.pick([
      [2_000, 15_000],
      [5_000, 40_000],
      [10_000, 90_000],
    ] as const),
  }
}

function drawNetwork(draws: Draws, delayMsMin: number): SimOptions['network'] {
  const { random } = draws
  return {
    delayMs: [delayMsMin, delayMsMin * random.pick([1.5, 4, 20])],
    spikes: draws.chance('delay', [0, 0.001, 0.02]),
    spikeMs: random.pick([50, 400, 2_000]),
    loss: draws.chance('loss', [0, 0.001, 0.01, 0.08]),
    duplication: draws.chance('duplication', [0, 0.01, 0.1]),
    clientLoss: draws.chance('loss', [0, 0.02, 0.1]),
  }
}

function drawReplica(random: Random) {
  return {
    tickMs: 25,
    electionTicks: random.pick([12, 12, 20]),
    commandsMax: random.pick([20_000, 20_000, 20]),
    proposalTimeoutMs: random.pick([5_000, 5_000, 700]),
    entriesInFlightMax: random.pick([1, 4, 16]),
    commandsPerEntryMax: random.pick([5, 1_000]),
    logTailBytesMax: random.pick([1_000, 1_000, 20_000, 16 * 2 ** 20]),
    checkpointRows: random.pick([40, 200, 1_000]),
    checkpointMs: random.pick([2_000, 10_000, 30_000]),
  }
}

/** With these, nothing in a run reaches the bound of the log. */
export const boundlessLog = { logKeptBytesMax: 2 ** 30, memberSilenceMs: 600_000 }

/** How much log a leader keeps for members that lag. */
function drawLogKeeping(random: Random) {
  return random.pick([boundlessLog, boundlessLog, { logKeptBytesMax: 20_000, memberSilenceMs: 500 }])
}

function drawRates(draws: Draws): SimOptions['rates'] {
  return {
    crash: draws.rate('crash', [0, 1, 3, 6]),
    blackout: draws.rate('blackout', seldom),
    pause: draws.rate('pause', seldom),
    partition: draws.rate('partition', [0, 1, 3, 6]),
    loss: 0,
    duplication: 0,
    delay: 0,
    snapshotCrash: 0,
    voteCrash: 0,
    clock: draws.rate('clock', [0, 1, 4]),
    diskStall: draws.rate('diskStall', seldom),
    diskFull: draws.rate('diskFull', [0, 0.5, 1]),
    diskFail: draws.rate('diskFail', [0, 0.5, 1]),
    bitFlip: draws.rate('bitFlip', [0, 0, 1]),
    tornWrite: draws.rate('tornWrite', [0, 0, 1]),
    serverCrash: draws.rate('serverCrash', seldom),
    serverPause: draws.rate('serverPause', seldom),
    doppelganger: draws.rate('doppelganger', [0, 0, 1]),
    monitorCrash: draws.rate('monitorCrash', seldom),
    monitorPause: draws.rate('monitorPause', seldom),
    members: draws.rate('members', [0, 0, 3, 10]),
    nodeStop: draws.rate('nodeStop', seldom),
    serverStop: draws.rate('serverStop', seldom),
    reset: draws.rate('reset', [0, 1, 6]),
  }
}
