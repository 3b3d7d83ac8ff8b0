import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BlockLog, type Numbered } from './blocks.ts'
import { Changes } from './changes.ts'

const codec = { kind: 'outbox', encode: (record: Numbered) => [record.number] } as const

function log(): { log: BlockLog<Numbered>; changes: Changes } {
  const changes = new Changes()
  return { log: new BlockLog(codec, changes), changes }
}

describe('BlockLog', () => {
  it('keeps records in order, gives the first, and is the same after a restore', () => {
    const step = fc.record({
      gap: fc.oneof(fc.constant(0), fc.nat(100)),
      remove: fc.boolean(),
      at: fc.nat(1_000),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const { log: one, changes } = log()
        const live: Numbered[] = []
        const saved = new Map<string, unknown>()
        const save = (): void => {
          const keys = new Set<string>()
          for (const { key, value } of changes.take()) {
            expect(keys.has(key)).toBe(false)
            keys.add(key)
            if (value === undefined) expect(saved.delete(key)).toBe(true)
            else saved.set(key, value)
          }
        }
        let number = 0
        for (const { gap, remove, at } of steps) {
          if (at % 10 === 0) save()
          if (remove && live.length > 0) one.remove(live.splice(at % live.length, 1)[0] as Numbered)
          else {
            number += 1 + gap
            const record = { number }
            live.push(record)
            one.append(record)
          }
          expect(one.first()).toEqual(live[0])
          expect(one.size).toBe(live.length)
        }
        expect([...one.all()]).toEqual(live)

        save()
        const { log: other, changes: loaded } = log()
        for (const value of [...saved.values()].reverse())
          other.load(
            (value as (number[] | null)[]).flatMap((item) =>
              item === null ? [] : [{ number: item[0] as number }],
            ),
          )
        expect([...other.all()]).toEqual(live)
        expect(other.first()).toEqual(live[0])
        expect(loaded.hash()).toBe(changes.hash())
      }),
    )
  })

  it('stores 64 records to a row', () => {
    const { log: one, changes } = log()
    for (let number = 1; number <= 1_000; number++) one.append({ number })
    expect(changes.take()).toHaveLength(16)
    one.append({ number: 1_001 })
    expect(changes.take()).toHaveLength(1)
  })

  it('refuses numbers that do not rise, and the removal of an unknown record', () => {
    const { log: one } = log()
    one.append({ number: 5 })
    expect(() => one.append({ number: 5 })).toThrow('numbers of records rise')
    expect(() => one.remove({ number: 5 })).toThrow('in its block')
  })
})
