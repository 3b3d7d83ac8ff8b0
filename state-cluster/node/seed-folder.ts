/**
 * Data folders of a new cluster that has a long past already.
 *
 * For drills that need a big state and a long history and cannot wait for them: the entries are applied here, without a
 * log, and written by the checkpoints of production; each node gets a copy. The nodes find the members in the list that
 * they are started with, as after a restore.
 * Invariant: a replica that had applied the same entries would have written the same.
 * Source: docs/spec.md BACKUP2, STORE7.
 */
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { AuctionId, GroupId, RequestId, ServerId, SubjectId } from '../../protocol/ids.ts'
import { systemTiming } from '../../wire/timing.ts'
import type { Command } from '../machine/commands.ts'
import { isPublic } from '../machine/events.ts'
import { encodeEntry, entryVersion } from '../machine/index.ts'
import { newConfState } from '../raft/index.ts'
import { AppliedState } from '../replica/applied-state.ts'
import { writesOfNewLog } from '../storage/disk-log.ts'
import { openLmdbStore } from '../storage/lmdb-store.ts'
import { newIncarnation, writeOfMeta } from '../storage/meta.ts'
import { pack } from '../storage/pack.ts'
import { makeBirth } from './host.ts'
import { clusterIdOf } from './node.ts'

const groupId = 0 as GroupId
/** Owns all auctions, and is no process: nothing closes them. */
const serverId = 'seed' as ServerId
const bidderCount = 50
const commandsPerEntry = 1_000
/** Events between two checkpoints, so that memory stays bounded. */
const eventsPerCheckpoint = 1_000_000
/** The first entry is at 2, after the position that all begin with. */
const position = { index: 1, term: 1 }
const pastMs = 60_000

export interface SeedOptions {
  /** The data folder of each node, which must not be there yet. */
  readonly dataDirs: ReadonlyMap<number, string>
  /** The name of the cluster. */
  readonly cluster: string
  readonly auctions: number
  /** Public events, at least. */
  readonly events: number
  readonly note: (text: string) => void
}

export interface Seeded {
  readonly events: number
  /** Bids so far: the next one is `seededBid(bids, …)`. */
  readonly bids: number
}

/** Bid number `number`: they go round over all auctions, and each is accepted if all before it were. */
export function seededBid(number: number, auctions: number): Command {
  const round = Math.floor(number / auctions)
  return {
    type: 'place_bid',
    subject: `bidder-${round % bidderCount}` as SubjectId,
    requestId: `seed-bid-${number}` as RequestId,
    auctionId: auctionIdOf((number * 7) % auctions),
    amount: 1_000_000 + round * 20_000,
    kind: 'max',
  }
}

const auctionIdOf = (number: number): AuctionId => `seeded-${number}` as AuctionId

function createAuction(number: number): Command {
  return {
    type: 'create_auction',
    subject: 'seller' as SubjectId,
    requestId: `seed-create-${number}` as RequestId,
    auctionId: auctionIdOf(number),
    serverId,
    terms: {
      title: `Lot ${number}`,
      tags: ['seeded'],
      format: 'english',
      currency: 'EUR',
      openingBid: 100,
      durationMs: 30 * 86_400_000,
      increments: [{ from: 0, step: 100 }],
    },
  }
}

/** `auctions` must not be a multiple of 7. */
export async function seedFolders(options: SeedOptions): Promise<Seeded> {
  const { dataDirs, cluster } = options
  const ids = [...dataDirs.keys()].sort((a, b) => a - b)
  const metaOf = (nodeId: number) => ({
    clusterId: clusterIdOf(cluster),
    nodeId,
    groupCount: 1,
    incarnation: newIncarnation(),
    isFounding: ids.length > 1,
  })
  const folderOf = (nodeId: number): string => join(dataDirs.get(nodeId) as string, 'state')
  const [firstId = 1, ...others] = ids
  mkdirSync(folderOf(firstId), { recursive: true })
  const store = openLmdbStore(folderOf(firstId))
  const confState = newConfState(ids)
  await makeBirth(store, { meta: metaOf(firstId), position: { ...position, confState }, members: new Map() })
  const applied = await AppliedState.open({ store, groupId, afterTurn: systemTiming.afterTurn })
  const seeded = await fill(applied, options)
  await store.commit(writesOfNewLog(groupId, applied.position))
  await store.close()
  for (const nodeId of others) {
    mkdirSync(folderOf(nodeId), { recursive: true })
    copyFileSync(join(folderOf(firstId), 'data.mdb'), join(folderOf(nodeId), 'data.mdb'))
    const copy = openLmdbStore(folderOf(nodeId))
    await copy.commit([writeOfMeta(metaOf(nodeId))])
    await copy.close()
  }
  return seeded
}

async function fill(applied: AppliedState, { auctions, events, note }: SeedOptions): Promise<Seeded> {
  let { index } = applied.position
  let made = 0
  let unsaved = 0
  let bids = 0
  const put = async (commands: readonly Command[]): Promise<void> => {
    index += 1
    const data = pack(encodeEntry({ version: entryVersion, atMs: Date.now() - pastMs, commands }))
    const outcome = applied.apply({ type: 'EntryNormal', term: position.term, index, data })
    const refused = outcome.replies.find(({ ok }) => !ok)
    if (refused !== undefined) throw new Error(`a seed was refused: ${JSON.stringify(refused)}`)
    const count = outcome.events.filter(isPublic).length
    made += count
    unsaved += count
    if (unsaved < eventsPerCheckpoint) return
    unsaved = 0
    await applied.checkpoint(() => undefined)
    note(`${made} events are there`)
  }
  await put([{ type: 'enlist_server', serverId }])
  for (let at = 0; at < auctions; at += commandsPerEntry) {
    const count = Math.min(commandsPerEntry, auctions - at)
    await put(Array.from({ length: count }, (_, i) => createAuction(at + i)))
  }
  for (; made < events; bids += commandsPerEntry)
    await put(Array.from({ length: commandsPerEntry }, (_, i) => seededBid(bids + i, auctions)))
  await applied.checkpoint(() => undefined)
  return { events: made, bids }
}
