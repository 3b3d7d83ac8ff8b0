/**
 * What all drills share: a deployment, bidders, a fault, and the audit.
 *
 * Bidders bid on auctions that close while the fault happens.
 *
 * Invariant: a drill passes only with a clean audit, equal nodes and within its own bounds; what it could not do on this
 * machine is reported, never left out in silence.
 */

import { cpus, loadavg } from 'node:os'
import type { Random } from '../../runtime/random.ts'
import { type ClusterOptions, TestCluster } from '../cluster.ts'
import { audit } from './audit.ts'
import { Load, pause } from './load.ts'
import type { Finding, Outage } from './record.ts'

export interface DrillOptions {
  readonly runs: number | undefined
  readonly minutes: number | undefined
  /** The size of the past, where a drill has one. */
  readonly auctions?: number | undefined
  readonly events?: number | undefined
  readonly seed: number
  /** Progress, for people. */
  readonly note: (text: string) => void
  /** Ends the drill early, with its processes stopped. */
  readonly signal: AbortSignal
}

/** A distribution in ms. */
export interface Spread {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export interface DrillReport {
  readonly drill: string
  readonly passed: boolean
  readonly seed: number
  readonly counts: Readonly<Record<string, number>>
  /** Rare events of the state nodes, as their metrics counted them since each was last started. */
  readonly rare?: Readonly<Record<string, number>>
  /** Distributions in ms, by name. */
  readonly gapsMs?: Readonly<Record<string, Spread>>
  /** Bounds that were missed, each with what was measured. */
  readonly missed: readonly string[]
  /** What the figures were measured on: times of a machine that is busy with other things prove nothing. */
  readonly machine?: { readonly cpus: number; readonly loadAverage: number }
  /** What this machine did not allow. */
  readonly leftOut?: readonly string[]
  readonly findings: readonly Finding[]
  /** Where logs and data are, after a failure. */
  readonly folder?: string
}

export interface Drill {
  readonly name: string
  /** One line. */
  readonly description: string
  run(options: DrillOptions): Promise<DrillReport>
}

/** What the fault of a drill works with. */
export interface Scene {
  readonly cluster: TestCluster
  readonly load: Load
  readonly random: Random
  readonly note: (text: string) => void
  readonly signal: AbortSignal
  /** Outages for the audit; a drill adds those that must have been made good. */
  readonly outages: Outage[]
  readonly gaps: Map<string, number[]>
  readonly counts: Record<string, number>
  readonly missed: string[]
  readonly leftOut: string[]
  /** Adds to a distribution. */
  gap(name: string, ms: number): void
  count(name: string, by?: number): void
  /** A distribution so far; `undefined`: nothing in it. */
  spread(name: string): Spread | undefined
  /** Holds a measure to its bound. */
  atMost(what: string, value: number | undefined, bound: number): void
}

export interface Stage extends ClusterOptions {
  readonly name: string
  readonly bidders?: number
  readonly pauseMs?: readonly [least: number, most: number]
  /** Auctions at the start, closing between these moments from then on (ms). */
  /** Rare events (RARE1) that make the drill fail. */
  readonly mustBeZero?: readonly string[]
  readonly auctions: { readonly count: number; readonly fromMs: number; readonly toMs: number }
}

/** High limits, so that load is not refused; the limits have tests of their own. Short graces, so that drills are. */
const drillEnv: NodeJS.ProcessEnv = {
  MARTILLO_BIDS_PER_SECOND: '100000',
  MARTILLO_BIDS_BURST: '100000',
  MARTILLO_FRAMES_PER_SECOND: '100000',
  MARTILLO_FRAMES_BURST: '100000',
  MARTILLO_REQUESTS_PER_SECOND: '100000',
  MARTILLO_REQUESTS_BURST: '100000',
  MARTILLO_SUBSCRIPTIONS_PER_SOCKET_MAX: '20000',
  MARTILLO_LOG_LEVEL: 'info',
  MARTILLO_DRAIN_GRACE_MS: '1000',
  MARTILLO_HEARTBEAT_MS: '2000',
}

/** At most so many findings are printed; all are counted. */
const findingsShownMax = 20
/** Bids before anything breaks. */
const warmUpBids = 50

/** Starts the deployment, makes the fault under load, settles, audits. */
export async function play(
  stage: Stage,
  options: DrillOptions,
  fault: (scene: Scene) => Promise<void>,
): Promise<DrillReport> {
  const { seed, note, signal } = options
  const cluster = await TestCluster.open({
    ...stage,
    hasWebhookKeyFile: true,
    env: { ...drillEnv, ...stage.env },
  })
  let load: Load | undefined
  let isGood = false
  let onAbort = (): void => undefined
  // A drill that is aborted does not wait: everything ends after this.
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(new Error('stopped'))
    signal.addEventListener('abort', onAbort)
  })
  aborted.catch(() => undefined)
  try {
    load = await Load.open({
      urls: cluster.serverUrls,
      operatorToken: cluster.operatorToken(),
      seed,
      ...(stage.bidders === undefined ? {} : { bidders: stage.bidders }),
      ...(stage.pauseMs === undefined ? {} : { pauseMs: stage.pauseMs }),
      ...(stage.hasNotifier === true ? { webhookKeyFile: cluster.webhookKeyFile } : {}),
    })
    const scene = sceneOf(cluster, load, options)
    const { count, fromMs, toMs } = stage.auctions
    await load.createAuctions(count, fromMs, toMs)
    load.start()
    while (load.acknowledged < warmUpBids && !signal.aborted) await pause(20)
    const made = fault(scene).catch((error: Error) => {
      scene.missed.push(`stopped: ${error.message}`)
    })
    await Promise.race([made, aborted])
    await cluster.heal()
    const rare = await rareCounts(cluster)
    for (const name of stage.mustBeZero ?? []) {
      const count = rare[name] ?? 0
      if (count > 0) scene.missed.push(`${name}: ${count}, and must be 0`)
    }
    note('settling')
    await Promise.race([load.settle(), aborted])
    note('auditing')
    const { findings, counts } = audit(await load.record(scene.outages))
    if (load.webhooks !== undefined) scene.count('webhookRepeats', load.webhooks.repeats)
    const { missed, leftOut, gaps } = scene
    if (load.unexpected.length > 0)
      missed.push(
        `${load.unexpected.length} bids refused because of the fault: ${load.unexpected.slice(0, 5)}`,
      )
    if (counts['bidsUnknown'] !== 0) missed.push(`${counts['bidsUnknown']} bids without an answer`)
    await cluster.untilEqual().catch((error: Error) => missed.push(error.message))
    isGood = missed.length === 0 && findings.length === 0
    return {
      drill: stage.name,
      passed: isGood,
      seed,
      counts: { ...scene.counts, ...counts },
      rare,
      gapsMs: Object.fromEntries([...gaps].map(([name, values]) => [name, spreadOf(values)])),
      missed,
      machine: { cpus: cpus().length, loadAverage: Math.round(10 * (loadavg()[0] ?? 0)) / 10 },
      ...(leftOut.length === 0 ? {} : { leftOut }),
      findings: findings.slice(0, findingsShownMax),
      ...(isGood ? {} : { folder: cluster.folder }),
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    await load?.close()
    await cluster.close({ keep: !isGood && !signal.aborted })
  }
}

/** Sums over the nodes that run, by name. */
export async function rareCounts(cluster: TestCluster): Promise<Readonly<Record<string, number>>> {
  const sums: Record<string, number> = {}
  for (const node of cluster.nodes.filter(({ isRunning }) => isRunning)) {
    const counters = await cluster.countersOf(node).catch(() => ({}))
    for (const [name, count] of Object.entries(counters)) sums[name] = (sums[name] ?? 0) + count
  }
  return sums
}

function sceneOf(cluster: TestCluster, load: Load, { note, signal }: DrillOptions): Scene {
  const gaps = new Map<string, number[]>()
  const counts: Record<string, number> = {}
  const missed: string[] = []
  return {
    cluster,
    load,
    random: load.random,
    note,
    signal,
    outages: [],
    gaps,
    counts,
    missed,
    leftOut: [],
    gap(name, ms) {
      gaps.set(name, [...(gaps.get(name) ?? []), Math.round(ms)])
    },
    count(name, by = 1) {
      counts[name] = (counts[name] ?? 0) + by
    },
    spread(name) {
      const values = gaps.get(name)
      return values === undefined ? undefined : spreadOf(values)
    },
    atMost(what, value, bound) {
      if (value === undefined || value > bound) missed.push(`${what}: ${value} ms, at most ${bound} ms`)
    },
  }
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 }
}
