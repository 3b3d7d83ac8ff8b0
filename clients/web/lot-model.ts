/**
 * The state of an auction's page: public view, history, and the reader's standing.
 * It is a reducer: each snapshot, event, answer or page of history gives the next state.
 * Invariant: history holds each bid once, in order of `seq`, at most `historyMax` of them; "you lead" is never
 * shown after a bid of somebody else was seen to lead, nor while that may have happened unseen. `lot-page.ts` draws it.
 */
import type { AuctionView, Standing } from '../../protocol/auction-view.ts'
import type { BidKind } from '../../protocol/fields.ts'
import type { BidEntry } from '../../protocol/http-bodies.ts'
import type { Amount } from '../../protocol/money.ts'
import type { PrivateEventFrame, PublicEventFrame } from '../../protocol/server-frames.ts'
import { type BidOutcome, isEnded } from '../core/index.ts'

/** Bids that are kept; the oldest go first. */
export const historyMax = 2_000

export interface HistoryBid {
  readonly seq: number
  readonly atMs: number
  /** Alias. */
  readonly bidder: string
  readonly price: Amount
  readonly highBidder: string
}

export interface PendingBid {
  /** Absent: buy now. */
  readonly amount?: Amount
  readonly kind: BidKind
}

export interface LotState {
  /** Absent until the first snapshot. */
  readonly auction?: AuctionView
  readonly history: readonly HistoryBid[]
  /** Whether bids older than those in `history` can be loaded. */
  readonly hasEarlier: boolean
  readonly you: Standing
  /** The reader's own alias, once a bid of its own was seen. */
  readonly alias?: string
  readonly pending?: PendingBid
  /** How the last bid of this page ended. */
  readonly outcome?: BidOutcome
  /** The house refused the watch, with this code. */
  readonly refused?: string
  /** The view may be out of date: until when (server's time) it was that of the house. Absent while it is current. */
  readonly staleSinceMs?: number
}

export type LotAction =
  | { readonly type: 'snapshot'; readonly auction: AuctionView }
  | { readonly type: 'event'; readonly auction: AuctionView; readonly event: PublicEventFrame }
  | { readonly type: 'private'; readonly event: PrivateEventFrame }
  | { readonly type: 'history'; readonly bids: readonly BidEntry[]; readonly hasEarlier?: boolean }
  | { readonly type: 'bid_sent'; readonly bid: PendingBid }
  | { readonly type: 'bid_answered'; readonly outcome: BidOutcome }
  /** No answer: the network failed, or the house refused the frame. */
  | { readonly type: 'bid_failed' }
  | { readonly type: 'refused'; readonly code: string }
  | { readonly type: 'stale'; readonly sinceMs: number }
  | { readonly type: 'current' }

export const emptyLot: LotState = { history: [], hasEarlier: false, you: { status: 'none' } }

export function lotReducer(state: LotState, action: LotAction): LotState {
  switch (action.type) {
    case 'snapshot':
      return withStanding({ ...state, auction: action.auction }, action.auction.you ?? state.you)
    case 'event':
      return afterEvent({ ...state, auction: action.auction }, action.event)
    case 'private':
      return withStanding(state, action.event.you)
    case 'history':
      return afterHistory(state, action.bids, action.hasEarlier)
    case 'bid_sent':
      return without({ ...state, pending: action.bid }, 'outcome')
    case 'bid_answered':
      return afterAnswer(without({ ...state, outcome: action.outcome }, 'pending'), action.outcome)
    case 'bid_failed':
      return without(state, 'pending')
    case 'refused':
      return { ...state, refused: action.code }
    case 'stale':
      return { ...state, staleSinceMs: action.sinceMs }
    case 'current':
      return without(state, 'staleSinceMs')
  }
}

type OptionalField = 'pending' | 'outcome' | 'staleSinceMs'

function without(state: LotState, field: OptionalField): LotState {
  const { [field]: _, ...rest } = state
  return rest as Omit<LotState, OptionalField>
}

/** Whether what the page shows may have changed unseen. What has ended does not change. */
export function isStale({ staleSinceMs, auction }: LotState): boolean {
  return staleSinceMs !== undefined && auction !== undefined && !isEnded(auction)
}

function afterEvent(state: LotState, event: PublicEventFrame): LotState {
  if (event.type === 'bid_placed') {
    const { seq, serverTime: atMs, bidder, price, highBidder } = event
    const history = merged(state.history, [{ seq, atMs, bidder, price, highBidder }])
    const { outcome } = state
    const isOwn = outcome?.type === 'bid_accepted' && outcome.seq === seq
    return inferred(isOwn ? { ...state, history, alias: bidder } : { ...state, history })
  }
  return inferred(state)
}

function afterAnswer(state: LotState, outcome: BidOutcome): LotState {
  if (outcome.type !== 'bid_accepted') return state
  const own = state.history.find(({ seq }) => seq === outcome.seq)
  const named = own === undefined ? state : { ...state, alias: own.bidder }
  // An answer may be overtaken by the events that follow it: then those say who leads.
  const isOvertaken = (state.auction?.seq ?? 0) > outcome.seq
  return isOvertaken
    ? inferred(withStanding(named, { ...outcome.you, status: named.you.status }))
    : withStanding(named, outcome.you)
}

function afterHistory(state: LotState, bids: readonly BidEntry[], hasEarlier = state.hasEarlier): LotState {
  const entries = bids.map(({ seq, serverTime: atMs, bidder, price, highBidder }) => ({
    seq,
    atMs,
    bidder,
    price,
    highBidder,
  }))
  const alias = bids.find(({ you }) => you !== undefined)?.bidder ?? state.alias
  const history = merged(state.history, entries)
  const next = { ...state, history, hasEarlier: hasEarlier && history.length < historyMax }
  return alias === undefined ? next : inferred({ ...next, alias })
}

/** The standing that public events imply, once the reader's alias is known. */
function inferred(state: LotState): LotState {
  const { auction, alias, you } = state
  if (auction === undefined || alias === undefined) return state
  if (auction.status === 'sold') return withStanding(state, { ...you, status: isWinner(auction, alias) })
  if (auction.status === 'cancelled') return withStanding(state, { ...you, status: 'none' })
  if (isEnded(auction)) return withStanding(state, { ...you, status: 'lost' })
  return withStanding(state, { ...you, status: auction.highBidder === alias ? 'winning' : 'outbid' })
}

function isWinner(auction: AuctionView, alias: string): 'won' | 'lost' {
  return auction.winner === alias ? 'won' : 'lost'
}

function withStanding(state: LotState, you: Standing): LotState {
  const maxBid = you.maxBid ?? state.you.maxBid
  return { ...state, you: maxBid === undefined ? { status: you.status } : { status: you.status, maxBid } }
}

/** Two runs of bids as one: in order of `seq`, each once. */
function merged(a: readonly HistoryBid[], b: readonly HistoryBid[]): readonly HistoryBid[] {
  const last = a.at(-1)?.seq ?? 0
  const joined =
    b.every(({ seq }) => seq > last) && isRising(b)
      ? [...a, ...b]
      : [...new Map([...a, ...b].map((bid) => [bid.seq, bid])).values()].sort((x, y) => x.seq - y.seq)
  return joined.length > historyMax ? joined.slice(-historyMax) : joined
}

function isRising(bids: readonly HistoryBid[]): boolean {
  return bids.every((bid, at) => at === 0 || bid.seq > (bids[at - 1] as HistoryBid).seq)
}
