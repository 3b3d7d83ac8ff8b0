/**
 * Broken invariants: what must never be false in a correct program. On in production. Nothing catches an
 * `InvariantError` to go on: the process ends and starts again from the log; only the cluster link ends
 * the session whose request broke one (docs/spec.md LINK12). A wrong input or a failing disk is
 * not an invariant; those have their own errors. Source: docs/style.md, "Errors", 3.
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
