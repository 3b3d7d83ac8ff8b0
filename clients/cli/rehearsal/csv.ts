/**
 * Comma-separated values: text to records with the lines that they began on. Invariant: quoted fields keep
 * commas, doubled quotes and line ends; LF and CRLF end a record; an empty line is none. Source: RFC 4180.
 */
import { usageFailure } from '../failure.ts'

export interface CsvRecord {
  /** Counted from 1. */
  readonly line: number
  readonly fields: readonly string[]
}

/** Reads records one by one. Throws a usage failure that names `file` and line where the text is not CSV. */
export function* readCsv(text: string, file: string): Generator<CsvRecord> {
  let at = text.startsWith('\uFEFF') ? 1 : 0
  let line = 1
  while (at < text.length) {
    const fields: string[] = []
    const firstLine = line
    let isRecordOpen = true
    while (isRecordOpen) {
      let field: string
      if (text[at] === '"') {
        const end = quotedEnd(text, at, file, line)
        field = text.slice(at + 1, end).replaceAll('""', '"')
        line += field.split('\n').length - 1
        at = end + 1
      } else {
        let end = at
        while (end < text.length && text[end] !== ',' && text[end] !== '\n') end += 1
        field = text.slice(at, end).replace(/\r$/, '')
        if (field.includes('"')) throw usageFailure(`${file}:${line}: a quote in a field that is not quoted`)
        at = end
      }
      fields.push(field)
      if (text[at] === '\r' && text[at + 1] === '\n') at += 1
      if (text[at] === ',') at += 1
      else if (text[at] === '\n' || at >= text.length) isRecordOpen = false
      else throw usageFailure(`${file}:${line}: text after the closing quote of a field`)
    }
    at += 1
    line += 1
    if (fields.length > 1 || fields[0] !== '') yield { line: firstLine, fields }
  }
}

/** Where the quote is that closes the field that opens at `from`. */
function quotedEnd(text: string, from: number, file: string, line: number): number {
  let at = from + 1
  for (;;) {
    at = text.indexOf('"', at)
    if (at === -1) throw usageFailure(`${file}:${line}: a quoted field is not closed`)
    if (text[at + 1] !== '"') return at
    at += 2
  }
}
