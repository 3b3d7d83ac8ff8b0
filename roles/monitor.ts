/**
 * `martillo monitor`: one of two or more monitors, of which one acts.
 * Its page for operators, with `/status` as JSON, is on the health port.
 * Invariant: it keeps nothing on a disk and serves no client. Without any monitor, auctions that run keep running.
 * Source: docs/design.md, "Owners, the monitor, and fencing".
 */
import { randomBytes } from 'node:crypto'
import { type MonitorStatus, monitorPage, type RunningMonitor, startMonitor } from '../monitor/index.ts'
import { configSection, integer, type LoadedConfig, text } from '../runtime/config.ts'
import type { Metrics } from '../runtime/metrics.ts'
import { type StartService, startServices } from '../runtime/services.ts'
import { connectCluster } from '../state-cluster/index.ts'
import type { Address } from '../wire/stream.ts'
import { refuseUnprotected, type TcpOptions, tcpDial, tcpListen } from '../wire/tcp.ts'
import { systemTiming } from '../wire/timing.ts'
import { type Health, openHealth } from './health.ts'
import { defineRole, type RoleOptions } from './role.ts'
import {
  deadlines,
  healthTokensOf,
  linkFault,
  roleSection,
  secretSection,
  stateNodesOf,
  stateNodesSection,
  tcpOptionsOf,
  tlsSection,
  warnIfOpen,
} from './settings.ts'

const monitorSection = configSection('monitor', {
  host: { is: text().default('127.0.0.1'), doc: 'Address to listen on for servers' },
  port: { is: integer(0, 65_535).default(8080), doc: 'Port to listen on for servers; 0 picks a free one' },
  monitorId: { is: text().default('monitor'), doc: 'Name of this monitor in logs and pages' },
  monitorSilenceMs: {
    is: integer(150, 60_000).default(350),
    doc: 'A server that is connected and sends nothing for so long counts as dead',
  },
  monitorLeaseMs: {
    is: integer(300, 60_000).default(1_200),
    doc: 'A standby takes over once the acting monitor was silent for so long',
  },
})

const sections = {
  process: roleSection,
  monitor: monitorSection,
  link: stateNodesSection,
  secret: secretSection,
  tls: tlsSection,
}

/** A monitor that stops has only connections to close. */
const stopDeadlineMs = 10_000

export const monitorRole = defineRole({
  name: 'monitor',
  sections,
  logLevel: 'info',
  async start(options) {
    const { config, clock, logger } = options
    const network = { nodes: stateNodesOf(config.link), tcp: await tcpOptionsOf(config) }
    refuseUnprotected(config.monitor, network.tcp)
    warnIfOpen(logger, network.tcp)
    const monitorId = `${config.monitor.monitorId}.${randomBytes(4).toString('hex')}`
    const { started, stop } = await startServices({ clock, logger }, (start) =>
      startParts(start, options, { ...network, monitorId }),
    )
    const { host, port } = started.monitor.address
    const url = `tcp://${host}:${port}`
    const health = started.health && { healthUrl: started.health.url }
    return { facts: { url, monitorId, host, port, ...health }, stop }
  },
})

async function startParts(
  start: StartService,
  { config, clock, logger, metrics }: RoleOptions<LoadedConfig<typeof sections>>,
  self: { readonly nodes: readonly Address[]; readonly tcp: TcpOptions; readonly monitorId: string },
): Promise<{ readonly monitor: RunningMonitor; readonly health: Health | undefined }> {
  const { host, port, monitorLeaseMs, monitorSilenceMs } = config.monitor
  const { nodes, tcp, monitorId } = self
  const limits = { startTimeoutMs: deadlines.startDeadlineMs / 2, proposalTimeoutMs: monitorLeaseMs }
  const cluster = await start({
    ...deadlines,
    stopDeadlineMs,
    name: 'link',
    start: () =>
      connectCluster({
        nodes,
        dial: tcpDial(tcp),
        timing: { ...systemTiming, clock },
        instance: monitorId,
        principal: `monitor:${config.monitor.monitorId}`,
        limits,
        fault: linkFault(logger, clock),
      }),
    stop: (cluster) => cluster.close(),
  })
  const monitor = await start({
    ...deadlines,
    stopDeadlineMs,
    name: 'monitor',
    start: () =>
      startMonitor({
        cluster,
        timing: { ...systemTiming, clock },
        logger,
        listen: tcpListen(tcp),
        address: { host, port },
        monitorId,
        name: config.monitor.monitorId,
        leaseMs: monitorLeaseMs,
        silenceMs: monitorSilenceMs,
        reassigned: countReassignments(metrics),
        fault: (error, where) => logger.error('monitor_failed', { where, error }),
      }),
    stop: (monitor) => monitor.stop(),
  })
  measureMonitor(metrics, () => monitor.status())
  const health = await start({
    ...deadlines,
    stopDeadlineMs,
    name: 'page',
    start: () =>
      openHealth(config.process, {
        metrics,
        tokens: healthTokensOf(config.process, tcp.secrets ?? []),
        isReady: () => cluster.status().ready,
        status: () => monitor.status(),
        page: () => monitorPage(monitor.status(), clock.nowMs()),
      }),
    stop: async (health) => health?.close(),
  })
  return { monitor, health }
}

function countReassignments(metrics: Metrics): Parameters<typeof startMonitor>[0]['reassigned'] {
  const reassignments = metrics.counter({
    name: 'martillo_monitor_reassignments_total',
    help: 'Servers whose auctions were handed over.',
    labels: { reason: ['closed', 'silent', 'no_pulse', 'left_behind'] },
  })
  const moved = metrics.counter({
    name: 'martillo_monitor_moved_auctions_total',
    help: 'Auctions that were handed over.',
  })
  const seconds = metrics.histogram({
    name: 'martillo_monitor_hand_over_seconds',
    help: 'From the decision until everything of a server was handed over.',
  })
  return ({ reason, auctions, tookMs }) => {
    reassignments.add(1, { reason })
    moved.add(auctions)
    seconds.observe(tookMs / 1000)
  }
}

function measureMonitor(metrics: Metrics, status: () => MonitorStatus): void {
  metrics.gauge({
    name: 'martillo_monitor_acting_ratio',
    help: '1 while this monitor holds the lease of every group.',
    read: () => +status().isActing,
  })
  metrics.gauge({
    name: 'martillo_monitor_up_items',
    help: 'Servers whose heartbeats arrive here.',
    read: () => status().watched.filter(({ state }) => state === 'up').length,
  })
}
