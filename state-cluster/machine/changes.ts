/**
 * Tracks which rows changed since the last checkpoint, and hashes all rows.
 *
 * Costs are O(changes): an object remembers its own hash, so a change is one subtraction and one addition. Leaves a
 * row's layout to its class, and writing to the replica.
 *
 * Invariant: between entries, the hash is the sum over all rows, in whatever order they came, and `take` gives each
 * changed row once. For that, code that changes a stored object calls `touch` or `drop` in the same entry. If a dropped
 * key comes back before the next `take`, then with the same object.
 * Source: docs/spec.md HASH1–HASH3.
 */
import { hashPlain, hexOf, type Plain } from './plain.ts'

/** Stable codes: storage keys contain them, and they seed the hash. Never reuse a number. */
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
  refusals: 10,
} as const

export type RowKind = keyof typeof rowKindCodes

/** One row of the canonical snapshot. `key` is unique within its kind, at most 160 characters of ASCII. */
export interface Row {
  readonly kind: RowKind
  readonly key: string
  readonly value: readonly Plain[]
}

/** A row that is new, changed, or deleted (`undefined`). */
export interface RowChange {
  readonly kind: RowKind
  readonly key: string
  readonly value: readonly Plain[] | undefined
}

const unhashedFlag = 1
const unsavedFlag = 2
const savedFlag = 4
const goneFlag = 8

/** With more unhashed objects than this, the end of an entry updates the sum. */
const unhashedMax = 65_536

/** An object that is one row. Only `Changes` writes the three fields. */
export abstract class Stored {
  flags = 0
  laneA = 0
  laneB = 0
  abstract rowKind(): RowKind
  abstract rowKey(): string
  abstract rowValue(): readonly Plain[]

  /** Whether `take` will ask for the row's value. */
  get isUnsaved(): boolean {
    return (this.flags & unsavedFlag) !== 0
  }
}

export class Changes {
  private sumA = 0
  private sumB = 0
  private unhashed: Stored[] = []
  private unsaved: Stored[] = []
  /** Objects in `unsaved` that were dropped before they were ever saved. */
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

  /** Whether the last change of the object waits for `take`. */
  isUnsaved(object: Stored): boolean {
    return (object.flags & unsavedFlag) !== 0
  }

  /** The object was read from a saved row: it is part of the hash, but not a change. */
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
