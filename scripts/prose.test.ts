/**
 * Holds the words of the repository to docs/glossary.md, and file headers to their form.
 *
 * The banned words are the list at the end of the glossary. Texts are code, comments, test titles and pages;
 * `testdata` and the licence are left out.
 *
 * Invariant: no text has a banned word; every TypeScript file that is no test begins with a header of 3 to 12
 * lines, whose first sentence has at most fifteen words, and which states an invariant. Source: docs/style.md,
 * "Comments".
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const glossary = 'docs/glossary.md'
const text = (path: string): string => readFileSync(join(root, path), 'utf8')

function* files(folder = ''): Generator<string> {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (/^(node_modules|dist|data|coverage|testdata|\..*)$/.test(entry.name)) continue
    if (entry.isDirectory()) yield* files(path)
    else if (/\.(ts|mjs|md|css)$/.test(path)) yield path
  }
}

/** The list under "Banned words": one item of code each; `…` stands for up to six words. */
function bannedWords(): { readonly word: string; readonly pattern: RegExp }[] {
  const [, section = ''] = text(glossary).split('\n## Banned words\n')
  return [...(section.trim().split('\n\n').at(-1) ?? '').matchAll(/`([^`]+)`/g)].map((match) => {
    const word = match[1] as string
    const source = word
      .replace(/^'/, "\\w'")
      .replaceAll(' … ', " (?:[\\w’'`-]+,? ){1,6}")
      .replaceAll(' ', '\\s+')
    return { word, pattern: new RegExp(`(?<![\\w])${source}(?![\\w])`, 'i') }
  })
}

/** A text on one line, without the marks of comments and quotes that wrap it. */
const flat = (source: string): string => source.replace(/\s*\n\s*(?:\*(?!\/)|\/\/|>)?\s*/g, ' ')

function headerFaults(path: string): string[] {
  const header = /^(?:#!.*\n)?\/\*\*([\s\S]*?)\*\//.exec(text(path))?.[0]
  if (header === undefined) return ['has no header']
  const prose = flat(header)
    .replace(/^.*?\/\*\*/, '')
    .replace(/\*\/$/, '')
    .trim()
  const [first = ''] = prose.split(/(?<=[.!?])(?:\s|$)/)
  const words = first.split(/\s+/).filter((word) => /\w/.test(word)).length
  const lines = header.split('\n').length
  return [
    ...(words > 15 ? [`its first sentence has ${words} words`] : []),
    ...(/\bInvariants?\b/.test(header) ? [] : ['states no invariant']),
    ...(lines >= 3 && lines <= 14 ? [] : [`has ${lines} lines`]),
  ]
}

it('no text has a banned word', () => {
  const banned = bannedWords()
  expect(banned.length).toBeGreaterThan(15)
  const found: string[] = []
  for (const path of files()) {
    if (path === glossary) continue
    const prose = flat(text(path))
    for (const { word, pattern } of banned) {
      const match = pattern.exec(prose)
      if (match !== null)
        found.push(`${path}: ${word}: … ${prose.slice(Math.max(0, match.index - 30), match.index + 40)} …`)
    }
  }
  expect(found).toEqual([])
})

it('every file begins with a header: a short first sentence and an invariant', () => {
  const code = [...files()].filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
  expect(code.length).toBeGreaterThan(300)
  const found = code.flatMap((path) => headerFaults(path).map((fault) => `${path}: ${fault}`))
  expect(found).toEqual([])
})

it('the checks can fail', () => {
  const isBanned = (sentence: string): boolean =>
    bannedWords().some(({ pattern }) => pattern.test(flat(sentence)))
  expect(isBanned("/** It is nobody's\n * aff" + 'air. */')).toBe(true)
  expect(isBanned(['W', 'hoever reads this'].join(''))).toBe(true)
  expect(isBanned('What is due for an auction\n// is decided later')).toBe(true)
  expect(isBanned('what it is, and that is all; letters in a row; a limber retold knocker')).toBe(false)
})
