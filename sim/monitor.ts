/**
 * One monitor process: the production monitor, its heartbeat listener and its cluster link.
 *
 * Invariant: it knows of servers only their heartbeats and the replicated state, as in production.
 */
import { startMonitor } from '../monitor/index.ts'
import type { Random } from '../runtime/random.ts'
import { ClusterError } from '../state-cluster/cluster.ts'
import { connectCluster, type RemoteCluster } from '../state-cluster/link/client/remote.ts'
import type { Address } from '../wire/stream.ts'
import type { HostClock } from './clock.ts'
import { Process } from './process.ts'
import type { RunContext } from './run-context.ts'
import { silent } from './silent.ts'

const leaseMs = 1_500

export class SimMonitor {
  readonly host: string
  readonly clock: HostClock
  readonly address: Address
  process: Process | undefined
  readonly #context: RunContext
  readonly #random: Random
  #starts = 0

  constructor(context: RunContext, number: number, clock: HostClock, random: Random) {
    this.#context = context
    this.host = `monitor-${number}`
    this.address = { host: this.host, port: 1 }
    this.clock = clock
    this.#random = random
  }

  start(): void {
    if (this.process !== undefined) return
    const context = this.#context
    this.#starts += 1
    const process = new Process(context.world, `${this.host}.${this.#starts}`, this.clock, this.#random)
    this.process = process
    context.processes.set(this.host, process)
    this.#connect(process)
  }

  crash(): void {
    this.process?.kill()
    this.process = undefined
    this.#context.processes.delete(this.host)
    this.#context.wires.kill(this.host)
    this.#context.wires.kill(`${this.host}:1`)
  }

  #connect(process: Process): void {
    const context = this.#context
    connectCluster({
      nodes: [...context.addresses().values()],
      dial: context.wires.dial(this.host),
      timing: process.timing,
      instance: process.name,
      principal: `monitor:${this.host}`,
    }).then(
      (cluster) => {
        if (process.isAlive) this.#begin(process, cluster)
      },
      (error) => {
        if (!(error instanceof ClusterError)) context.fail(error)
        else if (process.isAlive) process.after(200, () => this.#connect(process))
      },
    )
  }

  #begin(process: Process, cluster: RemoteCluster): void {
    const context = this.#context
    startMonitor({
      cluster,
      timing: process.timing,
      logger: {
        ...silent,
        warn: (event) => {
          if (event === 'server_reassigned') context.counts.add('reassignments')
        },
      },
      listen: context.wires.listen,
      address: this.address,
      name: this.host,
      monitorId: process.name,
      leaseMs,
      fault: (error) => context.fail(error),
    }).catch((error) => context.fail(error))
  }
}
