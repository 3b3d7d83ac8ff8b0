/**
 * The price over time as a stepped line, drawn with uPlot.
 * Invariant: everything that it shows is in the list of bids as well; therefore it is hidden from screen readers.
 */
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { h } from './dom.ts'
import type { LotState } from './lot-model.ts'
import { shortMoney } from './money-text.ts'

export interface PriceChart {
  readonly element: HTMLElement
  update(state: LotState, serverNowMs: number): void
  leave(): void
}

const height = 200
const dayS = 86_400
/** The axis covers at least this, so that its labels differ. */
const spanSMin = 60

export function priceChart(currency: string): PriceChart {
  const element = h('div', { class: 'chart', 'aria-hidden': 'true' })
  let plot: uPlot | undefined
  let data: uPlot.AlignedData = [[], []]

  function draw(): void {
    plot?.destroy()
    plot = new uPlot(options(element, currency), data, element)
  }

  const resized = new ResizeObserver(() => {
    if (element.clientWidth > 0) plot?.setSize({ width: element.clientWidth, height })
  })
  resized.observe(element)
  const dark = matchMedia('(prefers-color-scheme: dark)')
  dark.addEventListener('change', draw)
  document.addEventListener('themechange', draw)

  return {
    element,
    update({ history }, serverNowMs) {
      const times = history.map(({ atMs }) => atMs / 1_000)
      const prices = history.map(({ price }) => price)
      const last = prices.at(-1)
      // The line continues to this moment: a price holds until the next bid.
      if (last !== undefined && serverNowMs / 1_000 > (times.at(-1) ?? 0)) {
        times.push(serverNowMs / 1_000)
        prices.push(last)
      }
      data = [times, prices]
      if (plot === undefined) draw()
      else plot.setData(data)
    },
    leave() {
      resized.disconnect()
      dark.removeEventListener('change', draw)
      document.removeEventListener('themechange', draw)
      plot?.destroy()
    },
  }
}

function options(element: HTMLElement, currency: string): uPlot.Options {
  const style = getComputedStyle(element)
  const colour = (name: string): string => style.getPropertyValue(name).trim()
  const font = `12px ${style.fontFamily}`
  const axis = {
    stroke: colour('--ink-soft'),
    font,
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
  }
  const stepped = uPlot.paths.stepped?.({ align: 1 })
  return {
    width: Math.max(240, element.clientWidth),
    height,
    padding: [12, 26, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { range: (_, from, to) => [Math.min(from, to - spanSMin), to] },
      y: { range: (_, low, high) => roomAround(low, high) },
    },
    axes: [
      {
        ...axis,
        space: 90,
        size: 30,
        grid: { show: false },
        values: (plot, seconds) => seconds.map(timeFormat(plot).format),
      },
      {
        ...axis,
        size: (_, labels) => 16 + 7 * Math.max(0, ...(labels ?? []).map((label) => label.length)),
        values: (_, values) => values.map((value) => shortMoney(Math.round(value), currency)),
      },
    ],
    series: [
      {},
      {
        stroke: colour('--accent'),
        width: 2,
        fill: colour('--accent-wash'),
        points: { show: false },
        ...(stepped === undefined ? {} : { paths: stepped }),
      },
    ],
  }
}

/** Seconds are named within ten minutes, days beyond one. */
function timeFormat(plot: uPlot): { format: (seconds: number) => string } {
  const { min = 0, max = 0 } = plot.scales['x'] ?? {}
  const spanS = (max ?? 0) - (min ?? 0)
  const format = new Intl.DateTimeFormat(
    undefined,
    spanS > dayS
      ? { day: 'numeric', month: 'short' }
      : { hour: '2-digit', minute: '2-digit', ...(spanS < 600 ? { second: '2-digit' } : {}) },
  )
  return { format: (seconds) => format.format(seconds * 1_000) }
}

function roomAround(low: number, high: number): [number, number] {
  const room = Math.max(1, (high - low) * 0.15)
  return [Math.max(0, low - room), high + room]
}
