import { describe, expect, it } from 'vitest'
import { view } from '../core/testing/frames.ts'
import { acceptedWords, readBid, rejectedWords, submitWords } from './bid-words.ts'

const auction = view({ askingBid: 1_000, currency: 'USD' })

describe('a typed bid', () => {
  it('passes from the asking bid on', () => {
    const context = { auction, you: { status: 'none' }, least: 1_000 } as const
    expect(readBid('10', context)).toEqual({ ok: true, amount: 1_000 })
    expect(readBid('9.99', context)).toEqual({ ok: false, fault: 'The asking bid is $10.00.' })
    expect(readBid('10.000', context)).toMatchObject({
      ok: false,
      fault: expect.stringContaining('10.000 can be read as 10000 USD'),
    })
    expect(readBid('ten', context)).toEqual({ ok: false, fault: 'Type an amount such as 10.' })
  })

  it('is above the own maximum while the reader has the high bid', () => {
    const context = { auction, you: { status: 'winning', maxBid: 2_000 }, least: 2_100 } as const
    expect(readBid('20.00', context)).toMatchObject({ ok: false })
    expect(readBid('20.01', context)).toEqual({ ok: true, amount: 2_001 })
  })

  it('may be below a maximum that was outbid', () => {
    const context = { auction, you: { status: 'outbid', maxBid: 2_000 }, least: 1_000 } as const
    expect(readBid('15', context)).toEqual({ ok: true, amount: 1_500 })
  })
})

describe('the words of the bid box', () => {
  it('name a bid under way before a lost connection', () => {
    expect(submitWords(true, false, { status: 'none' })).toBe('Sending your bid…')
    expect(submitWords(false, false, { status: 'winning' })).toBe('Reconnecting…')
    expect(submitWords(false, true, { status: 'winning' })).toBe('Raise your maximum')
    expect(submitWords(false, true, { status: 'outbid' })).toBe('Place bid')
  })

  it('report an accepted bid by the answer, with the maximum that is known now', () => {
    expect(acceptedWords({ status: 'outbid' }, { status: 'outbid' }, auction)).toContain('$10.00 or more')
    expect(acceptedWords({ status: 'winning' }, { status: 'winning', maxBid: 1_500 }, auction)).toBe(
      'You lead, with a maximum of $15.00.',
    )
  })

  it('name the asking bid only after a bid that was too low', () => {
    expect(rejectedWords('bid_too_low', 1_200, auction)).toContain('$12.00 or more')
    expect(rejectedWords('auction_closed', 1_200, auction)).not.toContain('$')
  })
})
