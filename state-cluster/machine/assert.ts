/**
 * Assertions of the auction machine, always on, with facts for the post-mortem.
 *
 * After a broken invariant the state cannot be trusted. Code that catches an `InvariantError` may report it and must
 * not continue with that state: the process ends and starts again from the log. Leaves the end of the process to main.
 *
 * Invariant: the facts of an error never contain a reserve or a maximum bid.
 * Source: docs/style.md "Errors" 3.
 */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
  /** The rule in words, without the facts; `message` has both. */
  readonly rule: string

  constructor(rule: string, facts: Readonly<Record<string, string | number | undefined>>) {
    const parts = Object.entries(facts).map(([key, value]) => `${key}=${value}`)
    super(parts.length === 0 ? rule : `${rule} (${parts.join(', ')})`)
    this.rule = rule
  }
}

/** Throws. Hot paths test the condition themselves, so that the facts cost nothing while it holds. */
export function fail(rule: string, facts: Readonly<Record<string, string | number | undefined>> = {}): never {
  throw new InvariantError(rule, facts)
}
