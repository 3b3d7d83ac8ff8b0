/**
 * The bids of an auction: chart, list, and a button for earlier ones.
 * Invariant: the chart is loaded once there are two bids to join; a panel that has left loads and draws nothing.
 */
import { isEnded } from '../core/index.ts'
import { button, h, show } from './dom.ts'
import { historyList } from './history-list.ts'
import type { LotState } from './lot-model.ts'
import type { PriceChart } from './price-chart.ts'

export interface BidsPanel {
  readonly element: HTMLElement
  update(state: LotState): void
  /** Draws again how long ago each bid was. */
  tick(serverNowMs: number): void
  leave(): void
}

export interface BidsPanelOptions {
  /** Loads a page of bids older than those shown. */
  readonly loadEarlier: () => Promise<void>
  readonly serverNowMs: () => number
}

export function bidsPanel({ loadEarlier, serverNowMs }: BidsPanelOptions): BidsPanel {
  const list = historyList()
  const chart = lazyChart(serverNowMs)
  const earlier = button('Show earlier bids', () => void pressed(), { class: 'button button-quiet' })

  async function pressed(): Promise<void> {
    earlier.disabled = true
    await loadEarlier()
    earlier.disabled = false
  }

  const element = h(
    'section',
    { class: 'panel', 'aria-labelledby': 'bids-title' },
    h('h2', { id: 'bids-title' }, 'Bids'),
    chart.element,
    list.element,
    earlier,
  )
  return {
    element,
    update(state) {
      list.update(state)
      show(earlier, state.hasEarlier)
      chart.update(state)
    },
    tick: (nowMs) => list.tick(nowMs),
    leave: () => chart.leave(),
  }
}

/** A place for the chart, whose code is loaded when it is first needed. */
function lazyChart(serverNowMs: () => number) {
  const element = h('div', { class: 'chart-box' })
  let latest: LotState | undefined
  let chart: PriceChart | undefined
  let hasLeft = false

  function draw(): void {
    if (latest?.auction === undefined) return
    chart?.update(latest, isEnded(latest.auction) ? 0 : serverNowMs())
  }

  async function load(currency: string): Promise<void> {
    const { priceChart } = await import('./price-chart.ts')
    if (hasLeft || chart !== undefined) return
    chart = priceChart(currency)
    element.replaceChildren(chart.element)
    draw()
  }

  return {
    element,
    update(state: LotState): void {
      const isNews = state.history !== latest?.history
      latest = state
      if (!isNews || state.auction === undefined || state.history.length < 2) return
      if (chart === undefined) void load(state.auction.currency)
      else draw()
    },
    leave(): void {
      hasLeft = true
      chart?.leave()
    },
  }
}
