/**
 * The formats of this build, one line each.
 *
 * Leaves a format's rules to its own file, and its interface to format.ts.
 *
 * Invariant: a released name is never given to other rules, because rows and logs contain it.
 * Source: docs/style.md "Adding things".
 */
import { english } from './english.ts'
import type { Format } from './format.ts'

export const formats: readonly Format[] = [english]

const byName: ReadonlyMap<string, Format> = new Map(formats.map((format) => [format.name, format]))

export function formatOf(name: string): Format | undefined {
  return byName.get(name)
}
