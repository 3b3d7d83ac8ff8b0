/**
 * Shows that the lint refuses what it must refuse, by planting it.
 *
 * Invariant: a rule of biome.json that no longer fires fails this test. Source: docs/style.md.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { readText, root } from './rooms.ts'

const folder = mkdtempSync(join(tmpdir(), 'martillo-lint-'))
cpSync(join(root, 'scripts/lint'), join(folder, 'scripts/lint'), { recursive: true })
const config = JSON.parse(readText('biome.json')) as {
  overrides: {
    includes: string[]
    linter?: { rules?: { complexity?: { noExcessiveLinesPerFunction?: string } } }
  }[]
}
writeFileSync(join(folder, 'biome.json'), JSON.stringify({ ...config, vcs: { enabled: false } }))
afterAll(() => rmSync(folder, { recursive: true }))

/** What the lint says to one file that stands at a path of the repository. */
function findings(path: string, source: string): string {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), source)
  const biome = join(root, 'node_modules/.bin/biome')
  const flags = ['lint', '--max-diagnostics=none', '--reporter=github']
  const { stdout, stderr } = spawnSync(biome, [...flags, path], { cwd: folder, encoding: 'utf8' })
  return stdout + stderr
}

function functionOf(lines: number): string {
  const body = Array.from({ length: lines - 2 }, (_, line) => `  sum += ${line}\n`).join('')
  return `export function long(sum: number): number {\n${body}}\n`
}

it('a function of more than 70 lines is refused, one of 70 is not, and tests are free', () => {
  expect(findings('runtime/long.ts', functionOf(80))).toContain('noExcessiveLinesPerFunction')
  expect(findings('runtime/short.ts', functionOf(70))).not.toContain('noExcessiveLinesPerFunction')
  expect(findings('runtime/long.test.ts', functionOf(80))).not.toContain('noExcessiveLinesPerFunction')
})

it('an exception to the 70 lines is taken off the list once its file needs none', () => {
  const lists = config.overrides.filter(
    ({ linter }) => linter?.rules?.complexity?.noExcessiveLinesPerFunction === 'off',
  )
  const paths = lists.flatMap(({ includes }) => includes).filter((path) => !path.startsWith('**'))
  for (const path of paths)
    expect(findings(`runtime/listed-${path.replaceAll('/', '-')}`, readText(path)), path).toContain(
      'noExcessiveLinesPerFunction',
    )
})

it.each(['Date.now()', 'new Date()', 'Math.random()', 'performance.now()', "'a'.localeCompare('b')"])(
  'a pure room does not take %s from its surroundings',
  (expression) => {
    const source = `export const taken = ${expression}\n`
    expect(findings('state-cluster/machine/impure.ts', source)).toContain('This folder is pure')
    expect(findings('runtime/impure.ts', source)).not.toContain('This folder is pure')
  },
)

it('a native package is imported in its one file only', () => {
  expect(findings('state-cluster/storage/other.ts', "import 'lmdb'\n")).toContain('Only one file imports')
  expect(findings('state-cluster/storage/lmdb-store.ts', "import 'lmdb'\n")).not.toContain(
    'Only one file imports',
  )
})

it('a floating promise and a circle of imports are refused', () => {
  writeFileSync(join(folder, 'runtime/circle.ts'), "import './back.ts'\nexport const one = 1\n")
  expect(findings('runtime/back.ts', "import './circle.ts'\n")).toContain('noImportCycles')
  const floating = 'async function late(): Promise<void> {}\nexport function start(): void {\n  late()\n}\n'
  expect(findings('runtime/floating.ts', floating)).toContain('noFloatingPromises')
})
