/**
 * The checks by name, and the place where the first violation is kept.
 *
 * Invariant: the first violation ends the run; it is recorded and never thrown, because the code under test may
 * lawfully catch what is thrown in it. Source: docs/sim.md, "What is checked".
 */
export type RuleName =
  // docs/design.md, "What must never happen"
  | 'acknowledged bids survive'
  | 'one order'
  | 'price is monotone'
  | 'one hammer'
  | 'reserve'
  | 'late is late'
  | 'secrets stay secret'
  | 'money is integer'
  | 'same index, same hash'
  | 'bounded'
  // docs/sim.md, "What is checked"
  | 'linearizable'
  | 'a retry counts once'
  | 'epochs rise'
  | 'refused means not proposed'
  | 'the auditor agrees'
  | 'one leader a term'
  | 'the feed reports every gap'
  | 'notifications are complete'
  | 'a sound disk is readable'
  | 'nothing ends without a cause'
  | 'a failed write ends the process'
  | 'progress'
  | 'stamps keep to true time'
  | 'one snapshot is enough'

export interface Violation {
  readonly rule: RuleName
  readonly facts: string
  /** Virtual milliseconds from the beginning. */
  readonly elapsedMs: number
}

export class Checks {
  violation: Violation | undefined
  readonly #elapsedMs: () => number
  readonly #onViolation: () => void

  constructor(elapsedMs: () => number, onViolation: () => void) {
    this.#elapsedMs = elapsedMs
    this.#onViolation = onViolation
  }

  violate(rule: RuleName, facts: string): void {
    if (this.violation !== undefined) return
    this.violation = { rule, facts, elapsedMs: Math.round(this.#elapsedMs()) }
    this.#onViolation()
  }

  hold(condition: boolean, rule: RuleName, facts: () => string): void {
    if (!condition) this.violate(rule, facts())
  }
}

/** Whether two plain values (numbers, strings, booleans, arrays, objects) are equal; absent fields are undefined. */
export function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  const keys = new Set([...Object.keys(a), ...Object.keys(b)])
  for (const key of keys) {
    if (!isSame((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key])) return false
  }
  return true
}
