/**
 * `martillo monitor`: one of two or more monitors, of which one acts. Invariant: it keeps nothing on a disk and
 * serves no client; with all of them gone, auctions that run keep running. Its page for operators, with `/status`
 * as JSON, is on the health port. Environment, signals and exits are main.ts's.
 * Source: docs/design.md, "Owners, the monitor, and fencing".
 */
import { randomBytes } from 'node:crypto'
import { type MonitorStatus, monitorPage, type RunningMonitor, startMonitor } from '../monitor/index.ts'
import type { Clock } from '../runtime/clock.ts'
import { ConfigError, configSection, type LoadedConfig } from '../runtime/config.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Metrics } from '../runtime/metrics.ts'
import { startServices } from '../runtime/services.ts'
import {
  type Address,
  connectCluster,
  type RemoteCluster,
  systemTiming,
  tcpDial,
  tcpListen,
} from '../state-cluster/index.ts'
import { type Health, openHealth } from './health.ts'
import { addressOf, roleSection, stateNodesSection, tcpOptionsOf, tlsSection } from './settings.ts'
import type { RunningRole } from './state.ts'

const monitorSection = configSection('monitor', {
  host: { kind: 'text', default: '127.0.0.1', doc: 'Address to listen on for servers' },
  port: {
    kind: 'integer',
    min: 0,
    max: 65_535,
    default: 8080,
    doc: 'Port to listen on for servers; 0 picks a free one',
  },
  monitorId: { kind: 'text', default: 'monitor', doc: 'Name of this monitor in logs and pages' },
  monitorSilenceMs: {
    kind: 'integer',
    min: 150,
    max: 60_000,
    default: 350,
    doc: 'A server that is connected and says nothing for so long is taken for dead',
  },
  monitorLeaseMs: {
    kind: 'integer',
    min: 300,
    max: 60_000,
    default: 1_200,
    doc: 'A standby takes over once the acting monitor was silent for so long',
  },
})

export const monitorSections = {
  process: roleSection,
  monitor: monitorSection,
  link: stateNodesSection,
  tls: tlsSection,
}

export interface MonitorRoleOptions {
  readonly config: LoadedConfig<typeof monitorSections>
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

const startDeadlineMs = 60_000
const stopDeadlineMs = 10_000

export async function startMonitorRole(options: MonitorRoleOptions): Promise<RunningRole> {
  const { config, clock, logger, metrics } = options
  const { host, port, monitorId: name, monitorLeaseMs, monitorSilenceMs } = config.monitor
  const { healthHost, healthPort } = config.process
  const nodes = config.link.stateNodes.map((entry) => addressOf(entry) as Address)
  if (nodes.length === 0) throw new ConfigError(['state nodes are missing: give --state host:port,host:port'])
  const tcp = await tcpOptionsOf(config.tls)
  const counts = {
    reassignments: metrics.counter({
      name: 'martillo_monitor_reassignments_total',
      help: 'Servers whose auctions were handed over.',
      labels: { reason: ['closed', 'silent', 'no_pulse', 'left_behind'] },
    }),
    auctions: metrics.counter({
      name: 'martillo_monitor_moved_auctions_total',
      help: 'Auctions that were handed over.',
    }),
    seconds: metrics.histogram({
      name: 'martillo_monitor_hand_over_seconds',
      help: 'From the decision until everything of a server was handed over.',
    }),
  }
  const monitorId = `${name}.${randomBytes(4).toString('hex')}`
  let cluster: RemoteCluster
  let monitor: RunningMonitor
  let health: Health | undefined
  const services = await startServices(
    [
      {
        name: 'link',
        startDeadlineMs,
        stopDeadlineMs,
        async start() {
          cluster = await connectCluster({
            nodes,
            dial: tcpDial(tcp),
            timing: { ...systemTiming, clock },
            instance: monitorId,
            limits: { startTimeoutMs: startDeadlineMs / 2, proposalTimeoutMs: monitorLeaseMs },
            fault: (node, cause) =>
              logger.warn('state_node_fault', {
                node: `${node.host}:${node.port}`,
                code: cause.code,
                reason: cause.message,
              }),
          })
        },
        stop: async () => await cluster?.close(),
      },
      {
        name: 'monitor',
        startDeadlineMs,
        stopDeadlineMs,
        async start() {
          monitor = await startMonitor({
            cluster,
            clock,
            logger,
            listen: tcpListen(tcp),
            address: { host, port },
            monitorId,
            leaseMs: monitorLeaseMs,
            silenceMs: monitorSilenceMs,
            reassigned: ({ reason, auctions, tookMs }) => {
              counts.reassignments.add(1, { reason })
              counts.auctions.add(auctions)
              counts.seconds.observe(tookMs / 1000)
            },
            fault: (error, where) => logger.error('monitor_failed', { where, error }),
          })
        },
        stop: async () => await monitor?.stop(),
      },
      {
        name: 'page',
        startDeadlineMs,
        stopDeadlineMs,
        async start() {
          monitorMetrics(metrics, () => monitor.status())
          if (healthPort === undefined) return
          health = await openHealth({
            host: healthHost,
            port: healthPort,
            metrics,
            isReady: () => cluster.status().ready,
            status: () => monitor.status(),
            page: () => monitorPage(monitor.status(), clock.nowMs()),
          })
        },
        stop: async () => health?.close(),
      },
    ],
    { clock, logger },
  )
  // biome-ignore lint/style/noNonNullAssertion: every service has started
  const { address } = monitor!
  return {
    facts: {
      url: `tcp://${address.host}:${address.port}`,
      monitorId,
      host: address.host,
      port: address.port,
      ...(health === undefined ? {} : { healthUrl: (health as Health).url }),
    },
    stop: () => services.stop(),
  }
}

function monitorMetrics(metrics: Metrics, status: () => MonitorStatus): void {
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
