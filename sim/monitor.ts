/**
 * One monitor process: the production monitor, its heartbeat listener and its cluster link.
 *
 * Invariant: it knows of servers only their heartbeats and the replicated state, as in production.
 */
import { startMonitor } from '../monitor/index.ts'
import type { Random } from '../runtime/random.ts'
import type { RemoteCluster } from '../state-cluster/link/client/remote.ts'
import type { Address } from '../wire/stream.ts'
import type { HostClock } from './clock.ts'
import { LinkedProcess } from './linked-process.ts'
import type { Process } from './process.ts'
import type { RunContext } from './run-context.ts'
import { silent } from './silent.ts'

const leaseMs = 1_500

export class SimMonitor extends LinkedProcess {
  protected readonly role = 'monitor'
  readonly address: Address

  constructor(context: RunContext, number: number, clock: HostClock, random: Random) {
    super(context, `monitor-${number}`, clock, random)
    this.address = { host: this.host, port: 1 }
  }

  override crash(): void {
    super.crash()
    this.context.wires.kill(`${this.host}:1`)
  }

  protected begin(process: Process, cluster: RemoteCluster): void {
    const { context } = this
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
