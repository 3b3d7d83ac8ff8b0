/**
 * Command line of the simulator of the whole cluster.
 *
 * It prints the seed and all options first; a violation comes with the command that repeats it. Exit codes: 0 nothing
 * violated (and, with --planted, every planted fault found), 1 violated or missed, 2 wrong usage.
 *
 * Invariant: the same seed and options print the same output. Source: docs/sim.md.
 */
import { closeSync, openSync, writeSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { hunt, huntSeedsMax, isCaught } from '../sim/hunt.ts'
import { type FaultName, faultNames } from '../sim/options.ts'
import { type Plant, plantNamed, plants } from '../sim/planted.ts'
import { type RunRequest, type RunResult, run } from '../sim/run.ts'

const help = `Usage: npm run --silent sim -- [--seed N] [--seeds K | --planted] [--plant NAME | --world NAME] [--minutes M]
       [--fault NAME]… [--history FILE] [--json]

Runs state nodes, servers and clients in one thread and virtual time under one seed, with everything that can go wrong
with clocks, network, disks and processes, and checks the list "What must never happen" of the design.

Options:
  --seed N          one run; default 1. The same seed gives the same run and the same output
  --seeds K         K runs, from --seed on; progress on standard error
  --minutes M       virtual minutes with faults; default 2
  --fault NAME      only this kind of fault (repeatable); "list" names them, "none" runs without faults
  --planted         plants every known fault (or the one of --plant), one by one, and tries up to ${huntSeedsMax} seeds, from
                    --seed on, until one finds it; then plays that world without the fault, which must break
                    no rule
  --plant NAME      one run, or --seeds runs, with this planted fault; "list" names them
  --world NAME      the same worlds without it
  --history FILE    writes what clients asked and got, and the committed log, as JSON lines (docs/sim.md)
  --json            one line of JSON a record
  --help            this text
`

const settlePromises = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve)
  })

interface Options {
  readonly seed: number
  readonly seeds: number | undefined
  readonly minutes: number
  readonly faults: readonly FaultName[] | undefined
  readonly plant: Plant | undefined
  readonly world: Plant | undefined
  readonly isPlanted: boolean
  readonly history: string | undefined
  readonly json: boolean
}

let failRun: (error: unknown) => void = () => undefined
process.on('unhandledRejection', (error) => failRun(error))

async function main(): Promise<number> {
  let options: Options | undefined
  try {
    options = parse()
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${help}`)
    return 2
  }
  if (options === undefined) return 0
  if (options.isPlanted) return await findPlanted(options)
  if (options.seeds !== undefined) return await runMany(options, options.seeds)
  return await runOne(options)
}

function parse(): Options | undefined {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      seeds: { type: 'string' },
      minutes: { type: 'string' },
      fault: { type: 'string', multiple: true },
      planted: { type: 'boolean', default: false },
      plant: { type: 'string' },
      world: { type: 'string' },
      history: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(help)
    return undefined
  }
  if (values.fault?.includes('list')) {
    process.stdout.write(`${faultNames.join('\n')}\n`)
    return undefined
  }
  const lines = plants.map(({ name, description }) => `${name.padEnd(38)}${description}\n`).join('')
  if (values.plant === 'list') {
    process.stdout.write(lines)
    return undefined
  }
  const named = (name: string | undefined): Plant | undefined => {
    const found = name === undefined ? undefined : plantNamed(name)
    if (name !== undefined && found === undefined)
      throw new Error(`there is no planted fault ${name}; there are:\n${lines}`)
    return found
  }
  if (values.plant !== undefined && values.world !== undefined)
    throw new Error('--plant runs with a planted fault and --world without it: give one of them')
  if (values.planted && (values.seeds ?? values.world ?? values.history ?? values.fault) !== undefined)
    throw new Error('--planted goes with --seed, --minutes and --plant alone')
  const isCalm = values.fault?.includes('none') === true
  for (const fault of isCalm ? [] : (values.fault ?? [])) {
    if (!faultNames.includes(fault as FaultName))
      throw new Error(`there is no fault ${fault}; there are: ${faultNames.join(', ')}`)
  }
  return {
    seed: integer(values.seed, '--seed'),
    seeds: values.seeds === undefined ? undefined : integer(values.seeds, '--seeds'),
    minutes: values.minutes === undefined ? 2 : positive(values.minutes, '--minutes'),
    faults: isCalm ? [] : (values.fault as FaultName[] | undefined),
    plant: named(values.plant),
    world: named(values.world),
    isPlanted: values.planted,
    history: values.history,
    json: values.json,
  }
}

function integer(text: string, option: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new Error(`${option} takes a number, not ${text}`)
  return value
}

function positive(text: string, option: string): number {
  const value = Number(text)
  if (!(value > 0 && value < 1e5)) throw new Error(`${option} takes minutes, not ${text}`)
  return value
}

function print(isJson: boolean, record: Record<string, unknown>, text: () => string): void {
  process.stdout.write(isJson ? `${JSON.stringify(record)}\n` : `${text()}\n`)
}

function again({ minutes, faults, plant, world }: Options, seed: number): string {
  const named = faults?.length === 0 ? ['none'] : (faults ?? [])
  const rest = named.map((fault) => ` --fault ${fault}`).join('')
  const kind =
    plant !== undefined ? ` --plant ${plant.name}` : world !== undefined ? ` --world ${world.name}` : ''
  return `npm run --silent sim -- --seed ${seed} --minutes ${minutes}${kind}${rest}`
}

function play(request: Omit<RunRequest, 'settlePromises' | 'onFail'>): Promise<RunResult> {
  return run({
    ...request,
    settlePromises,
    onFail: (fail) => {
      failRun = fail
    },
  })
}

async function runOne(options: Options): Promise<number> {
  const { seed, minutes, json, history, faults, plant, world } = options
  const file = history === undefined ? undefined : openSync(history, 'w')
  const result = await play({
    seed,
    minutes,
    faults,
    plant,
    world,
    ...(file === undefined ? {} : { writeHistory: (line) => writeSync(file, `${line}\n`) }),
    onOptions: (drawn) =>
      print(
        json,
        { event: 'start', seed, minutes, options: drawn },
        () => `seed ${seed}, ${minutes} virtual minutes\noptions ${JSON.stringify(drawn)}`,
      ),
  })
  if (file !== undefined) closeSync(file)
  const record = { event: 'end', ...result, ...(result.violation && { again: again(options, seed) }) }
  print(json, record, () => describe(result, again(options, seed)))
  return result.violation === null ? 0 : 1
}

function describe({ counts, violation, ...rest }: RunResult, command: string): string {
  const width = Math.max(0, ...Object.keys(counts).map((name) => name.length))
  const lines = Object.entries(counts).map(([name, count]) => `  ${name.padEnd(width)}  ${count}`)
  lines.push(
    `${rest.steps} steps, ${rest.entries} entries, state hash ${rest.stateHash} at ${rest.lastIndex}`,
  )
  if (violation === null) return [...lines, 'no violation'].join('\n')
  return [
    ...lines,
    `VIOLATION after ${violation.elapsedMs} virtual ms: ${violation.rule}: ${violation.facts}`,
    `again: ${command}`,
  ].join('\n')
}

async function runMany(options: Options, count: number): Promise<number> {
  const { seed: first, minutes, json, faults, plant, world } = options
  const totals = new Map<string, number>()
  const violations: Record<string, unknown>[] = []
  print(json, { event: 'start', seed: first, seeds: count, minutes }, () => {
    return `seeds ${first} to ${first + count - 1}, ${minutes} virtual minutes each`
  })
  for (let seed = first; seed < first + count; seed++) {
    const result = await play({ seed, minutes, faults, plant, world })
    for (const [name, times] of Object.entries(result.counts))
      totals.set(name, (totals.get(name) ?? 0) + times)
    const { violation, steps, stateHash } = result
    process.stderr.write(`seed ${seed}: ${steps} steps, ${stateHash} ${violation?.rule ?? 'ok'}\n`)
    if (violation === null) continue
    const record = { event: 'violation', seed, ...violation, again: again(options, seed) }
    violations.push(record)
    print(
      json,
      record,
      () => `VIOLATION with seed ${seed}: ${violation.rule}: ${violation.facts}\nagain: ${record.again}`,
    )
  }
  const counts = Object.fromEntries([...totals].sort(([a], [b]) => (a < b ? -1 : 1)))
  print(json, { event: 'end', seeds: count, minutes, counts, violations: violations.length }, () => {
    return `${count} runs, ${violations.length} violations\n${JSON.stringify(counts)}`
  })
  return violations.length === 0 ? 0 : 1
}

async function findPlanted(options: Options): Promise<number> {
  const { seed, minutes, json } = options
  const wanted = options.plant === undefined ? plants : [options.plant]
  let missed = 0
  for (const plant of wanted) {
    const result = await hunt({ plant, seed, minutes, play })
    const { tried, found, without } = result
    const isFound = isCaught(result)
    if (!isFound) missed += 1
    const record = {
      event: 'planted',
      name: plant.name,
      found: isFound,
      seed: found?.seed ?? null,
      tried,
      rule: found?.violation?.rule ?? null,
      elapsedMs: found?.violation?.elapsedMs ?? null,
      again: found === undefined ? null : again({ ...options, plant }, found.seed),
      without: without?.violation ?? null,
    }
    print(json, record, () => {
      if (found === undefined) return `${plant.name}: MISSED by ${tried} seeds`
      const what = `${plant.name}: found by seed ${found.seed} (${found.violation?.rule})`
      if (isFound) return `${what}, and that world breaks no rule without it`
      const world = again({ ...options, plant: undefined, world: plant }, found.seed)
      return `${what}, but WITHOUT IT TOO: ${without?.violation?.rule}: ${without?.violation?.facts}\nagain: ${world}`
    })
  }
  print(
    json,
    { event: 'end', planted: wanted.length, missed },
    () => `${wanted.length} planted, ${missed} missed`,
  )
  return missed === 0 ? 0 : 1
}

process.exitCode = await main()
