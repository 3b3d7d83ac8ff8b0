/**
 * One run: a cluster under faults for some virtual minutes, then calm, then the audit.
 *
 *   draw options ─► start the cluster ─► workload and faults ─► calm: all faults heal, no new request
 *               ─► rest: every request has an answer, all replicas are at one index ─► audit
 *
 * Invariant: equal requests give equal results, step by step; the first violation ends the run.
 * Source: docs/sim.md, "A run".
 */

import { Random } from '../runtime/random.ts'
import { publicEventFrame } from '../server/frames.ts'
import { formats } from '../state-cluster/machine/formats/registry.ts'
import { stateHash } from '../state-cluster/machine/index.ts'
import { MemoryNetwork } from '../state-cluster/peers/memory-transport.ts'
import { snapshotLimits } from '../state-cluster/peers/snapshot-limits.ts'
import { newConfState } from '../state-cluster/raft/index.ts'
import { MemoryWires } from '../wire/memory-stream.ts'
import { parseSecrets } from '../wire/proof.ts'
import { Auditor } from './auditor.ts'
import { Checks, isSame, type Violation } from './checks.ts'
import { beginningMs } from './clock.ts'
import { Counts } from './counts.ts'
import { Faults } from './faults.ts'
import { History } from './history.ts'
import { Hosts } from './hosts.ts'
import { Ledger } from './ledger.ts'
import { Network } from './network.ts'
import type { SimNode } from './node.ts'
import { Operator } from './operator.ts'
import { drawOptions, type FaultName, faultNames, type SimOptions } from './options.ts'
import type { Plant } from './planted.ts'
import type { Process } from './process.ts'
import type { RunParts } from './run-parts.ts'
import { SnapshotRule } from './snapshot-rule.ts'
import { TrueTime } from './true-time.ts'
import { twins } from './twins.ts'
import { Workload } from './workload.ts'
import { type SettlePromises, World } from './world.ts'

export interface RunRequest {
  readonly seed: number
  readonly minutes: number
  readonly plant?: Plant | undefined
  /** The world that is drawn for this planted fault, without the fault. */
  readonly world?: Plant | undefined
  /** Only these kinds of faults. */
  readonly faults?: readonly FaultName[] | undefined
  readonly settlePromises: SettlePromises
  /** Gets the lines of the history. */
  readonly writeHistory?: ((line: string) => void) | undefined
  /** Called with the options before anything happens. */
  readonly onOptions?: (options: SimOptions) => void
  /** Receives the function to call when a rejected promise was not handled. */
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
/** A calm cluster must come to rest within this; half of it without progress is a violation as well. */
const restMsMax = 60_000

export async function run(request: RunRequest): Promise<RunResult> {
  const { seed, minutes, plant } = request
  const world = plant ?? request.world
  const wanted = request.faults ?? world?.needs
  const drawn = drawOptions(new Random(seed, 1), { seed, minutes, faults: request.faults, favoured: wanted })
  const options = world?.tune?.(drawn) ?? drawn
  request.onOptions?.(options)
  const simulation = new Simulation(request, options)
  return await simulation.run()
}

class Simulation {
  readonly #options: SimOptions
  readonly #world: World
  readonly #context: RunParts
  readonly #hosts: Hosts
  readonly #workload: Workload
  readonly #faults: Faults
  /** How many events of each auction every server must have received. */
  readonly #expectedSeqs = new Map<string, number>()
  readonly #leaders = new Map<number, number>()

  constructor(request: RunRequest, options: SimOptions) {
    this.#options = options
    for (const { name } of formats) {
      if (!(name in twins)) throw new Error(`the auditor has no twin of the format ${name}: see twins.ts`)
    }
    const random = (stream: number): Random => new Random(options.seed, 2, stream)
    this.#world = new World(request.settlePromises, (error) => this.#context.fail(error))
    this.#hosts = new Hosts(() => this.#context, random)
    this.#context = this.#connect(request, random)
    request.onFail?.(this.#context.fail)
    this.#hosts.prepare()
    this.#workload = new Workload(this.#context, random(3))
    this.#faults = new Faults(this.#context, random(4))
  }

  /** Connects the parts of the run with each other. */
  #connect(request: RunRequest, random: (stream: number) => Random): RunParts {
    const options = this.#options
    const world = this.#world
    const counts = new Counts()
    for (const name of faultNames) counts.add(`fault.${name}`, 0)
    const checks = new Checks(
      () => world.elapsedMs,
      () => world.stop(),
    )
    const auditor = new Auditor(checks)
    const network = new Network(world, options.network, random(1), counts)
    const processes = new Map<string, Process>()
    const hosts = this.#hosts
    const founderIds = Array.from({ length: options.nodes }, (_, at) => at + 1)
    const operator = new Operator(() => this.#context, founderIds, random(5))
    const nodeOf = (nodeId: number): SimNode => hosts.nodes[nodeId - 1] as SimNode
    return {
      world,
      options,
      plant: request.plant,
      counts,
      checks,
      ledger: new Ledger(checks, auditor),
      snapshots: new SnapshotRule(checks, options),
      trueTime: new TrueTime({
        checks,
        counts,
        nowMs: () => beginningMs + world.elapsedMs,
        errorMs: () => hosts.clockErrorMs(),
        canCompare: () => hosts.canCompareClocks(operator.voters, network),
      }),
      auditor,
      history: new History(request.writeHistory),
      network,
      processes,
      founders: new Map(founderIds.map((id) => [id, { host: `node-${id}`, port: 1 }])),
      nodes: hosts.nodes,
      servers: hosts.servers,
      monitors: hosts.monitors,
      operator,
      newNode: () => hosts.newNode(),
      addresses: () => hosts.addresses(),
      monitorAddresses: () => hosts.monitors.map(({ address }) => address),
      membersChanged: (replica) => operator.sees(replica),
      peers: peersOver(network, processes, options),
      wires: wiresOver(network, processes),
      leads: (nodeId, term) => this.#leads(nodeId, term),
      votes: (nodeId) => this.#faults.votes(nodeOf(nodeId)),
      receivesSnapshot: (nodeId) => this.#faults.receivesSnapshot(nodeOf(nodeId)),
      restartLater: (nodeId) => this.#faults.restartLater(nodeOf(nodeId)),
      fail: (error) =>
        checks.violate(
          'nothing ends without a cause',
          error instanceof Error ? (error.stack ?? error.message) : String(error),
        ),
    }
  }

  async run(): Promise<RunResult> {
    const { nodes, servers, monitors, operator, checks, history } = this.#context
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
      await this.#awaitRest()
    }
    if (checks.violation === undefined) this.#audit()
    return this.#result()
  }

  /** Checks that the commands that wait in a replica stay within its settings. */
  #watchBounds(): void {
    const { nodes, world, checks, options } = this.#context
    const { commandsMax } = options.replica
    world.schedule(100, () => {
      this.#context.trueTime.look()
      for (const { host, replica } of nodes) {
        const { queuedCommands = 0, inFlightCommands = 0 } = replica?.status() ?? {}
        const waiting = queuedCommands + inFlightCommands
        checks.hold(waiting <= commandsMax, 'bounded', () => `${waiting} commands wait in ${host}`)
      }
      this.#watchBounds()
    })
  }

  /** Waits until every request has an answer and all living members are at one index. */
  async #awaitRest(): Promise<void> {
    const { nodes, ledger, operator, checks, counts } = this.#context
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
      // A slow network makes everything slow; what counts is progress.
      const left = isMissing().length + this.#workload.openCount - this.#hosts.published.size
      if (left < leftCount) untilMs = Math.max(untilMs, world.elapsedMs + restMsMax / 2)
      leftCount = Math.min(left, leftCount)
      if (!isProbed || this.#workload.openCount > 0 || isMissing().length > 0 || operator.isBusy) continue
      targetIndex ??= ledger.lastIndex
      const index = targetIndex
      const living = nodes.filter(({ id, isLost }) => !isLost && operator.isMember(id))
      if (living.every((node) => (node.replica?.applied.appliedIndex ?? 0) >= index)) {
        // Feeds come last; they must bring every event up to this point.
        for (const [auctionId, events] of ledger.events) this.#expectedSeqs.set(auctionId, events.length)
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
      `a healed cluster did not come to rest: probe ${isProbed}, ${this.#workload.openCount} requests open, ` +
        `missing ${isMissing().slice(0, 3).join()}, target ${targetIndex}; ${operator}; ${states.join('; ')}`,
    )
  }

  // ── The audit ────────────────────────────────────────────────────────────────────────────────────────

  #audit(): void {
    const { nodes, servers, checks, ledger } = this.#context
    this.#workload.audit()
    for (const { replica, host, disk } of nodes) {
      // A damaged disk may be unreadable; what it could give was checked when it was read.
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
      for (const [auctionId, position] of server.positions) {
        const seq = this.#expectedSeqs.get(auctionId) ?? 0
        checks.hold(
          position.seq >= seq,
          'the feed reports every gap',
          () => `${server.host} received ${position.seq} of ${seq} events of ${auctionId}`,
        )
      }
    }
  }

  #missingOutboxEntries(): string[] {
    return this.#context.auditor.outboxEntries.filter(
      (outboxEntry) => !this.#hosts.published.has(outboxEntry),
    )
  }

  #leads(nodeId: number, term: number): void {
    const known = this.#leaders.get(term)
    if (known === undefined) {
      this.#leaders.set(term, nodeId)
      this.#context.counts.add('terms')
    } else if (known !== nodeId) {
      this.#context.checks.violate('one leader a term', `nodes ${known} and ${nodeId} lead in term ${term}`)
    }
  }

  #result(): RunResult {
    const { counts, checks, ledger, history } = this.#context
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

/** Messages between state nodes: sent over the network, received by the process of the other node. */
function peersOver(
  network: Network,
  processes: ReadonlyMap<string, Process>,
  { snapshotChunkBytes }: SimOptions,
): MemoryNetwork {
  return new MemoryNetwork({
    snapshots: { ...snapshotLimits, chunkBytes: snapshotChunkBytes, stallMs: 3_000 },
    carry: (message, arrive) =>
      network.carryPeerMessage(message, () => processes.get(`node-${message.to}`)?.enter(arrive)),
  })
}

/** Byte streams over the network; what belongs to no process arrives all the same, so that both ends close. */
function wiresOver(network: Network, processes: ReadonlyMap<string, Process>): MemoryWires {
  return new MemoryWires({
    trust: { secrets: parseSecrets('the simulated house keeps its secret') },
    carry: (step, arrive) => {
      const ends = { from: hostOf(step.from), to: hostOf(step.to) }
      network.carryStep(ends, () => {
        const process = processes.get(ends.to)
        if (process === undefined) arrive()
        else process.enter(arrive)
      })
    },
  })
}

/** On the wires a process is named by its host, or by the address where it listens. */
function hostOf(name: string): string {
  return name.endsWith(':1') ? name.slice(0, -2) : name
}
