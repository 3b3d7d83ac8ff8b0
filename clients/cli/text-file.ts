/**
 * Reads files of text, and refuses what may not be the text that was meant.
 * Invariant: no byte is replaced on the way: a byte-order mark or the named encoding decides, UTF-8 otherwise, and
 * text that is damaged ends the run (2) with file and line. Source: WHATWG Encoding; spec CLI14.
 */
import { readFileSync, statSync } from 'node:fs'
import { CliFailure, usageFailure } from './failure.ts'

const fileBytesMax = 256 * 1024 * 1024
const lineEnd = 0x0a

/** The text of a file, without its byte-order mark. `encoding` is a label of the WHATWG, as `windows-1252`. */
export function readTextFile(file: string, encoding: string | undefined): string {
  return decodeText(readBytes(file), file, encoding)
}

function readBytes(file: string): Uint8Array {
  try {
    if (statSync(file).size > fileBytesMax) throw usageFailure(`${file}: larger than ${fileBytesMax} bytes`)
    return readFileSync(file)
  } catch (error) {
    if (error instanceof CliFailure) throw error
    throw usageFailure(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

export function decodeText(bytes: Uint8Array, file: string, encoding: string | undefined): string {
  const label = markedEncoding(bytes) ?? encoding
  const decoder = decoderOf(label ?? 'utf-8')
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch {
    if (label !== undefined) throw usageFailure(`${file}: not text in ${label}`)
    throw usageFailure(
      `${file}:${firstBadLine(bytes)}: not UTF-8 (save it as UTF-8, or name what it is: --encoding windows-1252)`,
    )
  }
  const damaged = /[\uFFFD\0]/.exec(text)
  if (damaged !== null) {
    const line = text.slice(0, damaged.index).split('\n').length
    const what = damaged[0] === '\0' ? 'is not text' : 'lost characters in an earlier conversion'
    throw usageFailure(
      `${file}:${line}: ${what} (save it as UTF-8 from its source, or name it: --encoding NAME)`,
    )
  }
  return text
}

function markedEncoding(bytes: Uint8Array): string | undefined {
  const [first, second, third] = bytes
  if (first === 0xef && second === 0xbb && third === 0xbf) return 'utf-8'
  if (first === 0xff && second === 0xfe) return 'utf-16le'
  return first === 0xfe && second === 0xff ? 'utf-16be' : undefined
}

function decoderOf(label: string): InstanceType<typeof TextDecoder> {
  try {
    return new TextDecoder(label, { fatal: true })
  } catch {
    throw usageFailure(`not an encoding: ${label} (as utf-8, utf-16le, windows-1252, iso-8859-15)`)
  }
}

/** Counted from 1. A line end is never part of another character in UTF-8. */
function firstBadLine(bytes: Uint8Array): number {
  const decoder = decoderOf('utf-8')
  let line = 1
  for (let from = 0; from < bytes.length; line += 1) {
    const end = bytes.indexOf(lineEnd, from)
    const next = end === -1 ? bytes.length : end + 1
    try {
      decoder.decode(bytes.subarray(from, next))
    } catch {
      return line
    }
    from = next
  }
  return line
}
