/**
 * State nodes and link clients in one thread and virtual time.
 *
 * It is a small simulator for the link alone. Frames take delays that the seed determines, and nothing happens unless
 * the test runs the world. Invariant: the same seed and the same calls give the same history. Source: docs/design.md,
 * "The simulator".
 */
import { ManualClock } from '../../../runtime/clock.ts'
import { Random } from '../../../runtime/random.ts'
import { Acceptor } from '../../../wire/acceptor.ts'
import type { ConnectionLimits } from '../../../wire/connection.ts'
import { MemoryWires } from '../../../wire/memory-stream.ts'
import type { Address } from '../../../wire/stream.ts'
import { helloOf } from '../../../wire/testing/fixtures.ts'
import { systemTiming, type Timing } from '../../../wire/timing.ts'
import { connectCluster, type RemoteCluster, type RemoteLimits } from '../client/remote.ts'
import { LinkService, type LinkServiceOptions } from '../service/service.ts'
import type { FakeNode } from './fake-cluster.ts'

export const virtualLimits: ConnectionLimits = {
  heartbeatMs: 100,
  silentHeartbeatsMax: 4,
  outBytesMax: 64 * 1024,
  greetingMs: 2_000,
}

export class VirtualWorld {
  readonly clock = new ManualClock()
  readonly random: () => number
  readonly timing: Timing
  readonly wires: MemoryWires
  readonly faults: string[] = []
  /** Processes whose traffic is dropped in both directions, without an error. */
  readonly silenced = new Set<string>()
  readonly #turns: (() => void)[] = []
  readonly #clients: RemoteCluster[] = []

  constructor(seed: number, delayMsMax = 3) {
    const random = new Random(seed)
    this.random = () => random.unit()
    this.timing = {
      ...systemTiming,
      clock: this.clock,
      afterTurn: (run) => this.#turns.push(run),
      random: this.random,
    }
    this.wires = new MemoryWires({
      carry: ({ from, to }, arrive) => {
        if (this.silenced.has(from) || this.silenced.has(to)) return
        this.clock.setTimer(this.random() * delayMsMax, () => {
          if (!this.silenced.has(from) && !this.silenced.has(to)) arrive()
        })
      },
    })
  }

  addressOf(node: FakeNode): Address {
    return { host: `node-${node.nodeId}`, port: 1 }
  }

  async serve(node: FakeNode, options: Partial<LinkServiceOptions> = {}): Promise<LinkService> {
    const fault = (_remote: string, cause: { code: string }) => this.faults.push(cause.code)
    const service = new LinkService({ backend: node, timing: this.timing, fault, ...options })
    await Acceptor.open({
      listen: this.wires.listen,
      address: this.addressOf(node),
      timing: this.timing,
      limits: virtualLimits,
      hello: helloOf('node', node.nodeId),
      owners: { link: service },
      connectionsMax: 20,
      failed: () => undefined,
    })
    return service
  }

  async link(
    name: string,
    nodes: readonly FakeNode[],
    limits: Partial<RemoteLimits> = {},
  ): Promise<RemoteCluster> {
    const connecting = connectCluster({
      nodes: nodes.map((node) => this.addressOf(node)),
      dial: this.wires.dial(name),
      timing: this.timing,
      instance: name,
      principal: 'server:test',
      limits: { connection: virtualLimits, ...limits },
    })
    const cluster = await this.settled(connecting)
    this.#clients.push(cluster)
    return cluster
  }

  /** Advances `ms` milliseconds, one at a time, with the turns and promises of each. */
  async run(ms: number): Promise<void> {
    for (let at = 0; at < ms; at++) {
      this.clock.advance(1)
      await this.turns()
    }
  }

  /** Runs everything that needs no time. */
  async turns(): Promise<void> {
    for (let idle = 0; idle < 12; idle++) {
      for (let run = this.#turns.shift(); run !== undefined; run = this.#turns.shift()) {
        run()
        idle = 0
      }
      await Promise.resolve()
    }
  }

  /** Runs until the promise settles. */
  async settled<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false
    const settle = () => {
      isSettled = true
    }
    promise.then(settle, settle)
    while (!isSettled) await this.run(1)
    return await promise
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await client.close()
  }
}
