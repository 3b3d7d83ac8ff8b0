/**
 * Bench: memory, rows and history that an ended auction leaves.
 *
 * Auctions open, get three bids of two bidders and end, over and over, on one replica with real Raft on a real disk.
 * Each bidder is in many auctions. Figures are bytes an auction from the half-way mark to the end, when the remembered
 * requests are full.
 *
 * Invariant: the log stays flat; the bench fails otherwise.
 */
import type { RequestId, SubjectId } from '../protocol/ids.ts'
import type { Command } from '../state-cluster/index.ts'
import { auctionIdOf, createAuction } from './bids.ts'
import { type Growth, type Sample, Samples } from './samples.ts'
import { onSingleNode } from './single-node.ts'

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

const sellerCount = 2_000
const bidderCount = 10_000
const inFlight = 256
const sampleCount = 20
const auctionsDefault = 400_000
const amounts = [500, 900, 1_400] as const

/** All that happens to auction number `number`, in order. */
function lifeOf(number: number): readonly Command[] {
  const auctionId = auctionIdOf(number)
  const seller = `seller-${number % sellerCount}` as SubjectId
  const tags = ['bench', `kind-${number % 100}`]
  const create = createAuction(number, { seller, days: 7, tags })
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
  return await onSingleNode(async ({ cluster, must, emptyOutbox }) => {
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
          await emptyOutbox()
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
  })
}
