import { describe, expect, it } from 'vitest'
import type { AuctionView } from '../protocol/auction-view.ts'
import type { AuctionId, SubjectId } from '../protocol/ids.ts'
import type { NotificationMessage } from '../protocol/notifications.ts'
import { bytesOf, outgoingMessage } from './message.ts'
import { batchBytesMax } from './queue.ts'
import { bidNotification } from './testing/messages.ts'

function view(title: string, item: AuctionView['item']): AuctionView {
  return {
    id: 'a1' as AuctionId,
    title,
    tags: [],
    item,
    format: 'english',
    currency: 'EUR',
    status: 'open',
    openingBid: 100,
    price: null,
    askingBid: 100,
    bidCount: 0,
    highBidder: null,
    reserve: 'none',
    buyNow: null,
    opensAt: 0,
    closesAt: 1,
    extensions: 0,
    seq: 1,
    epoch: 1,
    owner: 's1',
    sellerId: 'sol' as SubjectId,
  }
}

function matching(auctions: readonly AuctionView[]): NotificationMessage {
  const message = bidNotification(1, 'ana', 'https://shop.example/hook')
  const data = { kind: 'MATCHING_AUCTIONS', recipient: message.recipient, auctions } as const
  return { ...message, event: { ...message.event, data } }
}

describe('NOTE1 what the queue stores', () => {
  it('NOTE1 the event is the body, its id the de-duplication id, the buyer the group', () => {
    const message = bidNotification(3, 'ana', 'https://shop.example/hook')
    const out = outgoingMessage(message)
    expect(out.deduplicationId).toBe(message.event.id)
    expect(out.groupId).toBe('ana')
    expect(out.endpoint).toBe('https://shop.example/hook')
    expect(JSON.parse(out.body)).toEqual(message.event)
    expect(outgoingMessage(bidNotification(3, 'ana'))).not.toHaveProperty('endpoint')
  })

  it('NOTE16 every text survives as ASCII', () => {
    const title = 'Vase “Señora” 花瓶 🏺 \ud800 \uffff \u0007'
    const out = outgoingMessage(matching([view(title, null)]))
    expect(out.body).toMatch(/^[\x20-\x7e]+$/)
    expect(JSON.parse(out.body).data.auctions[0].title).toBe(title)
  })

  it('NOTE16 a list that is too long loses descriptions first, then its tail', () => {
    const described = Array.from({ length: 100 }, (_, i) => view(`Lot ${i}`, 'x'.repeat(8_000)))
    const plain = outgoingMessage(matching(described))
    expect(bytesOf(plain)).toBeLessThanOrEqual(batchBytesMax)
    expect(JSON.parse(plain.body).data.auctions).toHaveLength(100)
    expect(JSON.parse(plain.body).data.auctions[0]).toMatchObject({ title: 'Lot 0', item: null })

    const wide = Array.from({ length: 100 }, () => view('花'.repeat(1_500), 'x'))
    const cut = outgoingMessage(matching(wide))
    expect(bytesOf(cut)).toBeLessThanOrEqual(batchBytesMax)
    expect(JSON.parse(cut.body).data.auctions.length).toBeGreaterThan(10)
  })
})
