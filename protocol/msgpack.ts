/**
 * msgpack bytes to values and back, for exactly the values that JSON has.
 * One pass reads and bounds, so no declared length is trusted before its bytes are there. Integers are written as
 * integers up to 32 bits and as doubles above (exact up to 2^53−1), as msgpackr does: readers in JavaScript make a
 * BigInt of a 64-bit integer. Invariant: reading never throws, allocates no more than the frame is long, and accepts
 * no extension, binary, non-text key or non-finite number. Source: msgpack specification; RFC 3629; spec WIRE2,
 * WIRE3.
 */
import { depthMax } from './limits.ts'
import { readUtf8, utf8Length, writeUtf8 } from './utf8.ts'

export type MsgpackRead =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly code: 'malformed_msgpack' | 'too_deep'; readonly message: string }

const two32 = 0x1_0000_0000

/**
 * Names of fields that were read before, in slots by length and outer bytes: nearly every key is one of a few, and
 * a string that the engine knows already costs neither an allocation nor a lookup. Bounded by its slots.
 */
const nameSlots = 256
const nameLengthMax = 31
const names: string[] = /* @__PURE__ */ Array.from({ length: nameSlots }, () => '')

function readName(bytes: Uint8Array, from: number, to: number): string | undefined {
  const length = to - from
  if (length === 0 || length > nameLengthMax) return readUtf8(bytes, from, to)
  const slot = (31 * length + 7 * (bytes[from] as number) + (bytes[to - 1] as number)) % nameSlots
  const known = names[slot] as string
  let isKnown = known.length === length
  for (let at = 0; isKnown && at < length; at += 1) isKnown = known.charCodeAt(at) === bytes[from + at]
  if (isKnown) return known
  const name = readUtf8(bytes, from, to)
  // A name with longer characters never equals its bytes one by one, so it is not worth a slot.
  if (name?.length === length) names[slot] = name
  return name
}

class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #levelsMax: number
  #at = 0
  /** The first thing wrong; once set, every read returns `undefined` at once. */
  fault: string | undefined
  isTooDeep = false

  constructor(bytes: Uint8Array, levelsMax: number) {
    this.#levelsMax = levelsMax
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get hasMore(): boolean {
    return this.#at < this.#bytes.length
  }

  #fail(fault: string): undefined {
    this.fault ??= `${fault} at byte ${this.#at}`
    return undefined
  }

  /** Moves over `length` bytes and returns where they begin, or −1 when they are not there. */
  #take(length: number): number {
    const start = this.#at
    if (length > this.#bytes.length - start) {
      this.#fail('the frame ends too early')
      return -1
    }
    this.#at = start + length
    return start
  }

  #unsigned(size: 1 | 2 | 4 | 8): number {
    const start = this.#take(size)
    if (start < 0) return 0
    if (size === 1) return this.#view.getUint8(start)
    if (size === 2) return this.#view.getUint16(start)
    if (size === 4) return this.#view.getUint32(start)
    return this.#view.getUint32(start) * two32 + this.#view.getUint32(start + 4)
  }

  #signed(size: 1 | 2 | 4 | 8): number {
    const start = this.#take(size)
    if (start < 0) return 0
    if (size === 1) return this.#view.getInt8(start)
    if (size === 2) return this.#view.getInt16(start)
    if (size === 4) return this.#view.getInt32(start)
    return this.#view.getInt32(start) * two32 + this.#view.getUint32(start + 4)
  }

  #float(size: 4 | 8): number | undefined {
    const start = this.#take(size)
    if (start < 0) return undefined
    const value = size === 4 ? this.#view.getFloat32(start) : this.#view.getFloat64(start)
    return Number.isFinite(value) ? value : this.#fail('a number is not finite')
  }

  #text(length: number): string | undefined {
    const start = this.#take(length)
    if (start < 0) return undefined
    return readUtf8(this.#bytes, start, start + length) ?? this.#fail('text is not UTF-8')
  }

  /** Whether `count` more values of at least one byte each can be there, one level further down. */
  #mayEnter(count: number, depth: number): boolean {
    if (depth >= this.#levelsMax) {
      this.isTooDeep = true
      this.#fail('too deep')
      return false
    }
    if (count > this.#bytes.length - this.#at) {
      this.#fail('the frame ends too early')
      return false
    }
    return true
  }

  #array(count: number, depth: number): unknown[] | undefined {
    if (!this.#mayEnter(count, depth)) return undefined
    const list: unknown[] = []
    for (let left = count; left > 0 && this.fault === undefined; left -= 1) list.push(this.read(depth + 1))
    return list
  }

  #key(): string | undefined {
    const tag = this.#unsigned(1)
    let length: number
    if (tag >= 0xa0 && tag < 0xc0) length = tag & 0x1f
    else if (tag === 0xd9) length = this.#unsigned(1)
    else if (tag === 0xda) length = this.#unsigned(2)
    else if (tag === 0xdb) length = this.#unsigned(4)
    else return this.#fail('a key is not text')
    const start = this.#take(length)
    if (start < 0) return undefined
    return readName(this.#bytes, start, start + length) ?? this.#fail('text is not UTF-8')
  }

  #map(count: number, depth: number): Record<string, unknown> | undefined {
    if (!this.#mayEnter(2 * count, depth)) return undefined
    const map: Record<string, unknown> = {}
    for (let left = count; left > 0 && this.fault === undefined; left -= 1) {
      const key = this.#key()
      if (key === undefined) return undefined
      const value = this.read(depth + 1)
      if (key === '__proto__')
        Object.defineProperty(map, key, { value, enumerable: true, configurable: true })
      else map[key] = value
    }
    return map
  }

  read(depth: number): unknown {
    const tag = this.#unsigned(1)
    if (this.fault !== undefined) return undefined
    if (tag < 0x80) return tag
    if (tag < 0x90) return this.#map(tag & 0x0f, depth)
    if (tag < 0xa0) return this.#array(tag & 0x0f, depth)
    if (tag < 0xc0) return this.#text(tag & 0x1f)
    if (tag >= 0xe0) return tag - 0x100
    switch (tag) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xca:
        return this.#float(4)
      case 0xcb:
        return this.#float(8)
      case 0xcc:
        return this.#unsigned(1)
      case 0xcd:
        return this.#unsigned(2)
      case 0xce:
        return this.#unsigned(4)
      case 0xcf:
        return this.#unsigned(8)
      case 0xd0:
        return this.#signed(1)
      case 0xd1:
        return this.#signed(2)
      case 0xd2:
        return this.#signed(4)
      case 0xd3:
        return this.#signed(8)
      case 0xd9:
        return this.#text(this.#unsigned(1))
      case 0xda:
        return this.#text(this.#unsigned(2))
      case 0xdb:
        return this.#text(this.#unsigned(4))
      case 0xdc:
        return this.#array(this.#unsigned(2), depth)
      case 0xdd:
        return this.#array(this.#unsigned(4), depth)
      case 0xde:
        return this.#map(this.#unsigned(2), depth)
      case 0xdf:
        return this.#map(this.#unsigned(4), depth)
      default:
        return this.#fail('binary, extension and reserved types are not taken')
    }
  }
}

/** Reads one value that fills all bytes. Never throws. Nothing of the result points into `bytes`. */
export function readMsgpack(bytes: Uint8Array, levelsMax: number = depthMax): MsgpackRead {
  const reader = new Reader(bytes, levelsMax)
  const value = reader.read(0)
  if (reader.isTooDeep)
    return {
      ok: false,
      code: 'too_deep',
      message: `at most ${levelsMax} levels of arrays and objects are allowed`,
    }
  const fault = reader.fault ?? (reader.hasMore ? 'bytes follow the value' : undefined)
  return fault === undefined ? { ok: true, value } : { ok: false, code: 'malformed_msgpack', message: fault }
}

class Writer {
  #bytes = new Uint8Array(1024)
  #view = new DataView(this.#bytes.buffer)
  #at = 0

  /** What was written since the last call, as bytes of its own. */
  take(): Uint8Array {
    const written = this.#bytes.slice(0, this.#at)
    this.#at = 0
    return written
  }

  /** Drops the remains of a write that threw. */
  reset(): void {
    this.#at = 0
  }

  #room(length: number): number {
    const start = this.#at
    const end = start + length
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.#bytes.length))
      grown.set(this.#bytes)
      this.#bytes = grown
      this.#view = new DataView(grown.buffer)
    }
    this.#at = end
    return start
  }

  #tag(tag: number): void {
    const start = this.#room(1)
    this.#bytes[start] = tag
  }

  /** A tag, then an unsigned integer of 1, 2 or 4 bytes. */
  #sized(tag: number, value: number, size: 1 | 2 | 4): void {
    const start = this.#room(1 + size)
    this.#bytes[start] = tag
    if (size === 1) this.#view.setUint8(start + 1, value)
    else if (size === 2) this.#view.setUint16(start + 1, value)
    else this.#view.setUint32(start + 1, value)
  }

  #number(value: number): void {
    if (!Number.isInteger(value) || value >= two32 || value < -0x8000_0000) {
      // Beyond 32 bits as a double, like msgpackr: its readers make a BigInt of a 64-bit integer.
      const start = this.#room(9)
      this.#bytes[start] = 0xcb
      this.#view.setFloat64(start + 1, value)
    } else if (value >= 0) {
      if (value < 0x80) this.#tag(value)
      else if (value < 0x100) this.#sized(0xcc, value, 1)
      else if (value < 0x1_0000) this.#sized(0xcd, value, 2)
      else this.#sized(0xce, value, 4)
    } else if (value >= -0x20) this.#tag(0x100 + value)
    else if (value >= -0x80) this.#sized(0xd0, value, 1)
    else if (value >= -0x8000) this.#sized(0xd1, value, 2)
    else this.#sized(0xd2, value, 4)
  }

  #text(text: string): void {
    const length = utf8Length(text)
    if (length < 0x20) this.#tag(0xa0 | length)
    else if (length < 0x100) this.#sized(0xd9, length, 1)
    else if (length < 0x1_0000) this.#sized(0xda, length, 2)
    else this.#sized(0xdb, length, 4)
    const start = this.#room(length)
    writeUtf8(text, this.#bytes, start)
  }

  #head(small: number, wide: number, count: number): void {
    if (count < 0x10) this.#tag(small | count)
    else if (count < 0x1_0000) this.#sized(wide, count, 2)
    else this.#sized(wide + 1, count, 4)
  }

  #map(value: object): void {
    const entries = Object.entries(value)
    let count = 0
    for (const entry of entries) if (entry[1] !== undefined) count += 1
    this.#head(0x80, 0xde, count)
    for (const [key, inner] of entries) {
      if (inner === undefined) continue
      this.#text(key)
      this.write(inner)
    }
  }

  write(value: unknown): void {
    if (typeof value === 'string') this.#text(value)
    else if (typeof value === 'number') this.#number(value)
    else if (typeof value === 'boolean') this.#tag(value ? 0xc3 : 0xc2)
    else if (value === null || value === undefined) this.#tag(0xc0)
    else if (Array.isArray(value)) {
      this.#head(0x90, 0xdc, value.length)
      for (const inner of value) this.write(inner)
    } else if (typeof value === 'object') this.#map(value)
    else throw new TypeError(`a ${typeof value} has no msgpack form here`)
  }
}

const writer = /* @__PURE__ */ new Writer()

/**
 * Writes a value of the protocol (what JSON has; an `undefined` field is left out, as JSON does) as msgpack.
 * Throws a TypeError for anything else: a fault of the caller, not of a client.
 */
export function writeMsgpack(value: unknown): Uint8Array {
  try {
    writer.write(value)
  } catch (error) {
    writer.reset()
    throw error
  }
  return writer.take()
}
