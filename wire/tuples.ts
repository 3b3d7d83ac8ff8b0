/**
 * MessagePack arrays, the form of everything structured that travels.
 *
 * Invariant: `unpackTuple` returns an array of plain values or throws `malformed`; no records and no extension objects
 * reach the callers, which check each field with `Fields`. Source: docs/spec.md PEER7.
 */
import { Packr } from 'msgpackr'
import { TransportError } from './errors.ts'

const packr = new Packr({ useRecords: false, moreTypes: false, int64AsType: 'number' })

/** Fresh bytes: they may be kept and are not written into again. */
export function packTuple(values: readonly unknown[]): Uint8Array {
  return packr.pack(values)
}

export function unpackTuple(bytes: Uint8Array): readonly unknown[] {
  let value: unknown
  try {
    value = packr.unpack(bytes)
  } catch (cause) {
    throw new TransportError('malformed', 'not MessagePack', { cause })
  }
  if (!Array.isArray(value)) throw malformed('not a tuple')
  return value
}

export function malformed(what: string): TransportError {
  return new TransportError('malformed', what)
}

/** Reads the fields of a tuple one after the other, checking each. Every method throws `malformed`. */
export class Fields {
  readonly #values: readonly unknown[]
  readonly #what: string
  #at = 0

  constructor(values: readonly unknown[], what: string) {
    this.#values = values
    this.#what = what
  }

  /** Of a value that must be a tuple. */
  static of(value: unknown, what: string): Fields {
    if (!Array.isArray(value)) throw malformed(`${what}: not a tuple`)
    return new Fields(value, what)
  }

  /** A safe integer from `min` to `max`. */
  integer(min = 0, max: number = Number.MAX_SAFE_INTEGER): number {
    const value = this.#values[this.#at++]
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
      throw this.#wrong(`is not an integer from ${min} to ${max}`)
    }
    return value as number
  }

  text(lengthMax: number): string {
    const value = this.#values[this.#at++]
    if (typeof value !== 'string' || value.length > lengthMax) {
      throw this.#wrong(`is not a text of at most ${lengthMax} characters`)
    }
    return value
  }

  flag(): boolean {
    const value = this.#values[this.#at++]
    if (typeof value !== 'boolean') throw this.#wrong('is not true or false')
    return value
  }

  /** A copy, so that the frame it came in can go. */
  bytes(lengthMax: number): Uint8Array {
    const value = this.#values[this.#at++]
    if (!(value instanceof Uint8Array) || value.length > lengthMax) {
      throw this.#wrong(`is not at most ${lengthMax} bytes`)
    }
    return new Uint8Array(value)
  }

  list(lengthMax: number): readonly unknown[] {
    const value = this.#values[this.#at++]
    if (!Array.isArray(value) || value.length > lengthMax) {
      throw this.#wrong(`is not a list of at most ${lengthMax}`)
    }
    return value
  }

  /** Integers ≥ `min`. */
  integers(lengthMax: number, min = 0): number[] {
    const values = this.list(lengthMax)
    const fields = new Fields(values, this.#what)
    return values.map(() => fields.integer(min))
  }

  texts(lengthMax: number, textLengthMax: number): string[] {
    const values = this.list(lengthMax)
    const fields = new Fields(values, this.#what)
    return values.map(() => fields.text(textLengthMax))
  }

  optionalInteger(min = 0): number | undefined {
    return this.#skipNull() ? undefined : this.integer(min)
  }

  optionalText(lengthMax: number): string | undefined {
    return this.#skipNull() ? undefined : this.text(lengthMax)
  }

  /** A nested tuple, or `undefined` where there is null. */
  optionalTuple(): readonly unknown[] | undefined {
    const value = this.#values[this.#at++]
    if (value === null) return undefined
    if (!Array.isArray(value)) throw this.#wrong('is neither a tuple nor null')
    return value
  }

  /** Any value; the caller checks it. */
  any(): unknown {
    return this.#values[this.#at++]
  }

  /** How many fields were not taken yet. */
  get left(): number {
    return this.#values.length - this.#at
  }

  /** Nothing may be left over. */
  end(): void {
    if (this.#at !== this.#values.length) {
      throw malformed(`${this.#what}: ${this.#values.length} fields, ${this.#at} expected`)
    }
  }

  #skipNull(): boolean {
    if (this.#values[this.#at] !== null) return false
    this.#at++
    return true
  }

  #wrong(fault: string): TransportError {
    return malformed(`${this.#what}: field ${this.#at - 1} ${fault}`)
  }
}
