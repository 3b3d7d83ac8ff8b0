/**
 * shift_clock: makes house time another, and moves what is counted by it.
 *
 * Input: the new house time. Replies: done · terms_invalid (no date). Events: auction_extended, reason operator, for
 * each open auction whose deadline moves. An open auction keeps the time that it had left; one whose deadline had come
 * gets the house's minimum from now, or keeps a deadline that is still to come. Scheduled auctions keep the moment that
 * was named for them, paused ones the time that they had left. Outages are not measured across a shift.
 *
 * Invariant: no other command lets stamps fall, and no auction ends by a shift.
 * Source: docs/spec.md TIME8.
 */
import type { ApplyContext } from '../apply-context.ts'
import type { Auction } from '../auction.ts'
import type { ShiftClock } from '../commands.ts'
import type { Reply } from '../events.ts'
import { stampMsMax } from '../limits.ts'
import { isWithin } from '../terms.ts'
import { refuse } from './refuse.ts'

/** No monitor's lease is longer. */
const leaseMsMax = 60_000

export function shiftClock(context: ApplyContext, { toMs }: ShiftClock): Reply {
  const { state, atMs: fromMs } = context
  if (!isWithin(toMs, 1, stampMsMax)) return refuse('terms_invalid')
  context.atMs = toMs
  state.house.lastAtMs = toMs
  state.house.shifts++
  for (const auction of state.auctions.all())
    if (auction.status === 'open') shiftClose(context, auction, fromMs)
  for (const server of state.servers.sorted()) {
    server.lastConductedMs = toMs
    server.outageGapMs = 0
    server.outageHorizonMs = 0
    state.changes.touch(server)
  }
  const { lease } = state
  if (lease.token > 0) {
    lease.untilMs = toMs + Math.min(leaseMsMax, Math.max(0, lease.untilMs - fromMs))
    state.changes.touch(lease)
  }
  state.requests.shift(fromMs, toMs)
  state.refusals.shift(fromMs, toMs)
  // Tokens are dated by the clocks of servers: a moment ahead of house time would revoke those still to be issued.
  const { house } = state
  house.revokedAllMs = Math.min(house.revokedAllMs, toMs)
  house.revoked = house.revoked.map(([subject, untilMs]) => [subject, Math.min(untilMs, toMs)])
  return { ok: true, type: 'done' }
}

function shiftClose(context: ApplyContext, auction: Auction, fromMs: number): void {
  const { limits, house } = context.state
  const leftMs = auction.closesAtMs - fromMs
  const leastMs = context.atMs + house.settings.outageExtensionMinMs
  const wantedMs = leftMs > 0 ? context.atMs + leftMs : Math.max(auction.closesAtMs, leastMs)
  const closesAtMs = Math.min(wantedMs, limits.closesAtMsMax)
  if (closesAtMs === auction.closesAtMs) return
  auction.closesAtMs = closesAtMs
  auction.extensions++
  auction.owner.schedule(auction)
  context.publish({
    type: 'auction_extended',
    ...context.stamp(auction),
    closesAt: closesAtMs,
    reason: 'operator',
  })
}
