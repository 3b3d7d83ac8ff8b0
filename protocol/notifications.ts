/**
 * Notifications to buyers: their kinds, and the CloudEvent that carries each.
 * Invariant: the id of a message depends on group, outbox position and recipient alone, so a repeat has the same id
 * and can be dropped. The owner expands an outbox entry to recipients; the notifier delivers. Source:
 * docs/protocol.md, "Notifications"; CloudEvents 1.0.2 §3.1; SQS: a deduplication id has up to 128 characters.
 */
import type { AuctionView } from './auction-view.ts'
import type { GroupId, SubjectId } from './ids.ts'
import type { Amount } from './money.ts'

/** Every kind, with its meaning for the recipient. */
export const notificationKinds = {
  NEW_AUCTION: 'An auction matches your interests',
  MATCHING_AUCTIONS: 'Open auctions match your interests',
  NEW_BID: 'Your bid was accepted',
  CANCELED_AUCTION: 'An auction that you bid on was cancelled',
  END_OF_AUCTION: 'An auction that you bid on has ended, and another bidder, or nobody, won it',
  WON_AUCTION: 'You won an auction',
  OUTBID: 'Another bidder leads an auction that you bid on',
} as const satisfies Readonly<Record<string, string>>

export type NotificationKind = keyof typeof notificationKinds

/** The facts of one notification. Amounts in minor units, times in epoch ms. Nothing in it is secret. */
export interface NotificationData {
  readonly kind: NotificationKind
  readonly recipient: SubjectId
  /** The public view as it was when this was published; absent for MATCHING_AUCTIONS. */
  readonly auction?: AuctionView
  /** The event that caused it, where there is one. */
  readonly seq?: number
  /** The price at that event: of the bid, of the sale, or what one was outbid at. */
  readonly price?: Amount
  /** For MATCHING_AUCTIONS: open auctions of the recipient's interests, at most 100. */
  readonly auctions?: readonly AuctionView[]
}

export const matchingAuctionsMax = 100

/** CloudEvent 1.0 in JSON format. */
export interface NotificationEvent {
  readonly specversion: '1.0'
  readonly id: string
  /** `/groups/<group>` of this house. */
  readonly source: string
  /** `martillo.<kind in lower case>.v1` */
  readonly type: string
  /** Id of the auction; absent where there is none. */
  readonly subject?: string
  /** RFC 3339, UTC: when it happened. */
  readonly time: string
  readonly datacontenttype: 'application/json'
  readonly data: NotificationData
}

/** One message for one recipient, on its way to the queue. */
export interface NotificationMessage {
  /** Equals `event.id`; also the deduplication id. */
  readonly id: string
  /** Also the message group: messages of one buyer arrive in order. */
  readonly recipient: SubjectId
  /** Webhook of the recipient; absent: nobody to post to. */
  readonly endpoint?: string
  readonly event: NotificationEvent
}

const idLengthMax = 128
const tailLength = 17

/** FNV-1a over UTF-16 units in two lanes of 32 bits, as 16 hex digits. */
function shortHash(text: string): string {
  let a = 0x811c9dc5
  let b = 0x050c5d1f
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at)
    a = Math.imul(a ^ unit, 0x01000193)
    b = Math.imul(b ^ unit ^ (a >>> 15), 0x01000193)
  }
  return (a >>> 0).toString(16).padStart(8, '0') + (b >>> 0).toString(16).padStart(8, '0')
}

/**
 * `<group>-<position>-<recipient>`; where that is longer than a deduplication id may be, the recipient's end
 * gives way to a hash of all of it.
 */
export function notificationId(groupId: GroupId, position: number, recipient: SubjectId): string {
  const id = `${groupId}-${position}-${recipient}`
  return id.length <= idLengthMax ? id : `${id.slice(0, idLengthMax - tailLength)}-${shortHash(id)}`
}

/** Epoch ms (0 to the year 9999) as RFC 3339 in UTC, by the civil-from-days rule; pure code has no `Date`. */
export function rfc3339(atMs: number): string {
  const days = Math.floor(atMs / 86_400_000)
  const inDay = atMs - days * 86_400_000
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1_460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const marchMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * marchMonth + 2) / 5) + 1
  const month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  const two = (value: number): string => String(value).padStart(2, '0')
  const seconds = Math.floor(inDay / 1_000)
  const clock = `${two(Math.floor(seconds / 3_600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}T${clock}.${String(inDay % 1_000).padStart(3, '0')}Z`
}

/** What a notification is made of, beside its recipient. */
export interface NotificationFacts {
  readonly groupId: GroupId
  readonly position: number
  readonly atMs: number
  readonly endpoint?: string
  readonly data: NotificationData
}

/** Makes the message of one notification for one recipient. */
export function notificationMessage(facts: NotificationFacts): NotificationMessage {
  const { groupId, position, atMs, endpoint, data } = facts
  const id = notificationId(groupId, position, data.recipient)
  return {
    id,
    recipient: data.recipient,
    ...(endpoint === undefined ? {} : { endpoint }),
    event: {
      specversion: '1.0',
      id,
      source: `/groups/${groupId}`,
      type: `martillo.${data.kind.toLowerCase()}.v1`,
      ...(data.auction === undefined ? {} : { subject: data.auction.id }),
      time: rfc3339(atMs),
      datacontenttype: 'application/json',
      data,
    },
  }
}
