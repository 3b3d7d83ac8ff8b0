/**
 * The shape of a bench and of its report.
 *
 * A report is plain data: figures, and the parameters for which they hold. The computer is added here. Figures are
 * medians of rounds after a warm-up where a bench can afford them.
 *
 * Invariant: the name of every figure says its unit.
 */
import { cpus } from 'node:os'

export interface BenchOptions {
  /** How many bids, where a bench lets one choose. */
  readonly bids?: number
  /** How many auctions, likewise. */
  readonly auctions?: number
  /** For how long, likewise. */
  readonly seconds?: number
}

export interface Bench {
  readonly name: string
  /** One line. */
  readonly description: string
  /** Measures. Throws when the bench itself went wrong, so that no figure is wrong in silence. */
  run(options: BenchOptions): Report | Promise<Report>
}

export type Report = object & {
  /** `false`: measured, and not as it must be. */
  readonly passed?: boolean
  /** Figures over time; printed as a table. */
  readonly samples?: readonly object[]
}

/** The middle value; of an even number the mean of the two in the middle. 0 of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : Math.round(((sorted[middle - 1] ?? 0) + upper) / 2)
}

/** One line of JSON. */
export function asJson(bench: Bench, report: Report): string {
  return JSON.stringify({ bench: bench.name, ...machine(), ...report })
}

/** The same for people. */
export function asText(bench: Bench, { samples, ...report }: Report): string {
  const { nodeVersion, cpuCount, cpuModel } = machine()
  const title = `${bench.name}: ${bench.description}\nnode ${nodeVersion}, ${cpuCount} × ${cpuModel}`
  const table = samples === undefined ? '' : `${asTable(samples)}\n`
  return `${title}\n${table}${JSON.stringify(report, null, 2)}`
}

/** A line a sample; columns of bytes in MiB. */
function asTable(samples: readonly object[]): string {
  const isBytes = (name: string): boolean => name.endsWith('Bytes')
  const names = Object.keys(samples[0] ?? {})
  const heads = names.map((name) => (isBytes(name) ? `${name.slice(0, -'Bytes'.length)} MiB` : name))
  const rows = samples.map((sample) =>
    Object.entries(sample).map(([name, value]) =>
      isBytes(name) ? (value / 2 ** 20).toFixed(1) : value.toLocaleString('en'),
    ),
  )
  const widths = heads.map((head, at) => Math.max(head.length, ...rows.map((row) => row[at].length)))
  return [heads, ...rows]
    .map((row) => row.map((cell, at) => cell.padStart(widths[at] as number)).join('  '))
    .join('\n')
}

function machine(): { nodeVersion: string; cpuCount: number; cpuModel: string } {
  const all = cpus()
  return { nodeVersion: process.version, cpuCount: all.length, cpuModel: all[0]?.model ?? 'unknown' }
}
