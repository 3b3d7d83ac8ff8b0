/**
 * The stage of drills that need a big state.
 *
 * Folders with a past, two servers, bidders, and the full load.
 * Invariant: what was seeded is removed in the end; the full load runs from before the fault until after it.
 */
import { join } from 'node:path'
import { seedFolders } from '../../state-cluster/node/seed-folder.ts'
import { removeFolder, temporaryFolder } from '../processes.ts'
import { type DrillOptions, type DrillReport, play, type Scene, type Stage } from './drill.ts'
import { FullLoad } from './full-load.ts'
import { pause } from './load.ts'

/** The default name of a cluster. */
const cluster = 'martillo'
const nodeIds = [1, 2, 3]
const inFlight = 64
/** Before anything is measured. */
const warmUpMs = 3_000

export interface SeededStage extends Partial<Stage> {
  readonly name: string
  /** Of the past. */
  readonly seededAuctions: number
  readonly seededEvents: number
}

export async function playSeeded(
  stage: SeededStage,
  options: DrillOptions,
  fault: (scene: Scene, full: FullLoad) => Promise<void>,
): Promise<DrillReport> {
  const folder = temporaryFolder()
  try {
    const dataDirs = new Map(nodeIds.map((id) => [id, join(folder, `node-${id}`)]))
    const { seededAuctions, seededEvents, ...rest } = stage
    // Bids go round in steps of 7.
    const auctions = seededAuctions % 7 === 0 ? seededAuctions + 1 : seededAuctions
    options.note(`making ${auctions} auctions with ${seededEvents} events`)
    const { note } = options
    const seeded = await seedFolders({ dataDirs, cluster, auctions, events: seededEvents, note })
    const own = new Map(nodeIds.map((id) => [`node-${id}`, dataDirs.get(id)]))
    return await play(
      {
        bidders: 4,
        auctions: { count: 10, fromMs: 3_600_000, toMs: 3_600_001 },
        ...rest,
        dataDirOf: (name) => own.get(name) ?? rest.dataDirOf?.(name),
      },
      options,
      async (scene) => {
        scene.count('seededAuctions', auctions)
        scene.count('seededEvents', seeded.events)
        const full = await FullLoad.open({
          nodes: scene.cluster.nodes,
          inFlight,
          auctions,
          from: seeded.bids,
        })
        full.start()
        try {
          await pause(warmUpMs)
          await fault(scene, full)
        } finally {
          await full.stop()
          scene.count('fullLoadAcknowledged', full.acknowledged)
          for (const [code, count] of Object.entries(full.failed)) scene.count(`fullLoad_${code}`, count)
        }
        await scene.load.closeAll()
      },
    )
  } finally {
    removeFolder(folder)
  }
}
