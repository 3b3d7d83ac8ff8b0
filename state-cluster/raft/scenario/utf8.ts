/**
 * UTF-8 for payloads in scenario files, and their double-quoted form.
 *
 * It is here because the core must compile without `TextEncoder`.
 * Invariant: no bytes make it fail; bytes that are no UTF-8 print as `\x` escapes, one for each byte.
 *
 * Source: RFC 3629 §4; the quoting is that of Go's `%q`, which the scenario files of etcd-io/raft contain.
 */

/** The bytes of a text. A lone surrogate becomes U+FFFD. */
export function encodeUtf8(text: string): Uint8Array {
  const bytes: number[] = []
  for (const char of text) {
    const read = char.codePointAt(0) ?? 0
    const code = read >= 0xd800 && read <= 0xdfff ? 0xfffd : read
    if (code < 0x80) bytes.push(code)
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63))
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63))
    else {
      bytes.push(
        0xf0 | (code >> 18),
        0x80 | ((code >> 12) & 63),
        0x80 | ((code >> 6) & 63),
        0x80 | (code & 63),
      )
    }
  }
  return Uint8Array.from(bytes)
}

/** The bytes as a double-quoted text, with escapes for what is not printable or not UTF-8. */
export function quote(bytes: Uint8Array): string {
  let text = '"'
  let at = 0
  while (at < bytes.length) {
    const { code, length } = decodeAt(bytes, at)
    text += code < 0 ? `\\x${hex(bytes[at] ?? 0, 2)}` : escaped(code)
    at += length
  }
  return `${text}"`
}

/** Code point at `at` and its length; code −1 and length 1 for a byte that begins no valid sequence. */
function decodeAt(bytes: Uint8Array, at: number): { code: number; length: number } {
  const first = bytes[at] ?? 0
  if (first < 0x80) return { code: first, length: 1 }
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2
  const least = [0x80, 0x800, 0x10000][length - 2] ?? 0
  if (first < 0xc2 || first > 0xf4) return { code: -1, length: 1 }
  let code = first & (0xff >> (length + 1))
  for (let i = 1; i < length; i++) {
    const next = bytes[at + i] ?? 0
    if ((next & 0xc0) !== 0x80) return { code: -1, length: 1 }
    code = (code << 6) | (next & 63)
  }
  const isSurrogate = code >= 0xd800 && code <= 0xdfff
  if (code < least || code > 0x10ffff || isSurrogate) return { code: -1, length: 1 }
  return { code, length }
}

const short: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
  34: '\\"',
  92: '\\\\',
}

function escaped(code: number): string {
  const known = short[code]
  if (known !== undefined) return known
  if (code < 0x20 || code === 0x7f) return `\\x${hex(code, 2)}`
  const char = String.fromCodePoint(code)
  if (code < 0x7f || /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(char)) return char
  return code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`
}

function hex(value: number, width: number): string {
  return value.toString(16).padStart(width, '0')
}
