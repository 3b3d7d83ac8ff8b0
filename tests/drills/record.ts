/**
 * What a drill writes down and what the audit makes of it: shapes only. Times are epoch milliseconds by the
 * servers' clocks, amounts minor units. Invariant: all of it came from the API, in frames or in webhooks.
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import type { PublicEventFrame } from '../../protocol/server-frames.ts'

export const rules = [
  'acknowledged bid lost',
  'bid counted twice',
  'acknowledged bid changed',
  'refused bid counted',
  'misattributed',
  'wrong high bidder',
  'history out of order',
  'price fell',
  'watchers differ',
  'event missed',
  'view differs from events',
  'more than one outcome',
  'wrong outcome',
  'late',
  'closed early',
  'not closed',
  'outage extension wrong',
  'outage extension missing',
  'private frame wrong',
  'notification missing',
  'notification repeated',
  'notification not expected',
  'webhook not signed',
] as const
export type Rule = (typeof rules)[number]

export interface Finding {
  readonly rule: Rule
  readonly auctionId: string
  readonly facts: string
}

/** One bid as its bidder knows it. `unknown`: no answer came. */
export interface BidRecord {
  readonly bidder: string
  readonly auctionId: string
  readonly requestId: string
  readonly amount: number
  readonly answer: 'accepted' | 'rejected' | 'unknown'
  readonly seq?: number
}

/** One row of the public history; `own` where its bidder's token showed whose it is (once for each that saw it so). */
export interface HistoryRow {
  readonly seq: number
  readonly serverTime: number
  readonly bidder: string
  readonly highBidder: string
  readonly price: number
  readonly own: readonly { readonly bidder: string; readonly amount: number; readonly requestId: string }[]
}

/** What one session saw of one auction: a snapshot at `firstSeq`, then events. */
export interface Watched {
  readonly watcher: string
  readonly auctionId: string
  readonly firstSeq: number
  /** The deadline in that snapshot. */
  readonly firstClosesAt: number
  readonly events: readonly PublicEventFrame[]
  /** Snapshots in place of events that were not replayed. */
  readonly missed: number
}

export interface PrivateMessage {
  readonly bidder: string
  readonly auctionId: string
  readonly type: 'outbid' | 'won' | 'lost'
  readonly seq: number
}

/** An outage that a drill made: by the clock of the servers, epoch ms. */
export interface Outage {
  readonly name: string
  /** The auctions without a conductor; absent: all. */
  readonly auctionIds?: ReadonlySet<string>
  readonly fromMs: number
  /** When service was seen again. */
  readonly toMs: number
  /** A monitor found the owner dead: what had less than the house's minimum to go must move (OUTAGE6). */
  readonly isOwnerDead?: boolean
}

export interface AuditedAuction {
  readonly id: string
  /** Before any extension. */
  readonly firstClosesAt: number
  readonly view: AuctionView
  /** It may have ended before its deadline. */
  readonly isClosedByOperator?: boolean
  readonly history: readonly HistoryRow[]
}

/** One webhook that came in, the first under its id. */
export interface Post {
  readonly recipient: string
  readonly id: string
  readonly kind: string
  readonly auctionId: string | undefined
  readonly seq: number | undefined
  readonly isSigned: boolean
}

export type Find = (rule: Rule, auctionId: string, facts: string) => void

export function groupBy<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}
