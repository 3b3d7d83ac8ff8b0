/**
 * What of the history a follower lacks, found out auction by auction.
 *
 *   leader ──offer: auction, last block, its checksum (512 auctions)──► follower
 *   leader ◄──wants: for each, the first block to send, or none──────── follower
 *
 * The history only grows, and is the same on every replica as far as it reaches. So a follower that has the same last
 * block of an auction has all of it; otherwise its own last block is the first that may differ.
 * Invariant: both sides hold one page of auctions at a time, however many there are; a follower that has nothing wants
 * everything. Sending the blocks is up to the caller. Source: docs/spec.md SNAP6.
 */
import type { AuctionId, GroupId } from '../../protocol/ids.ts'
import {
  auctionOfBlockKey,
  checksumOf,
  corrupt,
  decodeBytes,
  eventBlockRange,
  eventsRange,
  incomingKeyOf,
  keyAfter,
  keyOfIncoming,
  numberOfBlockKey,
} from './layout.ts'
import { pack, unpack } from './pack.ts'
import { pageRows, pagesOf } from './pages.ts'
import type { StoreReader, StoreRow } from './store.ts'

/** The last block of an auction's history, and the checksum that stands in it. */
interface LastBlock {
  readonly auctionId: AuctionId
  readonly number: number
  readonly checksum: number
}

/** Auctions of one offer: ten milliseconds or so of looking on either side. */
const offerAuctions = 512
/** No auction has as many. */
const blocksEnd = 2 ** 40

/** The auctions of a group in pages, each with its last block. */
export function* offersOf(reader: StoreReader, groupId: GroupId): Generator<readonly LastBlock[]> {
  const all = eventsRange(groupId)
  let page: LastBlock[] = []
  for (let { from } = all; ; ) {
    const [first] = [...reader.range({ ...all, from, limit: 1 })]
    if (first === undefined) break
    const auctionId = auctionOfBlockKey(first.key)
    const last = lastRowOf(reader, groupId, auctionId) ?? first
    page.push(lastBlockOf(auctionId, last))
    from = keyAfter(last.key)
    if (page.length < offerAuctions) continue
    yield page
    page = []
  }
  if (page.length > 0) yield page
}

export function encodeOffer(offer: readonly LastBlock[]): Uint8Array {
  return pack(offer.map(({ auctionId, number, checksum }) => [auctionId, number, checksum]))
}

/** The answer to an offer, from what this disk has. Throws StoreError `corrupt` where the offer is none. */
export function wantsOf(reader: StoreReader, groupId: GroupId, offer: Uint8Array): Uint8Array {
  const wants = decodeOffer(offer).map(({ auctionId, number, checksum }) => {
    const has = [lastRowOf(reader, groupId, auctionId), lastIncoming(reader, groupId, auctionId)]
      .filter((row) => row !== undefined)
      .map((row) => lastBlockOf(auctionId, row))
    if (has.some((own) => own.number === number && own.checksum === checksum)) return none
    const last = Math.max(0, ...has.map((own) => own.number))
    return last > number ? none : last
  })
  return pack(wants)
}

/** The last block that waits to be installed, as it will be then. */
function lastIncoming(reader: StoreReader, groupId: GroupId, auctionId: AuctionId): StoreRow | undefined {
  const { from, to } = eventBlockRange(groupId, auctionId, 0, blocksEnd)
  const [low, high] = [incomingKeyOf(groupId, from), incomingKeyOf(groupId, to)]
  if (low === undefined || high === undefined) return undefined
  const [last] = [...reader.range({ from: low, to: high, reverse: true, limit: 1 })]
  return last && { key: keyOfIncoming(last.key), value: last.value }
}

/** The blocks that the answer to an offer names, in pages. Throws StoreError `corrupt` for another answer. */
export function* wantedPages(
  reader: StoreReader,
  groupId: GroupId,
  { offer, wants }: { readonly offer: readonly LastBlock[]; readonly wants: Uint8Array },
): Generator<readonly StoreRow[]> {
  const firsts = unpack(wants)
  if (!Array.isArray(firsts) || firsts.length !== offer.length) throw unreadable('answer to an offer')
  let waiting: StoreRow[] = []
  for (const [at, { auctionId, number }] of offer.entries()) {
    const first: unknown = firsts[at]
    if (typeof first !== 'number') throw unreadable('answer to an offer')
    if (first === none) continue
    for (const page of pagesOf(reader, eventBlockRange(groupId, auctionId, first, number + 1))) {
      for (const { key, value } of page) decodeBytes(key, value, 'block of events')
      waiting.push(...page)
      if (waiting.length < pageRows) continue
      yield waiting
      waiting = []
    }
  }
  if (waiting.length > 0) yield waiting
}

/** In the place of a first block: there is nothing to send. */
const none = -1

function lastRowOf(reader: StoreReader, groupId: GroupId, auctionId: AuctionId): StoreRow | undefined {
  const range = eventBlockRange(groupId, auctionId, 0, blocksEnd)
  const [last] = [...reader.range({ ...range, reverse: true, limit: 1 })]
  return last
}

function lastBlockOf(auctionId: AuctionId, { key, value }: StoreRow): LastBlock {
  return { auctionId, number: numberOfBlockKey(key), checksum: checksumOf(value) }
}

function decodeOffer(bytes: Uint8Array): LastBlock[] {
  const fields = unpack(bytes)
  if (!Array.isArray(fields)) throw unreadable('offer of history')
  return fields.map((entry) => {
    const [auctionId, number, checksum] = Array.isArray(entry) ? entry : []
    if (typeof auctionId !== 'string' || typeof number !== 'number' || typeof checksum !== 'number')
      throw unreadable('offer of history')
    return { auctionId: auctionId as AuctionId, number, checksum }
  })
}

function unreadable(what: string): Error {
  return corrupt(what, 'its layout is unknown')
}
