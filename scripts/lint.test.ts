/**
 * Shows that the lint refuses what it must refuse, by planting it.
 *
 * All plants stand in one temporary folder with the biome.json of the repository, and the lint runs on it once.
 *
 * Invariant: a rule of biome.json that no longer fires fails this test. Source: docs/style.md.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { readText, root } from './rooms.ts'

const config = JSON.parse(readText('biome.json')) as {
  overrides: {
    includes: string[]
    linter?: { rules?: { complexity?: { noExcessiveLinesPerFunction?: string } } }
  }[]
}

/** Files that may still have a longer function. */
const exceptions = config.overrides
  .filter(({ linter }) => linter?.rules?.complexity?.noExcessiveLinesPerFunction === 'off')
  .flatMap(({ includes }) => includes)
  .filter((path) => !path.startsWith('**'))

const impure = [
  'Date.now()',
  'new Date()',
  'Math.random()',
  'performance.now()',
  "'a'.localeCompare('b')",
  'new Intl.NumberFormat()',
]

function functionOf(lines: number): string {
  const body = Array.from({ length: lines - 2 }, (_, line) => `  sum += ${line}\n`).join('')
  return `export function long(sum: number): number {\n${body}}\n`
}

const copyOf = (path: string): string => `runtime/listed-${path.replaceAll('/', '-')}`
const floating = 'async function late(): Promise<void> {}\nexport function start(): void {\n  late()\n}\n'

const plants: Readonly<Record<string, string>> = {
  'runtime/long.ts': functionOf(80),
  'runtime/short.ts': functionOf(70),
  'runtime/long.test.ts': functionOf(80),
  ...Object.fromEntries(exceptions.map((path) => [copyOf(path), readText(path)])),
  ...Object.fromEntries(
    impure.flatMap((expression, at) => [
      [`state-cluster/machine/impure-${at}.ts`, `export const taken = ${expression}\n`],
      [`runtime/impure-${at}.ts`, `export const taken = ${expression}\n`],
    ]),
  ),
  'state-cluster/storage/other.ts': "import 'lmdb'\n",
  'state-cluster/storage/lmdb-store.ts': "import 'lmdb'\n",
  'runtime/circle.ts': "import './back.ts'\nexport const one = 1\n",
  'runtime/back.ts': "import './circle.ts'\n",
  'runtime/floating.ts': floating,
}

let findings: string[] = []

/** Whether the lint refused a planted file for a reason. */
const refused = (path: string, reason: string): boolean =>
  findings.some((line) => line.includes(`${path},`) && line.includes(reason))

beforeAll(() => {
  const folder = mkdtempSync(join(tmpdir(), 'martillo-lint-'))
  try {
    cpSync(join(root, 'scripts/lint'), join(folder, 'scripts/lint'), { recursive: true })
    writeFileSync(join(folder, 'biome.json'), JSON.stringify({ ...config, vcs: { enabled: false } }))
    for (const [path, source] of Object.entries(plants)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), source)
    }
    const biome = join(root, 'node_modules/.bin/biome')
    const args = ['lint', '--max-diagnostics=none', '--reporter=github', '.']
    const { stdout } = spawnSync(biome, args, { cwd: folder, encoding: 'utf8', maxBuffer: 1 << 28 })
    findings = stdout.split('\n')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

it('a function of more than 70 lines is refused, one of 70 is not, and tests are free', () => {
  expect(refused('runtime/long.ts', 'noExcessiveLinesPerFunction')).toBe(true)
  expect(refused('runtime/short.ts', 'noExcessiveLinesPerFunction')).toBe(false)
  expect(refused('runtime/long.test.ts', 'noExcessiveLinesPerFunction')).toBe(false)
})

it('an exception to the 70 lines leaves the list once its file needs none', () => {
  const stale = exceptions.filter((path) => !refused(copyOf(path), 'noExcessiveLinesPerFunction'))
  expect(stale).toEqual([])
})

it('a pure room takes no clock, random number or locale from its surroundings', () => {
  for (const [at, expression] of impure.entries()) {
    expect(refused(`state-cluster/machine/impure-${at}.ts`, 'This folder is pure'), expression).toBe(true)
    expect(refused(`runtime/impure-${at}.ts`, 'This folder is pure'), expression).toBe(false)
  }
})

it('a native package is imported in its one file only', () => {
  expect(refused('state-cluster/storage/other.ts', 'Only one file imports')).toBe(true)
  expect(refused('state-cluster/storage/lmdb-store.ts', 'Only one file imports')).toBe(false)
})

it('a floating promise and a circle of imports are refused', () => {
  expect(refused('runtime/back.ts', 'noImportCycles')).toBe(true)
  expect(refused('runtime/floating.ts', 'noFloatingPromises')).toBe(true)
})
