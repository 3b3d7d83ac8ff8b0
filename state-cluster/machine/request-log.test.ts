import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Changes } from './changes.ts'
import { RequestLog, type RequestTuple } from './request-log.ts'

const tuple = (number: number): RequestTuple => [
  number,
  `subject-${number % 7}`,
  `id-${number}`,
  1,
  -2,
  3,
  [6],
]

describe('RequestLog', () => {
  it('REQUEST1: has the requests that were added and not removed, in order, and their rows, also after a restore', () => {
    const step = fc.record({
      what: fc.constantFrom('add', 'add', 'add', 'remove', 'drain', 'read', 'save', 'restore'),
      gap: fc.oneof(fc.constant(0), fc.constant(0), fc.nat(100)),
      at: fc.nat(1_000),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        let changes = new Changes()
        let log = new RequestLog(changes, 'requests')
        const live = new Map<number, RequestTuple>()
        const saved = new Map<string, readonly unknown[]>()
        const save = (): void => {
          const keys = new Set<string>()
          for (const { key, value } of changes.take()) {
            expect(keys.has(key)).toBe(false)
            keys.add(key)
            if (value === undefined) expect(saved.delete(key)).toBe(true)
            else saved.set(key, value)
          }
          expect([...saved.values()].flat().filter((one) => one !== null)).toHaveLength(live.size)
        }
        const remove = (number: number): void => {
          log.remove(number)
          live.delete(number)
        }
        let number = 0
        for (const { what, gap, at } of steps) {
          const numbers = [...live.keys()]
          const some = numbers[at % numbers.length]
          if (what === 'add') {
            number += 1 + gap
            log.append(tuple(number))
            live.set(number, tuple(number))
          } else if (what === 'save') save()
          else if (what === 'restore') {
            save()
            const hash = changes.hash()
            changes = new Changes()
            log = new RequestLog(changes, 'requests')
            const rows = [...saved.values()]
            for (const row of at % 2 === 0 ? rows : rows.reverse())
              log.load(row.filter((one) => one !== null) as RequestTuple[])
            expect(changes.hash()).toBe(hash)
          } else if (some === undefined) continue
          else if (what === 'remove') remove(some)
          else if (what === 'drain') for (const one of numbers.slice(0, at % 80)) remove(one)
          else expect(log.get(some)).toEqual(tuple(some))
          expect(log.size).toBe(live.size)
          expect(log.first()).toEqual([...live.values()][0])
        }
        expect([...log.all()]).toEqual([...live.values()])
      }),
      { numRuns: 200 },
    )
  })

  it('REQUEST1: a full block is in memory as its text alone, once its row was made', () => {
    const changes = new Changes()
    const log = new RequestLog(changes, 'requests')
    const open = (): number => log.sorted().filter((block) => block['tuples'] !== undefined).length
    for (let number = 0; number < 640; number++) log.append(tuple(number))
    changes.take()
    expect(open(), 'the newest').toBe(1)
    for (let number = 0; number < 640; number += 64) log.get(number)
    expect(open(), 'the newest, and the one that was read last').toBe(2)
    for (let number = 0; number < 640; number += 64) log.remove(number)
    changes.take()
    expect(open()).toBeLessThanOrEqual(2)
    expect([...log.all()].length).toBe(630)
  })

  it('REQUEST1: a number that is not live is no request, and numbers rise', () => {
    const log = new RequestLog(new Changes(), 'requests')
    for (let number = 1; number <= 200; number++) log.append(tuple(number))
    log.remove(70)
    expect(() => log.remove(70)).toThrow('a removed request is in its block')
    expect(() => log.get(70)).toThrow('a request that is known is in its block')
    expect(() => log.get(5_000)).toThrow('a request that is known is in its block')
    expect(() => log.append(tuple(200))).toThrow('numbers of requests rise')
  })
})
