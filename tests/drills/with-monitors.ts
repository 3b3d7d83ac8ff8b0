/**
 * Drills on a whole deployment, each repeating one fault while auctions close.
 *
 * It has three state nodes, two servers, two monitors, a notifier and its queue. The drill `all` draws faults at random.
 *
 * Invariant: each drill has its bounds beside it and fails outside them.
 */
import { type Drill, type DrillOptions, type DrillReport, play, type Scene } from './drill.ts'
import * as faults from './faults.ts'

interface Figures {
  readonly name: string
  readonly description: string
  readonly runs: number
  readonly fault: faults.Fault
  /** Holds what was measured to the bounds of this drill. */
  readonly judge?: (scene: Scene) => void
}

const whole = {
  nodes: 3,
  servers: 2,
  monitors: 2,
  hasNotifier: true,
  bidders: 16,
  pauseMs: [40, 120],
} as const
const opening = { count: 60, fromMs: 6_000, toMs: 25_000 }

function bound(scene: Scene, name: string, share: 'p50' | 'p99', mostMs: number): void {
  const spread = scene.spread(name)
  if (spread !== undefined) scene.atMost(`${share} of ${name}`, spread[share], mostMs)
}

function repeated({ name, description, runs: runsDefault, fault, judge }: Figures): Drill {
  return {
    name,
    description,
    async run(options): Promise<DrillReport> {
      const runs = options.runs ?? runsDefault
      return await play({ name, ...whole, auctions: opening }, options, async (scene) => {
        for (let run = 0; run < runs && !scene.signal.aborted; run++) {
          await fault(scene)
          scene.note(`${run + 1} of ${runs}: ${scene.load.acknowledged} bids acknowledged`)
        }
        judge?.(scene)
      })
    },
  }
}

const judgeServerKill = (scene: Scene): void => {
  bound(scene, 'killToAcceptedBid', 'p50', 300)
  bound(scene, 'killToAcceptedBid', 'p99', 1_000)
  bound(scene, 'faultToNewOwner', 'p99', 500)
}

/** A planned stop hands over by itself: no monitor may have had to find anybody dead. */
const judgeRolling = (scene: Scene): void => {
  const logs = scene.cluster.monitors.map(({ log }) => log).join('')
  const found = logs.split('\n').filter((line) => line.includes('"server_reassigned"'))
  scene.count('reassignedByFailure', found.length)
  if (found.length > 0) scene.missed.push(`monitors found a server dead: ${found[0]}`)
}

const chances: readonly (readonly [name: string, fault: faults.Fault])[] = [
  ['kill-server', faults.killServer],
  ['kill-leader', faults.killLeader],
  ['kill-follower', faults.killFollower],
  ['pause-leader', faults.pauseLeader],
  ['pause-server', faults.pauseServer],
  ['kill-monitor', faults.killMonitor],
  ['pause-monitor', faults.pauseMonitor],
  ['lose-majority', faults.loseMajority],
  ['whole-cluster-restart', faults.restartAll],
]

const minutesDefault = 3

const all: Drill = {
  name: 'all',
  description: `faults by chance, for ${minutesDefault} minutes unless said otherwise (--minutes, --seed)`,
  async run(options: DrillOptions): Promise<DrillReport> {
    const endMs = performance.now() + (options.minutes ?? minutesDefault) * 60_000
    return await play({ name: 'all', ...whole, auctions: opening }, options, async (scene) => {
      while (performance.now() < endMs && !scene.signal.aborted) {
        const [name, fault] = chances[scene.random.below(chances.length)] as (typeof chances)[number]
        scene.note(name)
        await fault(scene)
      }
    })
  },
}

export const wholeDrills: readonly Drill[] = [
  {
    name: 'kill-server',
    description: 'kill -9 of a server: its auctions and bidders move to the other',
    runs: 20,
    fault: faults.killServer,
    judge: judgeServerKill,
  },
  {
    name: 'kill-leader',
    description: 'kill -9 of the leading state node while auctions close',
    runs: 10,
    fault: faults.killLeader,
  },
  {
    name: 'kill-monitor',
    description: 'kill -9 of the acting monitor and of a server after it; then of both monitors',
    runs: 5,
    fault: async (scene: Scene): Promise<void> => {
      await faults.killMonitor(scene)
      await faults.killAllMonitors(scene)
    },
  },
  {
    name: 'pause-server',
    description: 'SIGSTOP of a server, then SIGCONT: what it lost it can no longer conduct',
    runs: 5,
    fault: faults.pauseServer,
  },
  {
    name: 'pause-monitor',
    description: 'SIGSTOP of the acting monitor while a server dies, then SIGCONT',
    runs: 5,
    fault: faults.pauseMonitor,
  },
  {
    name: 'lose-majority',
    description: 'kill -9 of two of three state nodes over closes, then heal',
    runs: 5,
    fault: faults.loseMajority,
  },
  {
    name: 'whole-cluster-restart',
    description: 'kill -9 of everything over closes, then start again',
    runs: 3,
    fault: faults.restartAll,
  },
  {
    name: 'rolling-restart',
    description: 'every process stopped by plan and started again: nothing refused, nothing missed',
    runs: 1,
    fault: faults.rollingRestart,
    judge: judgeRolling,
  },
]
  .map(repeated)
  .concat(all)
