/**
 * The hosts of a run: state nodes, servers and monitors, each with its clock.
 *
 * Invariant: the order in which hosts are made is fixed, because their clocks draw from one stream; a node's number
 * is never used again. Every server has a second host of the same name, for the fault `doppelganger`.
 */
import type { Random } from '../runtime/random.ts'
import type { Members } from '../state-cluster/storage/member-record.ts'
import { HostClock } from './clock.ts'
import { SimDisk } from './disk.ts'
import { SimMonitor } from './monitor.ts'
import type { Network } from './network.ts'
import { SimNode } from './node.ts'
import type { RunContext } from './run-context.ts'
import { SimServer } from './server.ts'

export class Hosts {
  readonly nodes: SimNode[] = []
  readonly servers: SimServer[] = []
  readonly monitors: SimMonitor[] = []
  /** Messages that the queue has taken, from all servers. */
  readonly published = new Set<string>()
  readonly #context: () => RunContext
  readonly #random: (stream: number) => Random
  readonly #clocks: Random
  #clockErrorMs = 0

  constructor(context: () => RunContext, random: (stream: number) => Random) {
    this.#context = context
    this.#random = random
    this.#clocks = random(2)
  }

  /** Makes the hosts of the beginning; nothing runs on them yet. */
  prepare(): void {
    const context = this.#context()
    const { options } = context
    for (let at = 0; at < options.nodes; at++) this.newNode()
    for (let number = 1; number <= options.servers; number++) {
      for (const double of ['', '-double']) {
        const host = `server-${number}${double}`
        const own = this.#random(300 + 2 * number + double.length)
        this.servers.push(
          new SimServer(context, {
            id: `server-${number}`,
            host,
            clock: this.#newClock(),
            random: own,
            published: this.published,
          }),
        )
      }
    }
    for (let number = 1; number <= options.monitors; number++)
      this.monitors.push(new SimMonitor(context, number, this.#newClock(), this.#random(400 + number)))
  }

  /** A node with an empty disk, under the next number. */
  newNode(): SimNode {
    const context = this.#context()
    const id = this.nodes.length + 1
    const disk = new SimDisk(context.options.disk, this.#random(100 + id), context.counts)
    const node = new SimNode(context, { id, clock: this.#newClock(), disk, random: this.#random(200 + id) })
    this.nodes.push(node)
    return node
  }

  /** The addresses of all nodes that were not retired. */
  addresses(): Members {
    const present = this.nodes.filter(({ isRetired }) => !isRetired)
    return new Map(present.map(({ id, address }) => [id, address]))
  }

  /** The largest error, up to now, of the clocks of nodes that were not set wrong. */
  clockErrorMs(): number {
    for (const { clock, isRetired } of this.nodes) {
      if (!isRetired && !clock.hasJumped) this.#clockErrorMs = Math.max(this.#clockErrorMs, clock.errorMs)
    }
    return this.#clockErrorMs
  }

  /** Whether a majority of the voters is up, with clocks that are right, and not cut off from each other. */
  canCompareClocks(voters: readonly number[], network: Network): boolean {
    const right = this.nodes.filter(
      ({ id, process, clock }) => voters.includes(id) && process?.isPaused === false && !clock.hasJumped,
    )
    const isWhole = right.every((one) => right.every((other) => !network.isCut(one.host, other.host)))
    return isWhole && right.length > voters.length / 2
  }

  #newClock(): HostClock {
    const { world, options } = this.#context()
    const { skewMsMax, driftPpmMax } = options.clocks
    const skewMs = Math.round((this.#clocks.unit() * 2 - 1) * skewMsMax)
    return new HostClock(world, skewMs, 1 + ((this.#clocks.unit() * 2 - 1) * driftPpmMax) / 1e6)
  }
}
