/**
 * The door of the monitor: starts one, and starts the heartbeats of a server.
 *
 * Invariant: once `startMonitor` resolves, servers can connect; once `stop` resolves, nothing runs. Environment,
 * signals and exits belong to main.ts. Source: docs/design.md, "Owners, the monitor, and fencing".
 */
import type { Logger } from '../runtime/logger.ts'
import type { Cluster } from '../state-cluster/index.ts'
import type { Address, Listen } from '../wire/stream.ts'
import type { Timing } from '../wire/timing.ts'
import { Detector, detectorLimits, tickMs } from './detector.ts'
import { openListener } from './listener.ts'
import { Monitor, type MonitorContext, type MonitorStatus } from './monitor.ts'

export { type Heartbeats, type HeartbeatsOptions, startHeartbeats } from './heartbeats.ts'
export type { MonitorStatus, Reassignment } from './monitor.ts'
export { monitorLines, monitorPage } from './page.ts'

export interface MonitorOptions {
  readonly cluster: Pick<Cluster, 'groups' | 'propose' | 'owners' | 'status'>
  readonly timing: Timing
  readonly logger: Logger
  readonly listen: Listen
  /** Where servers connect. */
  readonly address: Address
  /** Names this start of this process. */
  readonly monitorId: string
  /** The monitor's name, whatever its start; servers hold its certificate to it. */
  readonly name: string
  /** A standby takes over once the acting monitor was silent for so long. */
  readonly leaseMs: number
  /** A server that is connected and silent for so long is taken for dead; in steps of a tick. Default 350. */
  readonly silenceMs?: number
  readonly reassigned?: MonitorContext['reassigned']
  readonly fault: (error: unknown, where: string) => void
}

export interface RunningMonitor {
  /** Where servers connect, the port as it was picked. */
  readonly address: Address
  status(): MonitorStatus
  stop(): Promise<void>
}

/** Rejects with `TransportError` when the address cannot be listened on. */
export async function startMonitor(options: MonitorOptions): Promise<RunningMonitor> {
  const { cluster, timing, logger, listen, monitorId, leaseMs, reassigned, fault } = options
  const { silenceMs = detectorLimits.silentTicksMax * tickMs } = options
  const { clock } = timing
  const detector = new Detector({ ...detectorLimits, silentTicksMax: Math.ceil(silenceMs / tickMs) })
  const monitor = new Monitor({ cluster, clock, logger, detector, monitorId, leaseMs, fault, reassigned })
  const listener = await openListener({
    detector,
    timing,
    logger,
    listen,
    address: options.address,
    instance: monitorId,
    name: options.name,
    changed: () => monitor.look(),
  })
  monitor.start()
  return {
    address: listener.address,
    status: () => monitor.status(),
    async stop() {
      await monitor.stop()
      await listener.close()
    },
  }
}
