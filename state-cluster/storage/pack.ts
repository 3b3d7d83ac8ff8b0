/**
 * Plain tuples to bytes and back, by msgpack: arrays, strings, integers, booleans and null, nothing else.
 * Invariant: `unpack(pack(x))` equals x. Bytes that come back were checked by a checksum before; what they
 * mean is checked by whoever asks. The bytes given out are the caller's own.
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
