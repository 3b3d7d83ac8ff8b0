/**
 * The servers that own auctions, with their epochs, pulses and outages.
 *
 * Each server has three heaps of its auctions, so the next one that is due is found without a scan. Leaves the measure
 * of outages to outage.ts.
 *
 * Invariant: a scheduled auction is in its owner's `openings`, an open one in `running`, a paused one in `paused`, and an
 * ended one in none.
 * Source: docs/spec.md OWNER1–OWNER6, OWNER10, DUE1.
 */
import type { ServerId } from '../../protocol/ids.ts'
import type { Auction, Owner } from './auction.ts'
import { type Changes, type RowKind, Stored } from './changes.ts'
import { DueHeap } from './due.ts'
import type { House } from './group-facts.ts'
import type { Limits } from './limits.ts'
import type { Plain } from './plain.ts'

/*
 * server  key: server id   value: [epoch, lastConductedMs, outageGapMs, outageHorizonMs, standing's code,
 *                                  pulseTimeoutMs]
 *
 * standing   left ──enlist──► live ──release──► left      an auction may name a server that never enlisted:
 *            dead ──enlist──► live ──reassign─► dead      it begins as `left`
 * The row of one that is left or dead goes at the end of the entry in which it has no auction and no outbox entry.
 */

/** Stable codes of rows. Never reuse a number. */
export const standingCodes = { live: 1, dead: 2, left: 3 } as const

/** `live`: auctions are assigned to it. `left`: released, or never enlisted. `dead`: the monitor fenced it. */
export type ServerStanding = keyof typeof standingCodes

export class Server extends Stored implements Owner {
  readonly id: ServerId
  /** Rises with each enlistment. One that was only named by an auction has one that no server acts under. */
  epoch = 0
  standing: ServerStanding = 'left'
  lastConductedMs: number
  /** A longer silence until the next pulse is an outage. Set at each pulse. */
  pulseTimeoutMs = 0
  /** Length of the outage whose extensions are not all made yet; 0 when there is none. */
  outageGapMs = 0
  /** Open auctions that close before this are extended by the outage. */
  outageHorizonMs = 0
  readonly openings = new DueHeap<Auction>()
  readonly running = new DueHeap<Auction>()
  /** They do not fall due, but they count as load and move with the others. */
  readonly paused = new DueHeap<Auction>()

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
    return this.openings.size + this.running.size + this.paused.size
  }

  /** Puts an auction into the heap of its status; to be called after any change of status, deadline or price. */
  schedule(auction: Auction): void {
    const { openings, running, paused } = this
    const { status } = auction
    if (status !== 'scheduled' && openings.holds(auction)) openings.remove(auction)
    if (status !== 'open' && running.holds(auction)) running.remove(auction)
    if (status !== 'paused' && paused.holds(auction)) paused.remove(auction)
    if (status === 'scheduled') openings.set(auction, auction.opensAtMs)
    if (status === 'open') running.set(auction, auction.format.dueMs(auction))
    if (status === 'paused') paused.set(auction, 0)
  }

  /** Removes an auction, so that another server can schedule it. */
  drop(auction: Auction): void {
    for (const heap of [this.openings, this.running, this.paused])
      if (heap.holds(auction)) heap.remove(auction)
  }

  /** The first auction to hand over: by due time, open ones before scheduled ones before paused ones. */
  peek(): Auction | undefined {
    return this.running.peek() ?? this.openings.peek() ?? this.paused.peek()
  }

  /** Epoch ms; `Infinity` when nothing is scheduled or open. */
  nextDueMs(): number {
    return Math.min(this.openings.peekDueMs(), this.running.peekDueMs())
  }

  /** As one that was never heard of. */
  reset(): void {
    this.epoch = 0
    this.standing = 'left'
    this.pulseTimeoutMs = 0
    this.outageGapMs = 0
    this.outageHorizonMs = 0
  }

  rowKind(): RowKind {
    return 'server'
  }

  rowKey(): string {
    return this.id
  }

  rowValue(): readonly Plain[] {
    const { epoch, lastConductedMs, outageGapMs, outageHorizonMs, pulseTimeoutMs } = this
    return [
      epoch,
      lastConductedMs,
      outageGapMs,
      outageHorizonMs,
      standingCodes[this.standing],
      pulseTimeoutMs,
    ]
  }
}

/** The server where an auction is created owns it unless its load exceeds the least one by more than this … */
const localitySlack = 16
/** … and by more than one part in this many. */
const localityPart = 4

export class Servers {
  private readonly byId = new Map<ServerId, Server>()
  /** In order of id. */
  private live: Server[] = []
  /** Those that are not live. */
  private readonly resting = new Set<Server>()
  /** Rows that are gone and whose deletion is not saved: one that comes back before that is the same object. */
  private readonly gone = new Map<ServerId, Server>()
  private readonly changes: Changes
  private readonly house: House
  private readonly limits: Limits

  constructor(changes: Changes, house: House, limits: Limits) {
    this.changes = changes
    this.house = house
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
  getOrAdd(id: ServerId, atMs: number): Server | undefined {
    const known = this.byId.get(id)
    if (known !== undefined) return known
    if (this.byId.size >= this.limits.serversMax) return undefined
    const server = this.gone.get(id) ?? new Server(id, atMs)
    this.gone.delete(id)
    server.lastConductedMs = atMs
    const { epochsGone } = this.house
    // No epoch that a server of this name ever had is given again, not even to one that has not enlisted.
    server.epoch = epochsGone === 0 ? 0 : epochsGone + 1
    this.byId.set(id, server)
    this.resting.add(server)
    this.changes.touch(server)
    return server
  }

  /** Removes the rows of servers that are not live and have no work. O(servers that are not live). */
  dropIdle(outboxLengthOf: (id: ServerId) => number): void {
    for (const server of this.resting) {
      if (server.load > 0 || outboxLengthOf(server.id) > 0) continue
      this.house.epochsGone = Math.max(this.house.epochsGone, server.epoch)
      this.byId.delete(server.id)
      this.resting.delete(server)
      server.reset()
      for (const [id, one] of this.gone) if (!this.changes.isUnsaved(one)) this.gone.delete(id)
      this.gone.set(server.id, server)
      this.changes.drop(server)
    }
  }

  setStanding(server: Server, standing: ServerStanding): void {
    server.standing = standing
    if (server.isLive) this.resting.delete(server)
    else this.resting.add(server)
    this.changes.touch(server)
    this.listLive()
  }

  /** The live server with the least load, the first by id among equals; O(live servers). */
  leastLoaded(): Server | undefined {
    let least: Server | undefined
    for (const server of this.live) if (least === undefined || server.load < least.load) least = server
    return least
  }

  /**
   * The owner of a new auction: the server where it is created, unless that is not live or has a much higher load than
   * the least loaded one. Without any live server, the server where it is created owns it, and the auction waits.
   */
  ownerFor(createdAt: ServerId, atMs: number): Server | undefined {
    const least = this.leastLoaded()
    if (least === undefined) return this.getOrAdd(createdAt, atMs)
    const local = this.byId.get(createdAt)
    if (local === undefined || local.standing !== 'live') return least
    const slack = Math.max(localitySlack, Math.floor(least.load / localityPart))
    return local.load <= least.load + slack ? local : least
  }

  load(server: Server): void {
    this.byId.set(server.id, server)
    this.changes.load(server)
    if (server.isLive) this.listLive()
    else this.resting.add(server)
  }

  sorted(): Server[] {
    return [...this.byId.values()].sort((x, y) => (x.id < y.id ? -1 : 1))
  }

  private listLive(): void {
    this.live = this.sorted().filter((server) => server.standing === 'live')
  }
}
