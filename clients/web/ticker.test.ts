import { describe, expect, it } from 'vitest'
import { ManualClock } from '../../runtime/clock.ts'
import { Ticker } from './ticker.ts'

function ticking() {
  const clock = new ManualClock(0)
  let isHidden = false
  const ticker = new Ticker(
    clock,
    () => clock.nowMs(),
    () => isHidden,
  )
  const hide = (hidden: boolean) => {
    isHidden = hidden
    ticker.refresh()
  }
  return { clock, ticker, hide }
}

describe('the ticker', () => {
  it('draws each at once, then when the soonest changes', () => {
    const { clock, ticker } = ticking()
    const drawn: number[] = []
    ticker.add((nowMs) => {
      drawn.push(nowMs)
      return 250 - (nowMs % 250)
    })
    clock.advance(600)
    expect(drawn).toEqual([0, 250, 500])
  })

  it('draws at least every second and at most every 40 ms', () => {
    const { clock, ticker } = ticking()
    const drawn: number[] = []
    const stop = ticker.add((nowMs) => {
      drawn.push(nowMs)
      return 3_600_000
    })
    clock.advance(2_000)
    expect(drawn).toEqual([0, 1_000, 2_000])
    stop()
    drawn.length = 0
    ticker.add((nowMs) => {
      drawn.push(nowMs)
      return 0
    })
    clock.advance(100)
    expect(drawn).toEqual([2_000, 2_040, 2_080])
  })

  it('rests while the page is hidden or nothing is on it', () => {
    const { clock, ticker, hide } = ticking()
    let drawn = 0
    const stop = ticker.add(() => {
      drawn += 1
      return 100
    })
    hide(true)
    expect(clock.timerCount).toBe(0)
    clock.advance(5_000)
    expect(drawn).toBe(1)
    hide(false)
    expect(drawn).toBe(2)
    stop()
    clock.advance(5_000)
    expect(drawn).toBe(2)
    expect(clock.timerCount).toBe(0)
  })
})
