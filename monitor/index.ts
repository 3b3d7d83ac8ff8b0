/**
 * The monitor's door: the monitor of one process put together and started, and the heart by which servers are
 * watched. Invariant: once `startMonitor` resolves, servers can connect; once `stop` resolves, nothing runs.
 * Environment, signals and exits are main.ts's. Source: docs/design.md, "Owners, the monitor, and fencing".
 */
import type { Clock } from '../runtime/clock.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Address, Cluster, Listen } from '../state-cluster/index.ts'
import { Detector, detectorLimits, tickMs } from './detector.ts'
import { openListener } from './listener.ts'
import { Monitor, type MonitorContext, type MonitorStatus } from './monitor.ts'

export { type Heart, type HeartOptions, startHeart } from './heart.ts'
export type { MonitorStatus, Reassignment } from './monitor.ts'
export { monitorLines, monitorPage } from './page.ts'

export interface MonitorOptions {
  readonly cluster: Pick<Cluster, 'groups' | 'propose' | 'owners' | 'status'>
  readonly clock: Clock
  readonly logger: Logger
  readonly listen: Listen
  /** Where servers connect. */
  readonly address: Address
  /** Names this start of this process. */
  readonly monitorId: string
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
  const { cluster, clock, logger, listen, monitorId, leaseMs, reassigned, fault } = options
  const { silenceMs = detectorLimits.silentTicksMax * tickMs } = options
  const detector = new Detector({ ...detectorLimits, silentTicksMax: Math.ceil(silenceMs / tickMs) })
  const monitor = new Monitor({ cluster, clock, logger, detector, monitorId, leaseMs, fault, reassigned })
  const listener = await openListener(
    { detector, clock, logger, listen, changed: () => monitor.look() },
    options.address,
  )
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
