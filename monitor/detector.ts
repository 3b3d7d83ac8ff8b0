/**
 * Decides from heartbeats alone which servers are dead.
 *
 * It is pure: its caller reports each event and its time. A closed connection counts at once, a silence after
 * `silentTicksMax` ticks of the monitor's own timer, so that a monitor that was itself asleep listens before it judges.
 * Invariant: a server that announced its leave, or whose heartbeats arrive again, is no suspect; one that goes up and
 * down is given more time each time. Source: docs/spec.md WATCH3 to WATCH6.
 *
 *   up ──closed or silent──► down ──grace──► suspect ──opened or heartbeat──► up
 *    └──leaving──► left (nothing to do)
 */
import type { GroupId, ServerId } from '../protocol/ids.ts'
import { assert } from '../runtime/assert.ts'
import type { Heartbeat } from './heartbeat-codec.ts'

export interface DetectorLimits {
  /** Ticks without a heartbeat until a server counts as silent. */
  readonly silentTicksMax: number
  /** Deaths of one server within this time are counted together … */
  readonly flapWindowMs: number
  /** … so many are judged at once, every further one after a pause that doubles … */
  readonly flapsFree: number
  readonly flapGraceMs: number
  /** … up to this. */
  readonly flapGraceMsMax: number
  /** Servers that are followed; a further one is refused. */
  readonly serversMax: number
}

export const tickMs = 50
/** A tick so long after the last one is late … */
const lateMs = 80
/** … and after so long this process was asleep. */
const asleepMs = 150

export const detectorLimits: DetectorLimits = {
  silentTicksMax: 7,
  flapWindowMs: 60_000,
  flapsFree: 10,
  flapGraceMs: 500,
  flapGraceMsMax: 8_000,
  serversMax: 1_024,
}

export interface Suspect {
  readonly serverId: ServerId
  readonly reason: 'closed' | 'silent'
  /** The epochs of its last heartbeat. */
  readonly epochs: ReadonlyMap<GroupId, number>
}

export interface Watched {
  readonly serverId: ServerId
  readonly state: 'up' | 'closed' | 'silent' | 'left'
  readonly sockets: number
  /** Times it went down within the window. */
  readonly flaps: number
}

interface Followed {
  readonly serverId: ServerId
  connection: number | undefined
  epochs: Map<GroupId, number>
  sockets: number
  silentTicks: number
  isLeaving: boolean
  down: { readonly reason: Suspect['reason']; readonly untilMs: number } | undefined
  /** What follows from its being down was done. */
  isSettled: boolean
  /** When it went down, within the window. */
  downs: number[]
}

export class Detector {
  readonly #limits: DetectorLimits
  readonly #servers = new Map<ServerId, Followed>()
  readonly #byConnection = new Map<number, Followed>()

  constructor(limits: DetectorLimits = detectorLimits) {
    this.#limits = limits
  }

  /** A server connected; `hasRoomFor` it holds. */
  opened(serverId: ServerId, connection: number): void {
    let one = this.#servers.get(serverId)
    if (one === undefined) {
      assert(this.hasRoomFor(serverId), 'a server is followed within the bound')
      one = {
        serverId,
        connection,
        epochs: new Map(),
        sockets: 0,
        silentTicks: 0,
        isLeaving: false,
        down: undefined,
        isSettled: false,
        downs: [],
      }
      this.#servers.set(serverId, one)
    }
    // The newest connection speaks for the server: an older one is a process that is gone, or half open.
    if (one.connection !== undefined) this.#byConnection.delete(one.connection)
    one.connection = connection
    one.epochs = new Map()
    one.isLeaving = false
    this.#byConnection.set(connection, one)
    this.#revive(one)
  }

  /** Whether one more server can be followed, or it is followed already. */
  hasRoomFor(serverId: ServerId): boolean {
    return this.#servers.has(serverId) || this.#servers.size < this.#limits.serversMax
  }

  received(connection: number, heartbeat: Heartbeat): void {
    const one = this.#byConnection.get(connection)
    if (one === undefined) return
    one.sockets = heartbeat.sockets
    for (const { groupId, epoch } of heartbeat.epochs) one.epochs.set(groupId, epoch)
    this.#revive(one)
  }

  leaving(connection: number): void {
    const one = this.#byConnection.get(connection)
    if (one !== undefined) one.isLeaving = true
  }

  closed(connection: number, nowMs: number): void {
    const one = this.#byConnection.get(connection)
    if (one === undefined) return
    this.#byConnection.delete(connection)
    one.connection = undefined
    // Found silent and handed over already: that its socket ends now is no second death.
    if (!one.isLeaving && !one.isSettled) this.#fell(one, 'closed', nowMs)
  }

  /**
   * Once every `tickMs`; `sinceMs` is how long ago the last one was. A late one proves no silence, since what
   * starves this process may starve the others too; after a very late one, every silence is counted from zero.
   */
  tick(nowMs: number, sinceMs: number = tickMs): void {
    for (const one of this.#servers.values()) {
      if (one.connection === undefined || one.isLeaving) continue
      if (sinceMs > asleepMs) one.silentTicks = 0
      else if (sinceMs <= lateMs) one.silentTicks += 1
      if (one.silentTicks >= this.#limits.silentTicksMax && one.down === undefined)
        this.#fell(one, 'silent', nowMs)
    }
  }

  /** The servers to take for dead now. */
  suspects(nowMs: number): Suspect[] {
    const found: Suspect[] = []
    for (const { serverId, down, epochs, isSettled } of this.#servers.values())
      if (down !== undefined && !isSettled && nowMs >= down.untilMs)
        found.push({ serverId, reason: down.reason, epochs })
    return found
  }

  /** Whether another server is up. */
  hasOther(serverId: ServerId): boolean {
    for (const other of this.#servers.values())
      if (other.serverId !== serverId && !other.isLeaving && this.isUp(other.serverId)) return true
    return false
  }

  /** Whether this server is connected and its heartbeats arrive. */
  isUp(serverId: ServerId): boolean {
    const one = this.#servers.get(serverId)
    return one !== undefined && one.connection !== undefined && one.down === undefined
  }

  /** It was acted upon, or is not live any more: no suspect until it goes down again; its flaps still count. */
  settled(serverId: ServerId, nowMs: number): void {
    const one = this.#servers.get(serverId)
    if (one === undefined) return
    if (one.down !== undefined) one.isSettled = true
    this.#prune(one, nowMs)
    if (one.connection === undefined && one.downs.length === 0) this.#servers.delete(serverId)
  }

  /** In order of id. */
  watched(nowMs: number): Watched[] {
    return [...this.#servers.values()]
      .map((one) => {
        this.#prune(one, nowMs)
        const state = one.down?.reason ?? (one.isLeaving || one.connection === undefined ? 'left' : 'up')
        return { serverId: one.serverId, state, sockets: one.sockets, flaps: one.downs.length } as const
      })
      .sort((x, y) => (x.serverId < y.serverId ? -1 : 1))
  }

  #fell(one: Followed, reason: Suspect['reason'], nowMs: number): void {
    this.#prune(one, nowMs)
    one.downs.push(nowMs)
    const { flapsFree, flapGraceMs, flapGraceMsMax } = this.#limits
    const further = one.downs.length - flapsFree
    const graceMs = further <= 0 ? 0 : Math.min(flapGraceMsMax, flapGraceMs * 2 ** (further - 1))
    one.down = { reason, untilMs: nowMs + graceMs }
    one.isSettled = false
  }

  #revive(one: Followed): void {
    one.silentTicks = 0
    one.down = undefined
    one.isSettled = false
  }

  #prune(one: Followed, nowMs: number): void {
    one.downs = one.downs.filter((atMs) => nowMs - atMs < this.#limits.flapWindowMs)
  }
}
