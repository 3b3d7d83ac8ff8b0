import { describe, expect, test } from 'vitest'
import { ManualClock, sleep, systemClock } from './clock.ts'

describe('the manual clock', () => {
  test('CLOCK1 timers fire at their moment, in order of due time, then of creation', () => {
    const clock = new ManualClock(1000)
    const fired: string[] = []
    const at = (name: string) => () => fired.push(`${name}@${clock.nowMs()}`)
    clock.setTimer(30, at('c'))
    clock.setTimer(10, at('a'))
    clock.setTimer(10, at('b'))
    clock.advance(9)
    expect(fired).toEqual([])
    clock.advance(100)
    expect(fired).toEqual(['a@1010', 'b@1010', 'c@1030'])
    expect(clock.nowMs()).toBe(1109)
    expect(clock.timerCount).toBe(0)
  })

  test('CLOCK2 a timer set by a timer fires in the same advance when it falls due in it', () => {
    const clock = new ManualClock()
    const fired: number[] = []
    const again = (): void => {
      fired.push(clock.monotonicMs())
      if (fired.length < 3) clock.setTimer(5, again)
    }
    clock.setTimer(5, again)
    clock.advance(12)
    expect(fired).toEqual([5, 10])
    clock.advance(3)
    expect(fired).toEqual([5, 10, 15])
  })

  test('CLOCK3 a cancelled timer does not fire, and a jump of the wall clock moves no timer', () => {
    const clock = new ManualClock(1000)
    const fired: string[] = []
    const cancel = clock.setTimer(10, () => fired.push('cancelled'))
    clock.setTimer(20, () => fired.push('kept'))
    cancel()
    cancel()
    clock.jump(-500)
    expect(clock.nowMs()).toBe(500)
    expect(clock.monotonicMs()).toBe(0)
    clock.advance(20)
    expect(fired).toEqual(['kept'])
  })
})

test('CLOCK6 a sleep ends when its time is over, or at once when its signal is aborted, and leaves no timer', async () => {
  const clock = new ManualClock()
  const stopping = new AbortController()
  const ended: string[] = []
  const sleeps = [sleep(clock, 5), sleep(clock, 5, stopping.signal), sleep(clock, 1_000, stopping.signal)]
  for (const [index, each] of sleeps.entries()) void each.then(() => ended.push(`sleep ${index}`))
  clock.advance(4)
  await Promise.resolve()
  expect(ended).toEqual([])
  clock.advance(1)
  await Promise.all(sleeps.slice(0, 2))
  expect(ended).toEqual(['sleep 0', 'sleep 1'])
  stopping.abort()
  await Promise.all([...sleeps, sleep(clock, 5, stopping.signal)])
  expect(clock.timerCount).toBe(0)
})

describe('the system clock', () => {
  test('CLOCK4 it fires once, later, and not at all when cancelled', async () => {
    const fired: string[] = []
    const cancel = systemClock.setTimer(0, () => fired.push('cancelled'))
    cancel()
    await new Promise<void>((resolve) => {
      systemClock.setTimer(1, () => {
        fired.push('kept')
        resolve()
      })
      expect(fired).toEqual([])
    })
    expect(fired).toEqual(['kept'])
  })

  test('CLOCK5 a delay beyond what timers can hold does not fire at once', async () => {
    let hasFired = false
    const cancel = systemClock.setTimer(2 ** 40, () => {
      hasFired = true
    })
    await new Promise<void>((resolve) => {
      systemClock.setTimer(20, resolve)
    })
    cancel()
    expect(hasFired).toBe(false)
    expect(Number.isInteger(systemClock.nowMs())).toBe(true)
  })
})
