/**
 * UTF-8 to text and back over plain byte arrays; pure code has no TextDecoder. Invariant: only well-formed UTF-8
 * is read (no overlong form, no surrogate, nothing above U+10FFFF); a lone surrogate is written as U+FFFD, as
 * browsers do. Source: RFC 3629 §3 and §4.
 */

const replacement = 0xfffd

/** How many bytes a text takes in UTF-8. */
export function utf8Length(text: string): number {
  let length = 0
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at)
    if (unit < 0x80) length += 1
    else if (unit < 0x800) length += 2
    else if (isPair(text, at)) {
      length += 4
      at += 1
    } else length += 3
  }
  return length
}

function isPair(text: string, at: number): boolean {
  const unit = text.charCodeAt(at)
  if (unit < 0xd800 || unit > 0xdbff) return false
  const next = text.charCodeAt(at + 1)
  return next >= 0xdc00 && next <= 0xdfff
}

/** Writes a text from `at` on; the caller has made room for `utf8Length(text)` bytes. Returns the end. */
export function writeUtf8(text: string, bytes: Uint8Array, at: number): number {
  let to = at
  for (let from = 0; from < text.length; from += 1) {
    let point = text.charCodeAt(from)
    if (point < 0x80) {
      bytes[to++] = point
      continue
    }
    if (point < 0x800) {
      bytes[to++] = 0xc0 | (point >> 6)
    } else {
      if (isPair(text, from)) {
        point = 0x10000 + ((point - 0xd800) << 10) + (text.charCodeAt(from + 1) - 0xdc00)
        from += 1
        bytes[to++] = 0xf0 | (point >> 18)
        bytes[to++] = 0x80 | ((point >> 12) & 0x3f)
      } else {
        if (point >= 0xd800 && point <= 0xdfff) point = replacement
        bytes[to++] = 0xe0 | (point >> 12)
      }
      bytes[to++] = 0x80 | ((point >> 6) & 0x3f)
    }
    bytes[to++] = 0x80 | (point & 0x3f)
  }
  return to
}

/** Code units of short ASCII text, gathered so that the engine makes one flat string of them. */
const units: number[] = []
const unitsMax = 256

/** Reads ASCII of at most `unitsMax` bytes, which almost all text of frames is; `undefined` where it is not. */
function readShortAscii(bytes: Uint8Array, from: number, to: number): string | undefined {
  if (to - from > unitsMax) return undefined
  units.length = to - from
  for (let at = from; at < to; at += 1) {
    const unit = bytes[at] as number
    if (unit > 0x7f) return undefined
    units[at - from] = unit
  }
  return String.fromCharCode.apply(null, units)
}

/** Reads `bytes[from, to)` as text, or `undefined` where they are not well-formed UTF-8. */
export function readUtf8(bytes: Uint8Array, from: number, to: number): string | undefined {
  const ascii = readShortAscii(bytes, from, to)
  if (ascii !== undefined) return ascii
  let text = ''
  let at = from
  while (at < to) {
    const lead = bytes[at++] as number
    if (lead < 0x80) {
      text += String.fromCharCode(lead)
      continue
    }
    const more = lead < 0xc2 ? -1 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : lead < 0xf5 ? 3 : -1
    if (more < 0 || at + more > to) return undefined
    let point = lead & (0x3f >> more)
    for (let left = more; left > 0; left -= 1) {
      const next = bytes[at++] as number
      if ((next & 0xc0) !== 0x80) return undefined
      point = (point << 6) | (next & 0x3f)
    }
    const isOverlong = (more === 2 && point < 0x800) || (more === 3 && point < 0x10000)
    if (isOverlong || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return undefined
    text += String.fromCodePoint(point)
  }
  return text
}
