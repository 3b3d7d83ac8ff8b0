/**
 * Bench: the throughput and latency of three state nodes on real disks.
 *
 * Three processes of `martillo state` on one machine, on LMDB, and bids through the cluster link, as a server places
 * them, with 64 and 256 of them in flight. Beside the figures it prints what is rare and must not happen to healthy
 * nodes. dist/ must be built.
 *
 * Invariant: it passes only when there were no snapshots, elections or unknown outcomes while it measured; only
 * answered bids count. Source: docs/spec.md RARE1.
 */
import { connectCluster, type RemoteCluster } from '../state-cluster/index.ts'
import { TestCluster } from '../tests/cluster.ts'
import { clusterEnv } from '../tests/processes.ts'
import { parseSecrets } from '../wire/proof.ts'
import { tcpDial } from '../wire/tcp.ts'
import { systemTiming } from '../wire/timing.ts'
import { auctionCount, createAuction, groupId, placeBid, serverId } from './bids.ts'
import type { BenchOptions } from './report.ts'

const inFlightCounts = [64, 256]
const warmUpMs = 2_000

type Counts = Record<string, number>

interface SetRun {
  readonly inFlight: number
  readonly committedPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly snapshots: number
  readonly elections: number
  readonly unknown: number
  readonly handovers: number
  readonly stalls: number
  readonly repeats: number
  readonly refused: number
}

/** The nodes, the link to them, and what it counted. */
interface World {
  readonly cluster: TestCluster
  readonly link: RemoteCluster
  readonly linkCounts: Counts
  next: number
}

/** Sums over all nodes, with what the link counted. */
async function countsOf({ cluster, linkCounts }: World): Promise<Counts> {
  const sums: Counts = { ...linkCounts }
  for (const node of cluster.nodes) {
    for (const [name, count] of Object.entries(await cluster.countersOf(node)))
      sums[name] = (sums[name] ?? 0) + count
  }
  return sums
}

async function open(): Promise<World> {
  const cluster = await TestCluster.open({ nodes: 3, servers: 0 })
  try {
    const linkCounts = { link_repeat: 0, link_unknown: 0 }
    const link = await connectCluster({
      nodes: cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
      dial: tcpDial({ secrets: parseSecrets(clusterEnv.MARTILLO_CLUSTER_SECRET) }),
      timing: systemTiming,
      instance: 'bench',
      principal: 'server:server-1',
      count: (what, count) => {
        linkCounts[`link_${what}`] += count
      },
    })
    return { cluster, link, linkCounts, next: 0 }
  } catch (error) {
    await cluster.close()
    throw error
  }
}

async function prepare({ link }: World): Promise<void> {
  const all = [
    { type: 'enlist_server', serverId } as const,
    ...Array.from({ length: auctionCount }, (_, at) => createAuction(at)),
  ]
  for (const command of all.slice(0, 1)) await link.propose(groupId, command)
  const replies = await Promise.all(all.slice(1).map((command) => link.propose(groupId, command)))
  const refused = replies.find(({ ok }) => !ok)
  if (refused !== undefined) throw new Error(`an auction was refused: ${JSON.stringify(refused)}`)
}

async function measure(world: World, inFlight: number, seconds: number): Promise<SetRun> {
  const waits: number[] = []
  let refused = 0
  const bidUntil = async (endMs: number): Promise<void> => {
    for (let beganMs = performance.now(); beganMs < endMs; ) {
      // An unknown outcome is counted by the link.
      const reply = await world.link.propose(groupId, placeBid(world.next++)).catch(() => undefined)
      const nowMs = performance.now()
      if (reply?.ok === true) waits.push(nowMs - beganMs)
      else refused += 1
      beganMs = nowMs
    }
  }
  const allBid = async (forMs: number): Promise<number> => {
    const beganMs = performance.now()
    await Promise.all(Array.from({ length: inFlight }, () => bidUntil(beganMs + forMs)))
    return (performance.now() - beganMs) / 1_000
  }
  await allBid(warmUpMs)
  waits.length = 0
  refused = 0
  const before = await countsOf(world)
  const elapsed = await allBid(seconds * 1_000)
  const after = await countsOf(world)
  const rose = (name: string): number => (after[name] ?? 0) - (before[name] ?? 0)
  waits.sort((a, b) => a - b)
  const at = (share: number): number =>
    Math.round((waits[Math.min(waits.length - 1, Math.floor(waits.length * share))] ?? 0) * 100) / 100
  return {
    inFlight,
    committedPerSecond: Math.round(waits.length / elapsed),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
    snapshots: rose('snapshots_sent') + rose('snapshots_installed'),
    elections: rose('campaigns') + rose('elections_won'),
    unknown: rose('unknown_outcomes') + rose('link_unknown'),
    handovers: rose('handovers'),
    stalls: rose('stalls'),
    repeats: rose('link_repeat'),
    refused,
  }
}

interface SetFigures {
  readonly passed: boolean
  readonly seconds: number
  readonly runs: readonly SetRun[]
}

/** Measures; takes `seconds` for each number in flight. Progress goes to stderr. */
export async function replicaSet({ seconds = 60 }: BenchOptions): Promise<SetFigures> {
  const world = await open()
  try {
    await prepare(world)
    const runs: SetRun[] = []
    for (const inFlight of inFlightCounts) {
      process.stderr.write(`replica-set: ${inFlight} in flight for ${seconds} s\n`)
      runs.push(await measure(world, inFlight, seconds))
    }
    const passed = runs.every(
      ({ snapshots, elections, unknown, committedPerSecond }) =>
        snapshots === 0 && elections === 0 && unknown === 0 && committedPerSecond > 0,
    )
    return { passed, seconds, runs }
  } finally {
    await world.link.close()
    await world.cluster.close()
  }
}
