/**
 * The servers that own auctions: their epochs, when each last conducted, an outage being worked off, and what
 * each has to do. Invariant: a scheduled auction is in its owner's `openings`, an open one in its `running`, a
 * paused one in its `held`, an ended one in none.
 *
 *   server  key: server id   value: [epoch, lastConductedMs, outageGapMs, outageHorizonMs, standing's code,
 *                                    patienceMs]
 *
 *   standing   left ──enlist──► live ──release──► left      an auction may name a server that never enlisted:
 *              dead ──enlist──► live ──reassign─► dead      it begins as `left`, in epoch 0
 */
import type { ServerId } from '../../protocol/ids.ts'
import type { Auction, Owner } from './auction.ts'
import { type Changes, type RowKind, Stored } from './changes.ts'
import { DueHeap } from './due.ts'
import type { Limits } from './limits.ts'
import type { Plain } from './plain.ts'

/** Stable codes of rows. Never reuse a number. */
export const standingCodes = { live: 1, dead: 2, left: 3 } as const

/** `live`: auctions are assigned to it. `left`: released, or never enlisted. `dead`: the monitor fenced it. */
export type ServerStanding = keyof typeof standingCodes

export class Server extends Stored implements Owner {
  readonly id: ServerId
  /** 0: named by an auction, never enlisted. */
  epoch = 0
  standing: ServerStanding = 'left'
  lastConductedMs: number
  /** Its next pulse may come so much later; a longer silence is an outage. Decided at each pulse. */
  patienceMs = 0
  /** Length of the outage that is being worked off; 0 when there is none. */
  outageGapMs = 0
  /** Open auctions that close before this are extended by the outage. */
  outageHorizonMs = 0
  readonly openings = new DueHeap<Auction>()
  readonly running = new DueHeap<Auction>()
  /** Paused: nothing of them falls due, but they are somebody's. */
  readonly held = new DueHeap<Auction>()

  constructor(id: ServerId, lastConductedMs: number) {
    super()
    this.id = id
    this.lastConductedMs = lastConductedMs
  }

  get isLive(): boolean {
    return this.standing === 'live'
  }

  /** Auctions that have not ended. */
  get load(): number {
    return this.openings.size + this.running.size + this.held.size
  }

  /** Puts an auction where it belongs by its status; call after any change of status, deadline or price. */
  schedule(auction: Auction): void {
    const { openings, running, held } = this
    const { status } = auction
    if (status !== 'scheduled' && openings.holds(auction)) openings.remove(auction)
    if (status !== 'open' && running.holds(auction)) running.remove(auction)
    if (status !== 'paused' && held.holds(auction)) held.remove(auction)
    if (status === 'scheduled') openings.set(auction, auction.opensAtMs)
    if (status === 'open') running.set(auction, auction.format.dueMs(auction))
    if (status === 'paused') held.set(auction, 0)
  }

  /** Takes an auction out, for another server to schedule. */
  drop(auction: Auction): void {
    for (const heap of [this.openings, this.running, this.held]) if (heap.holds(auction)) heap.remove(auction)
  }

  /** The most pressing of its auctions: what runs, then what opens, then what is held. */
  peek(): Auction | undefined {
    return this.running.peek() ?? this.openings.peek() ?? this.held.peek()
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
    const { epoch, lastConductedMs, outageGapMs, outageHorizonMs, patienceMs } = this
    return [epoch, lastConductedMs, outageGapMs, outageHorizonMs, standingCodes[this.standing], patienceMs]
  }
}

/** The server where an auction is created keeps it unless its load is above the least by more than this … */
const localitySlack = 16
/** … and by more than one part in this many. */
const localityPart = 4

export class Servers {
  private readonly byId = new Map<ServerId, Server>()
  /** In order of id. */
  private live: Server[] = []
  private readonly changes: Changes
  private readonly limits: Limits

  constructor(changes: Changes, limits: Limits) {
    this.changes = changes
    this.limits = limits
  }

  get size(): number {
    return this.byId.size
  }

  get liveCount(): number {
    return this.live.length
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

  setStanding(server: Server, standing: ServerStanding): void {
    server.standing = standing
    this.changes.touch(server)
    this.listLive()
  }

  /** The live server with the least to do, the first by id among equals; O(live servers). */
  leastLoaded(): Server | undefined {
    let least: Server | undefined
    for (const server of this.live) if (least === undefined || server.load < least.load) least = server
    return least
  }

  /**
   * Whose a new auction is: the server's where it is created, unless that is not live or has much more to do than
   * the least loaded one. With no live server at all it is the server's where it is created, and waits.
   */
  ownerFor(createdAt: ServerId, atMs: number): Server | undefined {
    const least = this.leastLoaded()
    if (least === undefined) return this.obtain(createdAt, atMs)
    const local = this.byId.get(createdAt)
    if (local === undefined || local.standing !== 'live') return least
    const slack = Math.max(localitySlack, Math.floor(least.load / localityPart))
    return local.load <= least.load + slack ? local : least
  }

  load(server: Server): void {
    this.byId.set(server.id, server)
    this.changes.load(server)
    if (server.standing === 'live') this.listLive()
  }

  sorted(): Server[] {
    return [...this.byId.values()].sort((x, y) => (x.id < y.id ? -1 : 1))
  }

  private listLive(): void {
    this.live = this.sorted().filter((server) => server.standing === 'live')
  }
}
