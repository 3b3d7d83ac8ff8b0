/**
 * The bids that benches of a whole replica place: 1,000 auctions with 50 bidders each.
 *
 * Invariant: every bid has its own request id and is high enough to be accepted, if they are placed in order.
 * Source: ../protocol/money.ts.
 */
import type { AuctionId, GroupId, RequestId, ServerId, SubjectId } from '../protocol/ids.ts'
import { defaultIncrements } from '../protocol/money.ts'
import type { Command } from '../state-cluster/index.ts'

export const groupId = 0 as GroupId
export const serverId = 'server-1' as ServerId
export const auctionCount = 1_000
const bidderCount = 50

const dayMs = 86_400_000

export const auctionIdOf = (number: number): AuctionId => `auction-${number}` as AuctionId

/** The command that opens auction number `number`. */
export function createAuction(
  number: number,
  { seller = 'seller', days = 1, tags = ['bench'] }: { seller?: string; days?: number; tags?: string[] } = {},
): Command {
  return {
    type: 'create_auction',
    subject: seller as SubjectId,
    requestId: `create-${number}` as RequestId,
    auctionId: auctionIdOf(number),
    serverId,
    terms: {
      title: `Lot ${number}`,
      tags,
      format: 'english',
      currency: 'EUR',
      openingBid: 100,
      durationMs: days * dayMs,
      increments: defaultIncrements('EUR'),
    },
  }
}

/** Bid number `number`; each auction's bids rise, so that all are accepted. */
export function placeBid(number: number): Command {
  const round = Math.floor(number / auctionCount)
  return {
    type: 'place_bid',
    subject: `bidder-${round % bidderCount}` as SubjectId,
    requestId: `bid-${number}` as RequestId,
    auctionId: auctionIdOf((number * 7) % auctionCount),
    amount: 1_000_000 + round * 20_000,
    kind: 'max',
  }
}
