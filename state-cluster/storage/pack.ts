/**
 * Plain tuples to bytes and back, by MessagePack.
 *
 * Tuples hold arrays, strings, integers, booleans and null, nothing else. A checksum has covered the bytes that come
 * back; the caller checks what they mean. The bytes that are returned are the caller's own.
 * Invariant: `unpack(pack(x))` equals x.
 */
import { Packr } from 'msgpackr'

const packr = new Packr({ useRecords: false, mapsAsObjects: false, moreTypes: false, int64AsType: 'number' })

export function pack(value: unknown): Uint8Array {
  return new Uint8Array(packr.pack(value))
}

/** Throws where the bytes are no msgpack. */
export function unpack(bytes: Uint8Array): unknown {
  return packr.unpack(bytes)
}
