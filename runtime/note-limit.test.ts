import { describe, expect, test } from 'vitest'
import { ManualClock } from './clock.ts'
import { NoteLimit } from './note-limit.ts'

describe('a limit of notes', () => {
  test('LOG4 one note of a kind passes in a while, and carries how many did not', () => {
    const clock = new ManualClock()
    const limit = new NoteLimit({ clock, everyMs: 1_000, kindsMax: 2 })
    const passed = [0, 1, 2].map(() => limit.pass('a'))
    expect(passed).toEqual([0, undefined, undefined])
    expect(limit.pass('b')).toBe(0)
    clock.advance(999)
    expect(limit.pass('a')).toBeUndefined()
    clock.advance(1)
    expect(limit.pass('a')).toBe(3)
    clock.advance(1_000)
    expect(limit.pass('a')).toBe(0)
  })

  test('LOG4 the kinds that are remembered are bounded', () => {
    const limit = new NoteLimit({ clock: new ManualClock(), everyMs: 1_000, kindsMax: 2 })
    expect(['a', 'b', 'c', 'a'].map((kind) => limit.pass(kind))).toEqual([0, 0, 0, 0])
  })
})
