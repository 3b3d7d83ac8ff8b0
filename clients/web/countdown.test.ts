import { describe, expect, it } from 'vitest'
import { ago, countdown } from './countdown.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

describe('the countdown', () => {
  it.each([
    [3 * day + 5 * hour + minute, '3 d 5 h', 'calm'],
    [2 * day + 59 * minute, '2 d', 'calm'],
    [day - 1, '23:59:59', 'calm'],
    [3 * hour + 7 * minute + 9_999, '3:07:09', 'calm'],
    [hour, '1:00:00', 'calm'],
    [hour - 1, '59:59', 'calm'],
    [5 * minute, '5:00', 'soon'],
    [5 * minute + 1, '5:00', 'calm'],
    [31_000, '0:31', 'soon'],
    [30_000, '0:30', 'now'],
    [10_000, '0:10', 'now'],
    [9_999, '9.9 s', 'now'],
    [1_000, '1.0 s', 'now'],
    [99, '0.0 s', 'now'],
    [0, '', 'over'],
    [-5_000, '', 'over'],
  ] as const)('shows %d ms as %j (%s)', (leftMs, text, urgency) => {
    expect(countdown(leftMs)).toMatchObject({ text, urgency })
  })

  it('says to the millisecond when it changes', () => {
    for (let leftMs = 1; leftMs < 3 * day; leftMs += leftMs < 20_000 ? 7 : 7_919 + (leftMs % 997)) {
      const { text, nextChangeMs } = countdown(leftMs)
      expect(countdown(leftMs - nextChangeMs + 1).text).toBe(text)
      expect(countdown(leftMs - nextChangeMs).text).not.toBe(text)
    }
  })

  it('is read out in words, one and many', () => {
    expect(countdown(day).words).toBe('1 day')
    expect(countdown(2 * day + hour).words).toBe('2 days 1 hour')
    expect(countdown(hour + 2 * minute).words).toBe('1 hour 2 minutes')
    expect(countdown(minute).words).toBe('1 minute')
    expect(countdown(12_000).words).toBe('12 seconds')
    expect(countdown(900).words).toBe('1 second')
    expect(countdown(0).words).toBe('closing')
  })

  it.each([
    [0, 'now'],
    [1_999, 'now'],
    [12_000, '12 s'],
    [5 * minute, '5 min'],
    [3 * hour + 5, '3 h'],
    [2 * day, '2 d'],
  ])('%d ms ago is %j', (passedMs, text) => {
    expect(ago(passedMs)).toBe(text)
  })
})
