import { describe, expect, it } from 'vitest'
import type { Status } from '../raft/index.ts'
import { type MemberView, promotionOf, refusalOf } from './membership.ts'

const voter = (nodeId: number, isActive = true): MemberView => ({
  nodeId,
  role: 'voter',
  isActive,
  matchIndex: 100,
})
const learner = (nodeId: number, isActive = true): MemberView => ({
  ...voter(nodeId, isActive),
  role: 'learner',
})

/** What the leader's core says: all members hold the end of the log, unless named. */
function statusWith(
  members: readonly MemberView[],
  lagging: readonly number[] = [],
  isJoint = false,
): Status {
  const progress = new Map(
    members.map(({ nodeId }) => [
      nodeId,
      { state: 'StateReplicate', match: lagging.includes(nodeId) ? 10 : 100 },
    ]),
  )
  return { commit: 100, progress, config: { voters: { isJoint } } } as unknown as Status
}

function promoted(members: readonly MemberView[], replaces?: number): ReturnType<typeof promotionOf> {
  return promotionOf(statusWith(members), members, () => replaces)
}

describe('promotion', () => {
  it('MEMBER1: a learner that has caught up becomes a voter', () => {
    const members = [voter(1), voter(2), voter(3), learner(4)]
    expect(promoted(members)).toEqual({ nodeId: 4, replaced: undefined })
    expect(promotionOf(statusWith(members, [4]), members, () => undefined)).toBeUndefined()
    expect(promotionOf(statusWith(members, [], true), members, () => undefined)).toBeUndefined()
  })

  it('MEMBER1: a silent learner stays a learner', () => {
    expect(promoted([voter(1), voter(2), voter(3), learner(4, false)])).toBeUndefined()
    expect(promoted([voter(1), voter(2, false), voter(3), learner(4, false)])).toBeUndefined()
  })

  it('MEMBER1: the live voters are a majority before and after', () => {
    // Two of four would be live: no majority.
    expect(promoted([voter(1), voter(2, false), voter(3, false), learner(4)])).toBeUndefined()
    expect(promoted([voter(1), voter(2), voter(3, false), learner(4)])).toEqual({
      nodeId: 4,
      replaced: undefined,
    })
    // The old set of a joint change counts as well: one of three is live in it.
    expect(promoted([voter(1), voter(2, false), voter(3, false), learner(4)], 3)).toBeUndefined()
  })

  it('MEMBER6: the voter that is replaced leaves by the same change, where it is one', () => {
    const members = [voter(1), voter(2), voter(3, false), learner(4)]
    expect(promoted(members, 3)).toEqual({ nodeId: 4, replaced: 3 })
    expect(promoted(members, 9)).toEqual({ nodeId: 4, replaced: undefined })
  })
})

describe('changes that are refused', () => {
  const members = [voter(1), voter(2), voter(3, false), learner(4)]
  const add = (nodeId: number, replaces?: number) =>
    refusalOf(
      { type: 'add', nodeId, host: 'h', port: 1, ...(replaces !== undefined && { replaces }) },
      members,
    )

  it('MEMBER6: a node replaces a voter alone', () => {
    expect(add(5, 3)).toBeUndefined()
    expect(add(5, 4)).toMatchObject({ code: 'not_member' })
    expect(add(5, 9)).toMatchObject({ code: 'not_member' })
  })

  it('MEMBER2: what leaves no majority of reachable voters is refused', () => {
    expect(refusalOf({ type: 'remove', nodeId: 2 }, members)).toMatchObject({ code: 'unreachable' })
    expect(refusalOf({ type: 'remove', nodeId: 3 }, members)).toBeUndefined()
    expect(refusalOf({ type: 'remove', nodeId: 1 }, [voter(1)])).toMatchObject({ code: 'only_voter' })
  })
})
