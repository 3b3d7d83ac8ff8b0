/**
 * Assertions of the Raft core: always on, with the facts that a post-mortem needs.
 *
 * Invariant: a broken rule throws an `AssertionError` before the state changes any further. It means that the log or
 * the caller can no longer be trusted, so the caller may report the error and must not use the node again.
 */

export type Facts = Readonly<Record<string, unknown>>

/** A rule of the protocol, or of the contract with the caller, was broken. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
  /** The rule in words, without the facts; `message` has both. */
  readonly rule: string
  readonly facts: Facts

  constructor(rule: string, facts: Facts = {}) {
    super(`${rule}${describe(facts)}`)
    this.rule = rule
    this.facts = facts
  }
}

/** Ends the work with an AssertionError. Hot paths test first and call this, so that facts cost nothing. */
export function fail(rule: string, facts?: Facts): never {
  throw new AssertionError(rule, facts)
}

/** For paths where building `facts` each time does not matter. */
export function assert(condition: unknown, rule: string, facts?: Facts): asserts condition {
  if (!condition) fail(rule, facts)
}

function describe(facts: Facts): string {
  const parts = Object.entries(facts).map(([key, value]) => `${key}=${text(value)}`)
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`
}

function text(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(text).join(' ')}]`
  return typeof value === 'object' && value !== null ? `{${describe(value as Facts).trim()}}` : String(value)
}
