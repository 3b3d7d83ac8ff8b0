/**
 * What a bench is, and how its report is told: the one shape that bench/main.ts runs and prints.
 *
 * A report is plain data: figures, and the parameters that they hold for. What it was measured on is added here.
 * Figures are medians of rounds behind a warm-up where a bench can afford them; names say the unit.
 */
import { cpus } from 'node:os'

export interface BenchOptions {
  /** How many bids, where a bench lets one choose. */
  readonly bids?: number
}

export interface Bench {
  readonly name: string
  /** One line. */
  readonly description: string
  /** Measures. Throws when the bench itself went wrong, so that no figure is wrong in silence. */
  run(options: BenchOptions): object | Promise<object>
}

/** The middle value; of an even number the mean of the two in the middle. 0 of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : Math.round(((sorted[middle - 1] ?? 0) + upper) / 2)
}

/** One line of JSON. */
export function asJson(bench: Bench, report: object): string {
  return JSON.stringify({ bench: bench.name, ...machine(), ...report })
}

/** The same for people. */
export function asText(bench: Bench, report: object): string {
  const { nodeVersion, cpuCount, cpuModel } = machine()
  const title = `${bench.name}: ${bench.description}\nnode ${nodeVersion}, ${cpuCount} × ${cpuModel}`
  return `${title}\n${JSON.stringify(report, null, 2)}`
}

function machine(): { nodeVersion: string; cpuCount: number; cpuModel: string } {
  const all = cpus()
  return { nodeVersion: process.version, cpuCount: all.length, cpuModel: all[0]?.model ?? 'unknown' }
}
