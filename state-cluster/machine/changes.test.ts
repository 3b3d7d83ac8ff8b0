import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Changes, type RowKind, Stored } from './changes.ts'
import type { Plain } from './plain.ts'

class Thing extends Stored {
  readonly name: string
  value: number
  constructor(name: string, value: number) {
    super()
    this.name = name
    this.value = value
  }
  rowKind(): RowKind {
    return 'buyer'
  }
  rowKey(): string {
    return this.name
  }
  rowValue(): readonly Plain[] {
    return [this.value]
  }
}

type Step = { readonly act: 'set' | 'drop' | 'take' | 'hash'; readonly name: number; readonly value: number }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    act: fc.constantFrom('set', 'set', 'set', 'drop', 'take', 'hash'),
    name: fc.nat(20),
    value: fc.nat(5),
  }),
  { maxLength: 200 },
)

describe('Changes', () => {
  it('HASH2, HASH3: takes make the rows, and the hash depends on the rows alone', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const changes = new Changes()
        const things = new Map<string, Thing>()
        // A row that is dropped and added again before a take is the same object: a row is one object.
        const gone = new Map<string, Thing>()
        const saved = new Map<string, Plain>()
        const save = (): void => {
          gone.clear()
          const names = new Set<string>()
          for (const { key, value } of changes.take()) {
            expect(names.has(key)).toBe(false)
            names.add(key)
            if (value === undefined) saved.delete(key)
            else saved.set(key, value)
          }
          expect(changes.take()).toEqual([])
          expect(changes.count).toBe(0)
        }
        for (const { act, name, value } of list) {
          const known = things.get(`t${name}`)
          if (act === 'set' && known !== undefined) {
            known.value = value
            changes.touch(known)
          } else if (act === 'set') {
            const thing = gone.get(`t${name}`) ?? new Thing(`t${name}`, value)
            thing.value = value
            things.set(thing.name, thing)
            changes.touch(thing)
          } else if (act === 'drop' && known !== undefined) {
            things.delete(known.name)
            gone.set(known.name, known)
            changes.drop(known)
          } else if (act === 'take') save()
          else if (act === 'hash') changes.hash()
        }
        save()
        const rows = [...things.values()].map((thing): [string, Plain] => [thing.name, thing.rowValue()])
        expect(new Map(saved)).toEqual(new Map(rows))
        const fresh = new Changes()
        for (const thing of [...things.values()].reverse()) fresh.load(new Thing(thing.name, thing.value))
        expect(fresh.hash()).toBe(changes.hash())
        expect(fresh.take()).toEqual([])
      }),
    )
  })

  it('HASH2: a changed value changes the hash, and changing it back restores it', () => {
    const changes = new Changes()
    const empty = changes.hash()
    const thing = new Thing('t', 1)
    changes.touch(thing)
    const one = changes.hash()
    thing.value = 2
    changes.touch(thing)
    expect(changes.hash()).not.toBe(one)
    thing.value = 1
    changes.touch(thing)
    expect(changes.hash()).toBe(one)
    changes.drop(thing)
    expect(changes.hash()).toBe(empty)
    expect(empty).toBe('0000000000000000')
  })

  it('HASH3: an object that is added and dropped between two checkpoints leaves nothing in memory', () => {
    const changes = new Changes()
    const kept = new Thing('kept', 1)
    changes.touch(kept)
    for (let i = 0; i < 100_000; i++) {
      const thing = new Thing(`t${i}`, i)
      changes.touch(thing)
      changes.drop(thing)
    }
    expect(changes.count).toBe(1)
    expect(changes.take()).toEqual([{ kind: 'buyer', key: 'kept', value: [1] }])
  })
})
