/**
 * Planted faults: known defects, so that it is certain that the checks find them.
 *
 * Each is put in from outside, around a port of the code under test. Each is a defect that real systems had.
 *
 * Invariant: no planted fault changes production code, and without one nothing here has any effect.
 */
import { crc32 } from '../runtime/checksum.ts'
import type { Clock } from '../runtime/clock.ts'
import type { LinkBackend } from '../state-cluster/link/backend.ts'
import type { Command, MachineEntry } from '../state-cluster/machine/commands.ts'
import type { Applied } from '../state-cluster/machine/events.ts'
import { type Row, rows, type State } from '../state-cluster/machine/index.ts'
import type { Machine } from '../state-cluster/replica/applied-state.ts'
import type { ReplicaSettings } from '../state-cluster/replica/settings.ts'
import { readCheckpoint, writeOfConfState } from '../state-cluster/storage/checkpoint.ts'
import { checkpointKey, entryKey, hardStateKey, installingKey } from '../state-cluster/storage/layout.ts'
import {
  type Store,
  type StoreRange,
  type StoreRow,
  type StoreWrite,
  withCommit,
} from '../state-cluster/storage/store.ts'
import type { Timing } from '../wire/timing.ts'
import { packTuple, unpackTuple } from '../wire/tuples.ts'
import { boundlessLog, type FaultName, type SimOptions } from './options.ts'

type AroundStore = (store: Store) => Store
type AroundMachine = (machine: Machine, clock: Clock) => Machine

export interface Plant {
  readonly name: string
  readonly description: string
  /** Faults without which it could not be found; the seed draws the rest. */
  readonly needs: readonly FaultName[]
  /** Changes the options to a world in which it can be found. */
  readonly tune?: (drawn: SimOptions) => SimOptions
  readonly store?: AroundStore
  readonly machine?: AroundMachine
  readonly backend?: (backend: LinkBackend) => LinkBackend
  /** Of each process of a node. */
  readonly timing?: (timing: Timing) => Timing
  /** What arrives of a frame of another node's clocks; `undefined`: nothing. */
  readonly clocks?: (body: Uint8Array, clock: Clock) => Uint8Array | undefined
  /** Settings that its replicas have in the place of those of the world. */
  readonly settings?: Partial<ReplicaSettings>
}

// ── Disk ───────────────────────────────────────────────────────────────────────────────────────────────

const tagAt = 2
const entryTag = entryKey(0 as never, 0)[tagAt]
const hardStateTag = hardStateKey(0 as never)[tagAt]
const checkpointTag = checkpointKey(0 as never)[tagAt]
const installingTag = installingKey(0 as never)[tagAt]

function isAll(writes: readonly StoreWrite[], ...tags: readonly (number | undefined)[]): boolean {
  return writes.length > 0 && writes.every(({ key }) => tags.includes(key[tagAt]))
}

/**
 * Reports these commits as durable before they are. Reads see them at once, as reads see the cache of a system; only
 * a power cut shows the difference.
 */
function early(isEarly: (writes: readonly StoreWrite[]) => boolean): AroundStore {
  return (store) => {
    const cache = new Map<string, StoreWrite>()
    // Commits are reported in order all the same.
    let before: Promise<void> = Promise.resolve()
    const early = withCommit(store, (writes, commit) => {
      const done = commit(writes)
      if (!isEarly(writes)) {
        before = done
        return done
      }
      for (const write of writes) cache.set(textOf(write.key), write)
      const forget = (): void => {
        for (const write of writes) {
          if (cache.get(textOf(write.key)) === write) cache.delete(textOf(write.key))
        }
      }
      done.then(forget, () => undefined)
      return before
    })
    return {
      ...early,
      get(key) {
        const cached = cache.get(textOf(key))
        return cached === undefined ? store.get(key) : cached.value
      },
      range: (range) => (cache.size === 0 ? store.range(range) : merged(store, range, cache.values())),
    }
  }
}

function merged(
  store: Store,
  { from, to, reverse, limit }: StoreRange,
  cached: Iterable<StoreWrite>,
): StoreRow[] {
  const rows = new Map<string, StoreRow>()
  for (const row of store.range({ from, to })) rows.set(textOf(row.key), row)
  for (const { key, value } of cached) {
    const text = textOf(key)
    if (text < textOf(from) || text >= textOf(to)) continue
    if (value === undefined) rows.delete(text)
    else rows.set(text, { key, value })
  }
  const sorted = [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
  return (reverse ? sorted.reverse() : sorted).slice(0, limit)
}

const textOf = (key: Uint8Array): string => String.fromCharCode(...key)

/** The row with a checksum that fits its content, whatever it is. */
function resealed({ key, value }: StoreRow): StoreRow {
  if (key[tagAt] !== entryTag) return { key, value }
  const copy = value.slice()
  new DataView(copy.buffer).setUint32(0, crc32(copy.subarray(4), crc32(key)))
  return { key, value: copy }
}

// ── Machine ────────────────────────────────────────────────────────────────────────────────────────────

type Apply = (
  state: State,
  entry: MachineEntry,
  apply: (entry: MachineEntry) => Applied,
  index: number,
) => Applied

function withApply(change: Apply): AroundMachine {
  return (machine) => ({
    ...machine,
    apply: (state, entry, index) =>
      change(state, entry, (changed) => machine.apply(state, changed, index), index),
  })
}

/** The results of the commands of one entry, joined. */
function joined(parts: readonly Applied[]): Applied {
  return {
    replies: parts.flatMap(({ replies }) => replies),
    events: parts.flatMap(({ events }) => events),
    outboxCount: parts.reduce((sum, { outboxCount }) => sum + outboxCount, 0),
    gained: [...new Set(parts.flatMap(({ gained }) => gained))],
  }
}

/** Changes each command before the machine applies it. */
function withCommands(change: (state: State, command: Command) => Command): AroundMachine {
  return withApply((state, entry, apply) =>
    apply({ ...entry, commands: entry.commands.map((command) => change(state, command)) }),
  )
}

/** Slow disks on which no write fails, and power cuts of all nodes, which lose what is in a cache. */
function withPowerCuts(drawn: SimOptions): SimOptions {
  return {
    ...drawn,
    bidsPerSecond: 12,
    disk: { ...drawn.disk, syncMs: [20, 60] },
    rates: { ...drawn.rates, blackout: 12, diskFull: 0, diskFail: 0 },
  }
}

/** Many checkpoints on slow disks, and nodes that die in the middle of one. */
function withManyCheckpoints(drawn: SimOptions): SimOptions {
  const cut = withPowerCuts(drawn)
  return {
    ...cut,
    replica: { ...cut.replica, checkpointRows: 40, checkpointMs: 1_000 },
    rates: { ...cut.rates, crash: 12 },
  }
}

/** Short auctions with few bids. */
function withFewBidders(drawn: SimOptions): SimOptions {
  const seldom = { bidsPerSecond: 1, rushesPerMinute: 0, managesPerMinute: 90 }
  return { ...drawn, ...seldom, auctionsPerMinute: 20, durationMs: [2_000, 6_000] }
}

/** Disks with many log entries, which are read at every start, and flipped bits. */
function withRottenLogs(drawn: SimOptions): SimOptions {
  return {
    ...drawn,
    nodes: 5,
    replica: { ...drawn.replica, logTailBytesMax: 2 ** 24, checkpointRows: 100_000, checkpointMs: 600_000 },
    rates: { ...drawn.rates, bitFlip: 6, crash: 6, members: 6 },
  }
}

/** Leaders that are often cut off with some of their clients, and slow to notice. */
function withStrandedLeaders(drawn: SimOptions): SimOptions {
  return {
    ...drawn,
    nodes: 3,
    servers: 3,
    bidsPerSecond: 12,
    readsPerSecond: 60,
    auctionsPerMinute: 4,
    replica: { ...drawn.replica, electionTicks: 20 },
    rates: { ...drawn.rates, partition: 25, blackout: 0 },
  }
}

/** So many bids and acts that what was accepted is soon forgotten, in auctions that stay open. */
function withManyRequests(drawn: SimOptions): SimOptions {
  return {
    ...drawn,
    bidders: 14,
    bidsPerSecond: 12,
    rushesPerMinute: 6,
    managesPerMinute: 60,
    durationMs: [40_000, 90_000],
    network: { ...drawn.network, clientLoss: 0.1 },
  }
}

/** Servers that often die, under monitors that are often paused when they should act. */
function withBusyMonitors(drawn: SimOptions): SimOptions {
  const rates = { ...drawn.rates, monitorPause: 12, serverCrash: 8, partition: 6, blackout: 0 }
  return { ...drawn, monitors: 2, servers: 3, rates }
}

/** Delays so long that candidates compete, and disks so slow that a vote is durable late. */
function withHardElections(drawn: SimOptions): SimOptions {
  return {
    ...drawn,
    nodes: 3,
    network: { ...drawn.network, delayMs: [40, 150] },
    disk: { ...drawn.disk, syncMs: [20, 60] },
    replica: { ...drawn.replica, electionTicks: 12 },
    voteCrash: 1,
    rates: { ...drawn.rates, crash: 40, members: 0, diskFull: 0, diskFail: 0 },
  }
}

/** Members are often added and removed, and nodes often restart. */
function withManyChanges(drawn: SimOptions): SimOptions {
  return { ...drawn, nodes: 3, rates: { ...drawn.rates, members: 15, crash: 10, partition: 3 } }
}

/** Logs so short that a node that misses a little needs a snapshot. */
function withShortLogs(drawn: SimOptions): SimOptions {
  return {
    ...drawn,
    replica: { ...drawn.replica, logTailBytesMax: 500, checkpointRows: 40, checkpointMs: 1_000 },
    rates: { ...drawn.rates, crash: 8, pause: 6, partition: 8 },
  }
}

/** Nodes that come back to a leader whose log is short, on disks so slow that it has moved on when they are there. */
function withSlowFollowers(drawn: SimOptions): SimOptions {
  const short = withShortLogs(drawn)
  return {
    ...short,
    bidsPerSecond: 12,
    disk: { ...drawn.disk, syncMs: [20, 60] },
    replica: { ...short.replica, ...boundlessLog },
  }
}

/** Clocks that are right but for one at a time, which is an hour off or more, and nodes that are all down at once. */
function withWrongClocks(drawn: SimOptions): SimOptions {
  return {
    ...drawn,
    clocks: { skewMsMax: 50, driftPpmMax: 200, jumpMsMax: 73 * 365 * 24 * 3_600_000 },
    rates: { ...drawn.rates, clock: 60, blackout: 6, crash: 3 },
  }
}

export const plants: readonly Plant[] = [
  {
    name: 'acknowledge-before-fsync',
    description: 'log entries count as durable as soon as they are given to the disk',
    needs: ['blackout', 'crash'],
    tune: withPowerCuts,
    store: early(
      (writes) => isAll(writes, entryTag, hardStateTag) && writes.some(({ key }) => key[tagAt] === entryTag),
    ),
  },
  {
    name: 'vote-before-fsync',
    description: 'a vote leaves before it is on the disk, and a power cut forgets it',
    needs: ['voteCrash', 'crash', 'pause'],
    tune: withHardElections,
    store: early((writes) => isAll(writes, hardStateTag)),
  },
  {
    name: 'applied-index-in-another-transaction',
    description: 'a checkpoint writes its applied index first and its rows in a transaction of their own',
    needs: ['crash', 'blackout'],
    tune: withManyCheckpoints,
    store: (store) =>
      withCommit(store, async (writes, commit) => {
        const records = writes.filter(({ key }) => key[tagAt] === checkpointTag)
        const rest = writes.filter(({ key }) => key[tagAt] !== checkpointTag)
        if (records.length === 0 || rest.length === 0) return await commit(writes)
        await commit(records)
        await commit(rest)
      }),
  },
  {
    name: 'failed-fsync-ignored',
    description: 'a write that failed counts as done, and the process continues',
    needs: ['diskFail', 'diskFull'],
    store: (store) => withCommit(store, (writes, commit) => commit(writes).catch(() => undefined)),
  },
  {
    name: 'entry-checksum-ignored',
    description: 'a log entry is read whether its checksum matches or not',
    needs: ['bitFlip', 'tornWrite', 'crash'],
    tune: withRottenLogs,
    store: (store) => ({
      ...withCommit(store, (writes, commit) => commit(writes)),
      get: (key) => {
        const value = store.get(key)
        return value === undefined ? undefined : resealed({ key, value }).value
      },
      *range(range) {
        for (const row of store.range(range)) yield resealed(row)
      },
    }),
  },
  {
    name: 'retry-counted-twice',
    description: 'the request id of a command is not looked up',
    needs: ['loss'],
    machine: withCommands((state, command) => {
      if (!('requestId' in command)) return command
      state.requests['bySubject'].delete(command.subject)
      forgetLast(state, command)
      return command
    }),
  },
  {
    name: 'age-of-a-repeat-ignored',
    description: 'a repeat whose first sending is forgotten is judged like a new request',
    needs: ['loss'],
    tune: withManyRequests,
    machine: withCommands((_state, command) => {
      if (!('requestId' in command)) return command
      const { ageMs: _, ...fresh } = command
      return fresh as Command
    }),
  },
  {
    name: 'last-request-not-kept',
    description: 'a row does not keep the last request that was accepted in it',
    needs: ['loss'],
    tune: withManyRequests,
    machine: withCommands((state, command) => {
      forgetLast(state, command)
      return command
    }),
  },
  {
    name: 'epoch-given-again',
    description: 'the epochs of a server are forgotten with its row',
    needs: ['serverStop', 'serverCrash'],
    machine: withCommands((state, command) => {
      state.house.epochsGone = 0
      return command
    }),
  },
  {
    name: 'conductor-epoch-not-checked',
    description: 'any server that claims to conduct an auction conducts it, whatever its epoch',
    needs: ['doppelganger'],
    machine: withCommands((state, command) => {
      if (command.type !== 'conduct') return command
      return { ...command, epoch: state.servers.get(command.serverId)?.epoch ?? command.epoch }
    }),
  },
  {
    name: 'close-by-local-clock',
    description: 'a deadline is compared with the clock of the replica, not with the stamp of the entry',
    needs: ['clock'],
    machine: (machine, clock) => ({
      ...machine,
      apply(state, entry, index) {
        const isPulse = entry.commands.some((command) => command.type === 'conduct')
        const atMs = isPulse
          ? Math.max(state.house.lastAtMs, clock.nowMs())
          : Math.max(state.house.lastAtMs, entry.atMs)
        return machine.apply(state, { ...entry, atMs }, index)
      },
    }),
  },
  {
    name: 'stamps-follow-the-wall-clock',
    description: 'time that goes by is measured with the clock that an operator can set',
    needs: ['clock'],
    tune: withWrongClocks,
    timing({ clock, ...timing }) {
      const sinceMs = clock.nowMs()
      let latestMs = 0
      const monotonicMs = (): number => {
        latestMs = Math.max(latestMs, clock.nowMs() - sinceMs)
        return latestMs
      }
      return { ...timing, clock: { ...clock, monotonicMs } }
    },
  },
  {
    name: 'a-node-believes-its-own-clock',
    description: 'a node takes every clock for as right as its own, whatever the others show',
    needs: ['clock', 'blackout', 'crash'],
    tune: withWrongClocks,
    clocks: (body, clock) => packTuple([clock.nowMs(), ...unpackTuple(body).slice(1)]),
  },
  {
    name: 'clocks-not-compared',
    description: 'nodes do not exchange their clocks, so nobody knows how long all of them were down',
    needs: ['clock', 'blackout', 'crash'],
    tune: withWrongClocks,
    clocks: () => undefined,
  },
  {
    name: 'two-hammers',
    description: 'an auction that ended can be closed once more',
    needs: [],
    machine: withCommands((state, command) => {
      if (command.type === 'close_auction') reopen(state, command.auctionId, ['sold', 'passed'])
      return command
    }),
  },
  {
    name: 'closed-auction-reopened',
    description: 'an auction that passed can be extended, and is open again',
    needs: [],
    tune: withFewBidders,
    machine: withCommands((state, command) => {
      if (command.type === 'extend_auction') reopen(state, command.auctionId, ['passed'])
      return command
    }),
  },
  {
    name: 'outage-extension-applied-twice',
    description: 'the pulse that ends an outage does not move the mark from which the next is measured',
    needs: ['serverCrash', 'serverPause', 'blackout'],
    machine: withApply((state, entry, apply) => {
      const marks = entry.commands.flatMap((command) => {
        const server = command.type === 'conduct' ? state.servers.get(command.serverId) : undefined
        return server === undefined ? [] : [{ server, markMs: server.lastConductedMs }]
      })
      const applied = apply(entry)
      const isOutage = applied.events.some(
        (event) => event.type === 'auction_extended' && event.reason === 'outage',
      )
      if (isOutage) for (const { server, markMs } of marks) server.lastConductedMs = markMs
      return applied
    }),
  },
  {
    name: 'old-leader-serves-reads',
    description: 'a node that believes that it leads answers a linearizable read without asking a majority',
    needs: ['partition'],
    tune: withStrandedLeaders,
    backend: (backend) => ({
      ...backend,
      readIndex: (groupId) => Promise.resolve(backend.appliedIndex(groupId)),
    }),
  },
  {
    name: 'feed-gap-after-resume',
    description: 'a replica that installed a snapshot does not report the gap in its feed',
    needs: ['partition', 'crash'],
    tune: withShortLogs,
    backend: (backend) => ({
      ...backend,
      watch: (groupId, watcher) =>
        backend.watch(groupId, {
          batch: (batch) => watcher.batch(batch),
          applied: (index) => watcher.applied(index),
          gap: (index) => watcher.applied(index),
          leader: (view) => watcher.leader(view),
        }),
    }),
  },
  {
    name: 'snapshot-half-applied',
    description: 'the mark that a snapshot is being installed is not on the disk',
    needs: ['crash', 'snapshotCrash'],
    tune: withShortLogs,
    store: (store) => {
      const marks = new Map<string, Uint8Array | undefined>()
      const isMark = (key: Uint8Array): boolean => key[tagAt] === installingTag
      return {
        ...withCommit(store, (writes, commit) => {
          for (const { key, value } of writes) if (isMark(key)) marks.set(key.join(), value)
          return commit(writes.filter(({ key }) => !isMark(key)))
        }),
        get: (key) => (isMark(key) ? marks.get(key.join()) : store.get(key)),
      }
    },
  },
  {
    name: 'monitor-acts-without-its-lease',
    description: 'a reassignment is executed whichever monitor holds the lease',
    needs: ['monitorPause', 'serverCrash', 'serverPause', 'partition'],
    tune: withBusyMonitors,
    machine: withApply((state, entry, apply) => {
      if (!entry.commands.some(({ type }) => type === 'reassign')) return apply(entry)
      // One command at a time: a lease may change hands between two of them.
      return joined(
        entry.commands.map((command) => {
          const { lease } = state
          const { monitorId, token, untilMs } = lease
          if (command.type !== 'reassign' || token === 0) return apply({ ...entry, commands: [command] })
          lease.untilMs = Number.MAX_SAFE_INTEGER
          const applied = apply({ ...entry, commands: [{ ...command, monitorId, token }] })
          lease.untilMs = untilMs
          return applied
        }),
      )
    }),
  },
  {
    name: 'reassignment-epoch-not-checked',
    description: 'a server that came back is taken for the dead one that the monitor knew',
    needs: ['monitorPause', 'serverCrash', 'serverPause', 'partition'],
    tune: withBusyMonitors,
    machine: withCommands((state, command) => {
      if (command.type !== 'reassign') return command
      return { ...command, epoch: state.servers.get(command.serverId)?.epoch ?? command.epoch }
    }),
  },
  {
    name: 'compaction-ignores-followers',
    description: 'the log is cut while a follower takes a snapshot, and it needs the next when that has come',
    needs: ['crash', 'pause', 'partition'],
    tune: withSlowFollowers,
    settings: { logKeptBytesMax: 0, memberSilenceMs: 0 },
  },
  {
    name: 'members-left-out-of-a-checkpoint',
    description: 'a checkpoint keeps the members of the one before it, and a restart uses those',
    needs: ['members', 'crash'],
    tune: withManyChanges,
    store: (store) =>
      withCommit(store, (writes, commit) => {
        const before = readCheckpoint(store, 0 as never)
        if (before === undefined) return commit(writes)
        return commit(
          writes.map((write) => {
            if (write.key[tagAt] !== checkpointTag) return write
            const reader = { get: () => write.value, range: () => [] }
            return writeOfConfState(reader, 0 as never, before.confState)
          }),
        )
      }),
  },
  {
    name: 'deduplication-lost-in-a-snapshot',
    description: 'a checkpoint leaves out the requests that were answered, and its hash does so too',
    needs: ['crash', 'loss'],
    machine: (machine) => ({
      apply: (state, entry, index) => machine.apply(state, entry, index),
      restoring: (all) => machine.restoring(withoutRequests(all)),
      stateHash: (state) => machine.stateHash(loaded(machine, withoutRequests(rows(state)))),
    }),
  },
]

/** The rows of the command's auction lose their last requests. */
function forgetLast(state: State, command: Command): void {
  if (!('auctionId' in command)) return
  const auction = state.auctions.get(command.auctionId)
  if (auction === undefined) return
  auction.managedA = 0
  state.changes.touch(auction)
  const bidder = auction.bidderOf(command.subject)
  if (bidder === undefined) return
  bidder.requestA = 0
  state.changes.touch(bidder)
}

function reopen(state: State, auctionId: string, from: readonly string[]): void {
  const auction = state.auctions.get(auctionId as never)
  if (auction === undefined || !from.includes(auction.status)) return
  auction.closesAtMs = Math.max(auction.closesAtMs, state.house.lastAtMs + 60_000)
  state.auctions.setStatus(auction, 'open')
}

function loaded(machine: Machine, all: Iterable<Row>): State {
  const steps = machine.restoring(all)
  let step = steps.next()
  while (step.done !== true) step = steps.next()
  return step.value
}

function* withoutRequests(all: Iterable<Row>): Generator<Row> {
  for (const row of all) if (row.kind !== 'requests') yield row
}

export function plantNamed(name: string): Plant | undefined {
  return plants.find((plant) => plant.name === name)
}
