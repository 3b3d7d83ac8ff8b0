/**
 * What buyers' webhooks owe: each fact once under one id, signed, nobody else's. Repeats under the same id are
 * lawful (delivery is at least once) and counted by the receiver alone.
 * Source: CONTRACT "Notifications"; docs/spec.md OUTBOX1, OUTBOX6.
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
    const owed = new Set<string>()
    const aliases = new Map<string, string>()
    for (const row of history) for (const { bidder } of row.own) aliases.set(row.bidder, bidder)
    let leader: string | undefined
    for (const { seq, bidder, highBidder } of history) {
      owe(owed, aliases.get(bidder), 'NEW_BID', id, seq)
      if (leader !== undefined && leader !== highBidder) owe(owed, aliases.get(leader), 'OUTBID', id, seq)
      if (bidder !== highBidder) owe(owed, aliases.get(bidder), 'OUTBID', id, seq)
      leader = highBidder
    }
    if (view.status === 'sold' || view.status === 'passed')
      for (const [alias, bidder] of aliases)
        owe(owed, bidder, alias === view.winner ? 'WON_AUCTION' : 'END_OF_AUCTION', id, view.seq)
    for (const fact of owed) if (!came.has(fact)) find('notification missing', id, fact)
    for (const { recipient, kind, seq } of byAuction.get(id) ?? []) {
      if (kind === 'NEW_AUCTION') continue
      const fact = factOf(recipient, kind, id, seq)
      if (!owed.has(fact)) find('notification not owed', id, fact)
    }
  }
}

function owe(owed: Set<string>, recipient: string | undefined, kind: string, id: string, seq: number): void {
  if (recipient !== undefined) owed.add(factOf(recipient, kind, id, seq))
}

function factOf(
  recipient: string,
  kind: string,
  auctionId: string | undefined,
  seq: number | undefined,
): string {
  return `${kind} of ${auctionId} at ${seq} to ${recipient}`
}
