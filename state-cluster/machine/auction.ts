/**
 * One auction in memory, in three kinds of rows, small enough for a million auctions.
 *
 * `Terms` never change, `Auction` changes with every bid, and each bidder has a `Bidder`. So a bid in an auction of
 * 10,000 bidders rewrites three small rows. Leaves all rules to the formats, which decide, and to lifecycle.ts, which
 * carries out.
 *
 * Invariant: `highBidder` and `winner` are in `bidders`, and a bidder's place there is its alias − 1.
 * Source: docs/spec.md AUCTION4, HASH1.
 */
import type { AuctionId, ServerId, SubjectId } from '../../protocol/ids.ts'
import type { Amount, IncrementTable } from '../../protocol/money.ts'
import { type RowKind, Stored } from './changes.ts'
import type { SoftClose } from './commands.ts'
import type { DueItem } from './due.ts'
import { type AuctionStatus, type BidderStatus, bidderStatusCodes } from './events.ts'
import type { Format } from './formats/format.ts'
import { flatOf } from './interned.ts'
import type { Plain } from './plain.ts'

/*
 * terms    key: auction id          value: [ordinal, seller, title, [tag …], format, currency, openingBid,
 *                                           durationMs, reserve, buyNow, [from, step, …], [windowMs,
 *                                           extensionMs, limit] | null, item]
 * auction  key: auction id          value: [owner, epoch, status, seq, opensAt, closesAt, pausedAt,
 *                                           extensions, soft extensions, bidCount, price, high bidder's alias,
 *                                           hammer price, winner's alias, last managing request a, b, seq of its
 *                                           reply]
 * bidder   key: auction id/alias    value: [bidder id, maximum, seq of the bid that set it, last request a, b, and of
 *                                           its reply: price, asking bid, status]
 */

/** Stable codes of rows. Never reuse a number. */
export const statusCodes = { scheduled: 1, open: 2, paused: 3, sold: 4, passed: 5, cancelled: 6 } as const

/** With more bidders than this, a map finds them; below, a scan is faster and needs less memory. */
const scanMax = 8

export interface TermsFields {
  readonly ordinal: number
  readonly sellerId: SubjectId
  readonly title: string
  readonly tags: readonly string[]
  readonly format: Format
  readonly currency: string
  readonly openingBid: Amount
  readonly durationMs: number
  readonly reserve: Amount | undefined
  readonly buyNow: Amount | undefined
  readonly increments: IncrementTable
  readonly softClose: SoftClose | undefined
  readonly item: string | undefined
}

export class Terms extends Stored {
  readonly id: AuctionId
  /** Order of creation in the group: 1, 2, 3 … */
  readonly ordinal: number
  readonly sellerId: SubjectId
  readonly title: string
  readonly tags: readonly string[]
  readonly format: Format
  readonly currency: string
  readonly openingBid: Amount
  readonly durationMs: number
  readonly reserve: Amount | undefined
  readonly buyNow: Amount | undefined
  readonly increments: IncrementTable
  readonly softClose: SoftClose | undefined
  readonly item: string | undefined

  constructor(id: AuctionId, fields: TermsFields) {
    super()
    this.id = id
    this.ordinal = fields.ordinal
    this.sellerId = fields.sellerId
    this.title = fields.title
    this.tags = fields.tags
    this.format = fields.format
    this.currency = fields.currency
    this.openingBid = fields.openingBid
    this.durationMs = fields.durationMs
    this.reserve = fields.reserve
    this.buyNow = fields.buyNow
    this.increments = fields.increments
    this.softClose = fields.softClose
    this.item = fields.item
  }

  rowKind(): RowKind {
    return 'terms'
  }

  rowKey(): string {
    return this.id
  }

  rowValue(): readonly Plain[] {
    const { softClose } = this
    return [
      this.ordinal,
      this.sellerId,
      this.title,
      this.tags,
      this.format.name,
      this.currency,
      this.openingBid,
      this.durationMs,
      this.reserve ?? null,
      this.buyNow ?? null,
      flatOf(this.increments),
      softClose === undefined ? null : [softClose.windowMs, softClose.extensionMs, softClose.limit ?? null],
      this.item ?? null,
    ]
  }
}

type BidderFields = Pick<Bidder, 'alias' | 'id' | 'maxBid' | 'maxSeq'>

export class Bidder extends Stored {
  readonly auction: Auction
  readonly id: SubjectId
  /** 1, 2, 3 … in order of first accepted bid; the public alias is `bidder-N`. */
  readonly alias: number
  /** Hidden maximum; of a plain bid, its amount. */
  maxBid: Amount
  /** The bid that set the maximum. */
  maxSeq: number
  /** The last accepted request, and what its reply has beside maximum and seq (last-requests.ts). */
  requestA = 0
  requestB = 0
  repliedPrice: Amount = 0
  repliedAskingBid: Amount = 0
  repliedStatus: BidderStatus = 'none'

  constructor(auction: Auction, { alias, id, maxBid, maxSeq }: BidderFields) {
    super()
    this.auction = auction
    this.id = id
    this.alias = alias
    this.maxBid = maxBid
    this.maxSeq = maxSeq
  }

  rowKind(): RowKind {
    return 'bidder'
  }

  rowKey(): string {
    return `${this.auction.terms.id}/${this.alias}`
  }

  rowValue(): readonly Plain[] {
    return [
      this.id,
      this.maxBid,
      this.maxSeq,
      this.requestA,
      this.requestB,
      this.repliedPrice,
      this.repliedAskingBid,
      bidderStatusCodes[this.repliedStatus],
    ]
  }
}

/** What an auction needs of the server that owns it (servers.ts). */
export interface Owner {
  readonly id: ServerId
  /** Whether auctions are assigned to it. */
  readonly isLive: boolean
  /** Puts an auction into the heap of its status. */
  schedule(auction: Auction): void
}

/** Shared by all auctions without a bid. */
const nobody: readonly Bidder[] = []

type Timetable = Pick<Auction, 'closesAtMs' | 'opensAtMs' | 'status'>

export class Auction extends Stored implements DueItem {
  readonly terms: Terms
  dueIndex = -1
  owner: Owner
  /** Rises when the owner changes. */
  epoch = 1
  status: AuctionStatus
  /** Of its last public event; 0 before the first. */
  seq = 0
  opensAtMs: number
  closesAtMs: number
  /** While paused: the stamp of the pause. Resuming adds the length of the pause to `closesAtMs`. */
  pausedAtMs: number | undefined = undefined
  extensions = 0
  softExtensions = 0
  bidCount = 0
  /** The high bid; absent before the first. */
  price: Amount | undefined = undefined
  highBidder: Bidder | undefined = undefined
  hammerPrice: Amount | undefined = undefined
  winner: Bidder | undefined = undefined
  /** The last request that managed it and was accepted, and the `seq` of its reply; 0 before the first. */
  managedA = 0
  managedB = 0
  managedSeq = 0
  bidders: readonly Bidder[] = nobody
  private byId: Map<SubjectId, Bidder> | undefined = undefined

  constructor(terms: Terms, owner: Owner, { closesAtMs, opensAtMs, status }: Timetable) {
    super()
    this.terms = terms
    this.owner = owner
    this.status = status
    this.opensAtMs = opensAtMs
    this.closesAtMs = closesAtMs
  }

  get ordinal(): number {
    return this.terms.ordinal
  }

  get id(): AuctionId {
    return this.terms.id
  }

  get format(): Format {
    return this.terms.format
  }

  get hasEnded(): boolean {
    return this.status === 'sold' || this.status === 'passed' || this.status === 'cancelled'
  }

  bidderOf(id: SubjectId): Bidder | undefined {
    if (this.byId !== undefined) return this.byId.get(id)
    for (const bidder of this.bidders) if (bidder.id === id) return bidder
    return undefined
  }

  /** The next alias goes to a new bidder. */
  addBidder(bidder: Bidder): void {
    if (this.bidders.length < scanMax) {
      // A push reserves room for sixteen more items: too much for a million auctions with a few bidders each.
      this.bidders = [...this.bidders, bidder]
      return
    }
    const bidders = this.bidders as Bidder[]
    bidders.push(bidder)
    if (this.byId !== undefined) this.byId.set(bidder.id, bidder)
    else this.byId = new Map(bidders.map((one) => [one.id, one]))
  }

  rowKind(): RowKind {
    return 'auction'
  }

  rowKey(): string {
    return this.terms.id
  }

  rowValue(): readonly Plain[] {
    return [
      this.owner.id,
      this.epoch,
      statusCodes[this.status],
      this.seq,
      this.opensAtMs,
      this.closesAtMs,
      this.pausedAtMs ?? null,
      this.extensions,
      this.softExtensions,
      this.bidCount,
      this.price ?? null,
      this.highBidder?.alias ?? null,
      this.hammerPrice ?? null,
      this.winner?.alias ?? null,
      this.managedA,
      this.managedB,
      this.managedSeq,
    ]
  }
}

/** The public name of a bidder, the same throughout one auction. */
export function aliasOf(bidder: Bidder): string {
  return aliasFrom(bidder.alias)
}

export function aliasFrom(number: number): string {
  return `bidder-${number}`
}

/** The number in an alias that `aliasFrom` made. */
export function aliasNumberOf(alias: string): number {
  return Number(alias.slice('bidder-'.length))
}
