/**
 * A sale for tests: a state, a clock that the test sets, short commands.
 *
 * Every command is an entry of its own and goes through the codec, as in a log. Leaves expectations to the test.
 *
 * Invariant: `entries` is the whole log, so a test may replay it.
 * Source: commands.ts.
 */
import type { AuctionId, RequestId, ServerId, SubjectId } from '../../../protocol/ids.ts'
import { defaultIncrements } from '../../../protocol/money.ts'
import { apply, entryVersion } from '../apply.ts'
import { decodeEntry, type EntryTuple, encodeEntry } from '../codec.ts'
import type { AuctionTerms, BidKind, Command } from '../commands.ts'
import type {
  Applied,
  BidAccepted,
  OutboxEntry,
  PrivateEvent,
  PublicEvent,
  Rejected,
  Reply,
  Standing,
} from '../events.ts'
import type { Limits } from '../limits.ts'
import { emptyState, rows, type State } from '../state.ts'
import type { AuctionView } from '../view.ts'
import { auctionView, outboxPage, standingOf } from '../views.ts'
import { restored } from './restored.ts'

export const terms: AuctionTerms = {
  title: 'A thing',
  tags: [],
  format: 'english',
  currency: 'USD',
  openingBid: 100,
  durationMs: 60_000,
  increments: defaultIncrements('USD'),
}

/** When a sale begins: an arbitrary moment (epoch ms). */
export const startMs = 1_700_000_000_000

/** A conductor's pause between two pulses while a close is near. */
const pulseMs = 250

type Managing = 'close_auction' | 'cancel_auction' | 'pause_auction' | 'resume_auction'

export class Sale {
  state: State
  atMs = startMs
  readonly entries: EntryTuple[] = []
  /** All events so far, in order. */
  readonly events: (PublicEvent | PrivateEvent)[] = []
  readonly limits: Limits | undefined
  private requests = 0

  constructor(limits?: Limits) {
    this.limits = limits
    this.state = emptyState(limits)
  }

  /** Applies commands as one entry, stamped now. */
  apply(...commands: Command[]): Applied {
    const tuple = encodeEntry({ version: entryVersion, atMs: this.atMs, commands })
    this.entries.push(tuple)
    const applied = apply(this.state, decodeEntry(tuple))
    this.events.push(...applied.events)
    return applied
  }

  ask(command: Command): Reply {
    return this.apply(command).replies[0] as Reply
  }

  /** Moves the clock forward. */
  pass(ms: number): this {
    this.atMs += ms
    return this
  }

  nextRequest(): RequestId {
    return `request-${++this.requests}` as RequestId
  }

  /** Creates an auction of `sam` on server `s1`, unless said otherwise. */
  auction(id = 'a1', change: Partial<AuctionTerms> = {}, server = 's1', seller = 'sam'): Reply {
    return this.ask({
      type: 'create_auction',
      subject: seller as SubjectId,
      requestId: this.nextRequest(),
      auctionId: id as AuctionId,
      serverId: server as ServerId,
      terms: { ...terms, ...change },
    })
  }

  bid(bidder: string, amount: number, kind: BidKind = 'max', auctionId = 'a1', requestId?: string): Reply {
    return this.ask({
      type: 'place_bid',
      subject: bidder as SubjectId,
      requestId: (requestId as RequestId | undefined) ?? this.nextRequest(),
      auctionId: auctionId as AuctionId,
      amount,
      kind,
    })
  }

  /** A bid that the test expects to be accepted. */
  accept(bidder: string, amount: number, kind: BidKind = 'max', auctionId = 'a1'): BidAccepted {
    const reply = this.bid(bidder, amount, kind, auctionId)
    if (!reply.ok || reply.type !== 'bid') throw new Error(`refused: ${JSON.stringify(reply)}`)
    return reply
  }

  /** A bid that the test expects to be refused. */
  refuse(bidder: string, amount: number, kind: BidKind = 'max', auctionId = 'a1'): Rejected {
    const reply = this.bid(bidder, amount, kind, auctionId)
    if (reply.ok) throw new Error(`accepted: ${JSON.stringify(reply)}`)
    return reply
  }

  buyNow(buyer: string, auctionId = 'a1'): Reply {
    return this.ask({
      type: 'buy_now',
      subject: buyer as SubjectId,
      requestId: this.nextRequest(),
      auctionId: auctionId as AuctionId,
    })
  }

  manage(type: Managing, by = 'sam', auctionId = 'a1', operator = false): Reply {
    return this.ask({
      type,
      subject: by as SubjectId,
      requestId: this.nextRequest(),
      operator,
      auctionId: auctionId as AuctionId,
    })
  }

  extend(byMs: number, by = 'sam', auctionId = 'a1'): Reply {
    return this.ask({
      type: 'extend_auction',
      subject: by as SubjectId,
      requestId: this.nextRequest(),
      operator: false,
      auctionId: auctionId as AuctionId,
      byMs,
    })
  }

  enlist(server = 's1'): Reply {
    return this.ask({ type: 'enlist_server', serverId: server as ServerId })
  }

  buyer(id: string, interests: readonly string[] = [], endpoint?: string): Reply {
    return this.ask({
      type: 'register_buyer',
      subject: id as SubjectId,
      requestId: this.nextRequest(),
      buyerId: id as SubjectId,
      serverId: 's1' as ServerId,
      name: `Buyer ${id}`,
      interests,
      ...(endpoint === undefined ? {} : { endpoint }),
    })
  }

  conduct(server = 's1', epoch = 1): Applied {
    return this.apply({ type: 'conduct', serverId: server as ServerId, epoch })
  }

  /** Sets the clock to `atMs`, with pulses in between as a conductor makes them, so that no outage is measured. */
  runTo(atMs: number, server = 's1'): void {
    while (this.atMs + pulseMs < atMs) this.pass(pulseMs).conduct(server)
    this.atMs = atMs
    this.conduct(server)
  }

  view(id = 'a1'): AuctionView {
    const view = auctionView(this.state, id as AuctionId)
    if (view === undefined) throw new Error(`no auction ${id}`)
    return view
  }

  standing(bidder: string, id = 'a1'): Standing {
    return standingOf(this.state, id as AuctionId, bidder as SubjectId)
  }

  outbox(server = 's1', after = 0, limit = 1_000): readonly OutboxEntry[] {
    return outboxPage(this.state, server as ServerId, after, limit)
  }

  /** Continues from a checkpoint of all rows, as after a restart. */
  restart(): this {
    this.state = restored(rows(this.state), this.limits)
    return this
  }

  /** Types of the events since a mark in `events`. */
  typesSince(mark: number): string[] {
    return this.events.slice(mark).map((event) => event.type)
  }
}
