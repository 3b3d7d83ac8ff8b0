/**
 * How a notification looks in the queue.
 * The body is the CloudEvent as ASCII JSON, the group is the buyer, an attribute is its webhook.
 * Invariant: the body is the text that is signed and posted, byte for byte. It fits one SQS message and has no
 * character that SQS refuses (characters beyond ASCII are written as escapes).
 * Source: docs/protocol.md, "Notifications"; CloudEvents JSON format; SQS "SendMessage" (allowed characters, 256 KiB).
 */
import type { AuctionView } from '../protocol/auction-view.ts'
import type { NotificationEvent, NotificationMessage } from '../protocol/notifications.ts'
import { batchBytesMax, type OutgoingMessage } from './queue.ts'

/** Room for the attribute that carries the webhook's address (2 KiB) and its name. */
const bodyBytesMax = batchBytesMax - 8_192

/** Turns a notification into what the queue stores. */
export function outgoingMessage(message: NotificationMessage): OutgoingMessage {
  return {
    deduplicationId: message.id,
    groupId: message.recipient,
    body: bodyOf(message.event),
    ...(message.endpoint === undefined ? {} : { endpoint: message.endpoint }),
  }
}

/** The size of a message in a batch, in bytes. */
export function bytesOf(message: OutgoingMessage): number {
  return message.body.length + (message.endpoint === undefined ? 0 : message.endpoint.length + 32)
}

/** A list of auctions that is too long for one message loses the sellers' descriptions, then its tail. */
function bodyOf(event: NotificationEvent): string {
  const whole = asciiJson(event)
  if (whole.length <= bodyBytesMax) return whole
  let auctions = (event.data.auctions ?? []).map(withoutItem)
  for (;;) {
    const body = asciiJson({ ...event, data: { ...event.data, auctions } })
    if (body.length <= bodyBytesMax || auctions.length === 0) return body
    auctions = auctions.slice(0, Math.floor(auctions.length / 2))
  }
}

function withoutItem(view: AuctionView): AuctionView {
  return { ...view, item: null }
}

function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
