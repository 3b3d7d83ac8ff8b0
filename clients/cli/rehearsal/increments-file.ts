/**
 * A table of increments from a file, in one of three forms.
 * Values separated as in CSV (`from,step` in units), the command line's own form (`0:0.50,100:5`), or JSON as POST
 * /auctions takes it (minor units). Invariant: only a lawful table is returned; anything else ends the run (2).
 * Source: docs/protocol.md, "Command line"; spec CLI15.
 */
import { type IncrementBand, type IncrementTable, incrementTableFault } from '../../../protocol/money.ts'
import { usageFailure } from '../failure.ts'
import { readAmount, readIncrements } from '../values.ts'
import { readCsv } from './csv.ts'

/** Reads a table in units of a currency (JSON: in minor units). Throws a usage failure that names the file. */
export function readIncrementsFile(text: string, file: string, currency: string): IncrementTable {
  const bare = text.trim()
  const table = bare.startsWith('[')
    ? jsonTable(bare, file)
    : bare.includes(':')
      ? readIncrements(bare.replace(/[\s,;]+/g, ','), currency)
      : csvTable(bare, file, currency)
  const fault = incrementTableFault(table)
  if (fault !== undefined) throw usageFailure(`${file}: not a table of increments: ${fault}`)
  return table
}

function jsonTable(text: string, file: string): IncrementBand[] {
  try {
    const bands: unknown = JSON.parse(text)
    if (Array.isArray(bands)) return bands.map(({ from, step }) => ({ from, step }))
  } catch {
    // Below.
  }
  throw usageFailure(`${file}: not a table of increments (as [{"from": 0, "step": 50}], in minor units)`)
}

function csvTable(text: string, file: string, currency: string): IncrementBand[] {
  const bands: IncrementBand[] = []
  for (const { line, fields } of readCsv(text, file)) {
    const [from = '', step = '', ...rest] = fields.map((field) => field.trim())
    // A first line without a digit names the columns.
    if (bands.length === 0 && !/\d/.test(from + step)) {
      if (from.toLowerCase() === 'from') continue
      throw usageFailure(`${file}:${line}: the first line names the columns from,step`)
    }
    if (rest.length > 0) throw usageFailure(`${file}:${line}: a band has two values, from and step`)
    bands.push({ from: readAmount(from, currency), step: readAmount(step, currency) })
  }
  return bands
}
