/**
 * The times of recorded bids, for their order alone: numbers, or dates with time.
 * Invariant: one file has one kind of time: what the first bid has, all have. Numbers have one mark before the fraction
 * in the whole file. Source: spec CLI11, MOMENT1.
 */
import { parseMoment } from '../../core/index.ts'

/** A time, or what is wrong with it, in words. */
export type BidTime = number | string
type ReadTime = (text: string) => BidTime

const number = /^-?\d+(?:[.,]\d+)?(?:e[+-]?\d+)?$/i

/** How to read the times of a file, which its texts decide together. */
export function bidTimes(texts: readonly string[]): ReadTime {
  const first = texts.find((text) => text !== '') ?? ''
  if (!number.test(first) && parseMoment(first) !== undefined) return momentReader(first)
  return numberReader(texts)
}

function momentReader(first: string): ReadTime {
  const hasZone = parseMoment(first)?.hasZone
  return (text) => {
    const moment = parseMoment(text)
    if (moment === undefined) return 'is not a date with time, as that of the first bid is'
    if (moment.hasZone !== hasZone) return 'must have a zone in all rows, or in none'
    return moment.atMs
  }
}

function numberReader(texts: readonly string[]): ReadTime {
  const hasPoint = texts.some((text) => text.includes('.'))
  const hasComma = texts.some((text) => text.includes(','))
  // Three digits after a comma can be a group; any other number of them shows what the comma means in this file.
  const isCommaDecimal = texts.some((text) => /^-?(?:0+,\d+|\d+,(?!\d{3}$)\d+)$/.test(text))
  return (text) => {
    if (!number.test(text)) return 'is not a number, nor a date with time as 2026-11-20T18:00:00Z'
    if (hasComma && hasPoint) return 'has points in some rows and commas in others; which is the fraction'
    if (text.includes(',') && !isCommaDecimal) return 'can be read as two numbers; write it with a point'
    const value = Number(text.replace(',', '.'))
    return Number.isFinite(value) ? value : 'is not a finite number'
  }
}
