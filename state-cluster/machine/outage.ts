/**
 * Fair outages: an auction that nobody conducted near its close gets the lost time back. Invariant: an outage is
 * measured between stamps, extends each auction once, and before anything is opened or closed; a closed auction
 * never reopens. Rules OUTAGE1–OUTAGE9 of docs/spec.md; `conduct`, `enlist_server` and `reassign` call it.
 *
 *   lastConducted            now            now + least
 *   ───┼──────── gap ─────────┼───────────────┼────────►     closes in front of the last mark: extended to
 *                             │◄──── least ──►│              max(closesAt + gap, now + least)
 */
import type { Auction } from './auction.ts'
import { extend } from './lifecycle.ts'
import type { Server } from './servers.ts'
import type { Turn } from './turn.ts'

/** How much one command may still do: auctions, and bidders told. */
export class Batch {
  private readonly turn: Turn
  private auctions = 0

  constructor(turn: Turn) {
    this.turn = turn
  }

  /** Takes the place of one auction, if there is one. */
  take(): boolean {
    const { limits } = this.turn.state
    if (this.auctions >= limits.conductBatchMax || this.turn.events.length >= limits.conductToldMax)
      return false
    this.auctions++
    return true
  }
}

/** A silence longer than the server's patience is an outage; one that follows before it is worked off adds to it. */
export function measureOutage(turn: Turn, server: Server): void {
  const gapMs = turn.atMs - server.lastConductedMs
  if (gapMs > server.patienceMs) beginOutage(turn, server, gapMs)
}

/** What the server last left undone counts as an outage, however short it was. */
export function beginOutage(turn: Turn, server: Server, gapMs: number): void {
  server.outageGapMs += gapMs
  server.outageHorizonMs = turn.atMs + turn.state.house.settings.outageExtensionMinMs
}

/**
 * After a pulse that came after `gapMs`: how late the next one may be. Servers that enlist pulse four times a second
 * while a close is near: there, two missed pulses are an outage, unless pulses are that slow anyway: a house under
 * load must come to its closes. All other silences are judged by the house's threshold.
 */
export function setPatience(turn: Turn, server: Server, gapMs: number): void {
  const { house, limits } = turn.state
  const { outageThresholdMs } = house.settings
  const closesAtMs = server.running.peek()?.closesAtMs ?? Number.POSITIVE_INFINITY
  const isNear = closesAtMs <= turn.atMs + limits.outageNearMs
  const nearMs = Math.max(limits.outageNearThresholdMs, 2 * gapMs)
  server.patienceMs = isNear ? Math.min(outageThresholdMs, nearMs) : outageThresholdMs
}

/** Extends by the outage that is being worked off, as far as the batch goes. */
export function extendForOutage(turn: Turn, server: Server, batch: Batch): void {
  if (server.outageGapMs === 0) return
  for (;;) {
    const auction = server.running.peek()
    if (auction === undefined || auction.closesAtMs >= server.outageHorizonMs) break
    if (!batch.take()) return
    extendBy(turn, auction, server.outageGapMs)
  }
  server.outageGapMs = 0
  server.outageHorizonMs = 0
}

/** Gives an open auction back the time of an outage: at least the house's minimum from now. */
export function extendBy(turn: Turn, auction: Auction, gapMs: number): void {
  const leastMs = turn.atMs + turn.state.house.settings.outageExtensionMinMs
  extend(turn, auction, Math.max(auction.closesAtMs + gapMs, leastMs), 'outage')
}
