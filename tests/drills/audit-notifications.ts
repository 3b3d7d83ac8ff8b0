/**
 * Judges webhooks: each fact reached its buyers once under one id, signed.
 *
 * No other buyer may receive it. Repeats under the same id are lawful, because delivery is at least once.
 *
 * Invariant: an expected notification comes from the public history alone.
 * Source: docs/protocol.md, notifications; docs/spec.md OUTBOX1, OUTBOX6.
 */
import { type AuditedAuction, type Find, groupBy, type Post } from './record.ts'

export function auditNotifications(
  auctions: readonly AuditedAuction[],
  posts: readonly Post[],
  find: Find,
): void {
  const came = new Map<string, string[]>()
  for (const { recipient, id, kind, auctionId, seq, isSigned } of posts) {
    if (!isSigned) find('webhook not signed', auctionId ?? '', `${id} to ${recipient}`)
    const fact = factOf(recipient, kind, auctionId, seq)
    came.set(fact, [...(came.get(fact) ?? []), id])
  }
  for (const [fact, ids] of came)
    if (new Set(ids).size > 1) find('notification repeated', '', `${fact} came as ${ids.join(' and ')}`)
  const byAuction = groupBy(posts, ({ auctionId }) => auctionId)
  for (const { id, history, view } of auctions) {
    const expected = new Set<string>()
    const aliases = new Map<string, string>()
    for (const row of history) for (const { bidder } of row.own) aliases.set(row.bidder, bidder)
    let before: string | undefined
    for (const { seq, bidder, highBidder } of history) {
      addFact(expected, aliases.get(bidder), 'NEW_BID', id, seq)
      if (before !== undefined && before !== highBidder)
        addFact(expected, aliases.get(before), 'OUTBID', id, seq)
      if (bidder !== highBidder) addFact(expected, aliases.get(bidder), 'OUTBID', id, seq)
      before = highBidder
    }
    if (view.status === 'sold' || view.status === 'passed')
      for (const [alias, bidder] of aliases)
        addFact(expected, bidder, alias === view.winner ? 'WON_AUCTION' : 'END_OF_AUCTION', id, view.seq)
    for (const fact of expected) if (!came.has(fact)) find('notification missing', id, fact)
    for (const { recipient, kind, seq } of byAuction.get(id) ?? []) {
      if (kind === 'NEW_AUCTION') continue
      const fact = factOf(recipient, kind, id, seq)
      if (!expected.has(fact)) find('notification not expected', id, fact)
    }
  }
}

function addFact(
  expected: Set<string>,
  recipient: string | undefined,
  kind: string,
  id: string,
  seq: number,
): void {
  if (recipient !== undefined) expected.add(factOf(recipient, kind, id, seq))
}

function factOf(
  recipient: string,
  kind: string,
  auctionId: string | undefined,
  seq: number | undefined,
): string {
  return `${kind} of ${auctionId} at ${seq} to ${recipient}`
}
