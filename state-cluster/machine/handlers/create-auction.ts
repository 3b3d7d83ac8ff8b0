/**
 * create_auction: creates an auction, open at once or scheduled for its opening time.
 *
 * Input: seller, auction id, terms, and the server where it is created. Replies: auction · terms_invalid ·
 * auction_exists · limit_exceeded, checked in this order. Events: auction_opened, unless scheduled.
 * Outbox entries: NEW_AUCTION. Leaves the check of terms to terms.ts, and the choice of an owner to servers.ts.
 *
 * Invariant: an id names one auction for ever. The same seller with the same terms gets the auction that exists, and
 * nothing changes. The house's table counts from the creation on; a later change of it does not reach the auction.
 * Source: docs/spec.md HOUSE8, AUCTION1, AUCTION2, AUCTION6, OPEN1, OWNER2, OWNER5, LIMIT1.
 */
import type { IncrementTable } from '../../../protocol/money.ts'
import type { ApplyContext } from '../apply-context.ts'
import { Auction, Terms } from '../auction.ts'
import type { CreateAuction } from '../commands.ts'
import type { Reply } from '../events.ts'
import type { Format } from '../formats/format.ts'
import { formatOf } from '../formats/registry.ts'
import { open } from '../lifecycle.ts'
import type { State } from '../state.ts'
import { termsFault } from '../terms.ts'
import { refuse } from './refuse.ts'

export function createAuction(context: ApplyContext, command: CreateAuction): Reply {
  const { atMs, state } = context
  const { auctions, house, limits, servers, tags } = state
  const { auctionId, terms } = command
  if (termsFault(terms, limits) !== undefined) return refuse('terms_invalid')
  const known = auctions.get(auctionId)
  if (known !== undefined)
    return isSameAuction(known, sameTableTerms(state, command, known.terms), terms.opensAtMs)
      ? { ok: true, type: 'auction', auctionId, seq: known.seq }
      : refuse('auction_exists')
  if (auctions.size >= limits.auctionsMax) return refuse('limit_exceeded')
  if (tags.size + tags.countNew(terms.tags) > limits.distinctTagsMax) return refuse('limit_exceeded')
  const owner = servers.ownerFor(command.serverId, atMs)
  if (owner === undefined) return refuse('limit_exceeded')

  const opensAtMs = Math.max(terms.opensAtMs ?? atMs, atMs)
  const isScheduled = opensAtMs > atMs
  const own = termsOf(state, command, ++house.auctionsMade, tableOf(state, command))
  const status = isScheduled ? 'scheduled' : 'open'
  const auction = new Auction(own, owner, { status, opensAtMs, closesAtMs: opensAtMs + terms.durationMs })
  auctions.add(auction)
  if (!isScheduled) open(context, auction)
  if (owner.id !== command.serverId) context.gain(owner.id)
  context.notify('NEW_AUCTION', auction)
  return { ok: true, type: 'auction', auctionId, seq: auction.seq }
}

/** The increments of a new auction. */
function tableOf({ house }: State, { terms }: CreateAuction): IncrementTable {
  const ofHouse = terms.usesHouseIncrements === true ? house.settings.increments?.[terms.currency] : undefined
  return ofHouse ?? terms.increments
}

/** What the command asks for, beside an existing auction: one that names no table agrees with whatever it got. */
function sameTableTerms(state: State, command: CreateAuction, known: Terms): Terms {
  const { usesHouseIncrements, increments } = command.terms
  return termsOf(state, command, known.ordinal, usesHouseIncrements === true ? known.increments : increments)
}

function termsOf(
  { interned }: State,
  { auctionId, subject, terms }: CreateAuction,
  ordinal: number,
  increments: IncrementTable,
): Terms {
  return new Terms(auctionId, {
    ordinal,
    sellerId: interned.text(subject),
    title: terms.title,
    tags: interned.tags(terms.tags),
    format: formatOf(terms.format) as Format,
    currency: interned.text(terms.currency),
    openingBid: terms.openingBid,
    durationMs: terms.durationMs,
    reserve: terms.reserve,
    buyNow: terms.buyNow,
    increments: interned.table(increments),
    softClose: terms.softClose === undefined ? undefined : interned.softClose(terms.softClose),
    item: terms.item,
  })
}

/**
 * Whether the command describes the auction that exists: same seller, same terms. The requested opening time of an
 * auction that has opened is not kept, but it was not later than the actual one.
 */
function isSameAuction(known: Auction, requested: Terms, opensAtMs: number | undefined): boolean {
  if (JSON.stringify(known.terms.rowValue()) !== JSON.stringify(requested.rowValue())) return false
  if (known.status === 'scheduled') return opensAtMs === known.opensAtMs
  return opensAtMs === undefined || opensAtMs <= known.opensAtMs
}
