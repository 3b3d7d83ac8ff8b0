/**
 * Assertions: conditions that are never false in a correct program.
 *
 * They are on in production. Wrong input and a failing disk are not invariants; they have their own errors.
 * Invariant: nothing catches an `InvariantError` to continue; the process ends and starts again from the log. Only
 * the cluster link ends the session whose request broke one (docs/spec.md LINK12).
 * Source: docs/style.md, "Errors", 3.
 */

export class InvariantError extends Error {
  readonly code = 'invariant_broken'
  readonly retryable = false
  constructor(message: string) {
    super(`invariant broken: ${message}`)
    this.name = 'InvariantError'
  }
}

/** Throws `InvariantError` unless the condition holds. The message states what should have been true. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message)
}

/** For the branch that a closed union leaves over: a compile error where a case is missing. */
export function assertNever(value: never, message: string): never {
  throw new InvariantError(`${message}: ${String(value)}`)
}
