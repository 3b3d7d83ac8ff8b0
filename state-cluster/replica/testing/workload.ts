/**
 * Commands for tests of the replica.
 *
 * There are one server, a few auctions, and bidders who outbid each other. Invariant: every command that carries a
 * request id has its own, so that a reply can be found again in another run.
 */
import type { AuctionId, RequestId, ServerId, SubjectId } from '../../../protocol/ids.ts'
import { defaultIncrements } from '../../../protocol/money.ts'
import type { Command, CreateAuction, PlaceBid } from '../../machine/commands.ts'

export const serverId = 'server-1' as ServerId

export const enlistServer: Command = { type: 'enlist_server', serverId }

export const auctionIdOf = (number: number): AuctionId => `auction-${number}` as AuctionId

export function createAuction(number: number): CreateAuction {
  return {
    type: 'create_auction',
    subject: 'seller' as SubjectId,
    requestId: `create-${number}` as RequestId,
    auctionId: auctionIdOf(number),
    serverId,
    terms: {
      title: `Lot ${number}`,
      tags: ['test'],
      format: 'english',
      currency: 'EUR',
      openingBid: 100,
      durationMs: 86_400_000,
      increments: defaultIncrements('EUR'),
    },
  }
}

/** Bid number `number` of a workload: always high enough to be accepted. */
export function placeBid(number: number, auction: number): PlaceBid {
  return {
    type: 'place_bid',
    subject: `bidder-${number % 7}` as SubjectId,
    requestId: `bid-${number}` as RequestId,
    auctionId: auctionIdOf(auction),
    amount: 1_000_000 + number * 10_000,
    kind: 'max',
  }
}
