import { expect, it } from 'vitest'
import { checkStartClock } from './start-clock.ts'

const lastMs = 1_800_000_000_000
const dayMs = 24 * 3_600_000

it('TIME5: a clock up to a minute before the last stamp, or up to 30 days after it, is possible', () => {
  for (const offMs of [-60_000, 0, 3_600_000, 30 * dayMs])
    expect(() => checkStartClock(lastMs, lastMs + offMs)).not.toThrow()
  expect(() => checkStartClock(0, lastMs)).not.toThrow()
  const impossible = expect.objectContaining({ code: 'clock_impossible' })
  for (const offMs of [-60_001, -3_600_000, -50 * 365 * dayMs, 30 * dayMs + 1, 73 * 365 * dayMs])
    expect(() => checkStartClock(lastMs, lastMs + offMs)).toThrow(impossible)
  expect(() => checkStartClock(lastMs, 0)).toThrow(/1970-01-01T00:00:00.000Z.*2027-01-15.*--accept-clock/)
})
