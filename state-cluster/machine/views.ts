/**
 * Reads the applied state for others.
 *
 * Leaves the types to view.ts, and what may be seen of bids to visibility.ts.
 *
 * Invariant: nothing here changes the state. Only a bidder's own standing is secret. A call costs O(limit × tags),
 * however many auctions there are.
 * Source: docs/protocol.md "Auction view"; docs/spec.md AUCTION5, BUYER1, OUTBOX2.
 */
import type { AuctionId, ServerId, SubjectId } from '../../protocol/ids.ts'
import { type Auction, aliasOf } from './auction.ts'
import type { AuctionStatus, OutboxEntry, Standing } from './events.ts'
import { knownFeatures } from './features.ts'
import { mergeAfter, type OrderedSet } from './ordered-set.ts'
import type { OutboxRecord } from './outbox.ts'
import type { State } from './state.ts'
import type {
  AuctionPage,
  AuctionQuery,
  AuctionView,
  BuyerView,
  HouseView,
  MachineStats,
  OwnersView,
} from './view.ts'
import { standingIn, visibleBids } from './visibility.ts'

const statuses: readonly AuctionStatus[] = ['scheduled', 'open', 'paused', 'sold', 'passed', 'cancelled']

/** The public view of an auction; a price that moves by the clock is that of the last applied entry. */
export function auctionView(state: State, id: AuctionId): AuctionView | undefined {
  const auction = state.auctions.get(id)
  return auction === undefined ? undefined : viewOf(state, auction)
}

function viewOf(state: State, auction: Auction): AuctionView {
  const { format, terms, winner } = auction
  const { buyNow, item, softClose } = terms
  const { askingBid, highBidder, price } = visibleBids(auction, state.house.lastAtMs)
  const isBuyNowOffered = buyNow !== undefined && !auction.hasEnded && format.offersBuyNow(auction)
  return {
    id: terms.id,
    title: terms.title,
    tags: terms.tags,
    ...(item === undefined ? {} : { item }),
    format: format.name,
    currency: terms.currency,
    status: auction.status,
    openingBid: terms.openingBid,
    ...(price === undefined ? {} : { price }),
    askingBid,
    bidCount: auction.bidCount,
    ...(highBidder === undefined ? {} : { highBidder: aliasOf(highBidder) }),
    reserve: format.reserveStatus(auction),
    ...(isBuyNowOffered ? { buyNow } : {}),
    increments: terms.increments,
    ...(softClose === undefined ? {} : { softClose }),
    opensAt: auction.opensAtMs,
    closesAt: auction.closesAtMs,
    extensions: auction.extensions,
    seq: auction.seq,
    epoch: auction.epoch,
    owner: auction.owner.id,
    sellerId: terms.sellerId,
    ...(auction.hammerPrice === undefined ? {} : { hammerPrice: auction.hammerPrice }),
    ...(winner === undefined ? {} : { winner: aliasOf(winner) }),
  }
}

/**
 * A page of auctions in order of creation. The cursor is the last auction's ordinal in decimal; any other text gives an
 * empty page.
 */
export function auctionPage(state: State, query: AuctionQuery): AuctionPage {
  const after = query.after === undefined ? 0 : Number(query.after)
  if (!Number.isSafeInteger(after) || after < 0) return { auctions: [] }
  const byStatus = query.tag === undefined ? state.auctions.byStatus : state.tags.get(query.tag)?.auctions
  const wanted = query.status === undefined ? statuses : [query.status]
  const sets: OrderedSet<number>[] = []
  for (const status of wanted) {
    const set = byStatus?.[status]
    if (set !== undefined) sets.push(set)
  }
  // One more than requested shows whether there is a next page.
  const ordinals = mergeAfter(sets, after, query.limit + 1)
  const hasMore = ordinals.length > query.limit
  if (hasMore) ordinals.pop()
  const auctions: AuctionView[] = []
  for (const ordinal of ordinals) {
    const auction = state.auctions.at(ordinal)
    if (auction !== undefined) auctions.push(viewOf(state, auction))
  }
  return hasMore ? { auctions, next: String(ordinals.at(-1)) } : { auctions }
}

/** A bidder's standing, for this bidder alone. `none` also where the auction is not known. */
export function standingOf(state: State, auctionId: AuctionId, bidderId: SubjectId): Standing {
  const auction = state.auctions.get(auctionId)
  const bidder = auction?.bidderOf(bidderId)
  return auction === undefined || bidder === undefined ? { status: 'none' } : standingIn(auction, bidder)
}

/** Bidders of an auction in order of their first bid, those whose alias number is above `after`. */
export function biddersPage(
  state: State,
  auctionId: AuctionId,
  after: number,
  limit: number,
): readonly SubjectId[] {
  const bidders = state.auctions.get(auctionId)?.bidders ?? []
  return bidders.slice(after, after + limit).map((bidder) => bidder.id)
}

export function buyerView(state: State, id: SubjectId): BuyerView | undefined {
  const buyer = state.buyers.get(id)
  if (buyer === undefined) return undefined
  const { name, interests, endpoint } = buyer
  return endpoint === undefined ? { id, name, interests } : { id, name, interests, endpoint }
}

/** Buyers interested in any of the tags, each once, in order of id (UTF-16 units), after an id. */
export function interestedBuyers(
  state: State,
  tags: readonly string[],
  after: SubjectId | undefined,
  limit: number,
): readonly BuyerView[] {
  const sets: OrderedSet<SubjectId>[] = []
  for (const name of new Set(tags)) {
    const set = state.tags.get(name)?.buyers
    if (set !== undefined) sets.push(set)
  }
  const views: BuyerView[] = []
  for (const id of mergeAfter(sets, after, limit)) {
    const view = buyerView(state, id)
    if (view !== undefined) views.push(view)
  }
  return views
}

/** Outbox entries that a server must publish, those after a position, in order. */
export function outboxPage(
  state: State,
  serverId: ServerId,
  after: number,
  limit: number,
): readonly OutboxEntry[] {
  return state.outbox.page(serverId, after, limit).map(outboxRecordOf)
}

function outboxRecordOf(record: OutboxRecord): OutboxEntry {
  const { auctionId, seq, recipient, price } = record
  return {
    position: record.number,
    kind: record.kind,
    atMs: record.atMs,
    ...(auctionId === undefined ? {} : { auctionId }),
    ...(seq === undefined ? {} : { seq }),
    ...(recipient === undefined ? {} : { recipient }),
    ...(price === undefined ? {} : { price }),
  }
}

/** All servers of the group and its monitor's lease. O(servers). */
export function ownersView({ house, lease, outbox, servers }: State): OwnersView {
  const { monitorId, token, untilMs } = lease
  return {
    atMs: house.lastAtMs,
    servers: servers.sorted().map((server) => ({
      serverId: server.id,
      epoch: server.epoch,
      standing: server.standing,
      lastConductedMs: server.lastConductedMs,
      auctions: server.load,
      outboxEntries: outbox.lengthOf(server.id),
    })),
    ...(token === 0 ? {} : { lease: { monitorId, token, untilMs } }),
  }
}

export function houseView({ house }: State): HouseView {
  const revoked = { allUntilMs: house.revokedAllMs, subjects: house.revoked }
  return { settings: house.settings, features: house.features, knownFeatures, revoked }
}

/** Counts for status pages and metrics. O(1). */
export function stats(state: State): MachineStats {
  const { auctions, house } = state
  return {
    lastAtMs: house.lastAtMs,
    auctions: auctions.size,
    scheduledAuctions: auctions.countOf('scheduled'),
    openAuctions: auctions.countOf('open'),
    pausedAuctions: auctions.countOf('paused'),
    buyers: state.buyers.size,
    servers: state.servers.size,
    tags: state.tags.size,
    requests: state.requests.size,
    outboxLength: state.outbox.size,
    outboxEntriesDropped: house.outboxEntriesDropped,
  }
}
