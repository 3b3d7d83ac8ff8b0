/**
 * Disks that stand still for five seconds at full load, and then go on.
 *
 * First the disk of a follower, then that of the leader, then all of them.
 *
 * Invariant: it passes only when the throughput is back within three seconds of the end of each stall, and no node
 * needed a snapshot.
 */
import type { Station } from '../station.ts'
import type { Drill, Scene } from './drill.ts'
import type { FullLoad } from './full-load.ts'
import { pause } from './load.ts'
import { playSeeded } from './seeded.ts'
import { SlowDisks } from './slow-disks.ts'

const stallMs = 5_000
const backMsMax = 3_000
/** The throughput of a second is back when it is this share of the mean before; seconds differ that much by themselves. */
const share = 0.5
const measuredMs = 5_000
const windowMs = 1_000
const patienceMs = 30_000

interface Stall {
  readonly name: string
  readonly nodes: readonly Station[]
}

async function stallOnce(
  scene: Scene,
  full: FullLoad,
  { disks, name, nodes }: Stall & { disks: SlowDisks },
): Promise<void> {
  const fromMs = performance.now()
  await pause(measuredMs)
  const before = full.perSecond(fromMs, performance.now())
  for (const node of nodes) disks.stall(node.name)
  const stalledMs = performance.now()
  await pause(stallMs)
  const during = full.perSecond(stalledMs, performance.now())
  for (const node of nodes) disks.heal(node.name)
  const endMs = performance.now()
  let backMs: number | undefined
  while (backMs === undefined && performance.now() - endMs < patienceMs && !scene.signal.aborted) {
    await pause(50)
    const nowMs = performance.now()
    // The second that is looked at may have begun at the end of the stall at the earliest.
    if (nowMs - endMs < windowMs) continue
    if (full.perSecond(nowMs - windowMs, nowMs) >= share * before) backMs = nowMs - windowMs - endMs
  }
  scene.note(`${name}: ${before}/s before, ${during}/s meanwhile, back after ${backMs?.toFixed(0)} ms`)
  scene.count(`${name}PerSecondBefore`, before)
  scene.count(`${name}PerSecondMeanwhile`, during)
  scene.gap(`${name}ToThroughput`, backMs ?? patienceMs)
  scene.atMost(`throughput after ${name}`, backMs, backMsMax)
}

export const stall: Drill = {
  name: 'stall',
  description: `disks stand still for ${stallMs / 1_000} s at full load: a follower's, the leader's, all`,
  async run(options) {
    const { runs = 1, auctions = 1_000, events = 10_000 } = options
    const disks = new SlowDisks()
    const stage = {
      name: 'stall',
      seededAuctions: auctions,
      seededEvents: events,
      mustBeZero: ['snapshots_sent'],
      envOf: (name: string) => disks.envOf(name),
    }
    try {
      return await playSeeded(stage, options, async (scene, full) => {
        if (!disks.canStall) {
          scene.missed.push('no disk could be stalled: there is no gcc here')
          return
        }
        for (let run = 0; run < runs && !scene.signal.aborted; run++) {
          const { cluster } = scene
          const leader = await cluster.untilLed()
          const follower = cluster.nodes.find((node) => node !== leader) as Station
          await stallOnce(scene, full, { disks, name: 'followerStall', nodes: [follower] })
          await stallOnce(scene, full, { disks, name: 'leaderStall', nodes: [await cluster.untilLed()] })
          await stallOnce(scene, full, { disks, name: 'allStall', nodes: cluster.nodes })
        }
      })
    } finally {
      disks.close()
    }
  },
}
