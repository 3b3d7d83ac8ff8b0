/**
 * Reads a date and time of a page's field in the reader's zone.
 * Invariant: a time that the clocks skip is none, and one that they show twice is not chosen between. Source: spec
 * MOMENT1.
 */

export type LocalMoment =
  | { readonly ok: true; readonly atMs: number }
  | { readonly ok: false; readonly fault: string }

/** Clocks are moved by at most two hours, in steps of half an hour. */
const shiftsMs = [-4, -3, -2, -1, 1, 2, 3, 4].map((halves) => halves * 30 * 60_000)

/** Reads the value of a `datetime-local` field, as `2026-11-20T18:00`. */
export function localMoment(text: string): LocalMoment {
  const match = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})/.exec(text)
  if (match === null) return { ok: false, fault: 'That is no date and time.' }
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0] = match.slice(1).map(Number)
  const date = new Date(year, month - 1, day, hour, minute)
  const wanted = match[0]
  if (fieldText(date) !== wanted)
    return { ok: false, fault: 'That time does not exist here: the clocks go forward over it.' }
  const atMs = date.getTime()
  if (shiftsMs.some((shiftMs) => fieldText(new Date(atMs + shiftMs)) === wanted))
    return { ok: false, fault: 'That time comes twice here: the clocks go back over it. Choose another.' }
  return { ok: true, atMs }
}

/** The name of the reader's zone, as `Europe/Berlin`. */
export function zoneName(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone
}

function fieldText(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = `${String(date.getFullYear()).padStart(4, '0')}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}`
}
