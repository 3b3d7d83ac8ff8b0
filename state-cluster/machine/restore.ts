/**
 * Builds a state from the rows of a checkpoint, in any order of rows.
 *
 * It works in steps, so that a replica can do other work between them. Throws `CodecError` for rows that do not belong
 * together, and `FeatureUnknownError` for a feature that this build does not know. Costs O(rows log rows). Leaves layouts
 * to the classes of the rows.
 *
 * Invariant: the state has the hash of the one whose rows they are, and behaves like it.
 * Source: docs/spec.md HASH1, HASH4, HOUSE2, SNAP4.
 */
import type { AuctionId, ServerId, SubjectId } from '../../protocol/ids.ts'
import { Auction, Bidder, statusCodes, Terms } from './auction.ts'
import { Buyer } from './buyers.ts'
import type { Row } from './changes.ts'
import { decodeHouseIncrements, decodeIncrements, decodeSoftClose } from './codec.ts'
import { type AuctionStatus, type BidderStatus, bidderStatusCodes, type OutboxKind } from './events.ts'
import { requireKnown } from './features.ts'
import { formatOf } from './formats/registry.ts'
import type { Limits } from './limits.ts'
import { type OutboxRecord, outboxKindCodes } from './outbox.ts'
import { corrupt, TupleReader } from './plain-reader.ts'
import { Server, type ServerStanding, standingCodes } from './servers.ts'
import { emptyState, type State } from './state.ts'

/** Rows, and records in rows, that one step takes: a few milliseconds of work. */
export const restoreStepRows = 1_024
/** A damaged key makes no list longer than this. */
const aliasMax = 1_000_000

/** Terms and auctions that were read, until their bidders are there too. */
interface Gathered {
  readonly terms: Map<string, Terms>
  readonly auctions: Map<string, Auction>
  readonly byOrdinal: Map<number, Auction>
  /** For auctions with bids only: aliases of high bidder and winner, and the bidders in order of alias. */
  readonly bids: Map<Auction, Bids>
  /** Owners without a row; from when every row of a server was read. */
  departed: Map<ServerId, Server> | undefined
}

interface Bids {
  highBidder: number | undefined
  winner: number | undefined
  readonly bidders: Bidder[]
}

/**
 * The state whose rows these are, built in steps so that a caller can do other work between them. Rows are taken from
 * `rows` as they are needed. A step takes `restoreStepRows`, and what the last row had beyond that; each yields how
 * many it took. Limits as for `emptyState`. A store that gives rows by kind, in order of the kinds' codes, needs no
 * more memory than the state. Throws `CodecError` on rows that this version did not write.
 */
export function* restoring(rows: Iterable<Row>, limits?: Limits): Generator<number, State> {
  const state = emptyState(limits)
  const early: Row[] = []
  const gathered: Gathered = {
    terms: new Map(),
    auctions: new Map(),
    byOrdinal: new Map(),
    departed: undefined,
    bids: new Map(),
  }
  yield* paced(rows, weightOf, (row) => {
    if (!loadRow(state, gathered, row)) early.push(row)
  })
  gathered.departed = new Map()
  for (const kind of ['auction', 'bidder']) {
    yield* paced(early, weightOf, (row) => {
      if (row.kind === kind && !loadRow(state, gathered, row))
        corrupt(`rows: ${kind} ${row.key} without its auction, terms or owner`)
    })
  }
  if (gathered.auctions.size !== gathered.terms.size) corrupt('rows: terms without an auction')
  yield* paced(finishing(state, gathered), one, nothing)
  yield* paced(state.requests.indexing(), one, nothing)
  yield* paced(state.refusals.indexing(), one, nothing)
  yield* paced(state.outbox.indexing(), one, nothing)
  return state
}

const one = (): number => 1
const nothing = (): void => undefined

/** A row of requests or outbox entries has many of them. */
function weightOf({ kind, value }: Row): number {
  return kind === 'requests' || kind === 'refusals' || kind === 'outbox' ? value.length : 1
}

/** Works through items, and yields after each `restoreStepRows` of them. */
function* paced<T>(
  items: Iterable<T>,
  weigh: (item: T) => number,
  work: (item: T) => void,
): Generator<number, void> {
  let done = 0
  for (const item of items) {
    work(item)
    done += weigh(item)
    if (done < restoreStepRows) continue
    yield done
    done = 0
  }
  if (done > 0) yield done
}

/** `false`: the row needs another one that was not read yet. */
function loadRow(state: State, gathered: Gathered, { kind, key, value }: Row): boolean {
  switch (kind) {
    case 'house':
      loadHouse(state, value)
      return true
    case 'server':
      loadServer(state, key as ServerId, value)
      return true
    case 'buyer':
      loadBuyer(state, key as SubjectId, value)
      return true
    case 'terms':
      gathered.terms.set(key, termsOf(state, key as AuctionId, value))
      return true
    case 'auction':
      return loadAuction(state, gathered, key, value)
    case 'bidder':
      return loadBidder(state, gathered, key, value)
    case 'requests':
      state.requests.load(value)
      return true
    case 'refusals':
      state.refusals.load(value)
      return true
    case 'lease':
      loadLease(state, value)
      return true
    case 'outbox':
      state.outbox.load(recordsOf(value, outboxRecordOf))
      return true
    default:
      return corrupt(`rows: kind ${String(kind satisfies never)} is not known`)
  }
}

function loadHouse(state: State, value: readonly unknown[]): void {
  const fields = new TupleReader('house', value)
  const { house } = state
  house.lastAtMs = fields.count()
  house.auctionsMade = fields.count()
  house.outboxEntriesMade = fields.count()
  house.requestsMade = fields.count()
  house.outboxEntriesDropped = fields.count()
  const settings = { outageExtensionMinMs: fields.count(), outageThresholdMs: fields.count() }
  house.features = fields.counts()
  house.shifts = fields.count()
  requireKnown(house.features)
  house.requestsForgottenMs = fields.count()
  house.refusalsMade = fields.count()
  house.epochsGone = fields.count()
  // 3 fields of revoked tokens, or none; 1 of increments, or none.
  if (fields.left >= 3) loadRevoked(house, fields)
  house.settings = { ...settings, ...decodeHouseIncrements(fields) }
  fields.end()
  state.changes.load(house)
}

function loadRevoked(house: State['house'], fields: TupleReader): void {
  house.revokedAllMs = fields.count()
  const subjects = fields.texts() as readonly SubjectId[]
  const moments = fields.counts()
  if (subjects.length !== moments.length) corrupt('house: revoked subjects without their moments')
  house.revoked = subjects.map((subject, at) => [subject, moments[at] as number])
}

function loadServer(state: State, id: ServerId, value: readonly unknown[]): void {
  const fields = new TupleReader('server', value, 6)
  const epoch = fields.count()
  const server = new Server(id, fields.count())
  server.epoch = epoch
  server.outageGapMs = fields.count()
  server.outageHorizonMs = fields.count()
  server.standing = fields.coded<ServerStanding>(standingCodes)
  server.pulseTimeoutMs = fields.count()
  state.servers.load(server)
}

function loadLease({ changes, lease }: State, value: readonly unknown[]): void {
  const fields = new TupleReader('lease', value, 3)
  lease.monitorId = fields.id<string>()
  lease.token = fields.count()
  lease.untilMs = fields.count()
  changes.load(lease)
}

function loadBuyer(state: State, id: SubjectId, value: readonly unknown[]): void {
  const fields = new TupleReader('buyer', value, 5)
  const name = fields.text()
  const interests = fields.texts()
  const endpoint = fields.optionalText()
  const buyer = new Buyer(id, name, interests, endpoint)
  buyer.requestA = fields.integer()
  buyer.requestB = fields.integer()
  state.buyers.load(buyer)
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

function loadAuction(state: State, gathered: Gathered, key: string, value: readonly unknown[]): boolean {
  const fields = new TupleReader('auction', value, 17)
  const terms = gathered.terms.get(key)
  const ownerId = fields.id<ServerId>()
  const epoch = fields.count()
  const status = fields.coded<AuctionStatus>(statusCodes)
  const owner = state.servers.get(ownerId) ?? departedOwner(gathered, ownerId, status)
  if (terms === undefined || owner === undefined) return false
  const seq = fields.count()
  const opensAtMs = fields.count()
  const auction = new Auction(terms, owner, { status, opensAtMs, closesAtMs: fields.count() })
  auction.epoch = epoch
  auction.seq = seq
  auction.pausedAtMs = fields.optionalCount()
  auction.extensions = fields.count()
  auction.softExtensions = fields.count()
  auction.bidCount = fields.count()
  auction.price = fields.optionalCount()
  const highBidder = fields.optionalCount()
  auction.hammerPrice = fields.optionalCount()
  const winner = fields.optionalCount()
  auction.managedA = fields.integer()
  auction.managedB = fields.integer()
  auction.managedSeq = fields.count()
  if (highBidder !== undefined || winner !== undefined)
    gathered.bids.set(auction, { highBidder, winner, bidders: [] })
  gathered.auctions.set(key, auction)
  gathered.byOrdinal.set(auction.ordinal, auction)
  return true
}

/** Only an auction that has ended may name a server that has no row any more. */
function departedOwner({ departed }: Gathered, id: ServerId, status: AuctionStatus): Server | undefined {
  if (departed === undefined || status === 'scheduled' || status === 'open' || status === 'paused')
    return undefined
  const known = departed.get(id) ?? new Server(id, 0)
  departed.set(id, known)
  return known
}

function loadBidder(state: State, gathered: Gathered, key: string, value: readonly unknown[]): boolean {
  const slash = key.lastIndexOf('/')
  const alias = Number(key.slice(slash + 1))
  if (!Number.isSafeInteger(alias) || alias < 1 || alias > aliasMax)
    corrupt('rows: a bidder without an alias')
  const auction = gathered.auctions.get(key.slice(0, slash))
  if (auction === undefined) return false
  const bids = gathered.bids.get(auction) ?? corrupt('rows: a bidder of an auction without a high bidder')
  const fields = new TupleReader('bidder', value, 8)
  const id = state.interned.text(fields.id<SubjectId>())
  const bidder = new Bidder(auction, { id, alias, maxBid: fields.count(), maxSeq: fields.count() })
  bidder.requestA = fields.integer()
  bidder.requestB = fields.integer()
  bidder.repliedPrice = fields.count()
  bidder.repliedAskingBid = fields.count()
  bidder.repliedStatus = fields.coded<BidderStatus>(bidderStatusCodes)
  bids.bidders[alias - 1] = bidder
  return true
}

/** After all rows: links bidders, high bidders and winners, and adds the auctions in order. One step per row. */
function* finishing(state: State, { auctions, byOrdinal, bids: allBids }: Gathered): Generator<void, void> {
  for (let ordinal = 1; ordinal <= auctions.size; ordinal++) {
    const auction = byOrdinal.get(ordinal) ?? corrupt('rows: ordinals of auctions have a gap')
    const bids = allBids.get(auction)
    if (bids !== undefined) {
      // By index, because `for … of` and `forEach` would not show a gap as an error.
      for (let at = 0; at < bids.bidders.length; at++) {
        const bidder = bids.bidders[at] ?? corrupt('rows: aliases have a gap')
        auction.addBidder(bidder)
        state.changes.load(bidder)
        yield
      }
      auction.highBidder = bidderAt(auction, bids.highBidder)
      auction.winner = bidderAt(auction, bids.winner)
    }
    state.auctions.load(auction)
    yield
  }
}

function bidderAt(auction: Auction, alias: number | undefined): Bidder | undefined {
  if (alias === undefined) return undefined
  return auction.bidders[alias - 1] ?? corrupt('auction: an alias without a bidder')
}

function recordsOf<T>(value: readonly unknown[], read: (fields: TupleReader) => T): T[] {
  const records: T[] = []
  for (const item of value) if (item !== null) records.push(read(new TupleReader('record', item)))
  return records
}

function outboxRecordOf(fields: TupleReader): OutboxRecord {
  return {
    number: fields.count(),
    owner: fields.id<ServerId>(),
    kind: fields.coded<OutboxKind>(outboxKindCodes),
    atMs: fields.count(),
    auctionId: fields.optionalId<AuctionId>(),
    seq: fields.optionalCount(),
    recipient: fields.optionalId<SubjectId>(),
    price: fields.optionalCount(),
  }
}
