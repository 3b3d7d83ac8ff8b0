/**
 * Sets the wall clock of one process wrong: loaded before its program (node --import).
 *
 * The time of day is that of the machine and the seconds in the file WRONG_CLOCK_FILE, which may change at any moment.
 * Invariant: the monotonic clock and timers stay as they are, as when an operator sets a machine's clock.
 */
import { readFileSync } from 'node:fs'

const file = process.env['WRONG_CLOCK_FILE']
const rightMs = Date.now
/** How long an offset that was read counts. */
const freshMs = 10
let offsetMs = 0
let readAtMs = Number.NEGATIVE_INFINITY

function wrongMs() {
  const nowMs = performance.now()
  if (file !== undefined && nowMs - readAtMs > freshMs) {
    readAtMs = nowMs
    offsetMs = Math.round(1_000 * Number(readFileSync(file, 'utf8')))
  }
  return rightMs() + offsetMs
}

Date.now = wrongMs
globalThis.Date = new Proxy(Date, {
  construct: (target, args, self) => Reflect.construct(target, args.length === 0 ? [wrongMs()] : args, self),
  apply: () => new Date(wrongMs()).toString(),
})
