/**
 * Cuts the network between stations, each in a namespace of its own.
 *
 * Cut off are the leader, a follower, the leader in one direction, a server from its state nodes, and the acting monitor
 * from them.
 *
 * Invariant: what is cut off does no harm, all others continue, and after healing all nodes are equal.
 */
import { until } from '../processes.ts'
import type { Station } from '../station.ts'
import { type Drill, type DrillReport, play, type Scene } from './drill.ts'
import { actingMonitor, untilAnyBids, wave } from './faults.ts'
import { pause } from './load.ts'
import { Namespaces } from './network.ts'

const nodes = ['node-1', 'node-2', 'node-3']
const stations = [...nodes, 'server-1', 'server-2', 'monitor-1', 'monitor-2']
const cutMs = 2_500
const runsDefault = 2

type Cut = readonly [name: string, cut: (scene: Scene, network: Namespaces) => Promise<void>]

const others = (scene: Scene, node: Station): readonly Station[] =>
  scene.cluster.nodes.filter((one) => one !== node)

const cuts: readonly Cut[] = [
  [
    'leader alone',
    async (scene, network) => {
      const leader = await scene.cluster.untilLed()
      for (const other of others(scene, leader)) network.cut(leader.name, other.name)
    },
  ],
  [
    'follower alone',
    async (scene, network) => {
      const leader = await scene.cluster.untilLed()
      const [follower] = others(scene, leader) as [Station]
      for (const other of others(scene, follower)) network.cut(follower.name, other.name)
    },
  ],
  [
    'leader can only receive',
    async (scene, network) => {
      const leader = await scene.cluster.untilLed()
      for (const other of others(scene, leader)) network.cutOneWay(leader.name, other.name)
    },
  ],
  [
    'server without its state nodes',
    async (_, network) => {
      for (const node of nodes) network.cut('server-1', node)
    },
  ],
  [
    'acting monitor without state nodes',
    async (scene, network) => {
      const acting = await actingMonitor(scene)
      for (const node of nodes) network.cut(acting.name, node)
    },
  ],
]

export const partition: Drill = {
  name: 'partition',
  description:
    'network namespaces: leader, follower, server or monitor cut off, in both directions and in one',
  async run(options): Promise<DrillReport> {
    const network = Namespaces.open(stations)
    if (typeof network === 'string') {
      const { seed } = options
      const leftOut = [`network namespaces cannot be made here: ${network}`]
      return { drill: 'partition', passed: false, seed, counts: {}, missed: leftOut, leftOut, findings: [] }
    }
    const stage = {
      name: 'partition',
      nodes: 3,
      servers: 2,
      monitors: 2,
      network,
      bidders: 12,
      pauseMs: [40, 120] as const,
      auctions: { count: 40, fromMs: 8_000, toMs: 40_000 },
    }
    try {
      return await play(stage, options, async (scene) => {
        for (let run = 0; run < (options.runs ?? runsDefault); run++)
          for (const [name, cut] of cuts) {
            if (scene.signal.aborted) return
            await wave(scene)
            await cut(scene, network)
            const sinceMs = performance.now()
            const fromMs = Date.now()
            scene.count('cuts')
            const gapMs = await untilAnyBids(scene, sinceMs, 'cutToNextBid')
            scene.outages.push({ name, fromMs, toMs: fromMs })
            scene.note(`${name}: ${Math.round(gapMs)} ms to the next bid`)
            await pause(Math.max(0, cutMs - gapMs))
            network.heal()
            for (const node of scene.cluster.nodes) await scene.cluster.untilCaughtUp(node)
            await until('both servers are ready', async () => {
              const answers = await Promise.all(
                scene.cluster.servers.map(({ url }) => fetch(`${url}/readyz`).catch(() => undefined)),
              )
              return answers.every((answer) => answer?.ok === true)
            })
          }
      })
    } finally {
      network.close()
    }
  },
}
