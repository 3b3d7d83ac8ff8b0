/**
 * Kills the leader of the state cluster under load, again and again.
 *
 * Each leader comes back before the next is killed. Measured is the time from the kill to the answer to the next bid,
 * as bidders saw it. `kill-leader` adds auctions that close meanwhile, monitors and notifications.
 *
 * Invariant: a run passes only within its bounds for the median and the longest gap.
 */
import { type Drill, play } from './drill.ts'
import { killLeader } from './faults.ts'

const medianMsMax = 600
const gapMsMax = 1_200
const runsDefault = 20
const gapName = 'leaderKillToNextBid'

export const leaderKill: Drill = {
  name: 'leader-kill',
  description: `kill -9 of the leader under load, ${runsDefault} times: time to the next acknowledged bid`,
  async run(options) {
    const { runs = runsDefault } = options
    const auctions = { count: 40, fromMs: 3_600_000, toMs: 3_600_001 }
    return await play({ name: 'leader-kill', auctions }, options, async (scene) => {
      for (let run = 0; run < runs && !scene.signal.aborted; run++) {
        await killLeader(scene, 0)
        scene.note(`kill ${run + 1} of ${runs}: ${scene.gaps.get(gapName)?.at(-1)} ms to the next bid`)
      }
      scene.atMost('median from a kill to the next bid', scene.spread(gapName)?.p50, medianMsMax)
      scene.atMost('longest from a kill to the next bid', scene.spread(gapName)?.max, gapMsMax)
      await scene.load.closeAll()
    })
  },
}
