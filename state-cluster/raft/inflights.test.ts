import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AssertionError } from './assert.ts'
import { Inflights } from './inflights.ts'
import { NO_LIMIT } from './types.ts'

describe('Inflights', () => {
  it('behaves like a list of messages', () => {
    const command = fc.oneof(
      fc.record({ do: fc.constant('add' as const), bytes: fc.nat(50) }),
      fc.record({ do: fc.constant('free' as const), back: fc.nat(8) }),
      fc.record({ do: fc.constant('reset' as const) }),
    )
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.array(command, { maxLength: 60 }),
        (capacity, commands) => {
          const inflights = new Inflights(capacity, 200)
          let model: { index: number; bytes: number }[] = []
          let index = 0
          for (const command of commands) {
            const bytes = model.reduce((sum, message) => sum + message.bytes, 0)
            expect(inflights.full()).toBe(model.length === capacity || bytes >= 200)
            if (command.do === 'add' && !inflights.full()) {
              index += 1 + (command.bytes % 3)
              inflights.add(index, command.bytes)
              model.push({ index, bytes: command.bytes })
            } else if (command.do === 'free') {
              inflights.freeLE(index - command.back)
              model = model.filter((message) => message.index > index - command.back)
            } else if (command.do === 'reset') {
              inflights.reset()
              model = []
            }
            expect(inflights.count).toBe(model.length)
            expect(inflights.bytes).toBe(model.reduce((sum, message) => sum + message.bytes, 0))
          }
        },
      ),
    )
  })

  it('is full at its bytes, which one message may exceed', () => {
    const inflights = new Inflights(10, 100)
    inflights.add(1, 99)
    expect(inflights.full()).toBe(false)
    inflights.add(2, 1000)
    expect(inflights.full()).toBe(true)
    inflights.freeLE(2)
    expect(inflights.full()).toBe(false)
  })

  it('asserts that a full window takes nothing', () => {
    const inflights = new Inflights(1, NO_LIMIT)
    inflights.add(1, 0)
    expect(() => inflights.add(2, 0)).toThrow(AssertionError)
  })

  it('is copied without sharing anything', () => {
    const inflights = new Inflights(3, NO_LIMIT)
    inflights.add(1, 5)
    const copy = inflights.copy()
    inflights.add(2, 5)
    inflights.freeLE(1)
    expect([copy.count, copy.bytes]).toEqual([1, 5])
    copy.freeLE(1)
    expect([copy.count, inflights.count]).toEqual([0, 1])
  })
})
