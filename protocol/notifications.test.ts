/** Notification messages: ids that repeat and never clash, and times as RFC 3339. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { GroupId, SubjectId } from './ids.ts'
import { timestampMsMax } from './limits.ts'
import { notificationId, notificationMessage, rfc3339 } from './notifications.ts'

const group = 3 as GroupId
const subject = (id: string): SubjectId => id as SubjectId

describe('WIRE30 notification ids', () => {
  it('are made of group, position and recipient alone', () => {
    expect(notificationId(group, 17, subject('ann'))).toBe('3-17-ann')
  })

  it('fit a deduplication id and differ for recipients that begin alike', () => {
    const long = 'x'.repeat(127)
    const a = notificationId(group, Number.MAX_SAFE_INTEGER, subject(`${long}a`))
    const b = notificationId(group, Number.MAX_SAFE_INTEGER, subject(`${long}b`))
    expect(a).not.toBe(b)
    for (const id of [a, b]) expect(id).toMatch(/^[A-Za-z0-9._:@-]{1,128}$/)
    expect(notificationId(group, Number.MAX_SAFE_INTEGER, subject(`${long}a`))).toBe(a)
  })
})

describe('notificationMessage', () => {
  it('WIRE31 is a CloudEvent 1.0 whose id is the message’s', () => {
    const data = { kind: 'OUTBID', recipient: subject('ann'), seq: 9, price: 1200 } as const
    expect(
      notificationMessage({
        groupId: group,
        position: 17,
        atMs: 1_763_635_200_123,
        endpoint: 'https://a.example/',
        data,
      }),
    ).toEqual({
      id: '3-17-ann',
      recipient: 'ann',
      endpoint: 'https://a.example/',
      event: {
        specversion: '1.0',
        id: '3-17-ann',
        source: '/groups/3',
        type: 'martillo.outbid.v1',
        time: '2025-11-20T10:40:00.123Z',
        datacontenttype: 'application/json',
        data,
      },
    })
  })
})

describe('rfc3339', () => {
  it('agrees with Date over the whole range', () => {
    const edges = [0, 951_782_399_999, 951_782_400_000, 4_107_542_399_999, 4_107_542_400_000, timestampMsMax]
    for (const atMs of edges) expect(rfc3339(atMs)).toBe(new Date(atMs).toISOString())
    fc.assert(
      fc.property(fc.integer({ min: 0, max: timestampMsMax }), (atMs) => {
        expect(rfc3339(atMs)).toBe(new Date(atMs).toISOString())
      }),
      { numRuns: 2000 },
    )
  })
})
