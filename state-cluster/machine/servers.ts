/**
 * The servers that own auctions: their epochs, when each last conducted, an outage being worked off, and two
 * heaps of what falls due next. Invariant: a scheduled auction is in its owner's `openings`, an open one in its
 * `running`, any other in neither.
 *
 *   server  key: server id   value: [epoch, lastConductedMs, outageGapMs, outageHorizonMs]
 */
import type { ServerId } from '../../protocol/ids.ts'
import type { Auction } from './auction.ts'
import { type Changes, type RowKind, Stored } from './changes.ts'
import { DueHeap } from './due.ts'
import type { Limits } from './limits.ts'
import type { Plain } from './plain.ts'

export class Server extends Stored {
  readonly id: ServerId
  /** 0: named by an auction, never registered. */
  epoch = 0
  lastConductedMs: number
  /** Length of the outage that is being worked off; 0 when there is none. */
  outageGapMs = 0
  /** Open auctions that close before this are extended by the outage. */
  outageHorizonMs = 0
  readonly openings = new DueHeap<Auction>()
  readonly running = new DueHeap<Auction>()

  constructor(id: ServerId, lastConductedMs: number) {
    super()
    this.id = id
    this.lastConductedMs = lastConductedMs
  }

  /** Puts an auction where it belongs by its status; call after any change of status, deadline or price. */
  schedule(auction: Auction): void {
    const { openings, running } = this
    if (auction.status !== 'scheduled' && openings.holds(auction)) openings.remove(auction)
    if (auction.status !== 'open' && running.holds(auction)) running.remove(auction)
    if (auction.status === 'scheduled') openings.set(auction, auction.opensAtMs)
    if (auction.status === 'open') running.set(auction, auction.format.dueMs(auction))
  }

  /** Epoch ms; `Infinity` when nothing is scheduled or open. */
  nextDueMs(): number {
    return Math.min(this.openings.peekDueMs(), this.running.peekDueMs())
  }

  rowKind(): RowKind {
    return 'server'
  }

  rowKey(): string {
    return this.id
  }

  rowValue(): readonly Plain[] {
    return [this.epoch, this.lastConductedMs, this.outageGapMs, this.outageHorizonMs]
  }
}

export class Servers {
  private readonly byId = new Map<ServerId, Server>()
  private readonly changes: Changes
  private readonly limits: Limits

  constructor(changes: Changes, limits: Limits) {
    this.changes = changes
    this.limits = limits
  }

  get size(): number {
    return this.byId.size
  }

  get(id: ServerId): Server | undefined {
    return this.byId.get(id)
  }

  /** The server, made when it is new; `undefined` at the bound. */
  obtain(id: ServerId, atMs: number): Server | undefined {
    const known = this.byId.get(id)
    if (known !== undefined) return known
    if (this.byId.size >= this.limits.serversMax) return undefined
    const server = new Server(id, atMs)
    this.byId.set(id, server)
    this.changes.touch(server)
    return server
  }

  load(server: Server): void {
    this.byId.set(server.id, server)
    this.changes.load(server)
  }

  sorted(): Server[] {
    return [...this.byId.values()].sort((x, y) => (x.id < y.id ? -1 : 1))
  }
}
