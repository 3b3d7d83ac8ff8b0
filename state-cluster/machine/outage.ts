/**
 * Measures outages of a conductor and gives the lost time back to auctions.
 *
 * Only auctions near their close are extended. `conduct`, `enlist_server` and hand-over.ts call it. Leaves the move of a
 * deadline to lifecycle.ts.
 *
 * Invariant: an outage is measured between stamps and extends each auction once, before anything is opened or closed. A
 * closed auction never reopens.
 * Source: docs/spec.md OUTAGE1–OUTAGE9.
 */
import type { ApplyContext } from './apply-context.ts'
import type { Auction } from './auction.ts'
import { extend } from './lifecycle.ts'
import type { Server } from './servers.ts'

/*
 * lastConducted            now            now + least
 * ───┼──────── gap ─────────┼───────────────┼────────►     closes before the last mark: extended to
 *                           │◄──── least ──►│              max(closesAt + gap, now + least)
 */

/** How much one command may still do: a number of auctions, and of events. */
export class Batch {
  private readonly context: ApplyContext
  private auctions = 0

  constructor(context: ApplyContext) {
    this.context = context
  }

  /** Counts one auction; `false` when the batch is full. */
  take(): boolean {
    const { limits } = this.context.state
    if (this.auctions >= limits.conductBatchMax || this.context.events.length >= limits.conductEventsMax)
      return false
    this.auctions++
    return true
  }
}

/** A silence above the pulse timeout is an outage. It adds to an earlier one whose extensions are not all made. */
export function measureOutage(context: ApplyContext, server: Server): void {
  const gapMs = context.atMs - server.lastConductedMs
  if (gapMs > server.pulseTimeoutMs) beginOutage(context, server, gapMs)
}

/** Counts `gapMs` as an outage, however short it is. */
export function beginOutage(context: ApplyContext, server: Server, gapMs: number): void {
  server.outageGapMs += gapMs
  server.outageHorizonMs = context.atMs + context.state.house.settings.outageExtensionMinMs
}

/**
 * Sets the timeout for the next pulse, after one that came `gapMs` after the last. A server pulses four times a second
 * while a close is near, so there two missed pulses are an outage. Under load, pulses may always be that slow, and
 * closes must still happen: hence twice the last gap. Without a close nearby, the house's threshold is the timeout.
 */
export function setPulseTimeout(context: ApplyContext, server: Server, gapMs: number): void {
  const { house, limits } = context.state
  const { outageThresholdMs } = house.settings
  const closesAtMs = server.running.peek()?.closesAtMs ?? Number.POSITIVE_INFINITY
  const isNear = closesAtMs <= context.atMs + limits.outageNearMs
  const nearMs = Math.max(limits.outageNearThresholdMs, 2 * gapMs)
  server.pulseTimeoutMs = isNear ? Math.min(outageThresholdMs, nearMs) : outageThresholdMs
}

/** Extends the auctions of the present outage, as many as the batch takes. */
export function extendForOutage(context: ApplyContext, server: Server, batch: Batch): void {
  if (server.outageGapMs === 0) return
  for (;;) {
    const auction = server.running.peek()
    if (auction === undefined || auction.closesAtMs >= server.outageHorizonMs) break
    if (!batch.take()) return
    extendBy(context, auction, server.outageGapMs)
  }
  server.outageGapMs = 0
  server.outageHorizonMs = 0
}

/** Gives an open auction back the time of an outage: at least the house's minimum from now. */
export function extendBy(context: ApplyContext, auction: Auction, gapMs: number): void {
  const leastMs = context.atMs + context.state.house.settings.outageExtensionMinMs
  extend(context, auction, Math.max(auction.closesAtMs + gapMs, leastMs), 'outage')
}
