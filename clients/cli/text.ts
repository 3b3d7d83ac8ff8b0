/**
 * Text for terminals: tables, durations, the lines of an auction. Invariant: what others wrote (titles, aliases)
 * is printed without control characters, so that it cannot drive the terminal.
 */
import type { AuctionView } from '../../protocol/auction-view.ts'
import type { PublicEventFrame } from '../../protocol/server-frames.ts'
import { formatAmount } from '../core/index.ts'

/** Without control, format and other invisible characters. */
export function plain(text: string): string {
  return text.replace(/\p{C}/gu, '�')
}

/** At most `length` characters, an ellipsis where something was cut. */
export function clip(text: string, length: number): string {
  const characters = [...text]
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join('')}…`
}

export interface Column {
  readonly title: string
  readonly isRight?: boolean
}

/** Aligned columns with a heading; the last column is not padded. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map((column, at) =>
    Math.max(column.title.length, ...rows.map((row) => [...(row[at] ?? '')].length)),
  )
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => {
        const padding = ' '.repeat(Math.max(0, (widths[at] ?? 0) - [...cell].length))
        return columns[at]?.isRight === true ? padding + cell : cell + padding
      })
      .join('  ')
      .trimEnd()
  return [columns.map((column) => column.title), ...rows].map(line).join('\n')
}

/** Facts below each other, as `name  value`. */
export function facts(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length))
  return pairs.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')
}

/** The two largest units, as `1d 4h`, `3m 20s`, `8s`. */
export function durationText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const
  const from = parts.findIndex(([count]) => count > 0)
  if (from === -1) return '0s'
  return parts
    .slice(from, from + 2)
    .filter(([count], at) => at === 0 || count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ')
}

/** UTC, to the second, as `2026-11-20 18:00:00Z`. */
export function momentText(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19).replace('T', ' ')}Z`
}

/** The status of an auction with its time, as `open, closes in 3m 20s`. */
export function statusText(view: AuctionView, nowMs: number): string {
  switch (view.status) {
    case 'scheduled':
      return `scheduled, opens in ${durationText(view.opensAt - nowMs)}`
    case 'open':
      return view.closesAt > nowMs
        ? `open, closes in ${durationText(view.closesAt - nowMs)}`
        : 'open, closing now'
    case 'sold':
      return `sold to ${plain(view.winner ?? '?')} for ${formatAmount(view.hammerPrice ?? 0, view.currency)}`
    case 'paused':
    case 'passed':
    case 'cancelled':
      return view.status
  }
}

const reserveWords = { none: 'none', not_met: 'not met', met: 'met' } as const

/** Everything that is public about an auction, one fact a line. */
export function auctionText(view: AuctionView, nowMs: number): string {
  const money = (amount: number): string => formatAmount(amount, view.currency)
  return facts([
    ['auction', view.id],
    ['title', plain(view.title)],
    ['status', statusText(view, nowMs)],
    [
      'price',
      view.price === null ? 'no bid yet' : `${money(view.price)} by ${plain(view.highBidder ?? '?')}`,
    ],
    ['asking bid', money(view.askingBid)],
    ['bids', String(view.bidCount)],
    ['opening bid', money(view.openingBid)],
    ['reserve', reserveWords[view.reserve]],
    ...(view.buyNow === null ? [] : [['buy now', money(view.buyNow)] as const]),
    ['opens', momentText(view.opensAt)],
    [
      'closes',
      `${momentText(view.closesAt)}${view.extensions === 0 ? '' : ` (extended ${view.extensions} times)`}`,
    ],
    ...(view.tags.length === 0 ? [] : [['tags', view.tags.map(plain).join(', ')] as const]),
    ['seller', view.sellerId],
    ...(view.you === undefined || view.you.status === 'none'
      ? []
      : [
          [
            'you',
            view.you.status + (view.you.maxBid === undefined ? '' : `, up to ${money(view.you.maxBid)}`),
          ] as const,
        ]),
  ])
}

/** What an event did, as one line. */
export function eventText(event: PublicEventFrame, currency: string): string {
  const money = (amount: number): string => formatAmount(amount, currency)
  const what = (): string => {
    switch (event.type) {
      case 'bid_placed': {
        const leads =
          event.bidder === event.highBidder ? 'leads' : `outbid at once by ${plain(event.highBidder)}`
        const reserve = event.reserve === 'not_met' ? ', reserve not met' : ''
        return `${plain(event.bidder)} ${leads} at ${money(event.price)}, asking ${money(event.askingBid)}${reserve}`
      }
      case 'auction_opened':
        return `opened, closes ${momentText(event.closesAt)}`
      case 'auction_extended':
        return `extended (${event.reason.replace('_', ' ')}), closes ${momentText(event.closesAt)}`
      case 'auction_paused':
        return 'paused'
      case 'auction_resumed':
        return `resumed, closes ${momentText(event.closesAt)}`
      case 'auction_sold':
        return `sold to ${plain(event.winner)} for ${money(event.hammerPrice)}`
      case 'auction_passed':
        return 'passed: nobody won it'
      case 'auction_cancelled':
        return 'cancelled'
    }
  }
  return `${momentText(event.serverTime)}  #${event.seq}  ${what()}`
}
