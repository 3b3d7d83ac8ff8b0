import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { AuctionId, GroupId, SubjectId } from '../../protocol/ids.ts'
import type { FeedBatch } from '../cluster.ts'
import { openSingleNode, type SingleNode, type SingleNodeOptions, type StartProgress } from '../index.ts'
import type { Reply } from '../machine/events.ts'
import { auctionIdOf, createAuction, enlistServer, placeBid, serverId } from '../replica/testing/workload.ts'
import { entryRange } from '../storage/layout.ts'
import { openLmdbStore } from '../storage/lmdb-store.ts'
import { readMeta, writeOfMeta } from '../storage/meta.ts'

let dataDir: string
let children: ChildProcess[] = []

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'martillo-local-'))
})

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  children = []
  await rm(dataDir, { recursive: true })
})

const first = 0 as GroupId

function open(options: Partial<SingleNodeOptions> = {}): Promise<SingleNode> {
  return openSingleNode({
    dataDir,
    onFatal(error) {
      throw error
    },
    ...options,
  })
}

async function fill(cluster: SingleNode, auctions: number): Promise<void> {
  for (const groupId of cluster.groups) await cluster.propose(groupId, enlistServer)
  await Promise.all(
    Array.from({ length: auctions }, (_, number) =>
      cluster.propose(cluster.groupOf(auctionIdOf(number)), createAuction(number)),
    ),
  )
}

describe('local cluster', () => {
  it('STORE10: takes commands, answers reads, feeds, and has it all after it was opened again', async () => {
    const cluster = await open()
    expect(cluster.groups).toEqual([0])
    const feed: FeedBatch[] = []
    cluster.subscribe(first, (batch) => feed.push(batch))
    await fill(cluster, 3)
    const replies = await Promise.all(
      Array.from({ length: 30 }, (_, number) => cluster.propose(first, placeBid(number, number % 3))),
    )
    expect(replies.every((reply) => reply.ok)).toBe(true)
    const view = await cluster.auction(auctionIdOf(1))
    expect(view).toMatchObject({ status: 'open', bidCount: 10, seq: 11 })
    expect(await cluster.auction('nothing' as AuctionId)).toBeUndefined()
    expect((await cluster.auctions({ limit: 2 })).auctions.length).toBe(2)
    expect(feed.flatMap((batch) => batch.events).length).toBeGreaterThanOrEqual(33)
    expect((await cluster.outbox(first, serverId, 0, 1_000)).length).toBeGreaterThan(30)
    const { stateHash, ...status } = cluster.status().groups[0] ?? {}
    expect(status).toMatchObject({ ready: true, auctions: 3, openAuctions: 3 })
    expect(cluster.load()).toMatchObject({ queuedCommands: 0, inFlightCommands: 0, unappliedEntries: 0 })
    await cluster.close()

    const again = await open()
    expect(again.clusterId).toBe(cluster.clusterId)
    expect(again.status().groups[0]?.stateHash).toBe(stateHash)
    expect(await again.auction(auctionIdOf(1))).toEqual(view)
    expect(await again.propose(first, placeBid(4, 1))).toEqual(replies[4])
    await again.close()
  })

  it('STORE9: gives events in order, and resumes only what it can honour', async () => {
    const cluster = await open()
    await fill(cluster, 1)
    for (let number = 0; number < 9; number++) await cluster.propose(first, placeBid(number, 0))
    const id = auctionIdOf(0)
    const seqs = async (after: number, limit: number): Promise<number[]> =>
      (await cluster.events(id, after, limit)).map((event) => event.seq)
    expect(await seqs(0, 100)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(await seqs(4, 3)).toEqual([5, 6, 7])
    expect(await seqs(10, 5)).toEqual([])
    expect(await seqs(99, 5)).toEqual([])
    expect(await cluster.events('nothing' as AuctionId, 0, 5)).toEqual([])
    const epoch = (await cluster.auction(id))?.epoch ?? 0
    const since = async (position: { epoch: number; seq: number }, limit: number) =>
      (await cluster.eventsSince(id, position, limit))?.map((event) => event.seq)
    expect(await since({ epoch, seq: 7 }, 100)).toEqual([8, 9, 10])
    expect(await since({ epoch, seq: 10 }, 100)).toEqual([])
    expect(await since({ epoch: 0, seq: 0 }, 100)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(await since({ epoch: epoch + 1, seq: 7 }, 100)).toBeUndefined()
    expect(await since({ epoch, seq: 11 }, 100)).toBeUndefined()
    expect(await since({ epoch, seq: 7 }, 2)).toBeUndefined()
    expect(await cluster.eventsSince('nothing' as AuctionId, { epoch, seq: 0 }, 9)).toBeUndefined()
    await cluster.close()
  })

  it('STORE15: several groups share the disk; auctions stay in their group; pages go over all', async () => {
    const cluster = await open({ groupCount: 4 })
    await fill(cluster, 40)
    const counts = cluster.status().groups.map((group) => group.auctions)
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(40)
    expect(Math.min(...counts)).toBeGreaterThan(0)
    const seen: string[] = []
    let after: string | undefined
    for (let page = 0; page < 100; page++) {
      const { auctions, next } = await cluster.auctions({
        limit: 7,
        ...(after === undefined ? {} : { after }),
      })
      expect(auctions.length).toBeLessThanOrEqual(7)
      seen.push(...auctions.map((auction) => auction.id))
      after = next
      if (next === undefined) break
    }
    expect(seen.length).toBe(40)
    expect(new Set(seen).size).toBe(40)
    expect((await cluster.auctions({ limit: 7, after: 'x' })).auctions).toEqual([])
    const before = cluster.load().disk
    await Promise.all(
      Array.from({ length: 40 }, (_, number) =>
        cluster.propose(cluster.groupOf(auctionIdOf(number)), placeBid(number, number)),
      ),
    )
    const { disk } = cluster.load()
    expect(disk.commits - before.commits).toBeGreaterThanOrEqual(4)
    expect(disk.transactions - before.transactions).toBeLessThan(disk.commits - before.commits)
    const groups = cluster.status().groups.map((group) => group.stateHash)
    await cluster.close()
    const again = await open({ groupCount: 1 })
    expect(again.status().groups.map((group) => group.stateHash)).toEqual(groups)
    expect((await again.auction(auctionIdOf(17)))?.bidCount).toBe(1)
    await again.close()
  })

  it('buyers are found by id and by interest', async () => {
    const cluster = await open()
    await fill(cluster, 0)
    for (const name of ['ann', 'bob']) {
      await cluster.propose(first, {
        type: 'register_buyer',
        subject: name as SubjectId,
        requestId: `register-${name}` as never,
        buyerId: name as SubjectId,
        name,
        interests: ['clocks'],
        serverId,
      })
    }
    expect((await cluster.buyer('ann' as SubjectId))?.name).toBe('ann')
    const found = await cluster.interestedBuyers(['clocks'], 'ann' as SubjectId, 10)
    expect(found.map((buyer) => buyer.id)).toEqual(['bob'])
    await cluster.close()
  })

  it('LOCK1: a second one on the same folder is refused; after a close, it is not', async () => {
    const cluster = await open()
    await expect(open()).rejects.toMatchObject({ code: 'folder_in_use' })
    await cluster.close()
    await (await open()).close()
  })

  it('STORE6: a damaged log entry or another cluster’s folder is one clear error, and the folder is free', async () => {
    const cluster = await open()
    await fill(cluster, 2)
    await cluster.close()
    const statePath = join(dataDir, 'state')
    let store = openLmdbStore(statePath)
    const [entry] = [...store.range({ ...entryRange(first, 2, 1e6), reverse: true, limit: 1 })]
    const value = entry?.value as Uint8Array
    const flipped = value.slice()
    flipped[value.length - 1] = (flipped[value.length - 1] as number) ^ 4
    await store.commit([{ key: entry?.key as Uint8Array, value: flipped }])
    await store.close()
    await expect(open()).rejects.toMatchObject({ name: 'StoreError', code: 'corrupt' })
    await expect(open()).rejects.toMatchObject({ code: 'corrupt' })

    store = openLmdbStore(statePath)
    await store.commit([{ key: entry?.key as Uint8Array, value }])
    const meta = readMeta(store)
    if (meta === undefined) throw new Error('a cluster that was made has its record')
    await store.commit([writeOfMeta({ ...meta, nodeId: 2 })])
    await store.close()
    await expect(open()).rejects.toMatchObject({ code: 'foreign_data' })
    store = openLmdbStore(statePath)
    await store.commit([writeOfMeta(meta)])
    await store.close()
    const again = await open()
    expect((await again.auctions({ limit: 10 })).auctions.length).toBe(2)
    await again.close()
  })

  it('STORE16: the disk stays flat while the same auctions take bids, but for their history', async () => {
    const cluster = await open({
      settings: { logTailBytesMax: 64 * 1024, checkpointRows: 500, checkpointBytes: 256 * 1024 },
    })
    await fill(cluster, 10)
    const sizes: { used: number; events: number }[] = []
    let number = 0
    for (let round = 0; round < 8; round++) {
      for (let turn = 0; turn < 20; turn++) {
        await Promise.all(
          Array.from({ length: 100 }, () => {
            number += 1
            return cluster.propose(first, placeBid(number, number % 10))
          }),
        )
      }
      sizes.push({ used: cluster.load().disk.usedBytes, events: number })
    }
    const status = cluster.status().groups[0]
    expect(status?.firstIndex).toBeGreaterThan((status?.appliedIndex ?? 0) / 2)
    const [early, late] = [sizes[3], sizes[7]] as [(typeof sizes)[0], (typeof sizes)[0]]
    const perEvent = (late.used - early.used) / (late.events - early.events)
    // What grows is one history event a bid; a log that is kept would add its entry, rows that are not reused more.
    expect(perEvent).toBeLessThan(400)
    await cluster.close()
  })

  it('STORE7: reports how far it is while it loads', async () => {
    const cluster = await open({ settings: { checkpointMs: 1e9 } })
    await fill(cluster, 50)
    await cluster.close()
    const progress: StartProgress[] = []
    const again = await open({ onProgress: (step) => progress.push(step) })
    expect(progress.find((step) => step.phase === 'rows')?.done).toBeGreaterThan(100)
    await again.close()
  })

  it('STORE1: killed at any moment, it has every acknowledged bid, once and in order', async () => {
    const acknowledged = new Map<number, Reply>()
    let next = 0
    for (let round = 0; round < 5; round++) {
      next = await runAndKill(next, 120 + round * 50, acknowledged)
      const cluster = await open()
      const events = await cluster.events(auctionIdOf(0), 0, 10_000)
      const bids = events.flatMap((event) => (event.type === 'bid_placed' ? [event.secret.requestId] : []))
      expect(new Set(bids).size).toBe(bids.length)
      for (const number of acknowledged.keys()) expect(bids).toContain(`bid-${number}`)
      // Of a bidder the latest 128 request ids are remembered, and answered as before.
      const latest = [...acknowledged].sort(([a], [b]) => a - b).slice(-100)
      for (const [number, reply] of latest) {
        expect(await cluster.propose(first, placeBid(number, 0))).toEqual(reply)
      }
      await cluster.close()
    }
    expect(acknowledged.size).toBeGreaterThan(400)
  })
})

const biddingProgram = `
  import { openSingleNode } from ${JSON.stringify(new URL('../index.ts', import.meta.url).href)}
  import { createAuction, placeBid, enlistServer } from ${JSON.stringify(
    new URL('../replica/testing/workload.ts', import.meta.url).href,
  )}
  const [dataDir, from] = process.argv.slice(1)
  const settings = { checkpointRows: 100, logTailBytesMax: 20_000 }
  const cluster = await openSingleNode({ dataDir, settings, onFatal: (error) => { throw error } })
  await cluster.propose(0, enlistServer)
  await cluster.propose(0, createAuction(0))
  let number = Number(from)
  async function bid() {
    for (;;) {
      const mine = number++
      const reply = await cluster.propose(0, placeBid(mine, 0))
      process.stdout.write(JSON.stringify({ number: mine, reply }) + '\\n')
    }
  }
  await Promise.all([bid(), bid(), bid()])`

/** Runs bidders in another process, kills it after `count` replies, notes them; gives the next free number. */
function runAndKill(from: number, count: number, acknowledged: Map<number, Reply>): Promise<number> {
  return new Promise((resolve, reject) => {
    const args = ['--import', 'tsx', '--input-type=module', '-e', biddingProgram, dataDir, String(from)]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(child)
    let text = ''
    let received = 0
    let highest = from
    child.once('error', reject)
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      const lines = text.split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) {
        const { number, reply } = JSON.parse(line) as { number: number; reply: Reply }
        if (reply.ok) acknowledged.set(number, reply)
        received += 1
        highest = Math.max(highest, number)
      }
      if (received >= count) child.kill('SIGKILL')
    })
    child.once('exit', () => resolve(highest + 10))
  })
}
