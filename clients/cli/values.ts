/**
 * Reads durations, moments, amounts and increments from the command line, exactly.
 * Invariant: text that is not understood is a usage failure, which names the text and shows a right one.
 */
import type { AuctionId } from '../../protocol/ids.ts'
import { isId } from '../../protocol/ids.ts'
import type { Amount, IncrementBand } from '../../protocol/money.ts'
import { amountFault, parseAmount, parseMoment } from '../core/index.ts'
import { usageFailure } from './failure.ts'

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `90s`, `10m`, `1h30m`, `7d`, `500ms` as milliseconds. */
export function readDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+)(ms|s|m|h|d)/g)]
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text)
    throw usageFailure(`not a duration: ${text} (write it as 90s, 10m, 1h30m or 7d)`)
  const ms = parts.reduce(
    (sum, [, count, unit]) => sum + Number(count) * (unitMs[unit as string] as number),
    0,
  )
  if (!Number.isSafeInteger(ms) || ms === 0)
    throw usageFailure(`not a duration: ${text} (it must be longer than 0)`)
  return ms
}

/** A time that a script computed just before may have passed. */
const pastAllowedMs = 60_000

/** `+10m` from now, or a date with time and zone as `2026-11-20T18:00:00Z`, as epoch milliseconds. */
export function readMoment(text: string, nowMs: number): number {
  if (text.startsWith('+')) return nowMs + readDuration(text.slice(1))
  const moment = parseMoment(text)
  if (moment === undefined || !Number.isInteger(moment.atMs))
    throw usageFailure(`not a moment: ${text} (write it as +10m or 2026-11-20T18:00:00Z)`)
  if (!moment.hasZone) throw usageFailure(`not a moment: ${text} (say the zone: ${text}Z, or ${text}+01:00)`)
  if (moment.atMs < nowMs - pastAllowedMs) throw usageFailure(`not a moment to come: ${text}`)
  return moment.atMs
}

/** Units of a currency (`12.50`) as minor units. */
export function readAmount(text: string, currency: string): Amount {
  const read = parseAmount(text, currency)
  if (!read.ok) throw usageFailure(amountFault(text, currency, read))
  return read.amount
}

/** `0:0.50,100:5` as bands: from 0 on steps of 0.50, from 100 on steps of 5. */
export function readIncrements(text: string, currency: string): IncrementBand[] {
  return text.split(',').map((band) => {
    const [from, step, ...rest] = band.split(':')
    if (from === undefined || step === undefined || rest.length > 0)
      throw usageFailure(`not a table of increments: ${text} (write it as 0:0.50,100:5)`)
    return { from: readAmount(from, currency), step: readAmount(step, currency) }
  })
}

export function readAuctionId(text: string): AuctionId {
  if (!isId(text)) throw usageFailure(`not an auction id: ${text} (see them: martillo auction list)`)
  return text as AuctionId
}

/** An integer in a range, for options. */
export function readInteger(name: string, text: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= min && value <= max))
    throw usageFailure(`not a value of ${name}: ${text} (an integer from ${min} to ${max})`)
  return value
}
