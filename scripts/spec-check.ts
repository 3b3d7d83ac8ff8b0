/**
 * Compares docs/spec.md with the titles of the tests.
 *
 * `npm test -- --only spec` runs it. A rule is a list item that begins `**BID1**`. Exit code 1, with the names, when
 * one is missing on either side.
 *
 * Invariant: every rule begins the title of at least one test, and every number in a title is a rule.
 * Source: docs/style.md, "Tests".
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const skipped = new Set(['node_modules', 'dist', '.git', 'data', 'coverage'])

function* testFiles(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (skipped.has(entry.name) || entry.name.startsWith('.')) continue
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* testFiles(path)
    else if (/\.test\.ts$|contract\.ts$/.test(entry.name)) yield path
  }
}

const spec = readFileSync(join(root, 'docs/spec.md'), 'utf8')
const rules = [...spec.matchAll(/^\s*[-*] \*\*([A-Z]+\d+)\*\*/gm)].map((match) => match[1] as string)
const repeated = rules.filter((rule, at) => rules.indexOf(rule) !== at)
const families = new Set(rules.map((rule) => rule.replace(/\d+$/, '')))

const tested = new Map<string, string>()
for (const path of testFiles(root)) {
  const source = readFileSync(path, 'utf8')
  for (const match of source.matchAll(
    /\b(?:it|test|describe)(?:\.\w+)*\(\s*(['"`])((?:[A-Z]+\d+[ ,:&]*(?:and )?)+)/g,
  )) {
    for (const rule of (match[2] as string).match(/[A-Z]+\d+/g) ?? []) tested.set(rule, relative(root, path))
  }
}

const untested = rules.filter((rule) => !tested.has(rule))
const unknown = [...tested].filter(
  ([rule]) => families.has(rule.replace(/\d+$/, '')) && !rules.includes(rule),
)
for (const rule of repeated) console.error(`spec: ${rule} stands twice in docs/spec.md`)
for (const rule of untested) console.error(`spec: ${rule} has no test whose title begins with it`)
for (const [rule, path] of unknown)
  console.error(`spec: ${path} names ${rule}, which docs/spec.md does not have`)
const wrong = repeated.length + untested.length + unknown.length
console.log(`spec: ${rules.length} rules, ${rules.length - untested.length} tested`)
process.exit(wrong > 0 || rules.length === 0 ? 1 : 0)
