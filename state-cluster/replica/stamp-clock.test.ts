import { describe, expect, it } from 'vitest'
import { ManualClock } from '../../runtime/clock.ts'
import type { AgreedTime } from '../peers/peer-clocks.ts'
import { StampClock } from './stamp-clock.ts'

const hourMs = 3_600_000
const yearsMs = 73 * 365 * 24 * hourMs

/** A clock of true time, and a leader's clock that starts from it and is corrected at every tick. */
class Leader {
  readonly clock = new ManualClock()
  readonly stamps = new StampClock(this.clock)
  readonly startMs = this.clock.nowMs()
  agreed: (trueMs: number) => AgreedTime | undefined = (trueMs) => ({ wallMs: trueMs, clockCount: 2 })

  get trueMs(): number {
    return this.startMs + this.clock.monotonicMs()
  }

  get errorMs(): number {
    return this.stamps.nowMs() - this.trueMs
  }

  run(ms: number): void {
    for (let passed = 0; passed < ms; passed += 25) {
      this.clock.advance(25)
      this.stamps.correct(this.agreed(this.trueMs))
    }
  }
}

const byOneClock =
  (offMs: number) =>
  (trueMs: number): AgreedTime => ({ wallMs: trueMs + offMs, clockCount: 1 })

const byMajority =
  (offMs: number) =>
  (trueMs: number): AgreedTime => ({ wallMs: trueMs + offMs, clockCount: 2 })

describe('house time', () => {
  it('TIME1: goes on by the monotonic clock where no clocks agree, whatever the wall clock does', () => {
    const leader = new Leader()
    leader.run(1_000)
    leader.agreed = () => undefined
    for (const jumpMs of [hourMs, -2 * hourMs, yearsMs]) {
      leader.clock.jump(jumpMs)
      leader.run(5_000)
      expect(leader.errorMs).toBe(0)
    }
  })

  it('TIME1: follows agreed time by a tenth of the time that goes by, never by a jump, and never stands still', () => {
    for (const offMs of [700, -700, hourMs, -hourMs]) {
      const leader = new Leader()
      leader.run(1_000)
      leader.agreed = byMajority(offMs)
      const fromMs = leader.stamps.nowMs()
      leader.run(2_000)
      expect(leader.stamps.nowMs() - fromMs).toBeCloseTo(2_000 + 200 * Math.sign(offMs), 3)
    }
    const leader = new Leader()
    leader.run(1_000)
    leader.agreed = byMajority(-700)
    leader.run(8_000)
    expect(leader.errorMs).toBeCloseTo(-700, 3)
  })

  it('TIME2: takes over at once what was not counted, forwards, and only when clocks agree', () => {
    const leader = new Leader()
    leader.stamps.applied(leader.trueMs - hourMs)
    leader.agreed = () => undefined
    leader.run(1_000)
    expect(leader.errorMs).toBe(-hourMs)
    expect(leader.stamps.isCounted).toBe(false)
    leader.agreed = byMajority(0)
    leader.run(25)
    expect(leader.errorMs).toBe(0)
    expect(leader.stamps.isCounted).toBe(true)

    const ahead = new Leader()
    ahead.stamps.applied(ahead.trueMs + hourMs)
    ahead.run(1_000)
    expect(ahead.errorMs).toBeCloseTo(hourMs - 97.5, 3)
  })

  it('TIME2: a time that has passed for certain is taken over forwards, and no further once it is counted', () => {
    const leader = new Leader()
    leader.stamps.applied(leader.trueMs - hourMs)
    leader.stamps.passed(undefined)
    leader.stamps.passed(leader.trueMs - 2 * hourMs)
    expect(leader.errorMs).toBe(-hourMs)
    leader.stamps.passed(leader.trueMs - 60_000)
    expect(leader.errorMs).toBe(-60_000)
    leader.run(25)
    leader.stamps.passed(leader.trueMs + hourMs)
    expect(leader.errorMs).toBe(0)
  })

  it('TIME2: a follower counts on from what the leader says, and a late word only moves it forwards', () => {
    const leader = new Leader()
    const { stamps, trueMs } = leader
    stamps.applied(trueMs - 5_000)
    stamps.heard({ houseMs: trueMs, isCounted: true }, 40, trueMs - 5_000)
    expect(stamps.isCounted).toBe(true)
    expect(leader.errorMs).toBe(0)
    stamps.heard({ houseMs: trueMs - 900, isCounted: true }, 1_000, trueMs - 5_000)
    expect(leader.errorMs).toBe(0)
    stamps.heard({ houseMs: trueMs - 30, isCounted: true }, 40, trueMs - 5_000)
    expect(leader.errorMs).toBe(-30)
    stamps.heard({ houseMs: trueMs - 60_000, isCounted: false }, 40, trueMs - 5_000)
    expect(leader.errorMs).toBe(-5_000)
    expect(stamps.isCounted).toBe(false)
  })

  it('TIME6: a wall clock that is alone corrects what it is close to, and is not followed in a jump', () => {
    const leader = new Leader()
    leader.agreed = byOneClock(0)
    leader.run(1_000)
    leader.agreed = byOneClock(400)
    leader.run(5_000)
    expect(leader.errorMs).toBeCloseTo(400, 3)
    for (const jumpMs of [hourMs, -hourMs, yearsMs]) {
      leader.agreed = byOneClock(jumpMs)
      leader.run(60_000)
      expect(leader.errorMs).toBeCloseTo(400, 3)
    }
  })

  it('TIME6: a house that starts ahead of its only clock comes back to it slowly', () => {
    const leader = new Leader()
    leader.agreed = byOneClock(0)
    leader.stamps.applied(leader.trueMs + 30_000)
    leader.run(200_000)
    expect(leader.errorMs).toBeGreaterThan(10_000)
    leader.run(200_000)
    expect(leader.errorMs).toBeCloseTo(0, 3)
    leader.agreed = byOneClock(20_000)
    leader.run(10_000)
    expect(leader.errorMs).toBeCloseTo(0, 3)
  })
})
