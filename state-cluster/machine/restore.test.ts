import { describe, expect, it } from 'vitest'
import { rows, stateHash } from './index.ts'
import { restoreStepRows, restoring } from './restore.ts'
import { Sale } from './testing/sale.ts'
import { auctionView } from './views.ts'

/** One auction with many bidders among many without. */
function busySale(auctions: number, bidders: number): Sale {
  const one = new Sale()
  one.enlist()
  for (let at = 0; at < auctions; at++) one.auction(`a${at}`)
  for (let at = 0; at < bidders; at++) one.accept(`bidder${at}`, 1_000 + at * 10_000, 'max', 'a7')
  return one
}

describe('restoring by steps', () => {
  it('SNAP4: gives the state that was saved, and no step does more than its share and one block of records', () => {
    const one = busySale(3_000, 2_500)
    const all = [...rows(one.state)]
    let taken = 0
    const counted = function* () {
      for (const row of all) {
        taken += 1
        yield row
      }
    }
    const steps: number[] = []
    const rowsOfSteps: number[] = []
    const work = restoring(counted())
    for (;;) {
      const before = taken
      const step = work.next()
      rowsOfSteps.push(taken - before)
      if (step.done === true) {
        expect(stateHash(step.value)).toBe(stateHash(one.state))
        expect(auctionView(step.value, 'a7' as never)).toEqual(one.view('a7'))
        break
      }
      steps.push(step.value)
    }
    expect(taken).toBe(all.length)
    expect(all.length).toBeGreaterThan(8_000)
    expect(Math.max(...rowsOfSteps)).toBeLessThanOrEqual(restoreStepRows)
    expect(Math.max(...steps)).toBeLessThan(restoreStepRows + 64)
    // Rows, then the auctions with their bidders, then requests and outbox entries.
    expect(steps.length).toBeGreaterThan(12)
  })
})
