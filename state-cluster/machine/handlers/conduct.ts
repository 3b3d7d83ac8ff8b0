/**
 * conduct: the owner's pulse. Works off what fell due among its auctions, at most a batch at a time.
 * Replies: conducted · stale_epoch. Events: auction_extended (outage), auction_opened, and what formats do when
 * an auction falls due (auction_sold, auction_passed). Rules OUTAGE1–OUTAGE6, OPEN1–OPEN3, CLOSE1.
 *
 * Order within a pulse: an outage is measured and its auctions extended; only when all of them are, scheduled
 * auctions open and due ones close. An outage with more auctions than a batch goes on in the next pulse, with
 * nothing closed in between.
 */

import type { ApplyContext } from '../apply-context.ts'
import { fail } from '../assert.ts'
import type { Conduct } from '../commands.ts'
import type { Reply } from '../events.ts'
import { close, open } from '../lifecycle.ts'
import { Batch, extendForOutage, measureOutage, setPatience } from '../outage.ts'
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
    workOff(context, server, batch)
  }
  const nextDueMs = server.nextDueMs()
  const more = server.outageGapMs > 0 || nextDueMs <= context.atMs
  setPatience(context, server, gapMs)
  const reply = { ok: true, type: 'conducted', more, atMs: context.atMs } as const
  return nextDueMs === Number.POSITIVE_INFINITY ? reply : { ...reply, nextDueMs }
}

/** An opening that comes late by more than the outage threshold gives the auction its whole duration. */
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

function workOff(context: ApplyContext, server: Server, batch: Batch): void {
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
