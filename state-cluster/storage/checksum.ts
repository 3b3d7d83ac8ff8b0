/**
 * CRC-32 (IEEE 802.3, reflected, as zlib and Ethernet have it), in plain code so that the simulator and every
 * Node version compute the same. It finds flipped bits; it is no defence against forgery.
 */

/** tables[k][b]: the checksum of byte b followed by k zero bytes; eight of them eat eight bytes a step. */
const tables: readonly Uint32Array[] = makeTables()

function makeTables(): Uint32Array[] {
  const first = new Uint32Array(256)
  for (let byte = 0; byte < 256; byte++) {
    let rest = byte
    for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb8_8320 : rest >>> 1
    first[byte] = rest
  }
  const all = [first]
  for (let k = 1; k < 8; k++) {
    const previous = all[k - 1] as Uint32Array
    all.push(previous.map((value) => (value >>> 8) ^ (first[value & 0xff] as number)))
  }
  return all
}

const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
]

/** The checksum of bytes[from, to), going on from `seed` (the checksum of what came before). 0 to 2^32−1. */
export function crc32(bytes: Uint8Array, seed = 0, from = 0, to = bytes.length): number {
  let crc = ~seed
  let at = from
  for (; at + 8 <= to; at += 8) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    crc =
      (t7[crc & 0xff] as number) ^
      (t6[(crc >>> 8) & 0xff] as number) ^
      (t5[(crc >>> 16) & 0xff] as number) ^
      (t4[crc >>> 24] as number) ^
      (t3[bytes[at + 4] as number] as number) ^
      (t2[bytes[at + 5] as number] as number) ^
      (t1[bytes[at + 6] as number] as number) ^
      (t0[bytes[at + 7] as number] as number)
  }
  for (; at < to; at++) crc = (crc >>> 8) ^ (t0[(crc ^ (bytes[at] as number)) & 0xff] as number)
  return ~crc >>> 0
}
