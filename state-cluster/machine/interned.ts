/**
 * Keeps equal strings and tables of a million auctions in memory only once.
 *
 * The tables are those of increments and of soft-close terms, and lists of tags. Each collection is bounded: a full one
 * is emptied, and its values stay shared by the auctions that have them. Leaves rows to the classes of the values.
 *
 * Invariant: the returned value equals the given one; nothing here is a row or affects a decision.
 * Source: docs/design.md "What must never happen", bounded.
 */
import type { IncrementTable } from '../../protocol/money.ts'
import type { SoftClose } from './commands.ts'

class Table<Value> {
  private readonly byKey = new Map<string, Value>()
  private readonly sizeMax: number

  constructor(sizeMax: number) {
    this.sizeMax = sizeMax
  }

  share(key: string, value: Value): Value {
    const known = this.byKey.get(key)
    if (known !== undefined) return known
    if (this.byKey.size >= this.sizeMax) this.byKey.clear()
    this.byKey.set(key, value)
    return value
  }
}

function areEqual(one: IncrementTable, other: IncrementTable): boolean {
  if (one === other) return true
  if (one.length !== other.length) return false
  for (let i = 0; i < one.length; i++)
    if (one[i]?.from !== other[i]?.from || one[i]?.step !== other[i]?.step) return false
  return true
}

/** A table as rows and entries hold it: from, step, from, step … */
export function flatten(table: IncrementTable): readonly number[] {
  const numbers: number[] = []
  for (const band of table) numbers.push(band.from, band.step)
  return numbers
}

const flatTables = new WeakMap<IncrementTable, readonly number[]>()

/** The same, but made only once for a table that many auctions share. */
export function flatOf(table: IncrementTable): readonly number[] {
  let flat = flatTables.get(table)
  if (flat === undefined) {
    flat = flatten(table)
    flatTables.set(table, flat)
  }
  return flat
}

export class Interned {
  private readonly texts = new Table<string>(16_384)
  private readonly tagLists = new Table<readonly string[]>(4_096)
  private readonly increments = new Table<IncrementTable>(256)
  /** Most auctions have the house's table, so it is compared first. */
  private lastTable: IncrementTable | undefined = undefined
  private readonly softCloses = new Table<SoftClose>(256)

  text<Text extends string>(text: Text): Text {
    return this.texts.share(text, text) as Text
  }

  tags(tags: readonly string[]): readonly string[] {
    return this.tagLists.share(tags.join('\u0000'), tags)
  }

  table(table: IncrementTable): IncrementTable {
    if (this.lastTable === undefined || !areEqual(table, this.lastTable))
      this.lastTable = this.increments.share(flatten(table).join(), table)
    return this.lastTable
  }

  softClose(softClose: SoftClose): SoftClose {
    const { windowMs, extensionMs, limit } = softClose
    return this.softCloses.share(`${windowMs}:${extensionMs}:${limit}`, softClose)
  }
}
