/**
 * The clock of one node is wrong while auctions close.
 *
 * It is an hour ahead, an hour behind, years ahead, or jumps. First that of the leader and of a follower of three, then that of a lone node, which must also refuse to start with
 * an impossible clock. The clocks are set by wrong-clock.mjs, on these processes alone.
 *
 * Invariant: the clock of this process is the true one; a stamp, a close and a refusal are compared with the moments at
 * which bidders sent and received. Source: docs/spec.md TIME1, TIME4 to TIME7.
 */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../processes.ts'
import type { Station } from '../station.ts'
import type { AuditInput } from './audit.ts'
import { type Drill, type DrillReport, play, type Scene, type Stage } from './drill.ts'
import { untilAnyBids, wave } from './faults.ts'
import { pause, type TimedBid } from './load.ts'

const preload = new URL('wrong-clock.mjs', import.meta.url).href
/** No stamp, close or refusal may be further from true time (TIME7); all clocks but one are those of this machine. */
const boundMs = 3_000
/** What may pass between an event and its arrival on a busy machine. */
const arrivalMs = 3_000
const handOverMsMax = 10_000
const hour = 3_600
const skews = [hour, -hour, 73 * 365 * 24 * hour, 'jumping'] as const
type Skew = (typeof skews)[number]

class WrongClocks {
  readonly #folder = mkdtempSync(join(tmpdir(), 'martillo-clocks-'))

  /** Variables of a process whose clock is to be set. */
  envOf(name: string): NodeJS.ProcessEnv {
    this.set(name, 0)
    return { NODE_OPTIONS: `--import=${preload}`, WRONG_CLOCK_FILE: this.#fileOf(name) }
  }

  set(name: string, seconds: number): void {
    // Swapped in whole: the process may read it at any moment.
    writeFileSync(`${this.#fileOf(name)}.new`, String(seconds))
    renameSync(`${this.#fileOf(name)}.new`, this.#fileOf(name))
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #fileOf(name: string): string {
    return join(this.#folder, name)
  }
}

/** Sets one clock wrong under load, until bidders have bid and auctions have closed under it. */
async function skewOne(scene: Scene, clocks: WrongClocks, station: Station, skew: Skew): Promise<void> {
  await wave(scene, 15, 1_000, 6_000)
  const sinceMs = performance.now()
  scene.count('skews')
  scene.note(`${station.name}: ${skew === 'jumping' ? skew : `${skew} s`}`)
  if (skew === 'jumping') {
    for (let jump = 0; jump < 20 && !scene.signal.aborted; jump++) {
      clocks.set(station.name, Math.round((scene.random.unit() * 2 - 1) * hour))
      await pause(150)
    }
  } else clocks.set(station.name, skew)
  await untilAnyBids(scene, sinceMs, 'skewToNextBid')
}

async function skewEach(scene: Scene, clocks: WrongClocks): Promise<void> {
  const { cluster } = scene
  for (const skew of skews)
    for (const who of ['leader', 'follower'] as const) {
      if (scene.signal.aborted) return
      const leader = await cluster.untilLed()
      const station = who === 'leader' ? leader : cluster.nodes.find((node) => node !== leader)
      if (station === undefined) throw new Error('there is no follower')
      const before = offReports(station)
      const sinceMs = performance.now()
      await skewOne(scene, clocks, station, skew)
      if (who === 'leader') {
        await until('another node leads', async () => (await cluster.leader()) !== station)
        scene.gap('skewToHandOver', performance.now() - sinceMs)
        scene.atMost('skewToHandOver', performance.now() - sinceMs, handOverMsMax)
      }
      await until(`${station.name} says that its clock is off`, async () => offReports(station) > before)
      await pause(2_000)
      clocks.set(station.name, 0)
      // It compares again before the next clock is set: one at a time is wrong.
      await pause(2_500)
    }
}

async function skewAlone(scene: Scene, clocks: WrongClocks): Promise<void> {
  const [station] = scene.cluster.nodes as [Station]
  for (const skew of skews) {
    if (scene.signal.aborted) return
    await skewOne(scene, clocks, station, skew)
    await pause(3_000)
    clocks.set(station.name, 0)
    await pause(1_000)
  }
  await station.stop()
  clocks.set(station.name, -hour)
  // It may listen before it knows its last entry.
  await station.start().catch(() => undefined)
  await until('a lone node ends with a clock that is an hour behind', async () => !station.isRunning)
  if (!station.log.includes('clock shows')) scene.missed.push('it does not say why')
  clocks.set(station.name, 0)
  const sinceMs = performance.now()
  await station.start()
  await wave(scene, 6, 6_000, 9_000)
  await untilAnyBids(scene, sinceMs, 'startToNextBid')
}

const offReports = (station: Station): number => station.log.split('"clock_off"').length

/** Compares what was recorded with the moments at which bidders sent and received. */
async function judge(scene: Scene): Promise<void> {
  await scene.load.settle()
  const record = await scene.load.record([])
  const epochMs = (monotonicMs: number): number => performance.timeOrigin + monotonicMs
  const worst = { stampAhead: 0, stampBehind: 0, refusedEarly: 0, closedEarly: 0, closedLate: 0 }
  const note = (name: keyof typeof worst, ms: number): void => {
    worst[name] = Math.max(worst[name], Math.round(ms))
  }
  const auctions = new Map(record.auctions.map((auction) => [auction.id, auction]))
  for (const bid of record.bids as readonly TimedBid[]) {
    const auction = auctions.get(bid.auctionId)
    if (auction === undefined || bid.answeredMs === undefined) continue
    if (bid.code === 'auction_closed') note('refusedEarly', auction.view.closesAt - epochMs(bid.answeredMs))
    const row = auction.history.find(({ seq }) => seq === bid.seq)
    if (bid.answer !== 'accepted' || row === undefined) continue
    scene.count('stampsCompared')
    note('stampAhead', row.serverTime - epochMs(bid.answeredMs))
    note('stampBehind', epochMs(bid.sentMs) - row.serverTime)
  }
  for (const [auctionId, seenMs] of endsOf(record, scene)) {
    const closesAt = auctions.get(auctionId)?.view.closesAt
    if (closesAt === undefined) continue
    scene.count('closesCompared')
    note('closedEarly', closesAt - seenMs)
    note('closedLate', seenMs - closesAt)
  }
  for (const [name, ms] of Object.entries(worst)) scene.count(`${name}MsMax`, ms)
  for (const name of ['stampAhead', 'stampBehind', 'refusedEarly', 'closedEarly'] as const)
    scene.atMost(name, worst[name], boundMs)
  scene.atMost('closedLate', worst.closedLate, boundMs + arrivalMs)
}

/** When the first bidder saw each auction end; epoch ms. */
function endsOf({ auctions }: AuditInput, { load }: Scene): Map<string, number> {
  const ends = new Map<string, number>()
  for (const { id } of auctions) {
    const seenMs = load.endSeenMs(id)
    if (seenMs !== undefined) ends.set(id, performance.timeOrigin + seenMs)
  }
  return ends
}

export const clockSkew: Drill = {
  name: 'clock-skew',
  description: "one node's clock is an hour ahead, behind, years ahead, or jumps; of three nodes, and alone",
  async run(options): Promise<DrillReport> {
    const clocks = new WrongClocks()
    const stage = (nodes: number): Stage => ({
      name: 'clock-skew',
      nodes,
      servers: nodes === 1 ? 1 : 2,
      monitors: nodes === 1 ? 0 : 2,
      bidders: 10,
      pauseMs: [40, 120],
      auctions: { count: 20, fromMs: 60_000, toMs: 90_000 },
      envOf: (name) => (/^node-/.test(name) ? clocks.envOf(name) : {}),
    })
    const part = (nodes: number, fault: (scene: Scene, clocks: WrongClocks) => Promise<void>) =>
      play(stage(nodes), options, async (scene) => {
        for (let run = 0; run < (options.runs ?? 1); run++) await fault(scene, clocks)
        await judge(scene)
      })
    try {
      const three = await part(3, skewEach)
      const alone = await part(1, skewAlone)
      return joined(three, alone)
    } finally {
      clocks.close()
    }
  },
}

/** The reports of both parts as one. */
function joined(three: DrillReport, alone: DrillReport): DrillReport {
  const named = <Value>(figures: Readonly<Record<string, Value>> = {}): Record<string, Value> =>
    Object.fromEntries(Object.entries(figures).map(([name, value]) => [`alone.${name}`, value]))
  const folder = three.folder ?? alone.folder
  return {
    ...three,
    passed: three.passed && alone.passed,
    counts: { ...three.counts, ...named(alone.counts) },
    gapsMs: { ...three.gapsMs, ...named(alone.gapsMs) },
    missed: [...three.missed, ...alone.missed.map((text) => `alone: ${text}`)],
    findings: [...three.findings, ...alone.findings],
    ...(folder === undefined ? {} : { folder }),
  }
}
