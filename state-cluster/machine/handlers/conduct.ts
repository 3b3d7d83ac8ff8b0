/**
 * conduct: an owner's pulse, which opens and closes its auctions that are due.
 *
 * Input: server and its epoch. Replies: conducted · stale_epoch. Events: auction_extended (outage), auction_opened,
 * auction_sold or auction_passed, private won and lost. Outbox entries: those of the closes. One pulse handles a
 * batch of auctions at most; the reply says whether more are due. Leaves outages to outage.ts, and to the format
 * whether an auction that is due closes or waits.
 *
 * Invariant: after an outage, nothing is opened or closed before every affected auction has been extended, even if
 * that takes several pulses.
 * Source: docs/spec.md CLOSE1, OPEN2, OPEN3, OUTAGE1–OUTAGE5, OUTAGE8, OWNER3.
 */
import type { ApplyContext } from '../apply-context.ts'
import { fail } from '../assert.ts'
import type { Conduct } from '../commands.ts'
import type { Reply } from '../events.ts'
import { close, open } from '../lifecycle.ts'
import { Batch, extendForOutage, measureOutage, setPulseTimeout } from '../outage.ts'
import type { Server } from '../servers.ts'
import { refuse } from './refuse.ts'

export function conduct(context: ApplyContext, command: Conduct): Reply {
  const { changes, servers } = context.state
  const server = servers.get(command.serverId)
  if (server === undefined || server.epoch !== command.epoch) return refuse('stale_epoch')
  const gapMs = context.atMs - server.lastConductedMs
  measureOutage(context, server)
  server.lastConductedMs = context.atMs
  changes.touch(server)

  const batch = new Batch(context)
  extendForOutage(context, server, batch)
  if (server.outageGapMs === 0) {
    openScheduled(context, server, batch)
    closeDue(context, server, batch)
  }
  const nextDueMs = server.nextDueMs()
  const more = server.outageGapMs > 0 || nextDueMs <= context.atMs
  setPulseTimeout(context, server, gapMs)
  const reply = { ok: true, type: 'conducted', more, atMs: context.atMs } as const
  return nextDueMs === Number.POSITIVE_INFINITY ? reply : { ...reply, nextDueMs }
}

/** An auction that opens late by more than the outage threshold gets its whole duration (OPEN3). */
function openScheduled(context: ApplyContext, server: Server, batch: Batch): void {
  const { settings } = context.state.house
  for (;;) {
    const auction = server.openings.peek()
    if (auction === undefined || auction.opensAtMs > context.atMs || !batch.take()) return
    const isLate = context.atMs - auction.opensAtMs > settings.outageThresholdMs
    if (isLate || auction.closesAtMs <= context.atMs)
      auction.closesAtMs = context.atMs + auction.terms.durationMs
    open(context, auction)
  }
}

function closeDue(context: ApplyContext, server: Server, batch: Batch): void {
  for (;;) {
    const auction = server.running.peek()
    if (auction === undefined || server.running.peekDueMs() > context.atMs || !batch.take()) return
    if (auction.format.fallDue(auction, context.atMs) === 'close') {
      close(context, auction)
      continue
    }
    server.schedule(auction)
    if (auction.format.dueMs(auction) <= context.atMs)
      fail('an auction that waits is due later', { id: auction.id })
  }
}
