/**
 * What a typed bid amounts to, and what the bid box says about it. Pure.
 * Invariant: an amount that passes is at least the asking bid, and above the reader's own maximum while it has the
 * high bid.
 */
import type { AuctionView, Standing } from '../../protocol/auction-view.ts'
import type { Amount } from '../../protocol/money.ts'
import { money, plainAmount, typedAmount } from './money-text.ts'
import { sentenceOf } from './words.ts'

export type BidRead =
  | { readonly ok: true; readonly amount: Amount }
  | { readonly ok: false; readonly fault: string }

/** What a bid is read against. */
export interface BidContext {
  readonly auction: AuctionView
  readonly you: Standing
  /** The least that is worth bidding now. */
  readonly least: Amount
}

export function readBid(typed: string, { auction, you, least }: BidContext): BidRead {
  const { askingBid, currency } = auction
  const read = typedAmount(typed, currency)
  if (!read.ok)
    return { ok: false, fault: read.doubt ?? `Type an amount such as ${plainAmount(least, currency)}.` }
  const { amount } = read
  if (amount < askingBid) return { ok: false, fault: `The asking bid is ${money(askingBid, currency)}.` }
  if (you.status === 'winning' && you.maxBid !== undefined && amount <= you.maxBid)
    return {
      ok: false,
      fault: `You lead already, with a maximum of ${money(you.maxBid, currency)}. Only more than that changes anything.`,
    }
  return { ok: true, amount }
}

/** The label of the button that sends the bid. */
export function submitWords(isPending: boolean, isConnected: boolean, you: Standing): string {
  if (isPending) return 'Sending your bid…'
  if (!isConnected) return 'Reconnecting…'
  return you.status === 'winning' ? 'Raise your maximum' : 'Place bid'
}

/** `answered` is the standing in the answer; `now` the latest one known. */
export function acceptedWords(answered: Standing, now: Standing, auction: AuctionView): string {
  if (answered.status === 'outbid')
    return `Your bid counts, but somebody's maximum is higher. To lead, bid ${money(auction.askingBid, auction.currency)} or more.`
  if (answered.status === 'won') return 'It is yours.'
  if (now.maxBid === undefined) return 'You lead.'
  return `You lead, with a maximum of ${money(now.maxBid, auction.currency)}.`
}

export function rejectedWords(code: string, askingBid: Amount | undefined, auction: AuctionView): string {
  const sentence = sentenceOf(code)
  return code === 'bid_too_low' && askingBid !== undefined
    ? `${sentence} Bid ${money(askingBid, auction.currency)} or more.`
    : sentence
}
