/**
 * Runs benches by name: `npm run --silent bench -- raft --json`.
 *
 * A bench is one module and one entry in the table below. Exit codes: 0 measured, 1 a bench failed or a check of its
 * results did, 2 wrong usage.
 *
 * Invariant: a report whose check failed makes the exit code 1, whatever other benches found.
 */
import { parseArgs } from 'node:util'
import { asJson, asText, type Bench, type BenchOptions } from './report.ts'

/** Modules are loaded when they are run: a bench that needs no disk loads no storage. */
const benches: readonly Bench[] = [
  {
    name: 'raft',
    description: 'the Raft core alone: three nodes in one process, storage in memory',
    run: async () => (await import('./raft.ts')).benchRaft(),
  },
  {
    name: 'machine',
    description: 'the auction machine alone: bids, checkpoints, a million open auctions in memory',
    run: async () => (await import('./machine.ts')).benchMachine(),
  },
  {
    name: 'replica',
    description: 'one replica on a real disk: commands committed with 1, 64 and 256 in flight',
    run: async () => (await import('./replica.ts')).replica(),
  },
  {
    name: 'replica-set',
    description:
      'three state nodes on real disks: commands committed with 64 and 256 in flight (needs a build)',
    run: async (options) => (await import('./replica-set.ts')).replicaSet(options),
  },
  {
    name: 'carrier',
    description: 'processor time of a message and of a request on uWebSockets.js and on node:http with ws',
    run: async () => (await import('./carrier.ts')).carrier(),
  },
  {
    name: 'open-auctions',
    description: 'a house with many open auctions, killed and started again (needs a build)',
    run: async () => (await import('./open-auctions.ts')).openAuctions(),
  },
  {
    name: 'flat',
    description: 'memory and disk of one replica over two million bids on 1,000 auctions (or --bids N)',
    run: async (options) => (await import('./flat.ts')).flat(options),
  },
  {
    name: 'ended',
    description: 'what 400,000 auctions (or --auctions N) leave behind in memory and on disk once they ended',
    run: async (options) => (await import('./ended.ts')).ended(options),
  },
]

function help(): string {
  const names = benches.map(({ name, description }) => `  ${name.padEnd(16)}${description}`)
  return `Usage: npm run --silent bench -- NAME… [--json]\n\n${names.join('\n')}\n
Options:
  --json         one line of JSON a bench: figures, rounds, parameters, Node version, number of cpus
  --bids N       for flat: how many; ten million take minutes, fewer than two are not judged
  --auctions N   for ended: how many
  --seconds N    for replica-set: how long each run takes, 60 by default
  --help         this text

Exit codes: 0 measured, 1 a bench failed or found what it measured not as it must be, 2 wrong usage.\n`
}

async function main(): Promise<number> {
  let chosen: Bench[]
  let isJson: boolean
  let options: BenchOptions
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        bids: { type: 'string' },
        auctions: { type: 'string' },
        seconds: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) {
      process.stdout.write(help())
      return 0
    }
    if (positionals.length === 0) throw new Error('which bench?')
    chosen = positionals.map((name) => {
      const bench = benches.find((known) => known.name === name)
      if (bench === undefined) throw new Error(`there is no bench ${name}`)
      return bench
    })
    isJson = values.json
    options = {
      ...countOf('bids', values.bids),
      ...countOf('auctions', values.auctions),
      ...secondsOf(values.seconds),
    }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${help()}`)
    return 2
  }
  let exitCode = 0
  for (const bench of chosen) {
    const report = await bench.run(options)
    process.stdout.write(`${isJson ? asJson(bench, report) : asText(bench, report)}\n`)
    if (report.passed === false) exitCode = 1
  }
  return exitCode
}

function countOf(name: 'bids' | 'auctions', text: string | undefined): BenchOptions {
  if (text === undefined) return {}
  if (!/^[1-9]\d{3,11}$/.test(text)) throw new Error(`--${name} takes a number from 1,000 on`)
  return { [name]: Number(text) }
}

function secondsOf(text: string | undefined): BenchOptions {
  if (text === undefined) return {}
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new Error('--seconds takes a number from 1 on')
  return { seconds: Number(text) }
}

process.exitCode = await main()
