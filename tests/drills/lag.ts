/**
 * A node that was away comes back at full load.
 *
 * The first time it was away for less than the leader keeps log for it, the second time for longer, so that it needs a
 * snapshot. Both times it has to be in step again while the load goes on.
 *
 * Invariant: it passes only when the node stays in step, with no snapshot the first time and one at most the second.
 */
import type { Station } from '../station.ts'
import { type Drill, rareCounts, type Scene } from './drill.ts'
import type { FullLoad } from './full-load.ts'
import { pause } from './load.ts'
import { playSeeded } from './seeded.ts'

const auctionsDefault = 10_000
const eventsDefault = 200_000
/** The log is kept for a silent node for so long; without that, only its short end is. */
const silenceMs = 12_000
const logTailBytes = 2 ** 18
const shortAwayMs = 6_000
const longAwayMs = 30_000
/** Entries between the leader and a node that is in step: a few of those in flight. */
const stepEntries = 64
/** It has to be in step in so many looks in a row. */
const looksInStep = 10
const lookMs = 200
const inStepMsMax = 120_000

async function lagOf({ cluster }: Scene, node: Station): Promise<number | undefined> {
  const leader = await cluster.leader()
  if (leader === undefined || leader === node) return undefined
  const [ahead, behind] = await Promise.all([cluster.statusOf(leader), cluster.statusOf(node)])
  const [first, second] = [ahead?.groups[0]?.appliedIndex, behind?.groups[0]?.appliedIndex]
  return first === undefined || second === undefined ? undefined : first - second
}

/** Resolves with how long that took; `undefined`: it did not come to it. */
async function untilInStep(scene: Scene, node: Station): Promise<number | undefined> {
  const beganMs = performance.now()
  for (let looks = 0; performance.now() - beganMs < inStepMsMax && !scene.signal.aborted; ) {
    const lag = await lagOf(scene, node)
    looks = lag !== undefined && lag <= stepEntries ? looks + 1 : 0
    if (looks === looksInStep) return performance.now() - beganMs
    await pause(lookMs)
  }
  return undefined
}

interface Absence {
  readonly name: string
  readonly awayMs: number
  readonly snapshotsMax: number
}

async function goAway(scene: Scene, full: FullLoad, { name, awayMs, snapshotsMax }: Absence): Promise<void> {
  const { cluster } = scene
  const leader = await cluster.untilLed()
  const node = cluster.nodes.find((other) => other !== leader) as Station
  await node.kill()
  await pause(awayMs)
  const before = (await rareCounts(cluster))['snapshots_sent'] ?? 0
  const backMs = performance.now()
  await node.start()
  const tookMs = await untilInStep(scene, node)
  const acknowledged = full.perSecond(backMs, performance.now())
  const snapshots = ((await rareCounts(cluster))['snapshots_sent'] ?? 0) - before
  scene.note(
    `${name}: in step after ${tookMs === undefined ? 'never' : Math.round(tookMs)} ms, ${snapshots} snapshots`,
  )
  if (tookMs === undefined)
    scene.missed.push(`${name}: not in step again within ${inStepMsMax} ms under load`)
  else scene.gap(`${name}ToInStep`, tookMs)
  scene.count(`${name}Snapshots`, snapshots)
  scene.count(`${name}PerSecondMeanwhile`, acknowledged)
  if (snapshots > snapshotsMax) scene.missed.push(`${name}: ${snapshots} snapshots, at most ${snapshotsMax}`)
  if (acknowledged === 0) scene.missed.push(`${name}: no bid was acknowledged while it caught up`)
}

export const lag: Drill = {
  name: 'lag',
  description: `a node away for ${longAwayMs / 1_000} s at full load, with a long history, is in step again under load`,
  async run(options) {
    const { auctions = auctionsDefault, events = eventsDefault } = options
    const stage = {
      name: 'lag',
      env: {
        MARTILLO_MEMBER_SILENCE_MS: String(silenceMs),
        MARTILLO_LOG_TAIL_BYTES_MAX: String(logTailBytes),
      },
      seededAuctions: auctions,
      seededEvents: events,
    }
    return await playSeeded(stage, options, async (scene, full) => {
      await goAway(scene, full, { name: 'shortAbsence', awayMs: shortAwayMs, snapshotsMax: 0 })
      await goAway(scene, full, { name: 'longAbsence', awayMs: longAwayMs, snapshotsMax: 1 })
    })
  },
}
