/**
 * The reader's standing in an auction, as one line. Pure.
 * Invariant: the line is derived from the state alone; `lot-model.ts` keeps that state from claiming a lead that a
 * later event has taken away.
 */
import { isStale, type LotState } from './lot-model.ts'
import { money } from './money-text.ts'
import { aliasInWords, timeInWords } from './words.ts'

export interface StandingLine {
  readonly tone: 'good' | 'bad' | 'plain' | 'stale'
  readonly title: string
  readonly text: string
}

export function standingOf(state: LotState): StandingLine | undefined {
  const { auction, you } = state
  if (auction === undefined) return undefined
  if (isStale(state)) return staleLine(state)
  const amount = (minor: number): string => money(minor, auction.currency)
  const mine = you.maxBid === undefined ? '' : `Your maximum is ${amount(you.maxBid)}.`
  switch (auction.status) {
    case 'sold':
      if (you.status === 'won')
        return {
          tone: 'good',
          title: 'It is yours',
          text: `The hammer fell at ${amount(auction.hammerPrice ?? 0)}.`,
        }
      return {
        tone: you.status === 'lost' ? 'bad' : 'plain',
        title: you.status === 'lost' ? 'Somebody else won' : 'Sold',
        text: `${aliasInWords(auction.winner ?? '')} has it for ${amount(auction.hammerPrice ?? 0)}.`,
      }
    case 'passed':
      return {
        tone: 'plain',
        title: 'Not sold',
        text: auction.bidCount === 0 ? 'There was no bid.' : 'The reserve was not met.',
      }
    case 'cancelled':
      return { tone: 'plain', title: 'Cancelled', text: 'Nobody gets it, and no bid binds anybody.' }
    case 'paused':
      return {
        tone: 'plain',
        title: 'On hold',
        text: `No bids are taken until the seller goes on. ${mine}`.trim(),
      }
    case 'scheduled':
      return { tone: 'plain', title: 'Not open yet', text: 'Bids are taken as soon as it opens.' }
    case 'open':
      if (you.status === 'winning')
        return {
          tone: 'good',
          title: 'You lead',
          text: auction.reserve === 'not_met' ? `The reserve is not met yet. ${mine}`.trim() : mine,
        }
      if (you.status === 'outbid')
        return {
          tone: 'bad',
          title: 'You are outbid',
          text: `To lead again, bid ${amount(auction.askingBid)} or more.`,
        }
      return undefined
  }
}

/** What was known last, as something past. */
function staleLine({ staleSinceMs = 0, you }: LotState): StandingLine {
  const then =
    you.status === 'winning' ? 'You led then.' : you.status === 'outbid' ? 'You were outbid then.' : ''
  const text = `The house was last heard at ${timeInWords(staleSinceMs)}. Bids since are not shown. ${then}`
  return { tone: 'stale', title: 'Not current', text: text.trim() }
}
