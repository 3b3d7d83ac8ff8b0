/**
 * The verdict on a drill, from outside: pure, so equal records give equal findings.
 *
 * What bidders, watchers and webhooks received is compared with the public history and the views that the API gives
 * afterwards.
 *
 * Invariant: it knows the protocol and nothing of the server; every finding names its rule, its auction and the facts.
 * Source: docs/design.md, "What must never happen"; docs/spec.md BID, CLOSE, OUTAGE, OUTBOX.
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import type { PublicEventFrame } from '../../protocol/server-frames.ts'
import { auditNotifications } from './audit-notifications.ts'
import {
  type AuditedAuction,
  type BidRecord,
  type Find,
  type Finding,
  groupBy,
  type HistoryRow,
  type Outage,
  type Post,
  type PrivateMessage,
  type Rule,
  type Watched,
} from './record.ts'

export interface AuditInput {
  readonly auctions: readonly AuditedAuction[]
  readonly bids: readonly BidRecord[]
  readonly watched: readonly Watched[]
  readonly privately: readonly PrivateMessage[]
  readonly outages: readonly Outage[]
  /** Absent: notifications are not part of this drill. */
  readonly posts?: readonly Post[]
  /** What an outage gives at least; the house's minimum. Default 5,000. */
  readonly extensionMinMs?: number
}

export interface Verdict {
  readonly findings: readonly Finding[]
  readonly counts: Readonly<Record<string, number>>
}

/** Ends of an auction, by event. */
const ends: Readonly<Record<string, AuctionView['status']>> = {
  auction_sold: 'sold',
  auction_passed: 'passed',
  auction_cancelled: 'cancelled',
}

/** A close that was in progress when the fault began may still be stamped this much after it. */
const underWayMs = 150

export function audit(input: AuditInput): Verdict {
  const findings: Finding[] = []
  const find = (rule: Rule, auctionId: string, facts: string): void => {
    findings.push({ rule, auctionId, facts })
  }
  const bidsByAuction = groupBy(input.bids, ({ auctionId }) => auctionId)
  const watched = groupBy(input.watched, ({ auctionId }) => auctionId)
  const privately = groupBy(input.privately, ({ auctionId }) => auctionId)
  let extendedCount = 0
  for (const auction of input.auctions) {
    const events = oneOrder(auction, watched.get(auction.id) ?? [], find)
    const aliases = whoIsWho(auction, find)
    bidsOf(auction, bidsByAuction.get(auction.id) ?? [], aliases, find)
    leadersOf(auction, find)
    outcomeOf(auction, events, aliases, find)
    const seenFrom = seenClosesAt(auction, watched.get(auction.id) ?? [])
    extendedCount += deadlinesOf(auction, events, seenFrom, input, find)
    privatesOf(auction, privately.get(auction.id) ?? [], aliases, find)
  }
  if (input.posts !== undefined) auditNotifications(input.auctions, input.posts, find)
  const count = (answer: BidRecord['answer']): number =>
    input.bids.reduce((sum, bid) => sum + +(bid.answer === answer), 0)
  const named = (rule: Rule): number => findings.filter((finding) => finding.rule === rule).length
  return {
    findings,
    counts: {
      auctions: input.auctions.length,
      bidsAcknowledged: count('accepted'),
      bidsRefused: count('rejected'),
      bidsUnknown: count('unknown'),
      bidsInHistory: input.auctions.reduce((sum, { history }) => sum + history.length, 0),
      lost: named('acknowledged bid lost'),
      twice: named('bid counted twice'),
      late: named('late'),
      misattributed: named('misattributed'),
      eventsSeen: input.watched.reduce((sum, { events }) => sum + events.length, 0),
      eventsMissed: named('event missed'),
      outageExtensions: extendedCount,
      webhooks: input.posts?.length ?? 0,
      findings: findings.length,
    },
  }
}

/** Every watcher saw the same event under the same `seq`, none missing. Returns the events by `seq`. */
function oneOrder(
  { id, view }: AuditedAuction,
  watched: readonly Watched[],
  find: Find,
): ReadonlyMap<number, PublicEventFrame> {
  const events = new Map<number, PublicEventFrame>()
  const texts = new Map<number, string>()
  for (const { watcher, firstSeq, events: seen, missed } of watched) {
    if (missed > 0) find('event missed', id, `${watcher} got ${missed} snapshots in place of events`)
    let last = firstSeq
    for (const event of seen) {
      if (event.seq !== last + 1) find('event missed', id, `${watcher} saw ${event.seq} after ${last}`)
      last = event.seq
      const text = JSON.stringify(Object.entries(event).sort(([a], [b]) => (a < b ? -1 : 1)))
      const known = texts.get(event.seq)
      if (known === undefined) {
        texts.set(event.seq, text)
        events.set(event.seq, event)
      } else if (known !== text)
        find('watchers differ', id, `${watcher} at ${event.seq}: ${text}, not ${known}`)
    }
    if (last !== view.seq) find('event missed', id, `${watcher} saw up to ${last} of ${view.seq}`)
  }
  return events
}

/** Bidder by alias, from the bidders' own rows. */
function whoIsWho({ id, history }: AuditedAuction, find: Find): ReadonlyMap<string, string> {
  const aliases = new Map<string, string>()
  const seen = new Map<string, string>()
  for (const { seq, bidder: alias, own } of history) {
    for (const { bidder } of own) {
      if ((aliases.get(alias) ?? bidder) !== bidder || (seen.get(bidder) ?? alias) !== alias)
        find('misattributed', id, `${seq}: ${alias} is ${bidder}, and was ${aliases.get(alias)}`)
      aliases.set(alias, bidder)
      seen.set(bidder, alias)
    }
    if (own.length > 1) find('misattributed', id, `${seq} is shown as their own to ${own.length} bidders`)
  }
  return aliases
}

function bidsOf(
  { id, history }: AuditedAuction,
  bids: readonly BidRecord[],
  aliases: ReadonlyMap<string, string>,
  find: Find,
): void {
  const rows = new Map<string, HistoryRow[]>()
  const bySeq = new Map<number, HistoryRow>()
  let last = 0
  for (const row of history) {
    if (row.seq <= last) find('history out of order', id, `${row.seq} after ${last}`)
    last = row.seq
    bySeq.set(row.seq, row)
    for (const { requestId } of row.own) rows.set(requestId, [...(rows.get(requestId) ?? []), row])
  }
  for (const [requestId, same] of rows)
    if (same.length > 1)
      find('bid counted twice', id, `${requestId} at ${same.map(({ seq }) => seq).join(' and ')}`)
  for (const bid of bids) {
    const what = `${bid.requestId} of ${bid.bidder} for ${bid.amount}`
    const row = rows.get(bid.requestId)?.[0]
    if (bid.answer === 'rejected' && row !== undefined)
      find('refused bid counted', id, `${what} is at ${row.seq}`)
    if (bid.answer !== 'accepted') continue
    const there = bid.seq === undefined ? undefined : bySeq.get(bid.seq)
    const owner = row?.own.find(({ requestId }) => requestId === bid.requestId)
    if (row === undefined) {
      const holder = there && (there.own[0]?.bidder ?? aliases.get(there.bidder))
      if (there !== undefined && holder !== undefined && holder !== bid.bidder)
        find('misattributed', id, `${what}, acknowledged as ${bid.seq}, is there as a bid of ${holder}`)
      else find('acknowledged bid lost', id, `${what}, acknowledged as ${bid.seq}, is not in the history`)
    } else if (owner?.bidder !== bid.bidder)
      find('misattributed', id, `${what} is there as a bid of ${owner?.bidder}`)
    else if (row.seq !== bid.seq || owner.amount !== bid.amount)
      find(
        'acknowledged bid changed',
        id,
        `${what}, acknowledged as ${bid.seq}: ${row.seq} for ${owner.amount}`,
      )
  }
}

/** Who leads after each bid: the highest amount so far, the earlier one among equals. */
function leadersOf({ id, history }: AuditedAuction, find: Find): void {
  let price = 0
  let lead: { readonly alias: string; readonly amount: number } | undefined
  for (const row of history) {
    if (row.price < price) find('price fell', id, `from ${price} to ${row.price} at ${row.seq}`)
    price = row.price
    const amount = row.own[0]?.amount
    if (amount === undefined) return
    if (lead === undefined || amount > lead.amount) lead = { alias: row.bidder, amount }
    if (row.highBidder !== lead.alias)
      find('wrong high bidder', id, `${row.highBidder} at ${row.seq}, not ${lead.alias} with ${lead.amount}`)
    if (row.price > lead.amount)
      find('wrong high bidder', id, `price ${row.price} above ${lead.amount} at ${row.seq}`)
  }
}

function outcomeOf(
  { id, view, history }: AuditedAuction,
  events: ReadonlyMap<number, PublicEventFrame>,
  aliases: ReadonlyMap<string, string>,
  find: Find,
): void {
  const ended = [...events.values()].filter(({ type }) => type in ends)
  if (ended.length > 1)
    find('more than one outcome', id, ended.map(({ type, seq }) => `${type} ${seq}`).join())
  const end = ended[0]
  if (!['sold', 'passed', 'cancelled'].includes(view.status)) {
    find('not closed', id, `${view.status}, closes at ${view.closesAt}`)
    return
  }
  if (end !== undefined) {
    if (ends[end.type] !== view.status)
      find('view differs from events', id, `${view.status}, not ${end.type}`)
    const after = [...events.keys()].filter((seq) => seq > end.seq)
    if (after.length > 0) find('more than one outcome', id, `events ${after} after the end at ${end.seq}`)
    const late = history.filter(({ seq }) => seq > end.seq)
    if (late.length > 0) find('late', id, `bids ${late.map(({ seq }) => seq)} after the end at ${end.seq}`)
  }
  for (const row of history) {
    const event = events.get(row.seq)
    if (event === undefined) continue
    const isSame =
      event.type === 'bid_placed' &&
      event.price === row.price &&
      event.bidder === row.bidder &&
      event.highBidder === row.highBidder
    if (!isSame) find('view differs from events', id, `${row.seq} is ${event.type} to watchers`)
  }
  const last = history.at(-1)
  if (view.status === 'passed' && last !== undefined && view.reserve !== 'not_met')
    find('wrong outcome', id, `passed with ${history.length} bids`)
  if (view.status !== 'sold') return
  if (last === undefined) find('wrong outcome', id, 'sold without a bid')
  else if (view.hammerPrice !== last.price || view.winner !== last.highBidder)
    find(
      'wrong outcome',
      id,
      `sold to ${view.winner} (${aliases.get(view.winner ?? '')}) for ${view.hammerPrice}, not to ${last.highBidder} for ${last.price}`,
    )
}

/** The deadline in force when the first watcher came: it may have been extended before. */
function seenClosesAt({ firstClosesAt }: AuditedAuction, watched: readonly Watched[]): number {
  const [first] = [...watched].sort((a, b) => a.firstSeq - b.firstSeq)
  return Math.max(firstClosesAt, first?.firstClosesAt ?? 0)
}

/** Nothing accepted late, nothing closed early, outages made good once. Returns the number of extensions. */
function deadlinesOf(
  { id, history, view, isClosedByOperator = false }: AuditedAuction,
  events: ReadonlyMap<number, PublicEventFrame>,
  seenFrom: number,
  { outages, extensionMinMs = 5_000 }: AuditInput,
  find: Find,
): number {
  const rows = new Map(history.map((row) => [row.seq, row]))
  const seqs = [...new Set([...events.keys(), ...rows.keys()])].sort((a, b) => a - b)
  /** Deadlines in force, each from a moment on. */
  const deadlines = [{ fromMs: 0, closesAt: seenFrom }]
  let closesAt = seenFrom
  let extensions = 0
  let extendedMs = Number.NEGATIVE_INFINITY
  for (const seq of seqs) {
    const row = rows.get(seq)
    if (row !== undefined && row.serverTime >= closesAt)
      find('late', id, `bid ${seq} at ${row.serverTime}, ${row.serverTime - closesAt} ms after the close`)
    const event = events.get(seq)
    if (event?.type === 'auction_extended') {
      if (event.reason === 'outage') {
        extensions++
        // The last one made good all that was lost by then.
        const [movedMs, sinceMs] = [event.closesAt - closesAt, event.serverTime - extendedMs]
        if (movedMs > sinceMs)
          find('outage extension wrong', id, `${seq}: by ${movedMs} ms, ${sinceMs} ms after the last one`)
        extendedMs = event.serverTime
        const left = closesAt - event.serverTime
        if (event.closesAt < event.serverTime + extensionMinMs || left > extensionMinMs)
          find(
            'outage extension wrong',
            id,
            `${seq}: ${left} ms were left, ${event.closesAt - event.serverTime} ms are`,
          )
      }
      closesAt = event.closesAt
      deadlines.push({ fromMs: event.serverTime, closesAt })
    }
    if (event !== undefined && (event.type === 'auction_sold' || event.type === 'auction_passed'))
      if (event.serverTime < closesAt && !isClosedByOperator)
        find('closed early', id, `${closesAt - event.serverTime} ms before the close`)
  }
  if (view.closesAt !== closesAt && events.size > 0)
    find('view differs from events', id, `closes at ${view.closesAt}, not ${closesAt}`)
  for (const { fromMs, toMs, name, auctionIds, isOwnerDead } of outages) {
    const inForce = deadlines.findLast((deadline) => deadline.fromMs <= fromMs) as { closesAt: number }
    const endedBy = [...events.values()].find(({ type }) => type in ends)
    const isOpenThen = endedBy === undefined || endedBy.serverTime > fromMs + underWayMs
    const owedUntilMs = isOwnerDead === true ? fromMs + extensionMinMs : toMs
    const isAffected = inForce.closesAt > fromMs && inForce.closesAt < owedUntilMs && isOpenThen
    if (!isAffected || auctionIds?.has(id) === false) continue
    const extended = [...events.values()].filter(
      (event) => event.type === 'auction_extended' && event.reason === 'outage' && event.serverTime > fromMs,
    )
    if (extended.length === 0)
      find('outage extension missing', id, `closes at ${inForce.closesAt}, ${name} from ${fromMs} to ${toMs}`)
  }
  return extensions
}

function privatesOf(
  { id, view, history }: AuditedAuction,
  bids: readonly PrivateMessage[],
  aliases: ReadonlyMap<string, string>,
  find: Find,
): void {
  const bidders = new Set(history.flatMap(({ own }) => own.map(({ bidder }) => bidder)))
  const winner = aliases.get(view.winner ?? '')
  for (const { bidder, type, seq } of bids) {
    if (type === 'won' && (view.status !== 'sold' || bidder !== winner))
      find('private frame wrong', id, `${bidder} received that it won at ${seq}; ${winner} did`)
    if (type === 'lost' && (bidder === winner || !bidders.has(bidder)))
      find('private frame wrong', id, `${bidder} received that it lost at ${seq}`)
  }
}
