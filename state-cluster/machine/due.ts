/**
 * A heap of items by the time at which they fall due.
 *
 * A binary min-heap ordered by (dueMs, ordinal). Each item knows its place, so insert, move and remove are O(log n),
 * and a million open auctions need no scan. Leaves what happens to an item that is due to handlers/conduct.ts.
 *
 * Invariant: an item's `dueIndex` is its place in the one heap that holds it, and −1 in none. The order in which items
 * come out depends on due times and ordinals alone.
 * Source: docs/spec.md DUE1.
 */
import { fail } from './assert.ts'

export interface DueItem {
  /** Unique; breaks ties. */
  readonly ordinal: number
  /** Written by the heap that holds the item; −1 while none does. */
  dueIndex: number
}

export class DueHeap<Item extends DueItem> {
  private readonly items: Item[] = []
  private readonly dues: number[] = []

  get size(): number {
    return this.items.length
  }

  peek(): Item | undefined {
    return this.items[0]
  }

  /** When the first item falls due (epoch ms); `Infinity` when there is none. */
  peekDueMs(): number {
    return this.dues[0] ?? Number.POSITIVE_INFINITY
  }

  holds(item: Item): boolean {
    return item.dueIndex !== -1 && this.items[item.dueIndex] === item
  }

  /** Inserts an item, or moves it when this heap holds it already. */
  set(item: Item, dueMs: number): void {
    let index = item.dueIndex
    if (index === -1) {
      index = this.items.length
      this.items.push(item)
      this.dues.push(dueMs)
    } else if (this.items[index] !== item) fail('an item is in one due heap only', { ordinal: item.ordinal })
    this.siftDown(this.siftUp(index, item, dueMs), item, dueMs)
  }

  /** Takes an item out; nothing happens when it is in no heap. */
  remove(item: Item): void {
    const index = item.dueIndex
    if (index === -1) return
    if (this.items[index] !== item) fail('an item is in one due heap only', { ordinal: item.ordinal })
    item.dueIndex = -1
    const last = this.items.pop() as Item
    const lastDue = this.dues.pop() as number
    if (last === item) return
    this.siftDown(this.siftUp(index, last, lastDue), last, lastDue)
  }

  private siftUp(from: number, item: Item, dueMs: number): number {
    let index = from
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.isBefore(item, dueMs, parent)) break
      this.place(index, this.items[parent] as Item, this.dues[parent] as number)
      index = parent
    }
    this.place(index, item, dueMs)
    return index
  }

  private siftDown(from: number, item: Item, dueMs: number): void {
    const { items, dues } = this
    const { length } = items
    let index = from
    for (;;) {
      let child = index * 2 + 1
      if (child >= length) break
      if (child + 1 < length && this.isBefore(items[child + 1] as Item, dues[child + 1] as number, child))
        child++
      if (this.isBefore(item, dueMs, child)) break
      this.place(index, items[child] as Item, dues[child] as number)
      index = child
    }
    this.place(index, item, dueMs)
  }

  private isBefore(item: Item, dueMs: number, other: number): boolean {
    const otherDue = this.dues[other] as number
    return dueMs < otherDue || (dueMs === otherDue && item.ordinal < (this.items[other] as Item).ordinal)
  }

  private place(index: number, item: Item, dueMs: number): void {
    this.items[index] = item
    this.dues[index] = dueMs
    item.dueIndex = index
  }
}
