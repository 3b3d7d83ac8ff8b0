/**
 * Command line of the drills: faults in a deployment of real processes.
 *
 * `npm run --silent chaos -- DRILL …` breaks a deployment under load and audits it from outside. It needs the built
 * dist/. Exit codes: 0 passed, 1 a drill failed, 2 wrong usage.
 *
 * Invariant: no process outlives it; Ctrl-C kills all that it started.
 */
import { parseArgs } from 'node:util'
import type { DrillOptions, DrillReport } from '../tests/drills/drill.ts'
import { drills } from '../tests/drills/index.ts'

const help = `Usage: npm run --silent chaos -- DRILL… [--runs N | --minutes M] [--seed S] [--json]

Starts real processes on this machine (needs npm run build), breaks them while bidders bid, and audits from outside.

${drills.map(({ name, description }) => `  ${name.padEnd(24)}${description}`).join('\n')}

Options:
  --runs N      how often each fault is made
  --minutes M   how long, for all
  --auctions N  how many there are at the beginning, for lag and stall
  --events N    how long their history is; lag at full size: --auctions 100000 --events 10000000
  --seed S      of all chance; default: drawn and printed
  --json        one line of JSON a drill: counts, what clients saw in ms, bounds that were missed, findings
  --help        this text
`

const stopping = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    stopping.abort()
    // A second one ends at once; children end with this process.
    process.once(signal, () => process.exit(130))
  })

function number(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!(value > 0 && Number.isFinite(value))) throw new Error(`${option} takes a number, not ${text}`)
  return value
}

function describe(report: DrillReport): string {
  const lines = [`${report.drill}: ${report.passed ? 'passed' : 'FAILED'} (seed ${report.seed})`]
  for (const [name, count] of Object.entries(report.counts)) lines.push(`  ${name.padEnd(28)}${count}`)
  for (const [name, count] of Object.entries(report.rare ?? {})) lines.push(`  ${name.padEnd(28)}${count}`)
  for (const [name, { count, p50, p99, max }] of Object.entries(report.gapsMs ?? {}))
    lines.push(`  ${name.padEnd(28)}p50 ${p50} ms, p99 ${p99} ms, max ${max} ms (${count})`)
  if (report.machine !== undefined)
    lines.push(`  load average ${report.machine.loadAverage} on ${report.machine.cpus} processors`)
  for (const text of report.leftOut ?? []) lines.push(`  left out: ${text}`)
  for (const text of report.missed) lines.push(`  missed: ${text}`)
  for (const { rule, auctionId, facts } of report.findings) lines.push(`  ${rule}: ${auctionId}: ${facts}`)
  if (report.folder !== undefined) lines.push(`  logs: ${report.folder}`)
  return lines.join('\n')
}

async function main(): Promise<number> {
  let values: {
    runs?: string
    minutes?: string
    seed?: string
    auctions?: string
    events?: string
    json: boolean
    help: boolean
  }
  let chosen: readonly (typeof drills)[number][]
  let runs: number | undefined
  let minutes: number | undefined
  let past: Pick<DrillOptions, 'auctions' | 'events'>
  let seed: number
  try {
    const parsed = parseArgs({
      allowPositionals: true,
      options: {
        runs: { type: 'string' },
        minutes: { type: 'string' },
        seed: { type: 'string' },
        auctions: { type: 'string' },
        events: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    values = parsed.values
    if (values.help) {
      process.stdout.write(help)
      return 0
    }
    if (parsed.positionals.length === 0) throw new Error('which drill?')
    chosen = parsed.positionals.map((name) => {
      const drill = drills.find((known) => known.name === name)
      if (drill === undefined) throw new Error(`there is no drill ${name}`)
      return drill
    })
    runs = number(values.runs, '--runs')
    minutes = number(values.minutes, '--minutes')
    past = { auctions: number(values.auctions, '--auctions'), events: number(values.events, '--events') }
    seed = Math.floor(number(values.seed, '--seed') ?? 1 + Math.random() * 1e6)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${help}`)
    return 2
  }
  let isGood = true
  for (const drill of chosen) {
    if (stopping.signal.aborted) return 1
    const note = (text: string): void => void process.stderr.write(`${drill.name}: ${text}\n`)
    note(`seed ${seed}`)
    const report = await drill.run({ ...past, runs, minutes, seed, note, signal: stopping.signal })
    process.stdout.write(`${values.json ? JSON.stringify(report) : describe(report)}\n`)
    isGood &&= report.passed
  }
  return isGood ? 0 : 1
}

try {
  process.exit(await main())
} catch (error) {
  process.stderr.write(`${stopping.signal.aborted ? 'stopped' : (error as Error).stack}\n`)
  process.exit(1)
}
