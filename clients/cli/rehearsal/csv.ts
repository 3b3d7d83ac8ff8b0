/**
 * Text with separated values to records with the lines that they began on. Invariant: quoted fields keep separators,
 * doubled quotes and line ends; LF and CRLF end a record; an empty line is none. The separator is the one of comma,
 * semicolon and tab that the first line has most of, or what a first line `sep=;` names. Source: RFC 4180.
 */
import { usageFailure } from '../failure.ts'

export interface CsvRecord {
  /** Counted from 1. */
  readonly line: number
  readonly fields: readonly string[]
}

/** Reads records one by one. Throws a usage failure that names `file` and line where the text is not CSV. */
export function* readCsv(text: string, file: string): Generator<CsvRecord> {
  const { separator, start } = separatorOf(text)
  let at = start
  let line = start === 0 ? 1 : 2
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
        while (end < text.length && text[end] !== separator && text[end] !== '\n') end += 1
        field = text.slice(at, end).replace(/\r$/, '')
        if (field.includes('"')) throw usageFailure(`${file}:${line}: a quote in a field that is not quoted`)
        at = end
      }
      fields.push(field)
      if (text[at] === '\r' && text[at + 1] === '\n') at += 1
      if (text[at] === separator) at += 1
      else if (text[at] === '\n' || at >= text.length) isRecordOpen = false
      else throw usageFailure(`${file}:${line}: text after the closing quote of a field`)
    }
    at += 1
    line += 1
    if (fields.length > 1 || fields[0] !== '') yield { line: firstLine, fields }
  }
}

/** `start` is where the records begin. */
function separatorOf(text: string): { readonly separator: string; readonly start: number } {
  const named = /^sep=([,;\t])\r?\n/i.exec(text)
  if (named !== null) return { separator: named[1] as string, start: named[0].length }
  const firstLine = /^[^\n]*/.exec(text)?.[0].replace(/"[^"]*"/g, '') ?? ''
  const count = (separator: string): number => firstLine.split(separator).length
  const separator = [',', ';', '\t'].reduce((most, one) => (count(one) > count(most) ? one : most))
  return { separator, start: 0 }
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
