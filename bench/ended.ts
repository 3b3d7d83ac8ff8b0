/**
 * Bench: memory, rows and history that an ended auction leaves.
 *
 * Auctions open, get three bids of two bidders and end, over and over, on one replica with real Raft on a real disk.
 * Each bidder is in many auctions. Figures are bytes an auction from the half-way mark to the end, when the remembered
 * requests are full.
 *
 * Invariant: the log stays flat; the bench fails otherwise.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AuctionId, GroupId, RequestId, ServerId, SubjectId } from '../protocol/ids.ts'
import { defaultIncrements } from '../protocol/money.ts'
import { type Command, openSingleNode } from '../state-cluster/index.ts'
import { emptyOutbox } from './outbox.ts'
import { type Growth, type Sample, Samples } from './samples.ts'

interface EndedReport {
  readonly auctions: number
  readonly auctionsPerSecond: number
  readonly heapBytesPerAuction: number
  readonly stateBytesPerAuction: number
  readonly historyBytesPerAuction: number
  readonly fileBytesPerAuction: number
  readonly log: Growth
  readonly passed: boolean
  readonly samples: readonly Sample[]
}

const groupId = 0 as GroupId
const serverId = 'server-1' as ServerId
const sellerCount = 2_000
const bidderCount = 10_000
const inFlight = 256
const sampleCount = 20
const auctionsDefault = 400_000
const amounts = [500, 900, 1_400] as const

/** All that happens to auction number `number`, in order. */
function lifeOf(number: number): readonly Command[] {
  const auctionId = `auction-${number}` as AuctionId
  const seller = `seller-${number % sellerCount}` as SubjectId
  const create: Command = {
    type: 'create_auction',
    subject: seller,
    requestId: `create-${number}` as RequestId,
    auctionId,
    serverId,
    terms: {
      title: `Lot number ${number}`,
      tags: ['bench', `kind-${number % 100}`],
      format: 'english',
      currency: 'EUR',
      openingBid: 100,
      durationMs: 7 * 86_400_000,
      increments: defaultIncrements('EUR'),
    },
  }
  const bids = amounts.map(
    (amount, at): Command => ({
      type: 'place_bid',
      subject: `bidder-${(number * 7 + (at % 2)) % bidderCount}` as SubjectId,
      requestId: `bid-${number}-${at}` as RequestId,
      auctionId,
      amount,
      kind: 'max',
    }),
  )
  const requestId = `close-${number}` as RequestId
  return [create, ...bids, { type: 'close_auction', subject: seller, requestId, operator: false, auctionId }]
}

/** Measures; progress goes to stderr. Rejects when a command is refused. */
export async function ended({ auctions = auctionsDefault } = {}): Promise<EndedReport> {
  const dataDir = mkdtempSync(join(tmpdir(), 'martillo-bench-'))
  const cluster = await openSingleNode({
    dataDir,
    onFatal(error) {
      throw error
    },
  })
  const must = async (command: Command): Promise<Record<string, unknown>> => {
    const reply = await cluster.propose(groupId, command)
    if (!reply.ok) throw new Error(`${command.type} was refused: ${reply.code}`)
    return { ...reply }
  }
  try {
    const { epoch } = await must({ type: 'enlist_server', serverId })
    const samples = new Samples(cluster, 'auctions')
    await samples.take(0)
    let next = 0
    for (let step = 1; step <= sampleCount; step++) {
      const end = Math.floor((auctions * step) / sampleCount)
      const live = async (): Promise<void> => {
        while (next < end) {
          const number = next++
          for (const command of lifeOf(number)) await must(command)
          if (number % 100 !== 0) continue
          await emptyOutbox(cluster, groupId, serverId, epoch as number)
        }
      }
      await Promise.all(Array.from({ length: inFlight }, live))
      await samples.take(end)
    }
    const log = samples.growthOf('logBytes')
    return {
      auctions,
      auctionsPerSecond: Math.round(auctions / (samples.taken.at(-1)?.seconds ?? 1)),
      heapBytesPerAuction: samples.perEach('heapBytes'),
      stateBytesPerAuction: samples.perEach('stateBytes'),
      historyBytesPerAuction: samples.perEach('historyBytes'),
      fileBytesPerAuction: samples.perEach('fileBytes'),
      log,
      passed: log.isFlat,
      samples: samples.taken,
    }
  } finally {
    await cluster.close()
    rmSync(dataDir, { recursive: true })
  }
}
