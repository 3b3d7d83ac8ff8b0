/**
 * Fair outages: an auction that nobody conducted near its close gets the lost time back. Invariant: an outage is
 * measured between stamps, extends each auction once, and before anything is opened or closed; a closed auction
 * never reopens. Rules OUTAGE1–OUTAGE9 of docs/spec.md; `conduct`, `enlist_server` and `reassign` call it.
 *
 *   lastConducted            now            now + least
 *   ───┼──────── gap ─────────┼───────────────┼────────►     closes in front of the last mark: extended to
 *                             │◄──── least ──►│              max(closesAt + gap, now + least)
 */

import type { ApplyContext } from './apply-context.ts'
import type { Auction } from './auction.ts'
import { extend } from './lifecycle.ts'
import type { Server } from './servers.ts'

/** How much one command may still do: auctions, and bidders told. */
export class Batch {
  private readonly context: ApplyContext
  private auctions = 0

  constructor(context: ApplyContext) {
    this.context = context
  }

  /** Takes the place of one auction, if there is one. */
  take(): boolean {
    const { limits } = this.context.state
    if (this.auctions >= limits.conductBatchMax || this.context.events.length >= limits.conductToldMax)
      return false
    this.auctions++
    return true
  }
}

/** A silence longer than the server's patience is an outage; one that follows before it is worked off adds to it. */
export function measureOutage(context: ApplyContext, server: Server): void {
  const gapMs = context.atMs - server.lastConductedMs
  if (gapMs > server.patienceMs) beginOutage(context, server, gapMs)
}

/** What the server last left undone counts as an outage, however short it was. */
export function beginOutage(context: ApplyContext, server: Server, gapMs: number): void {
  server.outageGapMs += gapMs
  server.outageHorizonMs = context.atMs + context.state.house.settings.outageExtensionMinMs
}

/**
 * After a pulse that came after `gapMs`: how late the next one may be. Servers that enlist pulse four times a second
 * while a close is near: there, two missed pulses are an outage, unless pulses are that slow anyway: a house under
 * load must come to its closes. All other silences are judged by the house's threshold.
 */
export function setPatience(context: ApplyContext, server: Server, gapMs: number): void {
  const { house, limits } = context.state
  const { outageThresholdMs } = house.settings
  const closesAtMs = server.running.peek()?.closesAtMs ?? Number.POSITIVE_INFINITY
  const isNear = closesAtMs <= context.atMs + limits.outageNearMs
  const nearMs = Math.max(limits.outageNearThresholdMs, 2 * gapMs)
  server.patienceMs = isNear ? Math.min(outageThresholdMs, nearMs) : outageThresholdMs
}

/** Extends by the outage that is being worked off, as far as the batch goes. */
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
