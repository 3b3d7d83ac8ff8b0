/**
 * Holds the lint's allow-list and the real imports to the table of rooms.
 *
 * Three things are compared: the table in ARCHITECTURE.md, the overrides in biome.json, and what the files import.
 * Then imports that must fail are planted in a copy of every room, and the lint is run on them.
 *
 * Invariant: an import that the table does not list cannot reach main, the table lists none that is not used, and no
 * files import each other in a circle.
 * Source: docs/style.md, "Rooms".
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, normalize, relative } from 'node:path'
import { expect, it } from 'vitest'
import {
  allOverrides,
  isFile,
  isOfRooms,
  isTest,
  levelsOf,
  type Room,
  readRooms,
  readText,
  root,
} from './rooms.ts'

const rooms = readRooms(readText('ARCHITECTURE.md'))
const config = JSON.parse(readText('biome.json')) as { overrides: Parameters<typeof isOfRooms>[0][] }

function* codeFiles(folder = ''): Generator<string> {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (/^(node_modules|dist|data|coverage|testdata|\..*)$/.test(entry.name)) continue
    if (entry.isDirectory()) yield* codeFiles(path)
    else if (/\.(ts|mjs)$/.test(path) && !/^vite\w*\.config\.ts$/.test(path)) yield path
  }
}

const isIn = (file: string, path: string): boolean => file === path || file.startsWith(`${path}/`)

const indexOf = (file: string): number =>
  rooms.findIndex((room) => room.paths.some((path) => isIn(file, path)))

function roomOf(file: string): Room {
  const room = rooms[indexOf(file)]
  if (room === undefined) throw new Error(`${file} is in no room of ARCHITECTURE.md`)
  return room
}

/** What a file imports, comments left out: paths from the root, names of packages as they are. */
function importsOf(file: string): string[] {
  const code = readText(file)
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/^\s*\/\/.*$/gm, '')
  const found = [
    ...code.matchAll(/^(?:import|export)\b[^'"`;=]*?\bfrom '([^'\n]+)'/gm),
    ...code.matchAll(/^import '([^'\n]+)'/gm),
    ...code.matchAll(/\bimport\('([^'\n]+)'\)/g),
  ].map((match) => match[1] as string)
  return found.map((name) => (name.startsWith('.') ? normalize(join(dirname(file), name)) : name))
}

interface Import {
  readonly file: string
  readonly target: string
}

const imports: Import[] = [...codeFiles()]
  .filter((file) => !isTest(file))
  .flatMap((file) => importsOf(file).map((target) => ({ file, target })))
const isPackage = (target: string): boolean =>
  !/\.(ts|mjs|css|html|json)$/.test(target) || /^[@\w][^/]*\/.*\.css$/.test(target)
const ofHouse = imports.filter(({ target }) => indexOf(target) >= 0)
const ofPackages = imports.filter(({ target }) => indexOf(target) < 0 && isPackage(target))
const crossing = ofHouse.filter(({ file, target }) => indexOf(file) !== indexOf(target))

function takes(names: readonly string[], name: string): boolean {
  return names.some((one) =>
    one === 'node:*' ? name.startsWith('node:') : name === one || name.startsWith(`${one}/`),
  )
}

it('the walk sees the imports: all files are in a room, and known ones are found', () => {
  for (const file of codeFiles()) if (!isTest(file)) roomOf(file)
  expect(ofHouse.length).toBeGreaterThan(1_000)
  expect(ofPackages.length).toBeGreaterThan(150)
  expect(ofHouse).toContainEqual({ file: 'server/server.ts', target: 'state-cluster/index.ts' })
  expect(ofPackages).toContainEqual({ file: 'state-cluster/storage/lmdb-store.ts', target: 'lmdb' })
})

it('biome.json allows exactly what the table of ARCHITECTURE.md lists (npm run rooms)', () => {
  expect(config.overrides.filter(isOfRooms)).toEqual(JSON.parse(JSON.stringify(allOverrides(rooms))))
})

it('no import leads outside the table', () => {
  const outside = crossing.filter((one) => {
    const room = roomOf(one.file)
    const isSeen = room.sees.some((path) => isIn(one.target, path))
    const isExcepted = room.except.some((path) => isIn(one.target, path))
    return !isSeen || isExcepted || isTest(one.target)
  })
  expect(outside).toEqual([])
  expect(ofPackages.filter(({ file, target }) => !takes(roomOf(file).packages, target))).toEqual([])
  expect(imports.filter(({ target }) => builtinModules.includes(target))).toEqual([])
})

it('the table lists nothing that is not imported', () => {
  const unused = rooms.flatMap((room) => {
    const own = imports.filter(({ file }) => roomOf(file) === room).map(({ target }) => target)
    const paths = room.sees.filter((path) => !own.some((target) => isIn(target, path)))
    const packages = room.packages.filter((name) => !own.some((target) => takes([name], target)))
    return [...paths, ...packages].map((what) => `${room.name}: ${what}`)
  })
  expect(unused).toEqual([])
})

it('no arrow points upward, and so none goes in a circle', () => {
  const upward = crossing.filter((one) => indexOf(one.target) > indexOf(one.file))
  expect(upward).toEqual([])
  const listed = rooms.flatMap((room, at) =>
    room.sees.filter((path) => indexOf(path) >= at).map((path) => `${room.name}: ${path}`),
  )
  expect(listed).toEqual([])
})

it('no files import each other in a circle, for types neither', () => {
  const targetsOf = new Map([...codeFiles()].map((file) => [file, importsOf(file)]))
  expect(targetsOf.size).toBeGreaterThan(600)
  expect(circleIn(targetsOf)).toBeUndefined()
  const planted = new Map([
    ['a.ts', ['b.ts']],
    ['b.ts', ['d.ts', 'c.ts']],
    ['c.ts', ['b.ts']],
  ])
  expect(circleIn(planted)).toEqual(['b.ts', 'c.ts', 'b.ts'])
})

it('the lint refuses a planted upward import, an unlisted one and a package, in every room', () => {
  const folder = mkdtempSync(join(tmpdir(), 'martillo-rooms-'))
  try {
    cpSync(join(root, 'scripts/lint'), join(folder, 'scripts/lint'), { recursive: true })
    writeFileSync(join(folder, 'biome.json'), JSON.stringify({ ...config, vcs: { enabled: false } }))
    const planted: string[] = []
    for (const [at, room] of rooms.entries()) {
      const hidden = rooms.filter((other, where) => where !== at && !isSeen(room, other))
      for (const file of placesOf(room)) {
        const names = [...hidden.map((other) => importOf(file, doorOf(other))), 'left-pad']
        mkdirSync(dirname(join(folder, file)), { recursive: true })
        writeFileSync(join(folder, file), names.map((name) => `import '${name}'\n`).join(''))
        planted.push(...names.map((_, line) => `${file}:${line + 1}`))
      }
    }
    expect(planted.length).toBeGreaterThan(300)
    const result = spawnSync(
      join(root, 'node_modules/.bin/biome'),
      ['lint', '--only=style/noRestrictedImports', '--max-diagnostics=none', '--reporter=github', '.'],
      { cwd: folder, encoding: 'utf8', maxBuffer: 1 << 28 },
    )
    const refused = [...result.stdout.matchAll(/file=([^,]+),line=(\d+)/g)]
    expect(new Set(refused.map(([, file, line]) => `${relative(folder, file as string)}:${line}`))).toEqual(
      new Set(planted),
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
})

/** A circle of imports, from a file back to itself; `undefined` where there is none. */
function circleIn(targetsOf: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const finished = new Set<string>()
  const path: string[] = []
  const visit = (file: string): string[] | undefined => {
    const start = path.indexOf(file)
    if (start >= 0) return [...path.slice(start), file]
    if (finished.has(file)) return undefined
    path.push(file)
    for (const target of targetsOf.get(file) ?? []) {
      const circle = visit(target)
      if (circle !== undefined) return circle
    }
    path.pop()
    finished.add(file)
    return undefined
  }
  for (const file of targetsOf.keys()) {
    const circle = visit(file)
    if (circle !== undefined) return circle
  }
  return undefined
}

/** Whether a row lists any part of another room. */
function isSeen(room: Room, other: Room): boolean {
  return other.paths.some((path) => room.sees.some((seen) => isIn(seen, path) || isIn(path, seen)))
}

/** A file for each level of folders in a room. */
function placesOf({ paths }: Room): string[] {
  const path = paths[0] as string
  return isFile(path) ? [path] : levelsOf(path).map((level) => `${path}${'/x'.repeat(level)}/planted.ts`)
}

function doorOf(room: Room): string {
  const path = room.paths[0] as string
  return isFile(path) ? path : `${path}/anything.ts`
}

function importOf(file: string, target: string): string {
  const way = relative(dirname(file), target)
  return way.startsWith('.') ? way : `./${way}`
}
