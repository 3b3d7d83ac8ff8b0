/**
 * The state as rows: what changed since the last checkpoint, and the running sum of all rows' hashes.
 *
 * Invariant: whoever changes a stored object calls `touch` (or `drop`) within the same entry, and what comes back
 * under a key whose object was dropped is that object until the next take; then, between
 * entries, the hash equals the sum over all rows, whatever the order in which they came to be, and `take` gives
 * every changed row once.
 * Costs are O(changes): an object remembers its own hash, so a change is one subtraction and one addition.
 * Rows reach the disk through the replica; the layout of a row's value stands at its class.
 */
import { hashPlain, hexOf, type Plain } from './plain.ts'

/** Stable codes: they stand in storage keys and seed the hash. Never reuse a number. */
export const rowKindCodes = {
  house: 1,
  server: 2,
  buyer: 3,
  terms: 4,
  auction: 5,
  bidder: 6,
  requests: 7,
  outbox: 8,
  lease: 9,
} as const

export type RowKind = keyof typeof rowKindCodes

/** One row of the canonical snapshot. `key` is unique within its kind, at most 160 characters of ASCII. */
export interface Row {
  readonly kind: RowKind
  readonly key: string
  readonly value: readonly Plain[]
}

/** A row that is new or has changed, or is gone (`undefined`). */
export interface RowChange {
  readonly kind: RowKind
  readonly key: string
  readonly value: readonly Plain[] | undefined
}

const unhashedFlag = 1
const unsavedFlag = 2
const savedFlag = 4
const goneFlag = 8

/** With more unhashed objects than this at the end of an entry the sum is brought up to date. */
const unhashedMax = 65_536

/** An object that is one row. The three fields belong to `Changes`. */
export abstract class Stored {
  flags = 0
  laneA = 0
  laneB = 0
  abstract rowKind(): RowKind
  abstract rowKey(): string
  abstract rowValue(): readonly Plain[]
}

export class Changes {
  private sumA = 0
  private sumB = 0
  private unhashed: Stored[] = []
  private unsaved: Stored[] = []
  /** Objects in `unsaved` that came and went without ever being saved. */
  private vanished = 0

  /** The object is new or has changed, or is part of the state again. O(1). */
  touch(object: Stored): void {
    if ((object.flags & goneFlag) !== 0) this.revive(object)
    const flags = object.flags
    if ((flags & unhashedFlag) === 0) this.unhashed.push(object)
    if ((flags & unsavedFlag) === 0) this.unsaved.push(object)
    object.flags = flags | unhashedFlag | unsavedFlag
  }

  /** The object is no longer part of the state. */
  drop(object: Stored): void {
    this.touch(object)
    object.flags |= goneFlag
    if ((object.flags & savedFlag) !== 0) return
    this.vanished++
    if (this.vanished > 1_024 && this.vanished * 2 > this.unsaved.length) {
      this.unsaved = this.unsaved.filter((one) => {
        const isKept = (one.flags & goneFlag) === 0 || (one.flags & savedFlag) !== 0
        if (!isKept) one.flags &= ~unsavedFlag
        return isKept
      })
      this.vanished = 0
    }
  }

  /** The object was read from a saved row: it counts in the hash and is not a change. */
  load(object: Stored): void {
    this.rehash(object, object.rowValue())
    object.flags = savedFlag
  }

  /**
   * Keeps the list of unhashed objects short. Only between entries: within one, an object that was touched may
   * still change.
   */
  endEntry(): void {
    if (this.unhashed.length > unhashedMax) this.settle()
  }

  /** How many rows `take` would give, or a few more. */
  get count(): number {
    return this.unsaved.length - this.vanished
  }

  /** All rows that changed since the last call, each once, in no stated order. */
  take(): RowChange[] {
    const changes: RowChange[] = []
    for (const object of this.unsaved) {
      const { flags } = object
      const isGone = (flags & goneFlag) !== 0
      if (isGone && (flags & savedFlag) === 0) {
        object.flags = flags & ~unsavedFlag
        continue
      }
      const value = isGone ? undefined : object.rowValue()
      if ((flags & unhashedFlag) !== 0) this.rehash(object, value)
      object.flags = isGone ? goneFlag : savedFlag
      changes.push({ kind: object.rowKind(), key: object.rowKey(), value })
    }
    this.unsaved = []
    this.vanished = 0
    this.settle()
    return changes
  }

  /** 16 hexadecimal digits: equal states have equal ones. O(changes since the last call). */
  hash(): string {
    this.settle()
    return hexOf({ a: this.sumA, b: this.sumB })
  }

  private revive(object: Stored): void {
    const { flags } = object
    if ((flags & unsavedFlag) !== 0 && (flags & savedFlag) === 0) this.vanished--
    object.flags = flags & ~goneFlag
  }

  private settle(): void {
    for (const object of this.unhashed) {
      if ((object.flags & unhashedFlag) === 0) continue
      this.rehash(object, (object.flags & goneFlag) === 0 ? object.rowValue() : undefined)
    }
    this.unhashed = []
  }

  private rehash(object: Stored, value: readonly Plain[] | undefined): void {
    object.flags &= ~unhashedFlag
    let a = 0
    let b = 0
    if (value !== undefined) {
      const lanes = hashPlain(rowKindCodes[object.rowKind()], [object.rowKey(), value])
      a = lanes.a
      b = lanes.b
    }
    this.sumA = (this.sumA - object.laneA + a) | 0
    this.sumB = (this.sumB - object.laneB + b) | 0
    object.laneA = a
    object.laneB = b
  }
}
