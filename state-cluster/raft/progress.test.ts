import { describe, expect, it } from 'vitest'
import { Inflights } from './inflights.ts'
import { Progress, type ProgressStateType } from './progress.ts'
import { NO_LIMIT } from './types.ts'

function progress(state: ProgressStateType, match: number, next: number, capacity = 256): Progress {
  const pr = new Progress(2, next, new Inflights(capacity, NO_LIMIT), false, true)
  pr.match = match
  pr.state = state
  return pr
}

describe('Progress', () => {
  it('probes from after what matched, or from after a snapshot that was sent', () => {
    const replicating = progress('StateReplicate', 3, 9)
    replicating.inflights.add(8, 1)
    replicating.sentCommit = 7
    replicating.becomeProbe()
    expect(replicating).toMatchObject({ state: 'StateProbe', match: 3, next: 4, sentCommit: 3 })
    expect(replicating.inflights.count).toBe(0)

    const installed = progress('StateReplicate', 3, 9)
    installed.becomeSnapshot(20)
    expect(installed).toMatchObject({ state: 'StateSnapshot', pendingSnapshot: 20, next: 21, sentCommit: 20 })
    installed.becomeProbe()
    expect(installed).toMatchObject({ state: 'StateProbe', pendingSnapshot: 0, next: 21 })
  })

  it('replicates from after what matched', () => {
    const pr = progress('StateProbe', 5, 12)
    pr.msgAppFlowPaused = true
    pr.becomeReplicate()
    expect(pr).toMatchObject({ state: 'StateReplicate', next: 6, msgAppFlowPaused: false })
  })

  it('takes an acknowledgement only if it is news', () => {
    const pr = progress('StateReplicate', 3, 5)
    pr.msgAppFlowPaused = true
    expect([pr.maybeUpdate(2), pr.maybeUpdate(3)]).toEqual([false, false])
    expect(pr.msgAppFlowPaused).toBe(true)
    expect(pr.maybeUpdate(4)).toBe(true)
    expect(pr).toMatchObject({ match: 4, next: 5, msgAppFlowPaused: false })
    expect(pr.maybeUpdate(9)).toBe(true)
    expect(pr).toMatchObject({ match: 9, next: 10 })
  })

  it.each([
    // state, match, next, rejected, hint → accepted, next
    ['StateReplicate', 5, 10, 5, 5, false, 10],
    ['StateReplicate', 5, 10, 4, 4, false, 10],
    ['StateReplicate', 5, 10, 9, 9, true, 6],
    ['StateProbe', 0, 10, 8, 8, false, 10],
    ['StateProbe', 0, 10, 9, 9, true, 9],
    ['StateProbe', 0, 10, 9, 2, true, 3],
    ['StateProbe', 0, 1, 0, 0, true, 1],
    ['StateProbe', 4, 10, 9, 1, true, 5],
  ] as const)('in %s, match %i, next %i, a rejection of %i with the hint %i: %s, next %i', (...row) => {
    const [state, match, next, rejected, hint, isAccepted, nextAfter] = row
    const pr = progress(state, match, next)
    expect(pr.maybeDecrTo(rejected, hint)).toBe(isAccepted)
    expect(pr.next).toBe(nextAfter)
    expect(pr.match).toBe(match)
  })

  it('pauses a probe after one message with entries, and replication when the window is full', () => {
    const probing = progress('StateProbe', 0, 1)
    probing.sentEntries(0, 0)
    expect(probing.isPaused()).toBe(false)
    probing.sentEntries(1, 5)
    expect([probing.isPaused(), probing.next]).toEqual([true, 1])

    const replicating = progress('StateReplicate', 0, 1, 2)
    replicating.sentEntries(3, 5)
    expect([replicating.isPaused(), replicating.next]).toEqual([false, 4])
    replicating.sentEntries(1, 5)
    expect([replicating.isPaused(), replicating.next, replicating.inflights.count]).toEqual([true, 5, 2])
    replicating.msgAppFlowPaused = false
    replicating.sentEntries(0, 0)
    expect(replicating.isPaused()).toBe(true)
  })

  it('is always paused in a snapshot', () => {
    expect(progress('StateSnapshot', 0, 1).isPaused()).toBe(true)
  })

  it('sends a commit index only while that can move the follower', () => {
    const pr = progress('StateReplicate', 5, 8)
    expect(pr.canBumpCommit(3)).toBe(true)
    pr.sentCommit = 3
    expect(pr.canBumpCommit(3)).toBe(false)
    expect(pr.canBumpCommit(4)).toBe(true)
    pr.sentCommit = 7
    expect(pr.canBumpCommit(9)).toBe(false)
  })

  it('is cloned with its window for a configuration, and copied without for a status', () => {
    const pr = progress('StateReplicate', 5, 8)
    pr.sentCommit = 4
    pr.inflights.add(7, 3)
    const clone = pr.clone()
    const copy = pr.copy()
    expect(clone).toMatchObject({ id: 2, match: 5, next: 8, sentCommit: 4, state: 'StateReplicate' })
    expect(clone.inflights).toBe(pr.inflights)
    pr.inflights.freeLE(7)
    expect([clone.inflights.count, copy.inflights.count]).toEqual([0, 1])
  })
})
