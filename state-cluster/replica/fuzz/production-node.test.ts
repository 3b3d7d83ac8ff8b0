/** The random driver over the code of production: nothing is violated, runs repeat, and every planted fault is found. */
import { describe, expect, it } from 'vitest'
import { Random } from '../../../runtime/random.ts'
import { type FuzzResult, fuzz } from '../../raft/fuzz/driver.ts'
import { faultNamed } from '../../raft/fuzz/faults.ts'
import { DiskLog } from '../../storage/disk-log.ts'
import { LogWriter } from '../log-writer.ts'
import { PendingCommands } from '../pending-commands.ts'
import { CommandBook } from './command-book.ts'
import { ProductionNode } from './production-node.ts'

const run = (seed: number, steps = 20_000, fault = faultNamed('none')): Promise<FuzzResult> =>
  fuzz({
    random: (episode) => new Random(seed, episode),
    steps,
    ...(fault && { fault }),
    makeNodes: () => {
      const book = new CommandBook()
      return (id, world, config, random) => new ProductionNode(id, world, config, random, book)
    },
  })

describe('the random driver over the production writer', () => {
  for (const seed of [1, 2]) {
    it(`STORE5: what was answered is there after a crash, with seed ${seed}`, async () => {
      const { violation, counts } = await run(seed)
      expect(violation?.message ?? null).toBeNull()
      const least: Record<string, number> = {
        elections: 50,
        jointConfigs: 5,
        snapshotsInstalled: 2,
        truncations: 5,
        writesLost: 2,
        proposed: 100,
        applied: 1000,
        episodesAtRest: 2,
      }
      for (const [what, count] of Object.entries(least)) {
        expect(counts[what] ?? 0, what).toBeGreaterThanOrEqual(count)
      }
    })
  }

  it('repeats a run with the same seed', async () => {
    expect(await run(7, 4_000)).toEqual(await run(7, 4_000))
  })

  it('STORE10: finds a promise that is forgotten', async () => {
    const { applied } = PendingCommands.prototype
    PendingCommands.prototype.applied = function (index, term, replies) {
      if (index % 7 !== 0) applied.call(this, index, term, replies)
    }
    const { violation } = await run(1)
    PendingCommands.prototype.applied = applied
    expect(violation).not.toBeNull()
  })

  it('STORE5: finds an append that does not carry what it must', async () => {
    const { append } = LogWriter.prototype
    LogWriter.prototype.append = function (message) {
      // A new term alone is written, a new vote or commit index is not.
      append.call(this, message.entries.length > 0 ? message : { ...message, vote: 0 })
    }
    const { violation } = await run(1)
    LogWriter.prototype.append = append
    expect(violation?.rule).toMatch(/kept|one vote a term/)
  })

  it('SNAP2: finds a snapshot whose installation forgets the vote', async () => {
    const { writesOf, writesOfReplacement } = DiskLog.prototype
    let isReplacing = false
    DiskLog.prototype.writesOfReplacement = function (position) {
      isReplacing = true
      return writesOfReplacement.call(this, position)
    }
    DiskLog.prototype.writesOf = function (append) {
      if (isReplacing && append.hardState !== undefined) Object.assign(append.hardState, { vote: 0 })
      isReplacing = false
      return writesOf.call(this, append)
    }
    const { violation } = await run(1, 150_000)
    Object.assign(DiskLog.prototype, { writesOf, writesOfReplacement })
    expect(violation?.message).toMatch(/voted for/)
  })
})
