import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DueHeap, type DueItem } from './due.ts'

interface Item extends DueItem {
  dueMs: number
}

function drain(heap: DueHeap<Item>): Item[] {
  const items: Item[] = []
  for (let item = heap.peek(); item !== undefined; item = heap.peek()) {
    expect(heap.peekDueMs()).toBe(item.dueMs)
    heap.remove(item)
    expect(item.dueIndex).toBe(-1)
    items.push(item)
  }
  return items
}

describe('DueHeap', () => {
  it('DUE1: items leave in order of due time, then ordinal, after any inserts, moves and removals', () => {
    const step = fc.record({ ordinal: fc.nat(60), dueMs: fc.nat(40), remove: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const heap = new DueHeap<Item>()
        const items = Array.from({ length: 61 }, (_, ordinal): Item => ({ ordinal, dueIndex: -1, dueMs: 0 }))
        const held = new Set<Item>()
        for (const { ordinal, dueMs, remove } of steps) {
          const item = items[ordinal] as Item
          if (remove) {
            heap.remove(item)
            held.delete(item)
          } else {
            item.dueMs = dueMs
            heap.set(item, dueMs)
            held.add(item)
          }
          expect(heap.size).toBe(held.size)
          expect(heap.holds(item)).toBe(held.has(item))
        }
        const expected = [...held].sort((x, y) => x.dueMs - y.dueMs || x.ordinal - y.ordinal)
        expect(drain(heap)).toEqual(expected)
      }),
    )
  })

  it('DUE1: with 2^17 items, an insert, a move and a removal look at 4 × 17 others at most', () => {
    const heap = new DueHeap<Item>()
    let reads = 0
    const make = (number: number): Item => ({
      get ordinal() {
        reads++
        return number
      },
      dueIndex: -1,
      dueMs: 0,
    })
    const items = Array.from({ length: 2 ** 17 }, (_, i) => make(i))
    for (const item of items) heap.set(item, 5)
    for (const at of [0, 1, 77_777, 2 ** 17 - 1]) {
      const item = items[at] as Item
      for (const act of [() => heap.set(item, 1), () => heap.remove(item), () => heap.set(item, 5)]) {
        reads = 0
        act()
        expect(reads).toBeLessThanOrEqual(4 * 17)
      }
    }
  })

  it('is empty when nothing is due', () => {
    const heap = new DueHeap<Item>()
    expect(heap.peek()).toBeUndefined()
    expect(heap.peekDueMs()).toBe(Number.POSITIVE_INFINITY)
  })

  it('refuses an item that another heap holds', () => {
    const item: Item = { ordinal: 1, dueIndex: -1, dueMs: 1 }
    new DueHeap<Item>().set(item, 1)
    expect(() => new DueHeap<Item>().set(item, 1)).toThrow('one due heap only')
    expect(() => new DueHeap<Item>().remove(item)).toThrow('one due heap only')
  })
})
