/**
 * Reading the arguments of a directive as numbers, flags and node ids.
 *
 * Invariant: what cannot be read throws `UsageError`, which fails the file: a scenario that says something
 * unreadable is never run half.
 */
import type { Argument } from './data-driven.ts'

/** A directive is used wrongly; the file is at fault, not the core. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** An unsigned decimal integer. */
export function integer(text: string | undefined, what: string): number {
  if (text === undefined || !/^\d+$/.test(text)) throw new UsageError(`${what} must be a number, not ${text}`)
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new UsageError(`${what} is too large: ${text}`)
  return value
}

export function flag(text: string, what: string): boolean {
  if (text === 'true' || text === '1' || text === 't') return true
  if (text === 'false' || text === '0' || text === 'f') return false
  throw new UsageError(`${what} must be true or false, not ${text}`)
}

/** The bare arguments, as node ids. */
export function nodeIds(args: readonly Argument[]): number[] {
  return args.filter((arg) => arg.values.length === 0).map((arg) => integer(arg.key, 'a node id'))
}

/** The first argument, as a node id. */
export function firstNodeId(args: readonly Argument[]): number {
  return integer(args[0]?.key, 'the node id')
}

/** The single value of `key=`. */
export function namedInteger(args: readonly Argument[], key: string): number {
  return integer(args.find((arg) => arg.key === key)?.values[0], key)
}
