/**
 * The state cluster by itself: three nodes and two servers under load.
 *
 * Nodes are killed and stopped, one disk fills up, another fails to sync, the power of a third is cut, the network
 * between them breaks. Servers and monitors on a broken network are another drill (`partition`).
 *
 * Invariant: afterwards every acknowledged bid is there once, in one order, and all nodes hold the same state.
 */
import { join } from 'node:path'
import { until } from '../processes.ts'
import type { Station } from '../station.ts'
import { Disks } from './disks.ts'
import { type Drill, play, type Scene } from './drill.ts'
import { type Fault, killFollower, killLeader, loseMajority, pauseLeader } from './faults.ts'
import { pause } from './load.ts'
import { Namespaces } from './network.ts'

const runsDefault = 3
const medianMsMax = 600
const gapMsMax = 1_200

async function bidsGoOn(scene: Scene, name: string): Promise<void> {
  const sinceMs = performance.now()
  await until('bids are acknowledged', () => scene.load.gapMs(sinceMs) !== undefined)
  scene.gap(name, scene.load.gapMs(sinceMs) as number)
}

/** It steps aside, the others go on, it comes back by itself. */
const fullDisk =
  (disks: Disks, nodeOf: (scene: Scene) => Station): Fault =>
  async (scene) => {
    const node = nodeOf(scene)
    disks.fill()
    try {
      await until(`${node.name} steps aside`, async () => !(await scene.cluster.isReady(node)))
      scene.count('disksFilled')
      await bidsGoOn(scene, 'fullDiskToNextBid')
      await pause(500)
      if (!node.isRunning) scene.missed.push(`${node.name} ended when its disk was full`)
      if (!node.log.includes('stepped_aside'))
        scene.missed.push(`${node.name} did not say that it stepped aside`)
    } finally {
      disks.empty()
    }
    await until(`${node.name} comes back`, () => scene.cluster.isReady(node))
  }

/** The process ends at the first sync that fails, and has all when it is started again. */
const failingSync =
  (disks: Disks, nodeOf: (scene: Scene) => Station): Fault =>
  async (scene) => {
    const node = nodeOf(scene)
    disks.failSyncs()
    try {
      const { code, signal } = await node.ended()
      scene.count('syncsFailed')
      if (code !== 1) scene.missed.push(`${node.name} ended with ${signal ?? code} when its syncs failed`)
      await bidsGoOn(scene, 'failedSyncToNextBid')
    } finally {
      disks.healSyncs()
    }
    await node.start()
    await scene.cluster.untilCaughtUp(node)
  }

/** The node continues with what its device held at that moment. */
const powerCut =
  (disks: Disks, nodeOf: (scene: Scene) => Station): Fault =>
  async (scene) => {
    const node = nodeOf(scene)
    await pause(scene.random.unit() * 500)
    node.pause()
    const image = disks.cut()
    await node.kill()
    scene.count('powerCuts')
    await bidsGoOn(scene, 'powerCutToNextBid')
    image.restore()
    await node.start()
    await scene.cluster.untilCaughtUp(node)
  }

type Cut = (network: Namespaces, leader: Station, followers: readonly Station[]) => void

const cuts: readonly Cut[] = [
  (network, leader, followers) => {
    for (const { name } of followers) network.cut(leader.name, name)
  },
  (network, leader, followers) => {
    for (const { name } of followers) network.cutOneWay(leader.name, name)
  },
  (network, leader, [follower, third]) => {
    network.cut((follower as Station).name, leader.name)
    network.cut((follower as Station).name, (third as Station).name)
  },
]

/** The leader alone, the leader only receiving, a follower alone; each heals, and all catch up. */
const partitions =
  (network: Namespaces): Fault =>
  async (scene) => {
    const { cluster } = scene
    for (const cut of cuts) {
      const leader = await cluster.untilLed()
      const followers = cluster.nodes.filter((node) => node !== leader)
      cut(network, leader, followers)
      scene.count('partitions')
      await bidsGoOn(scene, 'partitionToNextBid')
      await pause(1_500)
      network.heal()
      for (const node of cluster.nodes) await cluster.untilCaughtUp(node)
    }
  }

export const state: Drill = {
  name: 'state',
  description: 'three state nodes: kills, pauses, partitions, a full disk, failing syncs, power cuts',
  async run(options) {
    const { runs = runsDefault } = options
    const disks = new Disks()
    const network = Namespaces.open(['node-1', 'node-2', 'node-3', 'server-1', 'server-2'])
    const folders = new Map([
      ['node-2', join(disks.cuttable, 'data')],
      ['node-3', join(disks.filling, 'data')],
    ])
    const nodeAt =
      (at: number) =>
      ({ cluster }: Scene): Station =>
        cluster.nodes[at] as Station
    const faults: Fault[] = [(scene) => killLeader(scene, 0), killFollower, pauseLeader, loseMajority]
    if (disks.canFill) faults.push(fullDisk(disks, nodeAt(2)))
    if (disks.canFailSync) faults.push(failingSync(disks, nodeAt(0)))
    if (disks.canCut) faults.push(powerCut(disks, nodeAt(1)))
    if (typeof network === 'string') disks.leftOut.push(`partitions: ${network}`)
    else faults.push(partitions(network))
    const stage = {
      name: 'state',
      ...(typeof network === 'string' ? {} : { network }),
      auctions: { count: 40, fromMs: 3_600_000, toMs: 3_600_001 },
      dataDirOf: (name: string) => folders.get(name),
      envOf: (name: string) => (name === 'node-1' ? disks.shimEnv : {}),
    }
    try {
      return await play(stage, options, async (scene) => {
        scene.leftOut.push(...disks.leftOut)
        for (let run = 0; run < runs; run++) {
          for (const fault of faults) {
            if (scene.signal.aborted) return
            await fault(scene)
          }
          scene.note(`round ${run + 1} of ${runs}`)
        }
        const gap = scene.spread('leaderKillToNextBid')
        scene.atMost('median from a kill to the next bid', gap?.p50, medianMsMax)
        scene.atMost('longest from a kill to the next bid', gap?.max, gapMsMax)
        await scene.load.closeAll()
      })
    } finally {
      if (typeof network !== 'string') network.close()
      disks.close()
    }
  },
}
