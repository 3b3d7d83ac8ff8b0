/**
 * Reads tuples that came from a disk or a peer, and checks every field.
 *
 * Each field is checked for type and range before it is used. Leaves to the caller whether the fields make sense
 * together.
 *
 * Invariant: for any input, a method returns what it promises or throws `CodecError`.
 * Source: docs/spec.md ENTRY1, HASH4.
 */
import type { Plain } from './plain.ts'

/** Stored or received data that this version does not write: damaged, or from a newer version. */
export class CodecError extends Error {
  override readonly name = 'CodecError'
  readonly code = 'corrupt_data'
  readonly retryable = false
}

/** Ends the decoding; `what` names the thing and what was wrong with it. */
export function corrupt(what: string): never {
  throw new CodecError(what)
}

/** Fields of one tuple, taken in order. `what` names the tuple in errors. */
export class TupleReader {
  private readonly fields: readonly unknown[]
  private readonly what: string
  private at = 0

  constructor(what: string, value: unknown, count?: number) {
    if (!Array.isArray(value)) corrupt(`${what}: not a tuple`)
    if (count !== undefined && value.length !== count)
      corrupt(`${what}: ${value.length} fields, ${count} expected`)
    this.what = what
    this.fields = value
  }

  get left(): number {
    return this.fields.length - this.at
  }

  /** A safe integer that is not negative. */
  count(): number {
    const value = this.integer()
    return value < 0 ? this.wrong('negative') : value
  }

  /** A safe integer. */
  integer(): number {
    const value = this.next()
    return Number.isSafeInteger(value) ? (value as number) : this.wrong('not an integer')
  }

  /**
   * Any number. `apply` itself judges the amounts of commands, so only the type is checked here. −0 becomes 0.
   */
  number(): number {
    const value = this.next()
    return typeof value === 'number' ? value + 0 : this.wrong('not a number')
  }

  text(): string {
    const value = this.next()
    return typeof value === 'string' ? value : this.wrong('not a string')
  }

  /** An id of 1 to 128 characters; the edge has checked its shape. */
  id<Id extends string>(): Id {
    const value = this.text()
    return value.length >= 1 && value.length <= 128 ? (value as Id) : this.wrong('not an id')
  }

  flag(): boolean {
    const value = this.next()
    return typeof value === 'boolean' ? value : this.wrong('not a boolean')
  }

  texts(): readonly string[] {
    const value = this.next()
    if (!Array.isArray(value)) return this.wrong('not a list')
    for (const item of value) if (typeof item !== 'string') return this.wrong('not a list of strings')
    return value
  }

  counts(): readonly number[] {
    const value = this.next()
    if (!Array.isArray(value)) return this.wrong('not a list')
    for (const item of value)
      if (!Number.isSafeInteger(item) || item < 0) return this.wrong('not a list of integers')
    return value
  }

  /** `undefined` where a `null` stands for an absent field. */
  optionalCount(): number | undefined {
    return this.isAbsent() ? undefined : this.count()
  }

  optionalNumber(): number | undefined {
    return this.isAbsent() ? undefined : this.number()
  }

  optionalText(): string | undefined {
    return this.isAbsent() ? undefined : this.text()
  }

  optionalId<Id extends string>(): Id | undefined {
    return this.isAbsent() ? undefined : this.id<Id>()
  }

  /** The name that belongs to the field's stable code. */
  coded<Name extends string>(codes: Readonly<Record<Name, number>>): Name {
    const code = this.next()
    const name = namesOf(codes).get(code)
    return name === undefined ? this.wrong(`code ${String(code)} is not known`) : (name as Name)
  }

  /** The field unchecked: a nested tuple, for another reader. */
  raw(): unknown {
    return this.next()
  }

  end(): void {
    if (this.left !== 0) this.wrong('more fields than expected')
  }

  private isAbsent(): boolean {
    if (this.fields[this.at] !== null) return false
    this.at++
    return true
  }

  private next(): unknown {
    if (this.at >= this.fields.length) return this.wrong('missing')
    return this.fields[this.at++]
  }

  private wrong(why: string): never {
    return corrupt(`${this.what}, field ${this.at}: ${why}`)
  }
}

const inverted = new WeakMap<object, Map<unknown, string>>()

function namesOf(codes: Readonly<Record<string, number>>): Map<unknown, string> {
  let names = inverted.get(codes)
  if (names === undefined) {
    names = new Map(Object.entries(codes).map(([name, code]) => [code, name]))
    inverted.set(codes, names)
  }
  return names
}

/** Writes an absent field as `null`. */
export function orNull<T extends Plain>(value: T | undefined): T | null {
  return value === undefined ? null : value
}
