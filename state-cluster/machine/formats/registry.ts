/**
 * The formats of this build: one line each. Invariant: a name, once released, is never given to other rules,
 * because rows and logs carry it.
 */
import { english } from './english.ts'
import type { Format } from './format.ts'

export const formats: readonly Format[] = [english]

const byName: ReadonlyMap<string, Format> = new Map(formats.map((format) => [format.name, format]))

export function formatOf(name: string): Format | undefined {
  return byName.get(name)
}
