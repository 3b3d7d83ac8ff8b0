/**
 * Encodes the answers of reads as plain tuples.
 *
 * They are auctions, buyers, outbox entries, standings, owners, house and status. Commands, replies and events have
 * their codecs in the machine. Invariant: a value that is encoded and decoded is equal; absent fields are null;
 * anything else throws `malformed`. Codes never change their meaning. Source: docs/spec.md LINK2.
 */
import type { AuctionId, GroupId, ServerId, SubjectId } from '../../protocol/ids.ts'
import { houseTablesMax, type IncrementTable, incrementBandsMax } from '../../protocol/money.ts'
import { Fields, malformed } from '../../wire/tuples.ts'
import type { ClusterStatus, GroupStatus } from '../cluster.ts'
import type {
  AuctionStatus,
  BidderStatus,
  OutboxEntry,
  OutboxKind,
  ReserveStatus,
  Standing,
} from '../machine/events.ts'
import type {
  AuctionPage,
  AuctionView,
  BuyerView,
  HouseView,
  OwnersView,
  OwnerView,
} from '../machine/view.ts'

/** Longer than any text that the machine accepts. */
const textMax = 200_000
const idMax = 128
const listMax = 100_000
const featuresMax = 65_535

/** Stable codes of a closed set of words: a code is a position in the list, which only grows at its end. */
function coded<Word extends string>(words: readonly Word[]) {
  return {
    encode: (word: Word): number => words.indexOf(word),
    decode: (code: number): Word => words[code] ?? fail(`code ${code} is not known`),
  }
}

function fail(what: string): never {
  throw malformed(what)
}

const statuses = coded<AuctionStatus>(['scheduled', 'open', 'paused', 'sold', 'passed', 'cancelled'])
const reserves = coded<ReserveStatus>(['none', 'not_met', 'met'])
const standings = coded<BidderStatus>(['none', 'winning', 'outbid', 'won', 'lost'])
const ownerStandings = coded<OwnerView['standing']>(['live', 'dead', 'left'])
const outboxKinds = coded<OutboxKind>([
  'NEW_AUCTION',
  'MATCHING_AUCTIONS',
  'NEW_BID',
  'CANCELED_AUCTION',
  'END_OF_AUCTION',
  'WON_AUCTION',
  'OUTBID',
])

export const auctionStatusCodes = statuses

/** An object with the field only if it has a value (`exactOptionalPropertyTypes`). */
function given<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): Partial<Record<Name, Value>> {
  return value === undefined ? {} : ({ [name]: value } as Record<Name, Value>)
}

export function encodeAuctionView(view: AuctionView): readonly unknown[] {
  const { softClose } = view
  return [
    view.id,
    view.title,
    view.tags,
    view.item ?? null,
    view.format,
    view.currency,
    statuses.encode(view.status),
    view.openingBid,
    view.price ?? null,
    view.askingBid,
    view.bidCount,
    view.highBidder ?? null,
    reserves.encode(view.reserve),
    view.buyNow ?? null,
    view.increments.flatMap(({ from, step }) => [from, step]),
    softClose === undefined ? null : [softClose.windowMs, softClose.extensionMs, softClose.limit ?? null],
    view.opensAt,
    view.closesAt,
    view.extensions,
    view.seq,
    view.epoch,
    view.owner,
    view.sellerId,
    view.hammerPrice ?? null,
    view.winner ?? null,
  ]
}

export function decodeAuctionView(value: unknown): AuctionView {
  const fields = Fields.of(value, 'auction')
  const amount = () => fields.optionalInteger()
  const text = () => fields.optionalText(textMax)
  const id = fields.text(idMax) as AuctionId
  const title = fields.text(textMax)
  const tags = fields.texts(listMax, textMax)
  const item = text()
  const format = fields.text(idMax)
  const currency = fields.text(idMax)
  const status = statuses.decode(fields.integer())
  const openingBid = fields.integer()
  const price = amount()
  const askingBid = fields.integer()
  const bidCount = fields.integer()
  const highBidder = text()
  const reserve = reserves.decode(fields.integer())
  const buyNow = amount()
  const bands = fields.integers(incrementBandsMax * 2)
  const softClose = fields.optionalTuple()
  const view = {
    id,
    title,
    tags,
    ...given('item', item),
    format,
    currency,
    status,
    openingBid,
    ...given('price', price),
    askingBid,
    bidCount,
    ...given('highBidder', highBidder),
    reserve,
    ...given('buyNow', buyNow),
    increments: decodeBands(bands),
    ...given('softClose', softClose === undefined ? undefined : decodeSoftClose(softClose)),
    opensAt: fields.integer(),
    closesAt: fields.integer(),
    extensions: fields.integer(),
    seq: fields.integer(),
    epoch: fields.integer(),
    owner: fields.text(idMax) as ServerId,
    sellerId: fields.text(idMax) as SubjectId,
    ...given('hammerPrice', amount()),
    ...given('winner', text()),
  }
  fields.end()
  return view
}

function decodeBands(bands: readonly number[]) {
  if (bands.length % 2 !== 0) throw malformed('auction: half a band')
  return Array.from({ length: bands.length / 2 }, (_, at) => ({
    from: bands[at * 2] as number,
    step: bands[at * 2 + 1] as number,
  }))
}

function decodeSoftClose(value: readonly unknown[]) {
  const fields = Fields.of(value, 'soft close')
  const base = { windowMs: fields.integer(), extensionMs: fields.integer() }
  const limit = fields.optionalInteger()
  fields.end()
  return { ...base, ...given('limit', limit) }
}

export function encodeAuctionPage(page: AuctionPage): readonly unknown[] {
  return [page.auctions.map(encodeAuctionView), page.next ?? null]
}

export function decodeAuctionPage(value: unknown): AuctionPage {
  const fields = Fields.of(value, 'page of auctions')
  const auctions = fields.list(listMax).map(decodeAuctionView)
  const next = fields.optionalText(textMax)
  fields.end()
  return { auctions, ...given('next', next) }
}

export function encodeStanding(standing: Standing): readonly unknown[] {
  return [standings.encode(standing.status), standing.maxBid ?? null]
}

export function decodeStanding(value: unknown): Standing {
  const fields = Fields.of(value, 'standing')
  const status = standings.decode(fields.integer())
  const maxBid = fields.optionalInteger()
  fields.end()
  return { status, ...given('maxBid', maxBid) }
}

export function encodeBuyer(buyer: BuyerView): readonly unknown[] {
  return [buyer.id, buyer.name, buyer.interests, buyer.endpoint ?? null]
}

export function decodeBuyer(value: unknown): BuyerView {
  const fields = Fields.of(value, 'buyer')
  const id = fields.text(idMax) as SubjectId
  const name = fields.text(textMax)
  const interests = fields.texts(listMax, textMax)
  const endpoint = fields.optionalText(textMax)
  fields.end()
  return { id, name, interests, ...given('endpoint', endpoint) }
}

export function encodeOutboxEntry(outboxEntry: OutboxEntry): readonly unknown[] {
  return [
    outboxEntry.position,
    outboxKinds.encode(outboxEntry.kind),
    outboxEntry.atMs,
    outboxEntry.auctionId ?? null,
    outboxEntry.seq ?? null,
    outboxEntry.recipient ?? null,
    outboxEntry.price ?? null,
  ]
}

export function decodeOutboxEntry(value: unknown): OutboxEntry {
  const fields = Fields.of(value, 'outbox entry')
  const base = {
    position: fields.integer(),
    kind: outboxKinds.decode(fields.integer()),
    atMs: fields.integer(),
  }
  const auctionId = fields.optionalText(idMax) as AuctionId | undefined
  const seq = fields.optionalInteger()
  const recipient = fields.optionalText(idMax) as SubjectId | undefined
  const price = fields.optionalInteger()
  fields.end()
  return {
    ...base,
    ...given('auctionId', auctionId),
    ...given('seq', seq),
    ...given('recipient', recipient),
    ...given('price', price),
  }
}

export function encodeOwners({ atMs, servers, lease }: OwnersView): readonly unknown[] {
  return [
    atMs,
    servers.map((server) => [
      server.serverId,
      server.epoch,
      ownerStandings.encode(server.standing),
      server.lastConductedMs,
      server.auctions,
      server.outboxEntries,
    ]),
    lease === undefined ? null : [lease.monitorId, lease.token, lease.untilMs],
  ]
}

export function decodeOwners(value: unknown): OwnersView {
  const fields = Fields.of(value, 'owners')
  const atMs = fields.integer()
  const servers = fields.list(listMax).map(decodeOwner)
  const lease = fields.optionalTuple()
  fields.end()
  return { atMs, servers, ...given('lease', lease === undefined ? undefined : decodeLease(lease)) }
}

function decodeOwner(value: unknown): OwnerView {
  const fields = Fields.of(value, 'owner')
  const owner = {
    serverId: fields.text(idMax) as ServerId,
    epoch: fields.integer(),
    standing: ownerStandings.decode(fields.integer()),
    lastConductedMs: fields.integer(),
    auctions: fields.integer(),
    outboxEntries: fields.integer(),
  }
  fields.end()
  return owner
}

function decodeLease(value: readonly unknown[]) {
  const fields = new Fields(value, 'lease')
  const lease = { monitorId: fields.text(idMax), token: fields.integer(), untilMs: fields.integer() }
  fields.end()
  return lease
}

export function encodeHouse({ settings, features, knownFeatures, revoked }: HouseView): readonly unknown[] {
  const tables = Object.entries(settings.increments ?? {}).map(([currency, table]) => [
    currency,
    table.flatMap(({ from, step }) => [from, step]),
  ])
  return [
    settings.outageExtensionMinMs,
    settings.outageThresholdMs,
    features,
    knownFeatures,
    revoked.allUntilMs,
    revoked.subjects.map(([subject]) => subject),
    revoked.subjects.map(([, untilMs]) => untilMs),
    tables,
  ]
}

export function decodeHouse(value: unknown): HouseView {
  const fields = Fields.of(value, 'house')
  const settings = { outageExtensionMinMs: fields.integer(), outageThresholdMs: fields.integer() }
  const features = fields.integers(featuresMax)
  const knownFeatures = fields.integers(featuresMax)
  const allUntilMs = fields.integer()
  const names = fields.texts(listMax, idMax) as SubjectId[]
  const moments = fields.integers(listMax)
  const tables = fields.list(houseTablesMax).map(decodeHouseTable)
  fields.end()
  if (names.length !== moments.length) throw malformed('house: revoked subjects without their moments')
  const subjects = names.map((name, at): [SubjectId, number] => [name, moments[at] as number])
  const increments = tables.length === 0 ? {} : { increments: Object.fromEntries(tables) }
  const revoked = { allUntilMs, subjects }
  return { settings: { ...settings, ...increments }, features, knownFeatures, revoked }
}

function decodeHouseTable(value: unknown): [string, IncrementTable] {
  const fields = Fields.of(value, 'increments')
  const currency = fields.text(3)
  const table = decodeBands(fields.integers(2 * incrementBandsMax))
  fields.end()
  return [currency, table]
}

export function encodeStatus(status: ClusterStatus): readonly unknown[] {
  return [
    status.ready,
    status.groups.map((group) => [
      group.groupId,
      group.ready,
      group.term,
      group.commitIndex,
      group.appliedIndex,
      group.firstIndex,
      group.checkpointIndex,
      group.stateHash,
      group.openAuctions,
      group.auctions,
      group.buyers,
      group.outboxLength,
    ]),
  ]
}

export function decodeStatus(value: unknown): ClusterStatus {
  const fields = Fields.of(value, 'status')
  const ready = fields.flag()
  const groups = fields.list(listMax).map(decodeGroupStatus)
  fields.end()
  return { ready, groups }
}

function decodeGroupStatus(value: unknown): GroupStatus {
  const fields = Fields.of(value, 'group status')
  const status = {
    groupId: fields.integer() as GroupId,
    ready: fields.flag(),
    term: fields.integer(),
    commitIndex: fields.integer(),
    appliedIndex: fields.integer(),
    firstIndex: fields.integer(),
    checkpointIndex: fields.integer(),
    stateHash: fields.text(idMax),
    openAuctions: fields.integer(),
    auctions: fields.integer(),
    buyers: fields.integer(),
    outboxLength: fields.integer(),
  }
  fields.end()
  return status
}
