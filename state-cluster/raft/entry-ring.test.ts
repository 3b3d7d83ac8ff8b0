import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AssertionError } from './assert.ts'
import { EntryRing } from './entry-ring.ts'
import { entriesSize } from './sizes.ts'
import { entriesOfTerms } from './test-group.ts'
import { type Entry, NO_LIMIT } from './types.ts'

const command = fc.oneof(
  fc.record({ do: fc.constant('push' as const), count: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ do: fc.constant('dropBefore' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ do: fc.constant('dropFrom' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ do: fc.constant('reset' as const), first: fc.integer({ min: 1, max: 1000 }) }),
)

describe('EntryRing', () => {
  it('behaves like a list of entries, below and above 32 bits', () => {
    const start = fc.constantFrom(1, 7, 2 ** 31 - 20, 2 ** 32 - 20, 2 ** 40)
    fc.assert(
      fc.property(start, fc.array(command, { maxLength: 30 }), (first, commands) => {
        const ring = new EntryRing(first)
        let model: Entry[] = []
        let modelFirst = first
        for (const command of commands) {
          const at = 'share' in command ? Math.floor(command.share * model.length) : 0
          if (command.do === 'push') {
            const more = entriesOfTerms(Array<number>(command.count).fill(3), modelFirst + model.length)
            ring.pushAll(more, 0)
            model.push(...more)
          } else if (command.do === 'dropBefore') {
            ring.dropBefore(modelFirst + at)
            model = model.slice(at)
            modelFirst += at
          } else if (command.do === 'dropFrom') {
            ring.dropFrom(modelFirst + at)
            model = model.slice(0, at)
          } else {
            ring.reset(command.first)
            model = []
            modelFirst = command.first
          }
          expect([ring.first, ring.length]).toEqual([modelFirst, model.length])
          if (model.length > 0) {
            expect(ring.slice(modelFirst, modelFirst + model.length, NO_LIMIT)).toEqual(model)
            expect(ring.at(modelFirst)).toBe(model[0])
          }
        }
      }),
    )
  })

  it('cuts a slice at a size, but not to nothing', () => {
    const ring = new EntryRing(5)
    const entries = entriesOfTerms([1, 2, 3, 4], 5)
    ring.pushAll(entries, 0)
    for (let count = 1; count <= 4; count++) {
      const size = entriesSize(entries.slice(0, count))
      expect(ring.slice(5, 9, size)).toEqual(entries.slice(0, count))
      expect(ring.slice(5, 9, size - 1)).toEqual(entries.slice(0, Math.max(count - 1, 1)))
    }
  })

  it('takes entries from a position on, and only in order', () => {
    const ring = new EntryRing(3)
    ring.pushAll(entriesOfTerms([1, 1, 1], 2), 1)
    expect(ring.slice(3, 5, NO_LIMIT).map(({ index }) => index)).toEqual([3, 4])
    expect(() => ring.pushAll(entriesOfTerms([1], 7), 0)).toThrow(AssertionError)
  })

  it('gives large space back when it is empty', () => {
    const ring = new EntryRing(1)
    const entries = entriesOfTerms(Array<number>(10_000).fill(1), 1)
    ring.pushAll(entries, 0)
    ring.dropBefore(10_001)
    ring.pushAll(entriesOfTerms([2], 10_001), 0)
    expect(ring.slice(10_001, 10_002, NO_LIMIT)).toHaveLength(1)
  })
})
