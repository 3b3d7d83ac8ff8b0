/**
 * The last accepted request of a row, and what the rows know of older ones.
 *
 * A bidder, a buyer and a managed auction each keep a key of the last request that was accepted there, with what its
 * reply had. So it is answered from there for ever, whatever request-memory.ts has forgotten. Leaves the order of
 * the steps to apply.ts.
 *
 * Invariant: nothing here changes an auction; a request that may have been accepted and forgotten is not run again if
 * its sender says that it is a repeat.
 * Source: docs/spec.md REQUEST6, REQUEST8.
 */
import type { SubjectId } from '../../protocol/ids.ts'
import type { ApplyContext } from './apply-context.ts'
import type { Bidder } from './auction.ts'
import type { Command } from './commands.ts'
import type { Reply } from './events.ts'
import { hashPlain, type Lanes } from './plain.ts'
import type { State } from './state.ts'
import { isBeyond } from './visibility.ts'

export type RequestedCommand = Extract<Command, { readonly requestId: unknown }>

/** Names a request within its row: its id and its content, and the subject where others may write the row too. */
export function keyOf(command: RequestedCommand, digest: Lanes, idLanes: Lanes): Lanes {
  const isOwnRow = command.type === 'place_bid' || command.type === 'buy_now'
  const id = isOwnRow ? idLanes : hashPlain(0, [command.subject, command.requestId])
  return { a: (digest.a + Math.imul(id.a, 0x85ebca6b)) | 0, b: (digest.b + Math.imul(id.b, 0xc2b2ae35)) | 0 }
}

/** The reply of a request that was the last one accepted in its row; `undefined` for any other. */
export function lastReply(state: State, command: RequestedCommand, key: Lanes): Reply | undefined {
  switch (command.type) {
    case 'place_bid':
    case 'buy_now': {
      const bidder = bidderOf(state, command)
      if (bidder === undefined || bidder.requestA !== key.a || bidder.requestB !== key.b) return undefined
      const { auction, maxBid, maxSeq: seq, repliedAskingBid: askingBid, repliedPrice: price } = bidder
      const you = { status: bidder.repliedStatus, maxBid }
      return { ok: true, type: 'bid', auctionId: auction.id, seq, price, askingBid, you }
    }
    case 'register_buyer': {
      const { buyerId } = command
      const buyer = state.buyers.get(buyerId)
      if (buyer === undefined || buyer.requestA !== key.a || buyer.requestB !== key.b) return undefined
      return { ok: true, type: 'buyer', buyerId }
    }
    case 'create_auction':
      return undefined
    default: {
      const { auctionId } = command
      const auction = state.auctions.get(auctionId)
      if (auction === undefined || auction.managedSeq === 0) return undefined
      if (auction.managedA !== key.a || auction.managedB !== key.b) return undefined
      return { ok: true, type: 'auction', auctionId, seq: auction.managedSeq }
    }
  }
}

/** Writes an accepted request into its row. */
export function noteLast(state: State, command: RequestedCommand, key: Lanes, reply: Reply): void {
  if (!reply.ok || command.type === 'create_auction') return
  if (reply.type === 'bid') {
    const bidder = bidderOf(state, command as Extract<Command, { type: 'place_bid' | 'buy_now' }>) as Bidder
    bidder.requestA = key.a
    bidder.requestB = key.b
    bidder.repliedPrice = reply.price
    bidder.repliedAskingBid = reply.askingBid
    bidder.repliedStatus = reply.you.status
    state.changes.touch(bidder)
  } else if (command.type === 'register_buyer') {
    const buyer = state.buyers.get(command.buyerId)
    if (buyer === undefined) return
    buyer.requestA = key.a
    buyer.requestB = key.b
    state.changes.touch(buyer)
  } else if (reply.type === 'auction') {
    const auction = state.auctions.get(reply.auctionId)
    if (auction === undefined) return
    auction.managedA = key.a
    auction.managedB = key.b
    auction.managedSeq = reply.seq
    state.changes.touch(auction)
  }
}

/**
 * Whether an unknown request may be one that was accepted and is forgotten: it was sent before, so long ago that an
 * accepted one is not remembered for certain, and the rows do not show that it never was.
 */
export function mayBeForgotten({ atMs, state }: ApplyContext, command: RequestedCommand): boolean {
  const { ageMs = 0, subject } = command
  if (ageMs === 0) return false
  const { requests, limits } = state
  const sentMs = atMs - ageMs
  const isOld =
    sentMs - limits.requestTransitMs <= requests.forgottenUntilMs(atMs) ||
    sentMs - limits.requestOwnTransitMs <= requests.ownForgottenUntilMs(subject)
  return isOld && !wasNeverAccepted(state, command)
}

function wasNeverAccepted(state: State, command: RequestedCommand): boolean {
  switch (command.type) {
    case 'place_bid': {
      const bidder = bidderOf(state, command)
      // A maximum is never taken back, so the row would have at least this one.
      return bidder === undefined || isBeyond(bidder.auction, command.amount, bidder.maxBid)
    }
    case 'register_buyer':
      return state.buyers.get(command.buyerId) === undefined
    // Each would be the last one in its row, or is found by the id of the auction.
    case 'create_auction':
    case 'buy_now':
    case 'close_auction':
    case 'cancel_auction':
      return true
    case 'pause_auction':
    case 'resume_auction':
    case 'extend_auction': {
      const auction = state.auctions.get(command.auctionId)
      if (auction === undefined || auction.managedSeq === 0) return true
      // Each acceptance raises `seq`, and only a deadline that never returns is as good as that.
      const { expected } = command
      if (expected?.seq !== undefined) return expected.seq === auction.seq
      return command.type === 'extend_auction' && expected?.closesAtMs === auction.closesAtMs
    }
  }
}

interface OfBidder {
  readonly auctionId: Parameters<State['auctions']['get']>[0]
  readonly subject: SubjectId
}

function bidderOf(state: State, { auctionId, subject }: OfBidder): Bidder | undefined {
  return state.auctions.get(auctionId)?.bidderOf(subject)
}
