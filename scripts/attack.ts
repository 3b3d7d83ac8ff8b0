/**
 * Attacks on a running house: `npm run --silent attack -- --json [POINT…]`.
 *
 * Each file `tests/attack/point-NN.ts` is one case, found by its name: it exports `attack` (see `attack.ts` there),
 * plays it against real processes from dist/ (needs `npm run build`), and gives one line. A new case is a new file and
 * nothing else. Exit codes: 0 all held, 1 something did not, 2 wrong usage.
 *
 * Invariant: cases run one after another, each with processes of its own, so that the memory shown is theirs; none
 * outlives the case.
 */
import { readdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type Attack, type AttackReport, Scene } from '../tests/attack/attack.ts'

const folder = new URL('../tests/attack/', import.meta.url)

const help = `Usage: npm run --silent attack -- [POINT…] [--json]

Plays attacks against real processes on this machine (needs npm run build); all of them unless points are named.

Options:
  --json    one line of JSON an attack: held, what broke, what was measured, memory before and after
  --help    this text

Exit codes: 0 all held, 1 something did not hold, 2 wrong usage.
`

async function attacks(): Promise<readonly Attack[]> {
  const names = readdirSync(folder).filter((name) => /^point-\d\d\.ts$/.test(name))
  const modules = await Promise.all(
    names.sort().map((name) => import(new URL(name, folder).href) as Promise<{ readonly attack: Attack }>),
  )
  return modules.map(({ attack }) => attack)
}

function describe({ point, title, held, broken, facts, memoryMiB, ms }: AttackReport): string {
  const measured = Object.entries(facts).map(([name, value]) => `${name} ${value}`)
  const memory = `memory ${memoryMiB.before} to ${memoryMiB.after} MiB`
  const line = `${held ? 'held  ' : 'BROKEN'} ${point}: ${title} (${[...measured, memory, `${ms} ms`].join(', ')})`
  return [line, ...broken.map((sentence) => `       ${sentence}`)].join('\n')
}

async function main(): Promise<number> {
  let chosen: readonly Attack[]
  let isJson: boolean
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
    })
    if (values.help) {
      process.stdout.write(help)
      return 0
    }
    const all = await attacks()
    for (const point of positionals)
      if (!all.some((attack) => String(attack.point) === point))
        throw new Error(`there is no attack ${point}`)
    chosen = all.filter(({ point }) => positionals.length === 0 || positionals.includes(String(point)))
    isJson = values.json
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${help}`)
    return 2
  }
  let isGood = true
  for (const attack of chosen) {
    const report = await new Scene().play(attack)
    process.stdout.write(`${isJson ? JSON.stringify(report) : describe(report)}\n`)
    isGood &&= report.held
  }
  return isGood ? 0 : 1
}

process.exit(await main())
