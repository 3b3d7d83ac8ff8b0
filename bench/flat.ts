/**
 * Memory and disk of one replica over millions of bids on 1,000 auctions: what must stay flat (memory once the
 * remembered requests are full, the log) and what grows by design (the public history: bytes a bid). One process,
 * one group, a real disk; the notices are acknowledged as a publisher does, so that the outbox stays empty.
 * Memory is told apart: the heap, what the process holds itself, and pages of the data file that the system may take
 * back at any time.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AuctionId, GroupId, RequestId, ServerId, SubjectId } from '../protocol/ids.ts'
import { defaultIncrements } from '../protocol/money.ts'
import { type Command, openLocalCluster } from '../state-cluster/index.ts'

interface Sample {
  readonly bids: number
  readonly seconds: number
  readonly heapBytes: number
  /** Of the process alone: without pages of files. */
  readonly ownBytes: number
  /** Pages of the data file in memory; the system takes them back when it needs them. */
  readonly mappedBytes: number
  readonly diskUsedBytes: number
  readonly diskFileBytes: number
  readonly logEntries: number
  readonly outboxLength: number
}

interface FlatFigures {
  readonly bids: number
  readonly auctions: number
  readonly bidsPerSecond: number
  /** Growth of the process's own memory over the second half, in bytes a bid; flat is about 0. */
  readonly ownBytesPerBid: number
  /** Growth of used disk over the second half, in bytes a bid: the history, which grows by design. */
  readonly historyBytesPerBid: number
  readonly samples: readonly Sample[]
}

const groupId = 0 as GroupId
const serverId = 'server-1' as ServerId
const auctionCount = 1_000
const bidderCount = 50
const inFlight = 256
const sampleCount = 20
const bidsDefault = 1_000_000
/** A bid makes two notices at most. */
const noticesPerBidMax = 2

function createAuction(number: number): Command {
  return {
    type: 'create_auction',
    subject: 'seller' as SubjectId,
    requestId: `create-${number}` as RequestId,
    auctionId: `auction-${number}` as AuctionId,
    serverId,
    terms: {
      title: `Lot ${number}`,
      tags: ['bench'],
      format: 'english',
      currency: 'EUR',
      openingBid: 100,
      durationMs: 30 * 86_400_000,
      increments: defaultIncrements('EUR'),
    },
  }
}

/** Bid number `number`; each auction's bids rise, so that all are accepted. */
function placeBid(number: number): Command {
  const round = Math.floor(number / auctionCount)
  return {
    type: 'place_bid',
    subject: `bidder-${round % bidderCount}` as SubjectId,
    requestId: `bid-${number}` as RequestId,
    auctionId: `auction-${(number * 7) % auctionCount}` as AuctionId,
    amount: 1_000_000 + round * 20_000,
    kind: 'max',
  }
}

/** `RssAnon` or `RssFile` of this process, in bytes; 0 where the system does not tell. */
function resident(name: 'RssAnon' | 'RssFile'): number {
  try {
    const text = readFileSync('/proc/self/status', 'utf8')
    return 1_024 * Number(new RegExp(`${name}:\\s+(\\d+)`).exec(text)?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** Measures; progress goes to stderr. Rejects when a bid is refused. */
export async function flat({ bids = bidsDefault } = {}): Promise<FlatFigures> {
  const dataDir = mkdtempSync(join(tmpdir(), 'martillo-bench-'))
  const cluster = await openLocalCluster({
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
    const { epoch } = await must({ type: 'register_server', serverId })
    await Promise.all(Array.from({ length: auctionCount }, (_, number) => must(createAuction(number))))
    const samples: Sample[] = []
    const beganMs = performance.now()
    const sample = (done: number): void => {
      globalThis.gc?.()
      const { usedBytes, fileBytes } = cluster.load().disk
      const [group] = cluster.status().groups
      const taken: Sample = {
        bids: done,
        seconds: Math.round((performance.now() - beganMs) / 100) / 10,
        heapBytes: process.memoryUsage().heapUsed,
        ownBytes: resident('RssAnon'),
        mappedBytes: resident('RssFile'),
        diskUsedBytes: usedBytes,
        diskFileBytes: fileBytes,
        logEntries: group === undefined ? 0 : group.appliedIndex - group.firstIndex + 1,
        outboxLength: group?.outboxLength ?? 0,
      }
      samples.push(taken)
      const mib = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`
      process.stderr.write(
        `flat: ${done.toLocaleString('en')} bids, ${taken.seconds} s: own ${mib(taken.ownBytes)}, heap ${mib(taken.heapBytes)}, disk ${mib(usedBytes)}\n`,
      )
    }
    sample(0)
    let next = 0
    for (let step = 1; step <= sampleCount; step++) {
      const end = Math.floor((bids * step) / sampleCount)
      const bidOn = async (): Promise<void> => {
        while (next < end) {
          const number = next++
          await must(placeBid(number))
          if (number % 1_000 === 0) {
            const upTo = noticesPerBidMax * Math.max(0, number - inFlight)
            await must({ type: 'acknowledge_notices', serverId, epoch: epoch as number, upTo })
          }
        }
      }
      await Promise.all(Array.from({ length: inFlight }, bidOn))
      sample(end)
    }
    const middle = samples[sampleCount / 2] as Sample
    const last = samples.at(-1) as Sample
    const between = last.bids - middle.bids
    const perBid = (figure: (of: Sample) => number): number =>
      Math.round((10 * (figure(last) - figure(middle))) / between) / 10
    return {
      bids,
      auctions: auctionCount,
      bidsPerSecond: Math.round(bids / last.seconds),
      ownBytesPerBid: perBid(({ ownBytes }) => ownBytes),
      historyBytesPerBid: perBid(({ diskUsedBytes }) => diskUsedBytes),
      samples,
    }
  } finally {
    await cluster.close()
    rmSync(dataDir, { recursive: true })
  }
}
