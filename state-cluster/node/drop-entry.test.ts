import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { GroupId } from '../../protocol/ids.ts'
import { openSingleNode } from '../index.ts'
import { encodeEntry as encodeMachineEntry, entryVersion } from '../machine/index.ts'
import { auctionIdOf, createAuction, enlistServer, placeBid } from '../replica/testing/workload.ts'
import { encodeEntry, entryKey } from '../storage/layout.ts'
import { openLmdbStore } from '../storage/lmdb-store.ts'
import { pack } from '../storage/pack.ts'
import { dropEntry } from './drop-entry.ts'

const group = 0 as GroupId
let dataDir: string

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'martillo-drop-'))
})

afterEach(async () => {
  await rm(dataDir, { recursive: true })
})

describe('an entry that ends every replica', () => {
  /** A node that was stopped, with an entry after its last one that names a feature of no build. */
  async function poisonedHouse(): Promise<{ index: number; term: number }> {
    const cluster = await openSingleNode({ dataDir, onFatal: () => undefined })
    await cluster.propose(group, enlistServer)
    await cluster.propose(group, createAuction(0))
    await cluster.propose(group, placeBid(1, 0))
    const [status] = (await cluster.status()).groups
    await cluster.close()
    const { commitIndex, term } = status as { commitIndex: number; term: number }
    const store = openLmdbStore(`${dataDir}/state`)
    const settings = { outageExtensionMinMs: 5_000, outageThresholdMs: 2_000 }
    const command = { type: 'configure_house', settings, features: [60_000] } as const
    const atMs = Date.now() + 60_000
    const data = pack(encodeMachineEntry({ version: entryVersion, atMs, commands: [command] }))
    const index = commitIndex + 1
    const key = entryKey(group, index)
    await store.commit([{ key, value: encodeEntry(key, { type: 'EntryNormal', index, term, data }, 0) }])
    await store.close()
    return { index, term }
  }

  it('STORE18: the node says which one, and starts again once it was dropped', async () => {
    const { index, term } = await poisonedHouse()
    const open = () => openSingleNode({ dataDir, onFatal: () => undefined })
    await expect(open()).rejects.toThrow(`entry ${index} of term ${term} cannot be applied`)
    const dropped = await dropEntry({ dataDir, groupId: group, index, term, nowMs: Date.now() })
    expect(dropped).toMatchObject({ nodeId: 1, index, term })
    expect(dropped.bytes).toBeGreaterThan(0)
    const cluster = await open()
    expect((await cluster.auction(auctionIdOf(0)))?.bidCount).toBe(1)
    expect(await cluster.propose(group, placeBid(2, 0))).toMatchObject({ ok: true })
    await cluster.close()
  })

  it('STORE18: another entry than the one that was named stays', async () => {
    const { index, term } = await poisonedHouse()
    const drop = (groupId: number, at: number, ofTerm: number) =>
      dropEntry({ dataDir, groupId: groupId as GroupId, index: at, term: ofTerm, nowMs: Date.now() })
    await expect(drop(0, index, term + 1)).rejects.toThrow(`entry ${index} is of term ${term}`)
    await expect(drop(0, index + 5, term)).rejects.toThrow('there is no entry')
    await expect(drop(0, 1, term)).rejects.toThrow('is applied')
    await expect(drop(7, index, term)).rejects.toThrow('holds no group 7')
  })
})
