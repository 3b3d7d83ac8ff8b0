/**
 * JSON text to values and back, for frames (`martillo.v1.json`) and HTTP bodies. Invariant: reading never throws,
 * and an accepted value is at most `levelsMax` levels deep, so that walks over it cannot exhaust the stack.
 * How large a text may be is checked before, what its fields are after. Source: RFC 8259, spec WIRE2.
 */
import { depthMax } from './limits.ts'

export type JsonRead =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly code: 'malformed_json' | 'too_deep'; readonly message: string }

const quote = 0x22
const backslash = 0x5c

/** Whether brackets outside strings open more than `levelsMax` levels. Right for all text that is JSON. */
function isTooDeep(text: string, levelsMax: number): boolean {
  if (text.length <= levelsMax) return false
  let depth = 0
  let isInString = false
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at)
    if (isInString) {
      if (unit === backslash) at += 1
      else if (unit === quote) isInString = false
    } else if (unit === quote) isInString = true
    else if (unit === 0x7b || unit === 0x5b) {
      depth += 1
      if (depth > levelsMax) return true
    } else if (unit === 0x7d || unit === 0x5d) depth -= 1
  }
  return false
}

/** Parses JSON text. Never throws; the text of V8's error is not passed on, it changes between versions. */
export function readJson(text: string, levelsMax: number = depthMax): JsonRead {
  if (isTooDeep(text, levelsMax))
    return {
      ok: false,
      code: 'too_deep',
      message: `at most ${levelsMax} levels of arrays and objects are allowed`,
    }
  try {
    return { ok: true, value: JSON.parse(text) as unknown }
  } catch {
    return { ok: false, code: 'malformed_json', message: 'the text is not JSON' }
  }
}

/** Writes a value of the protocol as JSON text. */
export function writeJson(value: unknown): string {
  return JSON.stringify(value)
}
