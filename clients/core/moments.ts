/**
 * Moments as people and other programs write them, read exactly.
 * What a moment is for (an opening, the order of bids) the caller knows. Invariant: a text without a zone gets none,
 * a day that is not in the calendar is no day, and nothing is moved to the next one. Source: RFC 3339 §5.6, spec
 * MOMENT1.
 */

export interface Moment {
  /** Epoch milliseconds, with a fraction where the text has one; of a text without a zone, as if it were UTC. */
  readonly atMs: number
  readonly hasZone: boolean
}

const shape = /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(\.\d{1,9})?)?([Zz]|[+-]\d{2}:?\d{2})?$/
const minuteMs = 60_000

/** Reads `2026-11-20T18:00:00Z`, `2026-11-20 18:00+01:00` and the like; `undefined` where that is no moment. */
export function parseMoment(text: string): Moment | undefined {
  const match = shape.exec(text)
  if (match === null) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((part) => Number(part ?? 0))
  if (hour > 23 || minute > 59 || second > 59) return undefined
  const wholeMs = Date.UTC(year, month - 1, day, hour, minute, second)
  // A day or month out of range would count on into the next one. Years below 100 would become 19xx.
  const date = new Date(wholeMs)
  if (date.getUTCFullYear() !== year || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day)
    return undefined
  const offsetMs = zoneMs(match[8])
  if (offsetMs === undefined) return undefined
  return { atMs: wholeMs + Number(match[7] ?? 0) * 1_000 - offsetMs, hasZone: match[8] !== undefined }
}

function zoneMs(zone: string | undefined): number | undefined {
  if (zone === undefined || zone.toUpperCase() === 'Z') return 0
  const hours = Number(zone.slice(1, 3))
  const minutes = Number(zone.slice(-2))
  if (hours > 23 || minutes > 59) return undefined
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * minuteMs
}
