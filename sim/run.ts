/**
 * One run: from a seed, a house under trouble for so many virtual minutes, then calm, then the audit. Invariant:
 * equal wishes give equal results, step by step; the first violation ends it.
 *
 *   draw options ─► found the cluster ─► trouble and work ─► calm: everything heals, nothing new is asked
 *               ─► come to rest: every question has an answer, all replicas stand at one index ─► audit
 */
import { publicEventFrame } from '../server/frames.ts'
import { formats } from '../state-cluster/machine/formats/registry.ts'
import { stateHash } from '../state-cluster/machine/index.ts'
import { MemoryNetwork } from '../state-cluster/peers/memory-transport.ts'
import { snapshotLimits } from '../state-cluster/peers/snapshot-limits.ts'
import { Random } from '../state-cluster/raft/fuzz/random.ts'
import { newConfState } from '../state-cluster/raft/index.ts'
import { MemoryWires } from '../wire/memory-stream.ts'
import { Auditor } from './auditor.ts'
import { Checks, isSame, type Violation } from './checks.ts'
import { HostClock } from './clock.ts'
import { Counts } from './counts.ts'
import { SimDisk } from './disk.ts'
import { Faults } from './faults.ts'
import { History } from './history.ts'
import { Ledger } from './ledger.ts'
import { SimMonitor } from './monitor.ts'
import { Network } from './network.ts'
import { SimNode } from './node.ts'
import { Operator } from './operator.ts'
import { drawOptions, type FaultName, faultNames, type SimOptions } from './options.ts'
import type { Plant } from './planted.ts'
import type { Process } from './process.ts'
import type { House } from './run-context.ts'
import { SimServer } from './server.ts'
import { twins } from './twins.ts'
import { Workload } from './workload.ts'
import { type Breathe, World } from './world.ts'

export interface RunWishes {
  readonly seed: number
  readonly minutes: number
  readonly plant?: Plant | undefined
  /** The world that is drawn for this mistake, without it. */
  readonly world?: Plant | undefined
  /** Only these kinds of trouble. */
  readonly faults?: readonly FaultName[] | undefined
  readonly breathe: Breathe
  /** Gets the lines of the history. */
  readonly writeHistory?: ((line: string) => void) | undefined
  /** Called with the options before anything happens. */
  readonly onOptions?: (options: SimOptions) => void
  /** Gives what to call when a promise was rejected and nobody handled it. */
  readonly onFail?: (fail: (error: unknown) => void) => void
}

export interface RunResult {
  readonly seed: number
  readonly minutes: number
  readonly counts: Readonly<Record<string, number>>
  readonly steps: number
  readonly entries: number
  readonly lastIndex: number
  /** Of the state after the last entry. */
  readonly stateHash: string
  readonly violation: Violation | null
}

/** Where the log of the first members begins. */
const firstIndex = 1
/** A calm house has to come to rest within this; half of it without any progress is too long as well. */
const restMsMax = 60_000

export async function run(wishes: RunWishes): Promise<RunResult> {
  const { seed, minutes, plant } = wishes
  const world = plant ?? wishes.world
  const wanted = wishes.faults ?? world?.needs
  const drawn = drawOptions(new Random(seed, 1), { seed, minutes, faults: wishes.faults, favoured: wanted })
  const options = world?.tune?.(drawn) ?? drawn
  wishes.onOptions?.(options)
  const simulation = new Simulation(wishes, options)
  return await simulation.run()
}

class Simulation {
  readonly #options: SimOptions
  readonly #world: World
  readonly #house: House
  readonly #workload: Workload
  readonly #faults: Faults
  readonly #published = new Set<string>()
  /** How many events of each auction every server must have been told of. */
  readonly #toBeTold = new Map<string, number>()
  readonly #leaders = new Map<number, number>()

  constructor(wishes: RunWishes, options: SimOptions) {
    this.#options = options
    for (const { name } of formats) {
      if (!(name in twins)) throw new Error(`the auditor has no twin of the format ${name}: see twins.ts`)
    }
    const random = (stream: number): Random => new Random(options.seed, 2, stream)
    const world = new World(wishes.breathe, (error) => this.#house.fail(error))
    this.#world = world
    const counts = new Counts()
    for (const name of faultNames) counts.add(`fault.${name}`, 0)
    const checks = new Checks(
      () => world.elapsedMs,
      () => world.stop(),
    )
    const auditor = new Auditor(checks)
    const network = new Network(world, options.network, random(1), counts)
    const processes = new Map<string, Process>()
    const nodes: SimNode[] = []
    const servers: SimServer[] = []
    const monitors: SimMonitor[] = []
    const founderIds = Array.from({ length: options.nodes }, (_, at) => at + 1)
    const history = new History(wishes.writeHistory)
    this.#house = {
      world,
      options,
      plant: wishes.plant,
      counts,
      checks,
      ledger: new Ledger(checks, auditor),
      auditor,
      history,
      network,
      processes,
      founders: new Map(founderIds.map((id) => [id, { host: `node-${id}`, port: 1 }])),
      nodes,
      servers,
      monitors,
      operator: new Operator(() => this.#house, founderIds, random(5)),
      newNode: () => newNode(nodes.length + 1),
      seats: () =>
        new Map(nodes.filter(({ isRetired }) => !isRetired).map(({ id, address }) => [id, address])),
      letters: new MemoryNetwork({
        snapshots: { ...snapshotLimits, chunkBytes: options.snapshotChunkBytes, stallMs: 3_000 },
        carry: (letter, arrive) =>
          network.carryLetter(letter, () => processes.get(`node-${letter.to}`)?.enter(arrive)),
      }),
      wires: new MemoryWires({
        carry: ({ from, to }, arrive) => {
          const way = { from: hostOf(from), to: hostOf(to) }
          network.carryStep(way, () => {
            const process = processes.get(way.to)
            if (process === undefined) arrive()
            else process.enter(arrive)
          })
        },
      }),
      leads: (nodeId, term) => this.#leads(nodeId, term),
      votes: (node) => this.#faults.votes(node),
      takesSnapshot: (node) => this.#faults.takesSnapshot(node),
      restartLater: (node) => this.#faults.restartLater(node),
      fail: (error) =>
        checks.violate(
          'nothing ends without a cause',
          error instanceof Error ? (error.stack ?? error.message) : String(error),
        ),
    }
    wishes.onFail?.(this.#house.fail)
    const clocks = random(2)
    const hostClock = (): HostClock => {
      const { skewMsMax, driftPpmMax } = options.clocks
      const skewMs = Math.round((clocks.unit() * 2 - 1) * skewMsMax)
      return new HostClock(world, skewMs, 1 + ((clocks.unit() * 2 - 1) * driftPpmMax) / 1e6)
    }
    const newNode = (id: number): SimNode => {
      const disk = new SimDisk(options.disk, random(100 + id), counts)
      const node = new SimNode(this.#house, id, hostClock(), disk, random(200 + id))
      nodes.push(node)
      return node
    }
    for (const id of founderIds) newNode(id)
    for (let number = 1; number <= options.servers; number++) {
      for (const double of ['', '-double']) {
        const host = `server-${number}${double}`
        const own = random(300 + 2 * number + double.length)
        servers.push(new SimServer(this.#house, `server-${number}`, host, hostClock(), own, this.#published))
      }
    }
    for (let number = 1; number <= options.monitors; number++)
      monitors.push(new SimMonitor(this.#house, number, hostClock(), random(400 + number)))
    this.#workload = new Workload(this.#house, random(3))
    this.#faults = new Faults(this.#house, random(4))
  }

  async run(): Promise<RunResult> {
    const { nodes, servers, monitors, operator, checks, history } = this.#house
    const { seed, minutes } = this.#options
    history.head({ seed, minutes, options: this.#options })
    const founderIds = nodes.map(({ id }) => id)
    const position = { index: firstIndex, term: 1, confState: newConfState(founderIds) }
    for (const node of nodes) await node.found(position)
    for (const node of nodes) node.start()
    for (const monitor of monitors) monitor.start()
    operator.start()
    for (const server of servers) if (!server.host.endsWith('-double')) server.start()
    await this.#world.runUntil(2_000)
    this.#workload.start()
    this.#faults.start()
    this.#watchBounds()
    await this.#world.runUntil(minutes * 60_000)
    if (checks.violation === undefined) {
      this.#workload.stop()
      this.#faults.heal()
      await this.#comeToRest()
    }
    if (checks.violation === undefined) this.#audit()
    return this.#result()
  }

  /** What waits in a replica stays within what its settings allow. */
  #watchBounds(): void {
    const { nodes, world, checks, options } = this.#house
    const { commandsMax } = options.replica
    world.schedule(100, () => {
      for (const { host, replica } of nodes) {
        const { queuedCommands = 0, inFlightCommands = 0 } = replica?.status() ?? {}
        const waiting = queuedCommands + inFlightCommands
        checks.hold(waiting <= commandsMax, 'bounded', () => `${waiting} commands wait in ${host}`)
      }
      this.#watchBounds()
    })
  }

  /** Until everything that was asked is answered and all that live stand at one index. */
  async #comeToRest(): Promise<void> {
    const { nodes, ledger, operator, checks, counts } = this.#house
    const world = this.#world
    let untilMs = world.elapsedMs + restMsMax
    let leftCount = Number.POSITIVE_INFINITY
    const isMissing = (): string[] => this.#missingOutboxEntries()
    let isProbed = false
    let targetIndex: number | undefined
    this.#workload.probe(() => {
      isProbed = true
    })
    while (checks.violation === undefined && world.elapsedMs < untilMs) {
      await world.runUntil(world.elapsedMs + 500)
      // Where ways are long much takes long; what counts is that it goes on.
      const left = isMissing().length + this.#workload.openCount - this.#published.size
      if (left < leftCount) untilMs = Math.max(untilMs, world.elapsedMs + restMsMax / 2)
      leftCount = Math.min(left, leftCount)
      if (!isProbed || this.#workload.openCount > 0 || isMissing().length > 0 || operator.isBusy) continue
      targetIndex ??= ledger.lastIndex
      const index = targetIndex
      const living = nodes.filter(({ id, isLost }) => !isLost && operator.isMember(id))
      if (living.every((node) => (node.replica?.applied.appliedIndex ?? 0) >= index)) {
        // Feeds come last, and must bring what had happened until here.
        for (const [auctionId, events] of ledger.events) this.#toBeTold.set(auctionId, events.length)
        await world.runUntil(world.elapsedMs + 3_000)
        return
      }
    }
    const states = nodes.map(
      ({ id, isLost, isRetired, replica }) =>
        `${id}: ${isLost ? 'lost' : isRetired ? 'retired' : JSON.stringify(replica?.status() ?? 'down')}`,
    )
    counts.add('restless')
    const isAnswered = isProbed && this.#workload.openCount === 0
    checks.violate(
      isAnswered && isMissing().length > 0 ? 'notifications are complete' : 'progress',
      `a healed house did not come to rest: probe ${isProbed}, ${this.#workload.openCount} questions open, ` +
        `missing ${isMissing().slice(0, 3).join()}, target ${targetIndex}; ${operator}; ${states.join('; ')}`,
    )
  }

  // ── The audit ────────────────────────────────────────────────────────────────────────────────────────

  #audit(): void {
    const { nodes, servers, checks, ledger } = this.#house
    this.#workload.audit()
    for (const { replica, host, disk } of nodes) {
      // What a damaged disk keeps may be unreadable; what could be read was checked on the way.
      if (replica === undefined || disk.isDamaged) continue
      const { state, appliedIndex } = replica.applied
      const known = ledger.hashAt(appliedIndex)
      const hash = stateHash(state)
      checks.hold(
        known === undefined || known === hash,
        'same index, same hash',
        () => `${host} has ${hash} at ${appliedIndex}, committed is ${known}`,
      )
      for (const [auctionId, events] of ledger.events) {
        const seq = state.auctions.get(auctionId as never)?.seq ?? 0
        const stored = replica.applied.events(auctionId as never, 1, seq + 1)
        checks.hold(
          stored.every((event, at) =>
            isSame(publicEventFrame(event), publicEventFrame(events[at] as typeof event)),
          ),
          'one order',
          () => `${host} keeps another history of ${auctionId}`,
        )
      }
    }
    for (const server of servers) {
      if (server.host.endsWith('-double')) continue
      for (const [auctionId, place] of server.places) {
        const seq = this.#toBeTold.get(auctionId) ?? 0
        checks.hold(
          place.seq >= seq,
          'the feed has no unsaid hole',
          () => `${server.host} was told ${place.seq} of ${seq} events of ${auctionId}`,
        )
      }
    }
  }

  #missingOutboxEntries(): string[] {
    return this.#house.auditor.outboxEntries.filter((outboxEntry) => !this.#published.has(outboxEntry))
  }

  #leads(nodeId: number, term: number): void {
    const known = this.#leaders.get(term)
    if (known === undefined) {
      this.#leaders.set(term, nodeId)
      this.#house.counts.add('terms')
    } else if (known !== nodeId) {
      this.#house.checks.violate('one leader a term', `nodes ${known} and ${nodeId} lead in term ${term}`)
    }
  }

  #result(): RunResult {
    const { counts, checks, ledger, history } = this.#house
    const { seed, minutes } = this.#options
    history.log(ledger.entries)
    return {
      seed,
      minutes,
      counts: counts.toObject(),
      steps: this.#world.stepCount,
      entries: ledger.entries.length,
      lastIndex: ledger.lastIndex,
      stateHash: ledger.lastHash,
      violation: checks.violation ?? null,
    }
  }
}

/** A process is known on the wires by its host, or by the address where it listens. */
function hostOf(name: string): string {
  return name.endsWith(':1') ? name.slice(0, -2) : name
}
