/**
 * Moves the auctions and outbox entries of a stopped server to live servers.
 *
 * Each auction goes to the least loaded server, and each outbox entry to the owner of its auction. `reassign` and
 * `release_server` call it, a batch at a time. Leaves to them when a server counts as stopped.
 *
 * Invariant: a moved auction has the next epoch, which its later events carry. Without a live server nothing moves and
 * nothing is lost.
 * Source: docs/spec.md OWNER6–OWNER8, OUTAGE6, OUTAGE9, OUTBOX6.
 */
import type { ApplyContext } from './apply-context.ts'
import { fail } from './assert.ts'
import type { Auction, Owner } from './auction.ts'
import type { Reassigned } from './events.ts'
import { Batch, extendBy, extendForOutage, measureOutage } from './outage.ts'
import type { OutboxRecord } from './outbox.ts'
import type { Server } from './servers.ts'

/** One batch. `gapMs`: the time without a conductor; `undefined` after a planned stop. */
export function handOver(context: ApplyContext, from: Server, gapMs: number | undefined): Reassigned {
  const { outbox, servers } = context.state
  if (from.standing === 'live') fail('a server that hands over is not live', { id: from.id })
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
  /** Receivers whose silence was measured by this command. */
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
    const to = servers.leastLoaded() ?? fail('a server is live', { id: from.id })
    if (!receivers.has(to)) {
      receivers.add(to)
      countSilenceFromNow(context, to, batch)
    }
    if (!batch.take()) return count
    from.drop(auction)
    auction.owner = to
    auction.epoch++
    to.schedule(auction)
    changes.touch(auction)
    context.gain(to.id)
    // An earlier outage of the former owner whose extensions are not all made is lost time too.
    const isAffected = gapMs !== undefined || from.outageGapMs > 0
    if (isAffected && auction.status === 'open' && auction.closesAtMs < nearMs)
      extendBy(context, auction, (gapMs ?? 0) + from.outageGapMs)
    count++
  }
}

/** Ends the receiver's silence here: it affects the auctions that it had, not those that it gets now (OUTAGE9). */
function countSilenceFromNow(context: ApplyContext, receiver: Server, batch: Batch): void {
  measureOutage(context, receiver)
  receiver.lastConductedMs = context.atMs
  context.state.changes.touch(receiver)
  extendForOutage(context, receiver, batch)
}

function moveOutbox(context: ApplyContext, from: Server): number {
  const { auctions, limits, outbox, servers } = context.state
  const receiver = servers.leastLoaded() ?? fail('a server is live', { id: from.id })
  const ownerOf = (outboxEntry: OutboxRecord): Owner | undefined => {
    const auction = outboxEntry.auctionId === undefined ? undefined : auctions.get(outboxEntry.auctionId)
    // By id: the row of an ended auction's owner may have gone and come again.
    if (auction === undefined) return receiver
    return auction.owner.id === from.id
      ? lastOwner(auction, receiver)
      : ownerNow(servers.get(auction.owner.id), receiver)
  }
  const count = outbox.move(from.id, limits.moveOutboxMax, (outboxEntry) => {
    const to = ownerOf(outboxEntry)
    if (to !== undefined) context.gain(to.id)
    return to?.id
  })
  context.outboxCount += count
  return count
}

/** For an entry whose auction is another server's, or that has none: the auction's owner if live, else the receiver. */
function ownerNow(owner: Server | undefined, receiver: Server): Owner {
  return owner?.isLive ? owner : receiver
}

/** An ended auction never moves, so the receiver gets its entries. Entries of one that is still to move wait for it. */
function lastOwner(auction: Auction, receiver: Server): Server | undefined {
  return auction.hasEnded ? receiver : undefined
}
