/**
 * create_auction: makes an auction; it opens at once, or is scheduled when its opening lies ahead.
 * Replies: auction · terms_invalid · auction_exists · limit_exceeded, checked in this order.
 * Events: auction_opened, unless scheduled. Notices: NEW_AUCTION, scheduled or not. Rules AUCTION1–AUCTION5.
 */
import { Auction, Terms } from '../auction.ts'
import type { CreateAuction } from '../commands.ts'
import type { Reply } from '../events.ts'
import type { Format } from '../formats/format.ts'
import { formatOf } from '../formats/registry.ts'
import { open } from '../lifecycle.ts'
import { areTermsValid } from '../terms.ts'
import type { Turn } from '../turn.ts'
import { refuse } from './refuse.ts'

export function createAuction(turn: Turn, command: CreateAuction): Reply {
  const { atMs, state } = turn
  const { auctions, house, interned, limits, servers, tags } = state
  const { auctionId, terms } = command
  if (!areTermsValid(terms, limits)) return refuse('terms_invalid')
  if (auctions.get(auctionId) !== undefined) return refuse('auction_exists')
  if (auctions.size >= limits.auctionsMax) return refuse('limit_exceeded')
  if (tags.size + tags.countNew(terms.tags) > limits.distinctTagsMax) return refuse('limit_exceeded')
  const owner = servers.ownerFor(command.serverId, atMs)
  if (owner === undefined) return refuse('limit_exceeded')

  const opensAtMs = Math.max(terms.opensAtMs ?? atMs, atMs)
  const isScheduled = opensAtMs > atMs
  const own = new Terms(auctionId, {
    ordinal: ++house.auctionsMade,
    sellerId: interned.text(command.subject),
    title: terms.title,
    tags: interned.tags(terms.tags),
    format: formatOf(terms.format) as Format,
    currency: interned.text(terms.currency),
    openingBid: terms.openingBid,
    durationMs: terms.durationMs,
    reserve: terms.reserve,
    buyNow: terms.buyNow,
    increments: interned.table(terms.increments),
    softClose: terms.softClose === undefined ? undefined : interned.softClose(terms.softClose),
    item: terms.item,
  })
  const status = isScheduled ? 'scheduled' : 'open'
  const auction = new Auction(own, owner, status, opensAtMs, opensAtMs + terms.durationMs)
  auctions.add(auction)
  if (!isScheduled) open(turn, auction)
  if (owner.id !== command.serverId) turn.gain(owner.id)
  turn.notify('NEW_AUCTION', auction)
  return { ok: true, type: 'auction', auctionId, seq: auction.seq }
}
