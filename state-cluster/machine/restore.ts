/**
 * Builds a state from the rows of a checkpoint, in whatever order a store gives them. Invariant: the state
 * behaves like the one whose rows they are, and has its hash; rows that cannot belong together throw
 * `CodecError`. Layouts stand at the classes. O(rows log rows).
 */
import type { AuctionId, RequestId, ServerId, SubjectId } from '../../protocol/ids.ts'
import { Auction, Bidder, statusCodes, Terms } from './auction.ts'
import { Buyer } from './buyers.ts'
import type { Row } from './changes.ts'
import { decodeIncrements, decodeSoftClose } from './codec.ts'
import type { AuctionStatus, NoticeKind } from './events.ts'
import { formatOf } from './formats/registry.ts'
import type { Limits } from './limits.ts'
import { type NoticeRecord, noticeKindCodes } from './outbox.ts'
import { corrupt, TupleReader } from './plain-reader.ts'
import { decodeReply } from './reply-codec.ts'
import type { RequestRecord } from './requests.ts'
import { Server } from './servers.ts'
import { emptyState, type State } from './state.ts'

/** What is gathered until all rows are there: auctions need their terms, owners and bidders. */
interface Gathered {
  readonly terms: Terms[]
  readonly auctions: Map<string, readonly unknown[]>
  readonly bidders: Map<string, (readonly unknown[])[]>
}

/**
 * The state whose rows these are. Limits as for `emptyState`. Throws `CodecError` on rows that this version did
 * not write.
 */
export function restore(rows: Iterable<Row>, limits?: Limits): State {
  const state = emptyState(limits)
  const gathered: Gathered = { terms: [], auctions: new Map(), bidders: new Map() }
  for (const row of rows) loadRow(state, gathered, row)
  gathered.terms.sort((x, y) => x.ordinal - y.ordinal)
  for (const terms of gathered.terms) loadAuction(state, gathered, terms)
  if (gathered.auctions.size > 0 || gathered.bidders.size > 0)
    corrupt('rows: an auction or its bidders without terms')
  state.requests.seal()
  state.outbox.seal()
  return state
}

function loadRow(state: State, gathered: Gathered, { kind, key, value }: Row): void {
  switch (kind) {
    case 'house':
      loadHouse(state, value)
      break
    case 'server':
      loadServer(state, key as ServerId, value)
      break
    case 'buyer':
      loadBuyer(state, key as SubjectId, value)
      break
    case 'terms':
      gathered.terms.push(termsOf(state, key as AuctionId, value))
      break
    case 'auction':
      gathered.auctions.set(key, value)
      break
    case 'bidder':
      gatherBidder(gathered, key, value)
      break
    case 'requests':
      state.requests.load(recordsOf(value, requestOf))
      break
    case 'notices':
      state.outbox.load(recordsOf(value, noticeOf))
      break
    default:
      corrupt(`rows: kind ${String(kind satisfies never)} is not known`)
  }
}

function gatherBidder(gathered: Gathered, key: string, value: readonly unknown[]): void {
  const slash = key.lastIndexOf('/')
  const place = Number(key.slice(slash + 1)) - 1
  if (!Number.isSafeInteger(place) || place < 0 || place >= 0xffff_ffff)
    corrupt('rows: a bidder without an alias')
  const id = key.slice(0, slash)
  let bidders = gathered.bidders.get(id)
  if (bidders === undefined) {
    bidders = []
    gathered.bidders.set(id, bidders)
  }
  bidders[place] = value
}

function loadHouse(state: State, value: readonly unknown[]): void {
  const fields = new TupleReader('house', value, 8)
  const { house } = state
  house.lastAtMs = fields.count()
  house.auctionsMade = fields.count()
  house.noticesMade = fields.count()
  house.requestsMade = fields.count()
  house.noticesDropped = fields.count()
  house.settings = { outageExtensionMinMs: fields.count(), outageThresholdMs: fields.count() }
  house.features = fields.counts()
  state.changes.load(house)
}

function loadServer(state: State, id: ServerId, value: readonly unknown[]): void {
  const fields = new TupleReader('server', value, 4)
  const epoch = fields.count()
  const server = new Server(id, fields.count())
  server.epoch = epoch
  server.outageGapMs = fields.count()
  server.outageHorizonMs = fields.count()
  state.servers.load(server)
}

function loadBuyer(state: State, id: SubjectId, value: readonly unknown[]): void {
  const fields = new TupleReader('buyer', value, 3)
  const name = fields.text()
  const interests = fields.texts()
  const endpoint = fields.optionalText()
  state.buyers.load(new Buyer(id, name, interests, endpoint))
}

function termsOf(state: State, id: AuctionId, value: readonly unknown[]): Terms {
  const fields = new TupleReader('terms', value, 13)
  const { interned } = state
  const ordinal = fields.count()
  const sellerId = interned.text(fields.id<SubjectId>())
  const title = fields.text()
  const tags = interned.tags(fields.texts())
  const formatName = fields.text()
  const format = formatOf(formatName) ?? corrupt(`terms: format ${formatName} is not known`)
  const currency = interned.text(fields.text())
  const openingBid = fields.count()
  const durationMs = fields.count()
  const reserve = fields.optionalCount()
  const buyNow = fields.optionalCount()
  const increments = interned.table(decodeIncrements(fields.raw()))
  const softTerms = fields.raw()
  const softClose = softTerms === null ? undefined : interned.softClose(decodeSoftClose(softTerms))
  const item = fields.optionalText()
  const own = { ordinal, sellerId, title, tags, format, currency, openingBid, durationMs }
  return new Terms(id, { ...own, reserve, buyNow, increments, softClose, item })
}

function loadAuction(state: State, gathered: Gathered, terms: Terms): void {
  if (terms.ordinal !== state.auctions.size + 1) corrupt('rows: ordinals of auctions have a gap')
  const value = gathered.auctions.get(terms.id) ?? corrupt('rows: terms without an auction')
  const fields = new TupleReader('auction', value, 14)
  const owner = state.servers.get(fields.id()) ?? corrupt('auction: its owner is not among the servers')
  const epoch = fields.count()
  const status = fields.coded<AuctionStatus>(statusCodes)
  const seq = fields.count()
  const opensAtMs = fields.count()
  const auction = new Auction(terms, owner, status, opensAtMs, fields.count())
  auction.epoch = epoch
  auction.seq = seq
  auction.pausedAtMs = fields.optionalCount()
  auction.extensions = fields.count()
  auction.softExtensions = fields.count()
  auction.bidCount = fields.count()
  auction.price = fields.optionalCount()
  const leader = fields.optionalCount()
  auction.hammerPrice = fields.optionalCount()
  const winner = fields.optionalCount()
  const bidders = (gathered.bidders.get(terms.id) ?? []).map((row, index) => {
    const own = new TupleReader('bidder', row, 3)
    return new Bidder(auction, own.id(), index + 1, own.count(), own.count())
  })
  for (const bidder of bidders) auction.addBidder(bidder)
  const named = (alias: number): Bidder => bidders[alias - 1] ?? corrupt('auction: an alias without a bidder')
  if (leader !== undefined) auction.leader = named(leader)
  if (winner !== undefined) auction.winner = named(winner)
  gathered.auctions.delete(terms.id)
  gathered.bidders.delete(terms.id)
  state.auctions.load(auction, bidders)
}

function recordsOf<T>(value: readonly unknown[], read: (fields: TupleReader) => T): T[] {
  const records: T[] = []
  for (const item of value) if (item !== null) records.push(read(new TupleReader('record', item)))
  return records
}

function requestOf(fields: TupleReader): RequestRecord {
  return {
    number: fields.count(),
    subject: fields.id<SubjectId>(),
    requestId: fields.id<RequestId>(),
    digestA: fields.integer(),
    digestB: fields.integer(),
    atMs: fields.count(),
    reply: decodeReply(fields.raw()),
  }
}

function noticeOf(fields: TupleReader): NoticeRecord {
  return {
    number: fields.count(),
    owner: fields.id<ServerId>(),
    kind: fields.coded<NoticeKind>(noticeKindCodes),
    atMs: fields.count(),
    auctionId: fields.optionalId<AuctionId>(),
    seq: fields.optionalCount(),
    recipient: fields.optionalId<SubjectId>(),
    price: fields.optionalCount(),
  }
}
