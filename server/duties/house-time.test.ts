import { expect, test } from 'vitest'
import { ManualClock } from '../../runtime/clock.ts'
import { HouseTime } from './house-time.ts'

const hourMs = 3_600_000

test('TIME9 a server says house time, whatever its wall clock shows', () => {
  const clock = new ManualClock()
  const time = new HouseTime(clock)
  const trueMs = (): number => 1_800_000_000_000 + clock.monotonicMs()
  clock.jump(hourMs)
  expect(time.nowMs()).toBe(trueMs() + hourMs)
  time.stamped(trueMs() - 40, clock.monotonicMs())
  expect(time.nowMs()).toBe(trueMs() - 40)
  clock.advance(1_000)
  time.stamped(trueMs() - 3, clock.monotonicMs())
  clock.jump(-2 * hourMs)
  for (let pulse = 0; pulse < 29; pulse++) {
    expect(time.nowMs()).toBe(trueMs() - 3)
    clock.advance(1_000)
    time.stamped(trueMs() - 200, clock.monotonicMs())
  }
  clock.advance(1_000)
  time.stamped(trueMs() - 200, clock.monotonicMs())
  expect(time.nowMs()).toBe(trueMs() - 200)
})

test('TIME8 and TIME9 a shift of house time is followed at once, forwards and back', () => {
  const clock = new ManualClock()
  const time = new HouseTime(clock)
  for (const shiftMs of [0, 73 * 365 * 24 * hourMs, -hourMs, 2 * hourMs]) {
    const stampMs = clock.nowMs() + shiftMs
    time.stamped(stampMs, clock.monotonicMs())
    expect(time.nowMs()).toBe(stampMs)
    clock.advance(250)
    expect(time.nowMs()).toBe(stampMs + 250)
  }
})
