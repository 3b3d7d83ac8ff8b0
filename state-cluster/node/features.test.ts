import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { GroupId } from '../../protocol/ids.ts'
import type { Command } from '../machine/commands.ts'
import { knownFeatures } from '../machine/features.ts'
import {
  apply,
  emptyState,
  encodeEntry as encodeMachineEntry,
  entryVersion,
  stateHash,
} from '../machine/index.ts'
import { newConfState } from '../raft/index.ts'
import { AppliedState, writesOfNewState } from '../replica/applied-state.ts'
import { enlistServer } from '../replica/testing/workload.ts'
import { readCheckpoint } from '../storage/checkpoint.ts'
import { encodeEntry, entryKey } from '../storage/layout.ts'
import { openLmdbStore } from '../storage/lmdb-store.ts'
import { MemoryDisk } from '../storage/memory-store.ts'
import { pack } from '../storage/pack.ts'
import { openSingleNode } from './single-node.ts'

const settings = { outageExtensionMinMs: 7_000, outageThresholdMs: 3_000 }

let dataDir: string
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'martillo-features-'))
})
afterEach(() => rm(dataDir, { recursive: true }))

const open = () =>
  openSingleNode({
    dataDir,
    groupCount: 2,
    onFatal(error) {
      throw error
    },
  })

describe('features of a group', () => {
  it('HOUSE3: a new house has the features of its build on in each group, without a command', async () => {
    const cluster = await open()
    for (const groupId of cluster.groups) {
      const view = await cluster.house(groupId)
      expect(view.features).toEqual(knownFeatures)
      expect(view.settings).toEqual({ outageExtensionMinMs: 5_000, outageThresholdMs: 2_000 })
    }
    // The checkpoint is at 1; the one entry after it is that of the leader's term.
    expect(cluster.status().groups.map(({ appliedIndex }) => appliedIndex)).toEqual([2, 2])
    await cluster.close()
  })

  it('HOUSE3: the first checkpoint holds every row of the state that a group begins with', async () => {
    const groupId = 0 as GroupId
    const state = emptyState()
    apply(state, { version: entryVersion, atMs: 1_000, commands: [enlistServer] })
    const hash = stateHash(state)
    expect(hash).not.toBe(stateHash(emptyState()))
    const store = new MemoryDisk().open()
    const position = { index: 1, term: 1, confState: newConfState([1]) }
    await store.commit(writesOfNewState(groupId, position, state))
    const loaded = await AppliedState.open({ store, groupId, afterTurn: setImmediate })
    expect(loaded.position).toEqual(position)
    expect(loaded.hash()).toBe(hash)
  })

  it('HOUSE2: a node whose log switches on what this build does not know does not open, and says why', async () => {
    const cluster = await open()
    await cluster.close()
    const ahead: Command = { type: 'configure_house', settings, features: [65_535] }
    const store = openLmdbStore(join(dataDir, 'state'))
    // As a node of a later version would have left it.
    const groupId = 1 as GroupId
    const { index = 0, term = 0 } = readCheckpoint(store, groupId) ?? {}
    const key = entryKey(groupId, index + 1)
    const data = pack(encodeMachineEntry({ version: entryVersion, atMs: Date.now(), commands: [ahead] }))
    const value = encodeEntry(key, { type: 'EntryNormal', index: index + 1, term, data }, index)
    await store.commit([{ key, value }])
    await store.close()
    await expect(open()).rejects.toMatchObject({
      code: 'feature_unknown',
      message: expect.stringContaining(
        'this house uses a feature of a newer version: upgrade this node (feature=65535)',
      ),
    })
  })
})
