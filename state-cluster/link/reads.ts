/**
 * The table of the reads that travel over the link.
 *
 * Each entry has a code, the groups concerned, arguments and answer as tuples, and the read of the local state that
 * answers it. How views are encoded is in view-codec.ts. Invariant: codes never change their meaning; a new read is an
 * entry here and nothing else. Source: `Cluster` in cluster.ts; docs/spec.md LINK1.
 */
import type { AuctionId, GroupId, ServerId, SubjectId } from '../../protocol/ids.ts'
import { Fields, malformed } from '../../wire/tuples.ts'
import type { Position } from '../cluster.ts'
import type { OutboxEntry, PublicEvent, Standing } from '../machine/events.ts'
import { decodeHistory, encodeHistory } from '../machine/index.ts'
import type {
  AuctionPage,
  AuctionQuery,
  AuctionView,
  BuyerView,
  HouseView,
  OwnersView,
} from '../machine/view.ts'
import type { LocalReads } from './backend.ts'
import {
  auctionStatusCodes,
  decodeAuctionPage,
  decodeAuctionView,
  decodeBuyer,
  decodeHouse,
  decodeOutboxEntry,
  decodeOwners,
  decodeStanding,
  encodeAuctionPage,
  encodeAuctionView,
  encodeBuyer,
  encodeHouse,
  encodeOutboxEntry,
  encodeOwners,
  encodeStanding,
} from './view-codec.ts'

/** The groups whose state an answer depends on. */
export type ReadScope = { readonly auctionId: AuctionId } | { readonly groupId: GroupId } | 'first' | 'all'

export interface Read<Args, Answer> {
  readonly code: number
  scope(args: Args): ReadScope
  encodeArgs(args: Args): readonly unknown[]
  decodeArgs(fields: Fields): Args
  run(reads: LocalReads, args: Args): Promise<Answer>
  encode(answer: Answer): unknown
  decode(value: unknown, args: Args): Answer
  /** The same read with a smaller limit, if the answer is too long for a frame and may be shorter. */
  shrink?(args: Args): Args
}

const idMax = 128
const textMax = 1_000
const tagsMax = 1_000
const rowsMax = 100_000

const ofAuction = ({ auctionId }: { auctionId: AuctionId }) => ({ auctionId })
const orNull = <T>(value: T | undefined, encode: (value: T) => unknown) =>
  value === undefined ? null : encode(value)
const orUndefined = <T>(value: unknown, decode: (value: unknown) => T) =>
  value === null ? undefined : decode(value)
const listOf = (value: unknown): readonly unknown[] => Fields.of([value], 'answer').list(rowsMax)
const eventsOf = (value: unknown, auctionId: AuctionId): readonly PublicEvent[] =>
  listOf(value).map((item) => decodeHistory(auctionId, item))

interface AuctionArgs {
  readonly auctionId: AuctionId
}

const auction: Read<AuctionArgs, AuctionView | undefined> = {
  code: 1,
  scope: ofAuction,
  encodeArgs: ({ auctionId }) => [auctionId],
  decodeArgs: (fields) => ({ auctionId: fields.text(idMax) as AuctionId }),
  run: (reads, { auctionId }) => reads.auction(auctionId),
  encode: (view) => orNull(view, encodeAuctionView),
  decode: (value) => orUndefined(value, decodeAuctionView),
}

const auctions: Read<AuctionQuery, AuctionPage> = {
  code: 2,
  scope: () => 'all',
  encodeArgs: ({ status, tag, after, limit }) => [
    orNull(status, auctionStatusCodes.encode),
    tag ?? null,
    after ?? null,
    limit,
  ],
  decodeArgs: (fields) => {
    const status = fields.optionalInteger()
    const tag = fields.optionalText(textMax)
    const after = fields.optionalText(textMax)
    return {
      ...(status === undefined ? {} : { status: auctionStatusCodes.decode(status) }),
      ...(tag === undefined ? {} : { tag }),
      ...(after === undefined ? {} : { after }),
      limit: fields.integer(1, rowsMax),
    }
  },
  run: (reads, query) => reads.auctions(query),
  encode: encodeAuctionPage,
  decode: decodeAuctionPage,
  shrink: (query) => ({ ...query, limit: Math.max(1, query.limit >> 2) }),
}

const standing: Read<AuctionArgs & { readonly bidderId: SubjectId }, Standing> = {
  code: 3,
  scope: ofAuction,
  encodeArgs: ({ auctionId, bidderId }) => [auctionId, bidderId],
  decodeArgs: (fields) => ({
    auctionId: fields.text(idMax) as AuctionId,
    bidderId: fields.text(idMax) as SubjectId,
  }),
  run: (reads, { auctionId, bidderId }) => reads.standing(auctionId, bidderId),
  encode: encodeStanding,
  decode: decodeStanding,
}

interface EventsArgs extends AuctionArgs {
  readonly afterSeq: number
  readonly limit: number
}

const events: Read<EventsArgs, readonly PublicEvent[]> = {
  code: 4,
  scope: ofAuction,
  encodeArgs: ({ auctionId, afterSeq, limit }) => [auctionId, afterSeq, limit],
  decodeArgs: (fields) => ({
    auctionId: fields.text(idMax) as AuctionId,
    afterSeq: fields.integer(),
    limit: fields.integer(0, rowsMax),
  }),
  run: (reads, { auctionId, afterSeq, limit }) => reads.events(auctionId, afterSeq, limit),
  encode: (found) => found.map(encodeHistory),
  decode: (value, { auctionId }) => eventsOf(value, auctionId),
}

interface SinceArgs extends AuctionArgs {
  readonly since: Position
  readonly limit: number
}

const eventsSince: Read<SinceArgs, readonly PublicEvent[] | undefined> = {
  code: 5,
  scope: ofAuction,
  encodeArgs: ({ auctionId, since, limit }) => [auctionId, since.epoch, since.seq, limit],
  decodeArgs: (fields) => ({
    auctionId: fields.text(idMax) as AuctionId,
    since: { epoch: fields.integer(), seq: fields.integer() },
    limit: fields.integer(0, rowsMax),
  }),
  run: (reads, { auctionId, since, limit }) => reads.eventsSince(auctionId, since, limit),
  encode: (found) => orNull(found, (list) => list.map(encodeHistory)),
  decode: (value, { auctionId }) => orUndefined(value, (list) => eventsOf(list, auctionId)),
}

interface PageArgs {
  readonly after: number
  readonly limit: number
}

const bidders: Read<AuctionArgs & PageArgs, readonly SubjectId[]> = {
  code: 6,
  scope: ofAuction,
  encodeArgs: ({ auctionId, after, limit }) => [auctionId, after, limit],
  decodeArgs: (fields) => ({
    auctionId: fields.text(idMax) as AuctionId,
    after: fields.integer(),
    limit: fields.integer(0, rowsMax),
  }),
  run: (reads, { auctionId, after, limit }) => reads.bidders(auctionId, after, limit),
  encode: (found) => found,
  decode: (value) => Fields.of([value], 'bidders').texts(rowsMax, idMax) as SubjectId[],
}

interface BuyersArgs {
  readonly tags: readonly string[]
  readonly after: SubjectId | undefined
  readonly limit: number
}

const interestedBuyers: Read<BuyersArgs, readonly BuyerView[]> = {
  code: 7,
  scope: () => 'first',
  encodeArgs: ({ tags, after, limit }) => [tags, after ?? null, limit],
  decodeArgs: (fields) => ({
    tags: fields.texts(tagsMax, textMax),
    after: fields.optionalText(idMax) as SubjectId | undefined,
    limit: fields.integer(0, rowsMax),
  }),
  run: (reads, { tags, after, limit }) => reads.interestedBuyers(tags, after, limit),
  encode: (found) => found.map(encodeBuyer),
  decode: (value) => listOf(value).map(decodeBuyer),
}

const buyer: Read<{ readonly buyerId: SubjectId }, BuyerView | undefined> = {
  code: 8,
  scope: () => 'first',
  encodeArgs: ({ buyerId }) => [buyerId],
  decodeArgs: (fields) => ({ buyerId: fields.text(idMax) as SubjectId }),
  run: (reads, { buyerId }) => reads.buyer(buyerId),
  encode: (view) => orNull(view, encodeBuyer),
  decode: (value) => orUndefined(value, decodeBuyer),
}

interface OutboxArgs extends PageArgs {
  readonly groupId: GroupId
  readonly serverId: ServerId
}

const outbox: Read<OutboxArgs, readonly OutboxEntry[]> = {
  code: 9,
  scope: ({ groupId }) => ({ groupId }),
  encodeArgs: ({ groupId, serverId, after, limit }) => [groupId, serverId, after, limit],
  decodeArgs: (fields) => ({
    groupId: fields.integer() as GroupId,
    serverId: fields.text(idMax) as ServerId,
    after: fields.integer(),
    limit: fields.integer(0, rowsMax),
  }),
  run: (reads, { groupId, serverId, after, limit }) => reads.outbox(groupId, serverId, after, limit),
  encode: (found) => found.map(encodeOutboxEntry),
  decode: (value) => listOf(value).map(decodeOutboxEntry),
}

const owners: Read<{ readonly groupId: GroupId }, OwnersView> = {
  code: 10,
  scope: ({ groupId }) => ({ groupId }),
  encodeArgs: ({ groupId }) => [groupId],
  decodeArgs: (fields) => ({ groupId: fields.integer() as GroupId }),
  run: (reads, { groupId }) => reads.owners(groupId),
  encode: encodeOwners,
  decode: decodeOwners,
}

const house: Read<{ readonly groupId: GroupId }, HouseView> = {
  code: 11,
  scope: ({ groupId }) => ({ groupId }),
  encodeArgs: ({ groupId }) => [groupId],
  decodeArgs: (fields) => ({ groupId: fields.integer() as GroupId }),
  run: (reads, { groupId }) => reads.house(groupId),
  encode: encodeHouse,
  decode: decodeHouse,
}

export const reads = {
  auction,
  auctions,
  standing,
  events,
  eventsSince,
  bidders,
  interestedBuyers,
  buyer,
  outbox,
  owners,
  house,
}

const byCode = new Map<number, Read<never, unknown>>(
  Object.values(reads).map((read) => [read.code, read as unknown as Read<never, unknown>]),
)

export function readOfCode(code: number): Read<never, unknown> | undefined {
  return byCode.get(code)
}

/** The groups of a scope. Throws `malformed` if it names an unknown group. */
export function groupsOfScope(
  scope: ReadScope,
  groups: readonly GroupId[],
  groupOf: (auctionId: AuctionId) => GroupId,
): readonly GroupId[] {
  if (scope === 'all') return groups
  if (scope === 'first') return groups.slice(0, 1)
  const groupId = 'auctionId' in scope ? groupOf(scope.auctionId) : scope.groupId
  if (!groups.includes(groupId)) throw malformed(`there is no group ${groupId}`)
  return [groupId]
}
