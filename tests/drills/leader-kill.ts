/**
 * The leader of the state cluster is killed with SIGKILL under load, again and again; each comes back before the next
 * is killed. Measured: from the kill to the answer to the next bid, as bidders saw it. `kill-leader` adds auctions
 * that close meanwhile, monitors and notifications to the same trouble.
 */
import { until } from '../house.ts'
import type { Station } from './cluster.ts'
import { type Drill, play, type Scene, spreadOf } from './drill.ts'
import { pause } from './load.ts'

const medianMsMax = 600
const gapMsMax = 1_200
const runsDefault = 20
/** A group without a leader for longer than this makes its owners' silence an outage (OUTAGE8), with room for doubt. */
const certainOutageMs = 1_500

/** Kills whoever leads; resolves with the gap that bidders saw, when they bid again. */
export async function killLeader(
  scene: Scene,
): Promise<{ readonly killed: Station; readonly gapMs: number }> {
  const { cluster, load } = scene
  const killed = await cluster.untilLed()
  await pause(scene.random() * 300)
  const fromMs = Date.now()
  const sinceMs = performance.now()
  const isDead = killed.kill()
  let gapMs: number | undefined
  await until('bids are acknowledged again', () => {
    gapMs = load.gapMs(sinceMs)
    return gapMs !== undefined
  })
  await isDead
  const gap = gapMs as unknown as number
  scene.count('kills')
  scene.gap('killToNextBid', gap)
  if (gap > certainOutageMs) scene.outages.push({ name: 'no leader', fromMs, toMs: fromMs + gap - 1_000 })
  else scene.outages.push({ name: 'no leader', fromMs, toMs: fromMs })
  return { killed, gapMs: gap }
}

export const leaderKill: Drill = {
  name: 'leader-kill',
  description: `kill -9 of the leader under load, ${runsDefault} times: time to the next acknowledged bid`,
  async run(options) {
    const { runs = runsDefault } = options
    const auctions = { count: 40, fromMs: 3_600_000, toMs: 3_600_001 }
    return await play({ name: 'leader-kill', auctions }, options, async (scene) => {
      for (let run = 0; run < runs && !scene.signal.aborted; run++) {
        const { killed, gapMs } = await killLeader(scene)
        scene.note(`kill ${run + 1} of ${runs}: ${killed.name}, ${Math.round(gapMs)} ms to the next bid`)
        await killed.start()
        await scene.cluster.untilCaughtUp(killed)
      }
      const gaps = scene.gaps.get('killToNextBid') ?? []
      scene.atMost('median from a kill to the next bid', spreadOf(gaps).p50, medianMsMax)
      scene.atMost('longest from a kill to the next bid', spreadOf(gaps).max, gapMsMax)
      await scene.load.closeAll()
    })
  },
}
