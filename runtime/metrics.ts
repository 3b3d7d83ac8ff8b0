/**
 * Numbers for the operator, in Prometheus text.
 * This is the only file that names prom-client.
 * Invariant: every series exists, at zero, from the start. Labels have a closed list of values, and any other value
 * counts as `other`, so that no input can grow the number of series. Names carry their unit.
 * Source: docs/style.md, "Configuration, logs, metrics"; Prometheus naming conventions.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { assert } from './assert.ts'

/** Label name → its values. `other` is added to each list. */
export type LabelValues = Readonly<Record<string, readonly string[]>>

export interface MetricOptions<Labels extends LabelValues> {
  /** snake_case with its unit last: counters end in `_total`, others in one of `units`. */
  readonly name: string
  readonly help: string
  readonly labels?: Labels
}

type LabelsOf<Labels extends LabelValues> = { readonly [Name in keyof Labels]: string }

export interface CounterMetric<Labels extends LabelValues> {
  add(amount: number, labels?: LabelsOf<Labels>): void
}

export interface GaugeMetric<Labels extends LabelValues> {
  set(value: number, labels?: LabelsOf<Labels>): void
}

export interface HistogramMetric<Labels extends LabelValues> {
  observe(value: number, labels?: LabelsOf<Labels>): void
}

export interface Metrics {
  counter<const Labels extends LabelValues = Record<never, never>>(
    options: MetricOptions<Labels>,
  ): CounterMetric<Labels>
  /** With `read`, the value is read when the metrics are (only without labels). */
  gauge<const Labels extends LabelValues = Record<never, never>>(
    options: MetricOptions<Labels> & { readonly read?: () => number },
  ): GaugeMetric<Labels>
  /** `buckets` in the metric's unit, rising; default: latencies in seconds from 0.5 ms to 10 s. */
  histogram<const Labels extends LabelValues = Record<never, never>>(
    options: MetricOptions<Labels> & { readonly buckets?: readonly number[] },
  ): HistogramMetric<Labels>
  /** The exposition text of everything. */
  text(): Promise<string>
  readonly contentType: string
}

const units = [
  'seconds',
  'bytes',
  'ratio',
  'sockets',
  'sessions',
  'subscriptions',
  'auctions',
  'entries',
  'items',
]
const nameShape = /^martillo_[a-z][a-z0-9_]*$/
const latencyBucketsSeconds = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]
const labelSetsMax = 1000

/** A registry of its own. With `withProcess`, it also reports the process: CPU, memory, event-loop delay. */
export function createMetrics(options: { readonly withProcess: boolean }): Metrics {
  const registry = new Registry()
  if (options.withProcess) collectDefaultMetrics({ register: registry })
  return {
    counter(metric) {
      assertName(metric.name, ['total'])
      const labels = closedLabels(metric.labels)
      const counter = new Counter({
        name: metric.name,
        help: metric.help,
        labelNames: labels.names,
        registers: [registry],
      })
      for (const set of labels.sets) counter.inc(set, 0)
      return { add: (amount, given) => counter.inc(labels.close(given), amount) }
    },
    gauge(metric) {
      assertName(metric.name, units)
      const labels = closedLabels(metric.labels)
      const { read } = metric
      assert(
        read === undefined || labels.names.length === 0,
        `${metric.name}: a gauge that is read has no labels`,
      )
      const gauge = new Gauge({
        name: metric.name,
        help: metric.help,
        labelNames: labels.names,
        registers: [registry],
        ...(read && {
          collect() {
            this.set(read())
          },
        }),
      })
      for (const set of labels.sets) gauge.set(set, 0)
      return { set: (value, given) => gauge.set(labels.close(given), value) }
    },
    histogram(metric) {
      assertName(metric.name, units)
      const labels = closedLabels(metric.labels)
      const histogram = new Histogram({
        name: metric.name,
        help: metric.help,
        labelNames: labels.names,
        buckets: [...(metric.buckets ?? latencyBucketsSeconds)],
        registers: [registry],
      })
      for (const set of labels.sets) histogram.zero(set)
      return { observe: (value, given) => histogram.observe(labels.close(given), value) }
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  }
}

function assertName(name: string, endings: readonly string[]): void {
  assert(nameShape.test(name), `${name}: a metric is named martillo_… in snake_case`)
  assert(
    endings.some((unit) => name.endsWith(`_${unit}`)),
    `${name}: a metric ends in its unit, one of ${endings.join(', ')}`,
  )
}

interface ClosedLabels {
  readonly names: string[]
  /** Every combination of values. */
  readonly sets: readonly Record<string, string>[]
  /** The given values, each replaced by `other` where it is not in its list. */
  close(given: Readonly<Record<string, string>> | undefined): Record<string, string>
}

function closedLabels(labels: LabelValues | undefined): ClosedLabels {
  const lists = Object.entries(labels ?? {}).map(([name, values]) => ({
    name,
    values: new Set([...values, 'other']),
  }))
  let sets: Record<string, string>[] = [{}]
  for (const { name, values } of lists)
    sets = sets.flatMap((set) => [...values].map((value) => ({ ...set, [name]: value })))
  assert(sets.length <= labelSetsMax, `a metric has at most ${labelSetsMax} series`)
  return {
    names: lists.map(({ name }) => name),
    sets,
    close: (given) =>
      Object.fromEntries(
        lists.map(({ name, values }) => {
          const value = given?.[name]
          return [name, value !== undefined && values.has(value) ? value : 'other']
        }),
      ),
  }
}
