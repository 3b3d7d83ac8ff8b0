/**
 * A server or a monitor: one process that reaches the state nodes over the link.
 *
 * It is started, loses its power, and is started again under a new name. What it does with the cluster is the
 * subclass's.
 *
 * Invariant: a process that has died begins nothing any more; connecting is repeated while it lives.
 */
import type { Random } from '../runtime/random.ts'
import { ClusterError } from '../state-cluster/cluster.ts'
import { connectCluster, type RemoteCluster } from '../state-cluster/link/client/remote.ts'
import type { HostClock } from './clock.ts'
import { Process } from './process.ts'
import type { RunContext } from './run-context.ts'

const reconnectMs = 200

export abstract class LinkedProcess {
  readonly host: string
  readonly clock: HostClock
  process: Process | undefined
  protected abstract readonly role: 'server' | 'monitor'
  protected readonly context: RunContext
  protected readonly random: Random
  #starts = 0

  constructor(context: RunContext, host: string, clock: HostClock, random: Random) {
    this.context = context
    this.host = host
    this.clock = clock
    this.random = random
  }

  /** The cluster is connected. */
  protected abstract begin(process: Process, cluster: RemoteCluster): void

  start(): void {
    if (this.process !== undefined) return
    this.#starts += 1
    const process = new Process(this.context.world, `${this.host}.${this.#starts}`, this.clock, this.random)
    this.process = process
    this.context.processes.set(this.host, process)
    this.#connect(process)
  }

  crash(): void {
    this.process?.kill()
    this.process = undefined
    this.context.processes.delete(this.host)
    this.context.wires.kill(this.host)
  }

  #connect(process: Process): void {
    const { context } = this
    connectCluster({
      nodes: [...context.addresses().values()],
      dial: context.wires.dial(this.host),
      timing: process.timing,
      instance: process.name,
      principal: `${this.role}:${this.host}`,
    }).then(
      (cluster) => {
        if (process.isAlive) this.begin(process, cluster)
      },
      (error) => {
        if (!(error instanceof ClusterError)) context.fail(error)
        else if (process.isAlive) process.after(reconnectMs, () => this.#connect(process))
      },
    )
  }
}
