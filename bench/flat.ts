/**
 * Bench: memory and disk of one replica over millions of bids.
 *
 * Memory, log and state must stay flat; the public history grows by design (bytes a bid). One process, one group,
 * real Raft on a real disk, 1,000 open auctions. 5,000 bidders place hidden maxima, 50 in each auction; a third of the
 * bids is outbid at once. Outbox entries are acknowledged as a publisher does.
 *
 * Invariant: one bid in a thousand is sent twice, and the second answer equals the first.
 */
import { deepStrictEqual } from 'node:assert'
import type { AuctionId, RequestId, SubjectId } from '../protocol/ids.ts'
import type { Command } from '../state-cluster/index.ts'
import { createAuction } from './bids.ts'
import { type Growth, type Sample, Samples } from './samples.ts'
import { onSingleNode } from './single-node.ts'

interface FlatReport {
  readonly bids: number
  readonly auctions: number
  readonly bidders: number
  readonly bidsPerSecond: number
  /** Bids that were sent again and got their first answer. */
  readonly repeats: number
  readonly growth: Readonly<Record<'memory' | 'heap' | 'log' | 'state' | 'freePages', Growth>>
  /** Of keys and values, in the second half. */
  readonly historyBytesPerBid: number
  /** Of the whole file, in the second half: what a bid costs in the end. */
  readonly fileBytesPerBid: number
  /** Absent: too few bids to judge. */
  readonly passed?: boolean
  readonly samples: readonly Sample[]
}

const auctionCount = 1_000
const bidderCount = 5_000
const biddersPerAuction = 50
const inFlight = 256
const sampleCount = 40
const repeatEvery = 1_000
const bidsDefault = 2_000_000
/** With fewer, the second half is still part of the way to a full memory of requests, and nothing is judged. */
const judgedFromBids = 2_000_000

/**
 * Bid number `number`. Each auction gets its bids in rounds of three: one that takes the lead, one that takes it
 * again, one that is accepted below the leader's maximum.
 */
function placeBid(number: number): Command {
  const round = Math.floor(number / auctionCount)
  const auction = (number * 7) % auctionCount
  const bidder = (auction * 37 + (round % biddersPerAuction) * 101) % bidderCount
  const amounts = [0, 60_000, 30_000] as const
  return {
    type: 'place_bid',
    subject: `bidder-${bidder}` as SubjectId,
    requestId: `bid-${number}` as RequestId,
    auctionId: `auction-${auction}` as AuctionId,
    amount: 1_000_000 + Math.floor(round / 3) * 100_000 + (amounts[round % 3] as number),
    kind: 'max',
  }
}

/** Measures; progress goes to stderr. Rejects when a bid is refused or a repeat has another answer. */
export async function flat({ bids = bidsDefault } = {}): Promise<FlatReport> {
  return await onSingleNode(async ({ cluster, must, emptyOutbox }) => {
    await Promise.all(
      Array.from({ length: auctionCount }, (_, number) => must(createAuction(number, { days: 30 }))),
    )
    const samples = new Samples(cluster, 'bids')
    await samples.take(0)
    let next = 0
    let repeats = 0
    let bidMs = 0
    for (let step = 1; step <= sampleCount; step++) {
      const end = Math.floor((bids * step) / sampleCount)
      const bidOn = async (): Promise<void> => {
        while (next < end) {
          const number = next++
          const reply = await must(placeBid(number))
          if (number % repeatEvery !== 0) continue
          deepStrictEqual(await must(placeBid(number)), reply)
          repeats += 1
          await emptyOutbox()
        }
      }
      const beganMs = performance.now()
      await Promise.all(Array.from({ length: inFlight }, bidOn))
      bidMs += performance.now() - beganMs
      await samples.take(end)
    }
    const growth = {
      memory: samples.growthOf('ownBytes'),
      heap: samples.growthOf('heapBytes'),
      log: samples.growthOf('logBytes'),
      state: samples.growthOf('stateBytes'),
      freePages: samples.growthOf('freeBytes'),
    }
    return {
      bids,
      auctions: auctionCount,
      bidders: bidderCount,
      bidsPerSecond: Math.round(bids / (bidMs / 1_000)),
      repeats,
      growth,
      historyBytesPerBid: samples.perEach('historyBytes'),
      fileBytesPerBid: samples.perEach('fileBytes'),
      ...(bids >= judgedFromBids && { passed: Object.values(growth).every(({ isFlat }) => isFlat) }),
      samples: samples.taken,
    }
  })
}
