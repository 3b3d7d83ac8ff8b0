/** What passes the edge fits the machine behind it. */
import { describe, expect, it } from 'vitest'
import { limits as machine } from '../state-cluster/machine/limits.ts'
import * as edge from './limits.ts'

describe('WIRE23 limits', () => {
  it.each([
    ['titles', edge.titleLengthMax, machine.titleLengthMax],
    ['names', edge.nameLengthMax, machine.nameLengthMax],
    ['tags', edge.tagLengthMax, machine.tagLengthMax],
    ['tags of an auction', edge.tagsPerAuctionMax, machine.tagsPerAuctionMax],
    ['interests', edge.interestsMax, machine.interestsMax],
    ['endpoints', edge.endpointLengthMax, machine.endpointLengthMax],
    ['items', edge.itemLengthMax, machine.itemLengthMax],
    ['durations', edge.durationMsMax, machine.durationMsMax],
    ['extensions', edge.durationMsMax, machine.extendMsMax],
    ['openings', edge.timestampMsMax, machine.opensAtMsMax],
    ['soft closes', edge.softCloseMsMax, machine.softCloseMsMax],
  ])('%s at the edge are no larger than those of the machine', (_, atEdge, inMachine) => {
    expect(atEdge).toBeLessThanOrEqual(inMachine)
  })

  it('the largest lawful bodies fit the bound of a body', () => {
    const tags = Array.from({ length: edge.tagsPerAuctionMax }, (_, at) =>
      `${at}`.padEnd(edge.tagLengthMax, '\u20ac'),
    )
    const increments = Array.from({ length: 64 }, (_, at) => ({ from: 2 ** 53 - 65 + at, step: 2 ** 53 - 1 }))
    const title = '\u20ac'.repeat(edge.titleLengthMax)
    const item = '\u20ac'.repeat(edge.itemLengthMax - 2)
    const body = JSON.stringify({
      title,
      tags,
      increments,
      item,
      openingBid: 2 ** 53 - 1,
      durationMs: 2 ** 40,
    })
    expect(Buffer.byteLength(body)).toBeLessThan(edge.bodyBytesMax)
  })
})
