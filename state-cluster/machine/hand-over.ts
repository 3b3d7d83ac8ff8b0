/**
 * What a server that is dead or leaves owns goes to live ones: its auctions, each to the least loaded, and its
 * outbox entries, each to whoever has their auction now. Invariant: an auction that moves gets the next epoch, its events
 * from then on carry it; with nobody live nothing moves and nothing is lost. Rules OWNER5–OWNER8, OUTAGE6, OUTAGE9.
 */

import type { ApplyContext } from './apply-context.ts'
import { fail } from './assert.ts'
import type { Auction, Owner } from './auction.ts'
import type { Reassigned } from './events.ts'
import { Batch, extendBy, extendForOutage, measureOutage } from './outage.ts'
import type { OutboxRecord } from './outbox.ts'
import type { Server } from './servers.ts'

/** One batch. `gapMs`: how long nobody conducted; `undefined` where nothing was interrupted. */
export function handOver(context: ApplyContext, from: Server, gapMs: number | undefined): Reassigned {
  const { outbox, servers } = context.state
  if (from.standing === 'live') fail('only what is not live hands over', { id: from.id })
  let auctions = 0
  let outboxEntries = 0
  if (servers.liveCount > 0) {
    auctions = moveAuctions(context, from, gapMs)
    outboxEntries = moveOutbox(context, from)
  }
  const isLeft = from.load > 0 || outbox.lengthOf(from.id) > 0
  return { ok: true, type: 'reassigned', auctions, outboxEntries, more: isLeft && servers.liveCount > 0 }
}

function moveAuctions(context: ApplyContext, from: Server, gapMs: number | undefined): number {
  const { changes, house, servers } = context.state
  const nearMs = context.atMs + house.settings.outageExtensionMinMs
  const batch = new Batch(context)
  /** Servers whose silence this hand-over has ended. */
  const receivers = new Set<Server>()
  let count = 0
  for (;;) {
    const auction = from.peek()
    if (auction === undefined) {
      from.outageGapMs = 0
      from.outageHorizonMs = 0
      changes.touch(from)
      return count
    }
    const to = servers.leastLoaded() ?? fail('somebody is live', { id: from.id })
    if (!receivers.has(to)) {
      receivers.add(to)
      countFromHere(context, to, batch)
    }
    if (!batch.take()) return count
    from.drop(auction)
    auction.owner = to
    auction.epoch++
    to.schedule(auction)
    changes.touch(auction)
    context.gain(to.id)
    // An outage of the former owner that was not worked off yet is part of the time that was lost.
    const isAffected = gapMs !== undefined || from.outageGapMs > 0
    if (isAffected && auction.status === 'open' && auction.closesAtMs < nearMs)
      extendBy(context, auction, (gapMs ?? 0) + from.outageGapMs)
    count++
  }
}

/** A silence of the receiver up to here is the loss of what it had, and not of what comes to it now. */
function countFromHere(context: ApplyContext, receiver: Server, batch: Batch): void {
  measureOutage(context, receiver)
  receiver.lastConductedMs = context.atMs
  context.state.changes.touch(receiver)
  extendForOutage(context, receiver, batch)
}

function moveOutbox(context: ApplyContext, from: Server): number {
  const { auctions, limits, outbox, servers } = context.state
  const receiver = servers.leastLoaded() ?? fail('somebody is live', { id: from.id })
  const ownerOf = (outboxEntry: OutboxRecord): Owner | undefined => {
    const auction = outboxEntry.auctionId === undefined ? undefined : auctions.get(outboxEntry.auctionId)
    return auction === undefined || auction.owner !== from
      ? ownerNow(auction, receiver)
      : lastOwner(auction, receiver)
  }
  const count = outbox.move(from.id, limits.moveOutboxMax, (outboxEntry) => {
    const to = ownerOf(outboxEntry)
    if (to !== undefined) context.gain(to.id)
    return to?.id
  })
  context.outboxCount += count
  return count
}

/** Of an auction that moved: its owner, as long as that is live. */
function ownerNow(auction: Auction | undefined, receiver: Server): Owner {
  return auction?.owner.isLive ? auction.owner : receiver
}

/** Of an auction that ended it stays the owner's for ever; one that has not moved yet keeps its outbox entries. */
function lastOwner(auction: Auction, receiver: Server): Server | undefined {
  return auction.hasEnded ? receiver : undefined
}
