/**
 * Whether a lone voter may start with the clock of its machine.
 *
 * Several nodes compare their clocks; a lone one has only the last stamp to compare with. Invariant: house time is not
 * carried on from a clock that is earlier than the last stamp or months later, unless an operator accepts it.
 * Source: docs/spec.md TIME5.
 */

/** A clock this much before the last stamp is wrong, or the stamps are; less is corrected slowly. */
export const behindMsMax = 60_000
/** A house that was down for longer is rare; a clock that is wrong by years is not. */
const aheadMsMax = 30 * 24 * 3_600_000

/** The machine's clock cannot be right, or the stamps in the folder are not. */
export class ClockError extends Error {
  override readonly name = 'ClockError'
  readonly code = 'clock_impossible'
  readonly retryable = false
}

/** Throws ClockError. `lastStampMs` 0: there is none yet. */
export function checkStartClock(lastStampMs: number, wallMs: number): void {
  const offMs = wallMs - lastStampMs
  if (lastStampMs === 0 || (offMs >= -behindMsMax && offMs <= aheadMsMax)) return
  const dates = `this machine's clock shows ${isoOf(wallMs)}, and the last entry was made at ${isoOf(lastStampMs)}`
  throw new ClockError(
    offMs < 0
      ? `${dates}, which is later: set the clock and start again. If the clock is right and the entry is not, ` +
          'start with --accept-clock and shift the time of the house with martillo house shift-clock'
      : `${dates}, more than 30 days ago: set the clock and start again, or, if it is right, start with --accept-clock`,
  )
}

function isoOf(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? `${ms} ms after 1970` : date.toISOString()
}
