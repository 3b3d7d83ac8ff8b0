/**
 * What a run is like: how many nodes and servers, how bad clocks, network and disks are, how often what happens,
 * what is auctioned. All drawn from the seed, so that many seeds see many worlds, and printed before anything
 * happens. Invariant: equal seeds draw equal options; nothing else does.
 */
import type { Random } from '../state-cluster/raft/fuzz/random.ts'

/** Kinds of trouble, each drawn with its own rate; `--fault NAME` leaves only the named ones on. */
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

export interface SimOptions {
  readonly seed: number
  readonly minutes: number
  readonly nodes: number
  readonly servers: number
  /** 0: nobody takes over what a dead server owns until it is back. */
  readonly monitors: number
  readonly bidders: number
  /** Bids per virtual second, on average. */
  readonly bidsPerSecond: number
  /** Linearizable reads per virtual second, on average. */
  readonly readsPerSecond: number
  /** Times per virtual minute, on average, that everybody bids at once. */
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
    /** One way, most of the time. */
    readonly delayMs: readonly [least: number, most: number]
    /** Chance that a message between nodes takes far longer. */
    readonly spikes: number
    readonly spikeMs: number
    /** Chances that a message between nodes is lost, or arrives twice. */
    readonly loss: number
    readonly duplication: number
    /** Chance that a client's question, or its answer, is lost. */
    readonly clientLoss: number
  }
  readonly disk: {
    /** Of one durable commit. */
    readonly syncMs: readonly [least: number, most: number]
    readonly bytesPerMs: number
  }
  readonly clocks: {
    /** Wrong by up to this at the beginning. */
    readonly skewMsMax: number
    /** Too fast or too slow by up to this, in parts per million. */
    readonly driftPpmMax: number
    /** A jump is up to this, either way. */
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
    readonly checkpointRows: number
    readonly checkpointMs: number
  }
  /** What a snapshot travels in. */
  readonly snapshotChunkBytes: number
  /** Chance that whoever takes one in is killed meanwhile. */
  readonly snapshotCrash: number
  /** Chance that whoever has voted is killed at once, and soon back. */
  readonly voteCrash: number
  /** Times per virtual minute, of those that happen as events. 0: never. */
  readonly rates: Readonly<Record<FaultName, number>>
}

const seldom = [0, 0.5, 1, 3]

export interface Wishes {
  readonly seed: number
  readonly minutes: number
  /** Only these kinds of trouble; an empty list: a calm world. Absent: whatever the seed draws. */
  readonly faults?: readonly FaultName[] | undefined
  /** These at least. */
  readonly favoured?: readonly FaultName[] | undefined
}

/** What those get that were asked for by name and not drawn. */
const favouredPerMinute = 3
const favouredChance = 0.01

/** Draws the options of a run. */
export function drawOptions(random: Random, { seed, minutes, faults, favoured = [] }: Wishes): SimOptions {
  const isOn = (name: FaultName): boolean => faults === undefined || faults.includes(name)
  const rate = (name: FaultName, choices: readonly number[]): number => {
    const drawn = random.pick(choices)
    return favoured.includes(name) ? Math.max(drawn, favouredPerMinute) : isOn(name) ? drawn : 0
  }
  const chance = (name: FaultName, choices: readonly number[]): number => {
    const drawn = random.pick(choices)
    return favoured.includes(name) ? Math.max(drawn, favouredChance) : isOn(name) ? drawn : 0
  }
  const least = random.pick([0.1, 0.3, 1, 5])
  return {
    seed,
    minutes,
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
    network: {
      delayMs: [least, least * random.pick([1.5, 4, 20])],
      spikes: chance('delay', [0, 0.001, 0.02]),
      spikeMs: random.pick([50, 400, 2_000]),
      loss: chance('loss', [0, 0.001, 0.01, 0.08]),
      duplication: chance('duplication', [0, 0.01, 0.1]),
      clientLoss: chance('loss', [0, 0.02, 0.1]),
    },
    disk: {
      syncMs: random.pick([
        [0.2, 0.5],
        [0.3, 3],
        [2, 20],
      ] as const),
      bytesPerMs: random.pick([20_000, 200_000]),
    },
    clocks: {
      skewMsMax: chance('clock', [0, 50, 1_500]),
      driftPpmMax: chance('clock', [0, 200, 5_000]),
      jumpMsMax: random.pick([200, 3_000, 30_000]),
    },
    replica: {
      tickMs: 25,
      electionTicks: random.pick([12, 12, 20]),
      commandsMax: random.pick([20_000, 20_000, 20]),
      proposalTimeoutMs: random.pick([5_000, 5_000, 700]),
      entriesInFlightMax: random.pick([1, 4, 16]),
      commandsPerEntryMax: random.pick([5, 1_000]),
      logTailBytesMax: random.pick([1_000, 1_000, 20_000, 16 * 2 ** 20]),
      checkpointRows: random.pick([40, 200, 1_000]),
      checkpointMs: random.pick([2_000, 10_000, 30_000]),
    },
    snapshotChunkBytes: random.pick([2_000, 20_000, 256 * 1024]),
    voteCrash: chance('voteCrash', [0, 0.03, 0.3]),
    snapshotCrash: chance('snapshotCrash', [0, 0.1, 0.5]),
    rates: {
      crash: rate('crash', [0, 1, 3, 6]),
      blackout: rate('blackout', seldom),
      pause: rate('pause', seldom),
      partition: rate('partition', [0, 1, 3, 6]),
      loss: 0,
      duplication: 0,
      delay: 0,
      snapshotCrash: 0,
      voteCrash: 0,
      clock: rate('clock', [0, 1, 4]),
      diskStall: rate('diskStall', seldom),
      diskFull: rate('diskFull', [0, 0.5, 1]),
      diskFail: rate('diskFail', [0, 0.5, 1]),
      bitFlip: rate('bitFlip', [0, 0, 1]),
      tornWrite: rate('tornWrite', [0, 0, 1]),
      serverCrash: rate('serverCrash', seldom),
      serverPause: rate('serverPause', seldom),
      doppelganger: rate('doppelganger', [0, 0, 1]),
      monitorCrash: rate('monitorCrash', seldom),
      monitorPause: rate('monitorPause', seldom),
      members: rate('members', [0, 0, 3, 10]),
      nodeStop: rate('nodeStop', seldom),
      serverStop: rate('serverStop', seldom),
      reset: rate('reset', [0, 1, 6]),
    },
  }
}
