/**
 * The table of rooms in ARCHITECTURE.md, and the allow-list made of it.
 *
 * Each row names a folder (or loose files of one), the rooms or files that it may import, and the packages.
 * `npm run rooms` writes the matching overrides into biome.json, so that the lint refuses every other import;
 * `rooms.test.ts` holds biome.json and the real imports to the table.
 *
 * Invariant: rows stand bottom to top, and a room sees only rows above its own row in the table: no upward import,
 * no circle. Source: docs/style.md, "Rooms".
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

export interface Room {
  readonly name: string
  /** One folder, or the loose files of a row such as `server/{config,metrics}.ts`; from the root. */
  readonly paths: readonly string[]
  /** Folders and files that it may import; from the root. */
  readonly sees: readonly string[]
  /** Parts of those that it may not import all the same. */
  readonly except: readonly string[]
  /** npm packages, `node:x`, or `node:*`. */
  readonly packages: readonly string[]
}

/** What tests may import beside every room but these. */
export const testPackages = [
  '@aws-sdk/client-sqs',
  'fast-check',
  'jose',
  'msgpackr',
  'node:*',
  'playwright-core',
  'standardwebhooks',
  'vitest',
  'ws',
]
const neverInTests = ['sim', 'bench', 'scripts', 'examples']

const testGlobs = ['**/*.test.ts', '**/testing/**', '**/*contract.ts']

export function isTest(path: string): boolean {
  return /\.test\.ts$|(^|\/)testing\/|contract\.ts$/.test(path)
}

export const isFile = (path: string): boolean => /\.\w+$/.test(path)

/** `a/{b,c}.ts` as `a/b.ts` and `a/c.ts`. */
function expanded(path: string): string[] {
  const match = /^(.*)\{(.*)\}(.*)$/.exec(path)
  if (match === null) return [path]
  return (match[2] as string).split(',').map((part) => `${match[1]}${part}${match[3]}`)
}

/** The rooms of the table whose first column is `room`, from bottom to top. */
export function readRooms(markdown: string): Room[] {
  const lines = markdown.split('\n')
  const head = lines.findIndex((line) => line.startsWith('| room |'))
  const rooms: Room[] = []
  for (const line of lines.slice(head + 2)) {
    if (!line.startsWith('|')) break
    const cells = line
      .split('|')
      .map((cell) => [...cell.matchAll(/`([^`]+)`/g)].map((item) => item[1] as string))
    const name = (cells[1]?.[0] ?? '').replace(/\/$/, '')
    const resolve = (item: string): string[] => expanded(resolved(item, dirname(name), rooms))
    const seen = cells[3] ?? []
    rooms.push({
      name,
      paths: expanded(name),
      sees: seen.filter((item) => !item.startsWith('!')).flatMap(resolve),
      except: seen.filter((item) => item.startsWith('!')).flatMap((item) => resolve(item.slice(1))),
      packages: cells[4] ?? [],
    })
  }
  return rooms
}

/** Files and rooms of the same parent are named without it: `raft` in a row of `state-cluster`. */
function resolved(item: string, parent: string, rooms: readonly Room[]): string {
  const sibling = `${parent}/${item}`
  const isNear = expanded(sibling).every((path) =>
    rooms.some(({ paths }) => paths.some((one) => path === one || path.startsWith(`${one}/`))),
  )
  return parent !== '.' && isNear ? sibling : item
}

/** Folders of code in a room, as levels below it: 0 is the room itself. */
export function levelsOf(path: string, level = 0): number[] {
  const entries = readdirSync(join(root, path), { withFileTypes: true })
  const hasCode = entries.some(({ name }) => /\.(ts|mjs)$/.test(name) && !isTest(name))
  const below = entries
    .filter((entry) => entry.isDirectory() && !/^(testing|testdata)$/.test(entry.name))
    .flatMap(({ name }) => levelsOf(`${path}/${name}`, level + 1))
  return [...new Set([...(hasCode ? [level] : []), ...below])].sort()
}

/** Where a file of this room at this level looks for a path, as an import writes it. */
function importOf(from: string, path: string): string {
  const way = relative(from, path)
  const start = way.startsWith('.') ? way : `./${way}`
  return isFile(path) ? start : `${start}/**`
}

const packageGlobs = (name: string): string[] =>
  name === 'node:*' ? ['!node:*', '!node:*/**'] : [`!${name}`, `!${name}/**`]

interface Override {
  readonly includes: readonly string[]
  readonly linter: unknown
}

function override(includes: readonly string[], group: readonly string[], message: string): Override {
  const options = { patterns: [{ group, message }] }
  return { includes, linter: { rules: { style: { noRestrictedImports: { level: 'error', options } } } } }
}

/** The last pattern that matches decides: all is denied, then what the row lists is allowed. */
function overridesOf(room: Room): Override[] {
  const message = `${room.name} imports only what its row in ARCHITECTURE.md lists. Add it there if the arrow is right, then npm run rooms.`
  const isFolder = !isFile(room.paths[0] as string)
  const home = room.paths[0] as string
  const levels = isFolder ? levelsOf(home) : [0]
  return levels.map((level) => {
    const from = isFolder ? home + '/x'.repeat(level) : dirname(home)
    const own = isFolder
      ? ['!./**', ...(level > 0 ? [`!${'../'.repeat(level)}**`, `${'../'.repeat(level + 1)}**`] : [])]
      : room.paths.map((path) => `!${importOf(from, path)}`)
    const files = isFolder ? [`${home}/${'*/'.repeat(level)}*`] : room.paths
    const group = [
      '**',
      ...own,
      ...room.sees.map((path) => `!${importOf(from, path)}`),
      ...room.except.map((path) => importOf(from, path)),
      ...testGlobs,
      ...room.packages.flatMap(packageGlobs),
    ]
    return override([...files, ...testGlobs.map((glob) => `!${glob}`)], group, message)
  })
}

export function allOverrides(rooms: readonly Room[]): Override[] {
  const group = [
    '**',
    '!./**',
    '!../**',
    ...neverInTests.map((name) => `../**/${name}/**`),
    ...testPackages.flatMap(packageGlobs),
  ]
  const message =
    'Tests may import every room but the simulator, bench, scripts and examples, and the packages of rooms.ts.'
  const own = neverInTests.flatMap((name) => [`!${name}/**`])
  return [...rooms.flatMap(overridesOf), override([...testGlobs, ...own], group, message)]
}

/** Whether an override is one of the allow-list. */
export function isOfRooms(one: { readonly linter?: { rules?: { style?: object } } }): boolean {
  return one.linter?.rules?.style !== undefined && 'noRestrictedImports' in one.linter.rules.style
}

export const readText = (path: string): string => readFileSync(join(root, path), 'utf8')

if (argv[1] !== undefined && statSync(argv[1]).isFile() && argv[1].endsWith('rooms.ts')) {
  const config = JSON.parse(readText('biome.json')) as { overrides: object[] }
  const kept = config.overrides.filter((one) => !isOfRooms(one))
  config.overrides = [...kept, ...allOverrides(readRooms(readText('ARCHITECTURE.md')))]
  writeFileSync(join(root, 'biome.json'), JSON.stringify(config, null, 2))
  execFileSync('npx', ['biome', 'format', '--write', 'biome.json'], { cwd: root })
}
