/**
 * Plain values, of which rows, log entries and digests are made, and their hash.
 *
 * The hash has 64 bits in two 32-bit lanes. It finds accidents, not attackers. Rows hold safe integers only; other
 * numbers are hashed in digests of requests that will be refused.
 *
 * Invariant: equal values have equal hashes on every machine. Types and lengths are marked, so different values are
 * never mixed as the same words.
 * Source: docs/spec.md HASH2; the mixing steps are those of MurmurHash3 (public domain).
 */
export type Plain = null | boolean | number | string | readonly Plain[]

/** Two 32-bit lanes, signed as JavaScript's bit operations leave them. */
export interface Lanes {
  a: number
  b: number
}

const markNull = 0x11
const markFalse = 0x12
const markTrue = 0x13
const markNumber = 0x14
const markString = 0x15
const markArray = 0x16
const markOtherNumber = 0x17

function mix(lanes: Lanes, word: number): void {
  let k = Math.imul(word, 0xcc9e2d51)
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593)
  const a = lanes.a ^ k
  lanes.a = (Math.imul((a << 13) | (a >>> 19), 5) + 0xe6546b64) | 0
  k = Math.imul(word, 0x239b961b)
  k = Math.imul((k << 16) | (k >>> 16), 0xab0e9789)
  const b = lanes.b ^ k
  lanes.b = (Math.imul((b << 17) | (b >>> 15), 5) + 0x561ccd1b) | 0
}

function mixPlain(lanes: Lanes, value: Plain): void {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) {
      mix(lanes, markOtherNumber)
      mixPlain(lanes, String(value))
    } else {
      mix(lanes, markNumber)
      mix(lanes, value | 0)
      mix(lanes, Math.floor(value / 0x1_0000_0000) | 0)
    }
  } else if (typeof value === 'string') {
    mix(lanes, markString)
    const length = value.length
    mix(lanes, length)
    let i = 0
    for (; i + 1 < length; i += 2) mix(lanes, value.charCodeAt(i) | (value.charCodeAt(i + 1) << 16))
    if (i < length) mix(lanes, value.charCodeAt(i))
  } else if (value === null) mix(lanes, markNull)
  else if (value === true) mix(lanes, markTrue)
  else if (value === false) mix(lanes, markFalse)
  else {
    mix(lanes, markArray)
    mix(lanes, value.length)
    // By index: an iterator makes an object for every item, and all that changes is hashed.
    for (let at = 0; at < value.length; at++) mixPlain(lanes, value[at] as Plain)
  }
}

/** No fewer bytes than the value takes as MessagePack: 9 a value, and 3 a character. O(values). */
export function packedSizeMax(value: Plain): number {
  if (typeof value === 'string') return 9 + 3 * value.length
  if (typeof value !== 'object' || value === null) return 9
  let size = 9
  for (let at = 0; at < value.length; at++) size += packedSizeMax(value[at] as Plain)
  return size
}

function avalanche(word: number): number {
  let h = word ^ (word >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return (h ^ (h >>> 16)) | 0
}

/** The hash of a value; `seed` keeps values of different kinds apart. O(size of the value). */
export function hashPlain(seed: number, value: Plain): Lanes {
  const lanes: Lanes = { a: seed | 0, b: ~seed }
  mixPlain(lanes, value)
  const a = avalanche(lanes.a ^ (lanes.b << 7))
  const b = avalanche((lanes.b + a) | 0)
  lanes.a = a
  lanes.b = b
  return lanes
}

/** 16 lower-case hexadecimal digits. */
export function hexOf(lanes: Lanes): string {
  const digits = (lane: number): string => (lane >>> 0).toString(16).padStart(8, '0')
  return digits(lanes.a) + digits(lanes.b)
}
