/**
 * Finds the auction of a managing command and checks who sent it.
 *
 * Each command checks the auction's status itself, in the function that it passes. Whether the subject is an operator
 * was decided by the server, from its token.
 *
 * Invariant: only the auction's seller or an operator gets past `manage`.
 * Source: docs/spec.md CLOSE4, CLOSE8.
 */
import type { AuctionId, SubjectId } from '../../../protocol/ids.ts'
import type { ApplyContext } from '../apply-context.ts'
import type { Auction } from '../auction.ts'
import type { Expected } from '../commands.ts'
import type { AuctionChanged, Rejected } from '../events.ts'
import { refuse } from './refuse.ts'

interface Managing {
  readonly auctionId: AuctionId
  readonly subject: SubjectId
  readonly operator: boolean
  readonly expected?: Expected
}

/** Calls `run` with the auction, or refuses: `auction_not_found`, `not_the_seller`, then `state_changed`. */
export function manage(
  context: ApplyContext,
  command: Managing,
  run: (auction: Auction) => Rejected | undefined,
): AuctionChanged | Rejected {
  const auction = context.state.auctions.get(command.auctionId)
  if (auction === undefined) return refuse('auction_not_found')
  if (!command.operator && auction.terms.sellerId !== command.subject) return refuse('not_the_seller')
  const { expected } = command
  if (expected !== undefined && !isAs(auction, expected))
    return { ok: false, code: 'state_changed', closesAt: auction.closesAtMs, seq: auction.seq }
  return run(auction) ?? { ok: true, type: 'auction', auctionId: auction.id, seq: auction.seq }
}

function isAs({ closesAtMs, seq }: Auction, expected: Expected): boolean {
  return (expected.seq ?? seq) === seq && (expected.closesAtMs ?? closesAtMs) === closesAtMs
}
