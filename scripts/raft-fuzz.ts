/**
 * Command line of the random driver of the Raft core.
 *
 * It prints the seed and all options first, then what happened. A violation comes with the options of its episode,
 * the last steps, and the command that repeats it. Exit codes: 0 nothing violated, 1 violated, 2 wrong usage.
 *
 * Invariant: the same seed and options print the same output.
 */
import { parseArgs } from 'node:util'
import { Random } from '../runtime/random.ts'
import { type FuzzResult, fuzz } from '../state-cluster/raft/fuzz/driver.ts'
import { describeFaults, faultNamed, noFault } from '../state-cluster/raft/fuzz/faults.ts'
import type { EpisodeOptions } from '../state-cluster/raft/fuzz/options.ts'
import { productionNodes } from '../state-cluster/replica/fuzz/production-nodes.ts'

const help = `Usage: npm run --silent raft:fuzz -- [--seed N] [--steps N] [--fault NAME] [--consequences] [--episodes] [--json]

Drives groups of three to seven nodes at random: loss, reordering, duplication, partitions, power loss, membership
changes, snapshots, transfers of leadership, reads. Every other episode runs the production log writer, disk log,
pending commands and fast election on a memory disk; the others the core alone, with synchronous writes too.
After every move it checks one leader a term, log matching, leader completeness, state machine safety, commit never goes back, reads see
commits, and the precautions behind them: one vote a term, votes are kept, leaders are elected, own term commits,
commits are kept. Each episode ends calmly and has to come to rest: progress.

Options:
  --seed N      default 1; the same seed gives the same run, whose trace hash is printed
  --steps N     default 100000
  --fault NAME  plant a fault that must be found; "list" names them
  --consequences  check the first six alone, and progress; faults are then found later, or not at all
  --episodes    print the options of each episode when it begins
  --json        one line of JSON a record: {"event":"start"|"episode"|"end", …}
  --help        this text

Exit code: 0 nothing violated, 1 violated, 2 wrong usage.
`

interface Options {
  readonly seed: number
  readonly steps: number
  readonly fault: string
  readonly json: boolean
  readonly episodes: boolean
  readonly consequences: boolean
}

async function main(): Promise<number> {
  let options: Options
  try {
    const { values } = parseArgs({
      options: {
        seed: { type: 'string', default: '1' },
        steps: { type: 'string', default: '100000' },
        fault: { type: 'string', default: noFault.name },
        json: { type: 'boolean', default: false },
        episodes: { type: 'boolean', default: false },
        consequences: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) {
      process.stdout.write(help)
      return 0
    }
    if (values.fault === 'list') {
      process.stdout.write(describeFaults())
      return 0
    }
    const { fault, json, episodes, consequences } = values
    options = {
      seed: number(values.seed, '--seed'),
      steps: number(values.steps, '--steps'),
      fault,
      json,
      episodes,
      consequences,
    }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${help}`)
    return 2
  }
  return await run(options)
}

function number(text: string, option: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new Error(`${option} takes a number, not ${text}`)
  return value
}

async function run({ seed, steps, fault: name, json, episodes, consequences }: Options): Promise<number> {
  const fault = name === noFault.name ? noFault : faultNamed(name)
  if (fault === undefined) {
    process.stderr.write(`there is no fault ${name}; there are:\n${describeFaults()}`)
    return 2
  }
  const print = (record: Record<string, unknown>, text: string): void => {
    process.stdout.write(json ? `${JSON.stringify(record)}\n` : `${text}\n`)
  }
  print({ event: 'start', seed, steps, fault: name }, `seed ${seed}, steps ${steps}, fault ${name}`)
  let current: EpisodeOptions | null = null
  const result = await fuzz({
    makeNodes: productionNodes,
    random: (episode) => new Random(seed, episode),
    steps,
    fault,
    hasPrecautions: !consequences,
    onEpisode: (episode, drawn) => {
      current = drawn
      if (episodes)
        print({ event: 'episode', episode, options: drawn }, `episode ${episode}: ${JSON.stringify(drawn)}`)
    },
  })
  const rest = `${name === noFault.name ? '' : ` --fault ${name}`}${consequences ? ' --consequences' : ''}`
  const again = `npm run --silent raft:fuzz -- --seed ${seed} --steps ${steps}${rest}`
  const record = {
    event: 'end',
    ...result,
    ...(result.violation === null ? {} : { options: current, again }),
  }
  print(record, describe(result, current, again))
  return result.violation === null ? 0 : 1
}

function describe(result: FuzzResult, options: EpisodeOptions | null, again: string): string {
  const { counts, violation } = result
  const width = Math.max(...Object.keys(counts).map((name) => name.length))
  const lines = Object.entries(counts).map(([name, count]) => `  ${name.padEnd(width)}  ${count}`)
  lines.unshift(`${result.steps} steps in ${result.episodes} episodes:`)
  lines.push(`trace hash ${result.traceHash}`)
  if (violation === null) return [...lines, 'no violation'].join('\n')
  return [
    ...lines,
    `options of episode ${violation.episode}: ${JSON.stringify(options)}`,
    'the last that happened:',
    ...violation.trace.map((line) => `  ${line}`),
    `VIOLATION at step ${violation.step}: ${violation.message}`,
    `again: ${again}`,
  ].join('\n')
}

process.exitCode = await main()
