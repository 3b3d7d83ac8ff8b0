/**
 * The time that an auction has left, or when and why its clock stopped.
 * Invariant: the hammer is never drawn from the clock: at zero it shows "closing" until the house has decided, and
 * while the house is not heard, nothing at all.
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import { isEnded } from '../core/index.ts'
import { countdown } from './countdown.ts'
import { h, setAttribute, setText, show } from './dom.ts'
import { momentInWords } from './words.ts'

export interface LotClock {
  readonly element: HTMLElement
  /** Draws the time left at `serverNowMs`; returns in how many ms the text changes. `isStale`: it may have moved. */
  tick(auction: AuctionView, serverNowMs: number, isStale: boolean): number
}

const idleMs = 1_000

export function lotClock(): LotClock {
  const label = h('p', { class: 'figure-label' })
  const time = h('p', { class: 'lot-time', role: 'timer' })
  const note = h('p', { class: 'lot-time-note' })
  return {
    element: h('div', { class: 'lot-clock' }, label, time, note),
    tick(auction, serverNowMs, isStale) {
      const isScheduled = auction.status === 'scheduled'
      const isRunning = isScheduled || auction.status === 'open'
      show(time, isRunning)
      setText(label, labelOf(auction, isStale))
      setText(note, noteOf(auction, serverNowMs))
      if (!isRunning) return idleMs
      const left = countdown((isScheduled ? auction.opensAt : auction.closesAt) - serverNowMs)
      setText(time, left.urgency === 'over' ? overWords(isScheduled, isStale) : left.text)
      setAttribute(time, 'aria-label', left.words)
      setAttribute(time, 'data-urgency', left.urgency)
      return left.nextChangeMs
    },
  }
}

function overWords(isScheduled: boolean, isStale: boolean): string {
  if (isStale) return 'Not known'
  return isScheduled ? 'Opening…' : 'Closing…'
}

function labelOf(auction: AuctionView, isStale: boolean): string {
  if (auction.status === 'scheduled') return isStale ? 'Was to open in' : 'Opens in'
  if (auction.status === 'open') return isStale ? 'Was to close in' : 'Closes in'
  return auction.status === 'paused' ? 'On hold' : 'Closed'
}

function noteOf(auction: AuctionView, serverNowMs: number): string {
  if (auction.status === 'paused') return 'The seller has paused the sale. The time that was left stays.'
  if (isEnded(auction))
    return auction.closesAt > serverNowMs ? 'Before its time' : momentInWords(auction.closesAt)
  return auction.extensions > 0 && auction.status === 'open'
    ? `Extended ${auction.extensions === 1 ? 'once' : `${auction.extensions} times`}`
    : ''
}
