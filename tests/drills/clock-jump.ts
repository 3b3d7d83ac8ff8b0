/**
 * Clocks of real processes jump, forward and back, while auctions close.
 *
 * The clocks are those of the leading state node, of a follower and of a server (libfaketime, on these processes
 * alone).
 *
 * Invariant: deadlines are judged by stamps that never fall, so no bid is accepted late, and no auction closes early or
 * twice.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Drill, type DrillReport, play } from './drill.ts'
import { untilAnyBids, wave } from './faults.ts'
import { pause } from './load.ts'

const runsDefault = 2
/** Seconds; backward ones hold stamps still for as long, so they are small. */
const jumps = [3, 0, 20, 18, 18.5]

function findLibrary(): string | undefined {
  const { stdout } = spawnSync('sh', ['-c', 'ls /usr/lib/*/faketime/libfaketime.so.1 2>/dev/null'], {
    encoding: 'utf8',
  })
  const [path = ''] = stdout.trim().split('\n')
  return existsSync(path) ? path : undefined
}

export const clockJump: Drill = {
  name: 'clock-jump',
  description: 'libfaketime: clocks of state nodes and servers jump, forward and back, around closes',
  async run(options): Promise<DrillReport> {
    const library = findLibrary()
    if (library === undefined) {
      const leftOut = ['libfaketime is not installed (Debian: faketime)']
      const { seed } = options
      return { drill: 'clock-jump', passed: false, seed, counts: {}, missed: leftOut, leftOut, findings: [] }
    }
    const folder = mkdtempSync(join(tmpdir(), 'martillo-clocks-'))
    const fileOf = (name: string): string => join(folder, name)
    const set = (name: string, seconds: number): void => {
      // Swapped in whole: the library reads it at every call.
      writeFileSync(`${fileOf(name)}.new`, `${seconds < 0 ? '' : '+'}${seconds}`)
      renameSync(`${fileOf(name)}.new`, fileOf(name))
    }
    const stage = {
      name: 'clock-jump',
      nodes: 3,
      servers: 2,
      monitors: 2,
      bidders: 12,
      pauseMs: [40, 120] as const,
      auctions: { count: 40, fromMs: 30_000, toMs: 60_000 },
      envOf: (name: string): NodeJS.ProcessEnv => {
        if (!/^(node|server)-/.test(name)) return {}
        set(name, 0)
        return {
          LD_PRELOAD: library,
          FAKETIME_TIMESTAMP_FILE: fileOf(name),
          FAKETIME_NO_CACHE: '1',
          DONT_FAKE_MONOTONIC: '1',
          FAKETIME_DONT_FAKE_MONOTONIC: '1',
        }
      },
    }
    try {
      return await play(stage, options, async (scene) => {
        const { cluster } = scene
        for (let run = 0; run < (options.runs ?? runsDefault); run++)
          for (const seconds of jumps) {
            if (scene.signal.aborted) return
            const leader = await cluster.untilLed()
            for (const [who, station] of [
              ['leader', leader],
              ['server', cluster.servers[run % cluster.servers.length]],
            ] as const) {
              if (station === undefined) continue
              await wave(scene, 20, 2_000, 8_000)
              const sinceMs = performance.now()
              set(station.name, seconds)
              scene.count('jumps')
              const gapMs = await untilAnyBids(scene, sinceMs, `${who}JumpToNextBid`)
              scene.note(
                `${station.name} (${who}) now at ${seconds} s: ${Math.round(gapMs)} ms to the next bid`,
              )
              await pause(1_000)
            }
          }
        for (const station of [...cluster.nodes, ...cluster.servers]) set(station.name, 0)
      })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}
