import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { GroupId } from '../../protocol/ids.ts'
import type { Command } from '../machine/commands.ts'
import type { Reply } from '../machine/events.ts'
import { knownFeatures } from '../machine/features.ts'
import { encodeEntry as encodeMachineEntry, entryVersion, stateHash } from '../machine/index.ts'
import { openLocalCluster } from '../node/single-node.ts'
import { readCheckpoint } from '../storage/checkpoint.ts'
import { encodeEntry, entryKey } from '../storage/layout.ts'
import { openLmdbStore } from '../storage/lmdb-store.ts'
import { pack } from '../storage/pack.ts'
import { FirstFeatures } from './first-features.ts'
import { type Node, ReplicaBench } from './testing/replica-bench.ts'
import { enlistServer } from './testing/workload.ts'

const settings = { outageExtensionMinMs: 7_000, outageThresholdMs: 3_000 }
const configure: Command = { type: 'configure_house', settings, features: [] }

let dataDir: string
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'martillo-first-'))
})
afterEach(() => rm(dataDir, { recursive: true }))

const open = () =>
  openLocalCluster({
    dataDir,
    groupCount: 2,
    onFatal(error) {
      throw error
    },
  })

/** Every node of a bench with a `FirstFeatures`, as a host has it. */
function begin(bench: ReplicaBench): Map<number, FirstFeatures> {
  return new Map([...bench.nodes].map(([id, { replica }]) => [id, new FirstFeatures(replica)]))
}

/** Commands of the log by type, in the order of the log. */
const typesIn = (bench: ReplicaBench, { replica }: Node): string[] =>
  bench
    .entriesUpTo(replica.applied.appliedIndex)
    .flatMap(({ commands }) => commands)
    .map(({ type }) => type)

const areEqual = (bench: ReplicaBench): boolean =>
  new Set(
    [...bench.nodes.values()].map(
      ({ replica }) => `${replica.applied.appliedIndex} ${stateHash(replica.applied.state)}`,
    ),
  ).size === 1

describe('the first command of a group', () => {
  it('HOUSE3: a new house has all features of its build on in each group when it takes commands', async () => {
    const cluster = await open()
    for (const groupId of cluster.groups) {
      const view = await cluster.house(groupId)
      expect(view.features).toEqual(knownFeatures)
      expect(view.settings).toEqual({ outageExtensionMinMs: 5_000, outageThresholdMs: 2_000 })
    }
    const index = cluster.status().groups[0]?.appliedIndex
    await cluster.close()
    const again = await open()
    expect((await again.house(1 as GroupId)).features).toEqual(knownFeatures)
    // The one entry of a new term, and nothing asked again.
    expect(again.status().groups[0]?.appliedIndex).toBe((index ?? 0) + 1)
    await again.close()
  })

  it('HOUSE2: a house whose log switches on what this build does not know does not open, and says why', async () => {
    const cluster = await open()
    await cluster.close()
    const ahead: Command = { type: 'configure_house', settings, features: [65_535] }
    const store = openLmdbStore(join(dataDir, 'state'))
    // As a node of a later version would have left it.
    const groupId = 1 as GroupId
    const { index = 0, term = 0 } = readCheckpoint(store, groupId) ?? {}
    const key = entryKey(groupId, index + 1)
    const data = pack(encodeMachineEntry({ version: entryVersion, atMs: Date.now(), commands: [ahead] }))
    const value = encodeEntry(key, { type: 'EntryNormal', index: index + 1, term, data })
    await store.commit([{ key, value }])
    await store.close()
    await expect(open()).rejects.toMatchObject({
      code: 'feature_unknown',
      message: 'this house uses a feature of a newer version: upgrade this node (feature=65535)',
    })
  })

  it('HOUSE3: whatever is proposed meanwhile comes behind it, also to a leader that is not ready', async () => {
    const bench = await ReplicaBench.make([1])
    const first = begin(bench).get(1) as FirstFeatures
    const { replica } = bench.only
    while (!replica.status().isLeader) expect(await bench.step()).toBe(true)
    expect(replica.status().ready).toBe(false)
    const replies: Promise<Reply>[] = [first.propose(configure), first.propose(enlistServer)]
    await bench.settle()
    expect(await Promise.all(replies)).toMatchObject([{ ok: true }, { ok: true }])
    expect(typesIn(bench, bench.only)).toEqual(['configure_house', 'configure_house', 'enlist_server'])
    expect(replica.applied.state.house).toMatchObject({ settings, features: knownFeatures })
    await first.whenOver()
  })

  it('HOUSE3: a group that has applied commands is left as it is, also when its leader has yet to see them', async () => {
    const bench = await ReplicaBench.make([1])
    await bench.until(() => bench.leader !== undefined)
    const reply = bench.only.replica.propose(enlistServer)
    await bench.settle()
    await reply
    expect(bench.only.replica.status().checkpointIndex).toBe(1)
    const { disk } = bench.only
    bench.crash(bench.only, true)
    const node = bench.open(1, disk)
    const first = new FirstFeatures(node.replica)
    while (!node.replica.status().isLeader) expect(await bench.step()).toBe(true)
    expect(node.replica.applied.state.house.lastAtMs).toBe(0)
    const late = first.propose(configure)
    await bench.settle()
    await late
    await first.whenOver()
    expect(typesIn(bench, node)).toEqual(['enlist_server', 'configure_house'])
    expect(node.replica.applied.state.house.features).toEqual([])
  })

  it('HOUSE3: a leader that dies in the middle leaves the whole or nothing, and the next one sees to it', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const bench = await ReplicaBench.make([1, 2, 3], {}, seed)
      const firsts = begin(bench)
      await bench.until(() => [...bench.nodes.values()].some(({ replica }) => replica.status().isLeader))
      const leader = [...bench.nodes.values()].find(({ replica }) => replica.status().isLeader) as Node
      firsts
        .get(leader.id)
        ?.propose(enlistServer)
        .catch(() => undefined)
      for (let steps = 0; steps < seed; steps++) await bench.step()
      bench.crash(leader, seed % 2 === 0)
      await bench.until(() => bench.leader !== undefined)
      const heir = bench.leader as Node
      let isDone = false
      void firsts
        .get(heir.id)
        ?.propose(enlistServer)
        .then(() => {
          isDone = true
        })
      await bench.until(() => isDone)
      await bench.until(() => areEqual(bench))
      expect(heir.replica.applied.state.house.features).toEqual(knownFeatures)
      const types = typesIn(bench, heir)
      expect(types.filter((type) => type === 'configure_house')).toHaveLength(1)
      expect(types[0]).toBe('configure_house')
      await firsts.get(heir.id)?.whenOver()
    }
  })

  it('HOUSE3: what waits for a leader that is none after all is refused, and nobody waits for one that ended', async () => {
    const bench = await ReplicaBench.make([1])
    const first = begin(bench).get(1) as FirstFeatures
    const { replica } = bench.only
    await expect(first.propose(enlistServer)).rejects.toMatchObject({ code: 'unavailable' })
    while (!replica.status().isLeader) await bench.step()
    const held = first.propose(enlistServer)
    const over = first.whenOver()
    const outcomes = Promise.allSettled([held, over])
    const stopped = replica.stop()
    await bench.settle()
    await stopped
    expect(await outcomes).toMatchObject([
      { status: 'rejected', reason: { code: 'stopped' } },
      { status: 'rejected', reason: { code: 'stopped' } },
    ])
  })
})
