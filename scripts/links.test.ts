/**
 * Every path, command and link of the pages exists, and every page that the code cites.
 *
 * Pages are all Markdown files outside `testdata`. Commands are held to package.json and to what the command line
 * itself prints with `--help`.
 *
 * Invariant: what a reader can follow or type leads somewhere. Source: docs/style.md, "Comments".
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const text = (path: string): string => readFileSync(join(root, path), 'utf8')

function* walk(folder = ''): Generator<string> {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (/^(node_modules|dist|data|coverage|\.git|\.dist-.*)$/.test(entry.name)) continue
    if (entry.isDirectory()) {
      yield `${path}/`
      yield* walk(path)
    } else yield path
  }
}

const everything = [...walk()]
const pages = everything.filter((path) => path.endsWith('.md') && !path.includes('testdata/'))

interface Code {
  readonly page: string
  readonly code: string
}

/** Fenced lines and inline code of all pages. */
const codes: Code[] = pages.flatMap((page) => {
  const fences = [...text(page).matchAll(/^```\w*\n([\s\S]*?)^```/gm)].flatMap((match) =>
    (match[1] as string).replaceAll('\\\n', ' ').split('\n'),
  )
  const prose = text(page).replace(/^```\w*\n[\s\S]*?^```/gm, '')
  const inline = [...prose.matchAll(/`([^`]+)`/g)].map((match) => (match[1] as string).replace(/\s+/g, ' '))
  return [...fences, ...inline].map((code) => ({ page, code }))
})

/** Anchors of a page, as a forge makes them of headings. */
function anchorsOf(page: string): string[] {
  return [...text(page).matchAll(/^#+ (.*)$/gm)].map((match) =>
    (match[1] as string)
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

/** `a/{b,c}.ts` as `a/b.ts` and `a/c.ts`. */
function expanded(path: string): string[] {
  const match = /^(.*)\{(.*)\}(.*)$/.exec(path)
  if (match === null) return [path]
  return (match[2] as string).split(',').map((part) => `${match[1]}${part}${match[3]}`)
}

/** Names with the form of a path that stand for others. */
const placeholders = new Set(['x.test.ts', 'kebab-case.ts', 'martillo.v1.json'])

/** Whether inline code is meant as a path: it names a file of ours, or a folder with a slash at its end. */
function isPath(code: string): boolean {
  if (placeholders.has(code)) return false
  if (!/^!?[\w.{},*-]+(\/[\w.{},*-]+)*\/?$/.test(code)) return false
  return /\.(ts|mjs|md|json|grit|css|html|csv|yml)$/.test(code) || code.endsWith('/')
}

/** A path from the root, from its page, or the end of one. Data that a house writes is no file of ours. */
function isThere(page: string, path: string): boolean {
  const wanted = path.replace(/^!/, '').replace(/^\.\//, '')
  if (wanted.startsWith('data/') || wanted.includes('*')) return true
  const near = normalize(join(dirname(page), wanted))
  return everything.some((one) => one === wanted || one === near || one.endsWith(`/${wanted}`))
}

it('every link of a page leads to a file and a heading that exist', () => {
  const links = pages.flatMap((page) =>
    [...text(page).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => ({ page, to: match[1] as string })),
  )
  expect(links.length).toBeGreaterThan(20)
  const broken = links.filter(({ page, to }) => {
    if (/^(https?|mailto):/.test(to)) return false
    const [path = '', anchor] = to.split('#')
    const target = path === '' ? page : normalize(join(dirname(page), path))
    if (!existsSync(join(root, target))) return true
    return anchor !== undefined && !anchorsOf(target).includes(anchor)
  })
  expect(broken).toEqual([])
})

it('every path in a page exists', () => {
  const paths = codes.filter(({ code }) => isPath(code))
  expect(paths.length).toBeGreaterThan(80)
  const missing = paths.filter(({ page, code }) => !expanded(code).every((path) => isThere(page, path)))
  expect(missing).toEqual([])
})

it('every npm and npx command in a page exists', () => {
  const { scripts } = JSON.parse(text('package.json')) as { scripts: Record<string, string> }
  const steps = text('scripts/test.mjs')
  const benches = text('bench/main.ts')
  const drills =
    text('scripts/chaos.ts') +
    everything
      .filter((path) => /^tests\/drills\/.*\.ts$/.test(path))
      .map(text)
      .join('')
  const wrong: string[] = []
  let count = 0
  for (const { page, code } of codes) {
    for (const [, name, rest = ''] of code.matchAll(/\bnpm (?:run )?(?:--silent )?([a-z][\w:-]*)([^#|]*)/g)) {
      count += 1
      const isOwn =
        /^(ci|install|ls|audit|pack)$/.test(name as string) || Object.hasOwn(scripts, name as string)
      if (!isOwn) wrong.push(`${page}: npm run ${name}`)
      for (const [, step] of rest.matchAll(/--only ([a-z]+)/g))
        if (!new RegExp(`\\b${step}\\b`).test(steps)) wrong.push(`${page}: ${code}`)
      const what = /-- ([a-z][a-z-]*)/.exec(rest)?.[1]
      const known = name === 'bench' ? benches : name === 'chaos' ? drills : undefined
      if (what !== undefined && known !== undefined && !new RegExp(`['"]?\\b${what}\\b`).test(known))
        wrong.push(`${page}: ${code}`)
    }
    for (const [, name] of code.matchAll(/\bnpx ([a-z][\w-]*)/g)) {
      count += 1
      if (name !== 'martillo' && !existsSync(join(root, 'node_modules/.bin', name as string)))
        wrong.push(`${page}: npx ${name}`)
    }
  }
  expect(wrong).toEqual([])
  expect(count).toBeGreaterThan(40)
})

/** Every verb of the command line with its options; asked of commander itself, where `main.ts` would parse. */
function verbsOfMartillo(): Map<string, readonly string[]> {
  const source = `
    import { Command } from 'commander'
    const dump = (verb, path) => [
      [path, verb.options.map(({ long }) => long)],
      ...verb.commands.flatMap((one) => dump(one, (path + ' ' + one.name()).trim())),
    ]
    Command.prototype.parseAsync = async function () { console.log(JSON.stringify(dump(this, ''))) }
    await import('./main.ts')`
  const args = ['--import', 'tsx', '--input-type=module', '--eval', source]
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' })
  expect(stderr).toBe('')
  return new Map(JSON.parse(stdout) as [string, string[]][])
}

it('every verb of martillo in a page, with its options, is one that the command line knows', () => {
  const verbs = verbsOfMartillo()
  const wrong: string[] = []
  const seen = new Set<string>()
  for (const { page, code } of codes) {
    for (const match of code.matchAll(/(?:^|npx |[$(] ?)martillo ([a-z][a-z-]*)((?: [^#|&`]*)?)/g)) {
      const [, first = '', rest = ''] = match
      const second = /^ ([a-z][a-z-]+)/.exec(rest)?.[1]
      const isGroup = [...verbs.keys()].some((verb) => verb.startsWith(`${first} `))
      const verb = isGroup && second !== undefined ? `${first} ${second}` : first
      const options = verbs.get(verb)
      if (options === undefined) wrong.push(`${page}: martillo ${verb}`)
      else seen.add(verb)
      for (const [option] of rest.matchAll(/(?<= )--[a-z][a-z-]*/g))
        if (!['--help', '--version', ...(options ?? [])].includes(option))
          wrong.push(`${page}: martillo ${verb} ${option}`)
    }
  }
  expect(wrong).toEqual([])
  expect(seen.size).toBeGreaterThan(15)
})

it('every page that code cites exists, with the section that it names', () => {
  const cited = everything
    .filter((path) => /\.(ts|mjs|grit|css)$/.test(path) && !path.includes('testdata/'))
    .flatMap((file) => {
      const prose = text(file).replace(/\s*\n\s*(?:\*(?!\/)|\/\/)?\s*/g, ' ')
      return [...prose.matchAll(/\b(docs\/[\w-]+\.md)(?:,? "([^"]{1,60})")?/g)].map(
        ([, page = '', section]) => ({
          file,
          page,
          section,
        }),
      )
    })
  expect(cited.length).toBeGreaterThan(10)
  const broken = cited.filter(({ page, section }) => {
    if (!everything.includes(page)) return true
    return section !== undefined && !text(page).toLowerCase().includes(section.toLowerCase())
  })
  expect(broken).toEqual([])
})

it('the pipeline uses no action but by the full hash of its commit', () => {
  const uses = [...text('.github/workflows/ci.yml').matchAll(/uses: (\S+)/g)].map(
    (match) => match[1] as string,
  )
  expect(uses.length).toBeGreaterThan(0)
  expect(uses.filter((name) => !/@[0-9a-f]{40}$/.test(name))).toEqual([])
})
