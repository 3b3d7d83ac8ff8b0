/**
 * What the seller wrote about an auction: its text, and its facts by name.
 * Invariant: a text and the plain fields of an object are shown; any other shape is left out.
 */
import { h } from './dom.ts'
import { termsList } from './terms-list.ts'

/** The elements that show an auction's `item`; none where it has nothing to show. */
export function descriptionOf(item: unknown): readonly HTMLElement[] {
  if (typeof item === 'string') return paragraphs(item)
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return []
  const { description, ...others } = item as Record<string, unknown>
  const facts = Object.entries(others).filter(([, value]) => isPlain(value))
  return [
    ...(typeof description === 'string' ? paragraphs(description) : []),
    ...(facts.length === 0 ? [] : [termsList(facts.map(([name, value]) => [name, String(value)]))]),
  ]
}

function isPlain(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

function paragraphs(text: string): HTMLElement[] {
  return text.split(/\n{2,}/).map((paragraph) => h('p', {}, paragraph.trim()))
}
