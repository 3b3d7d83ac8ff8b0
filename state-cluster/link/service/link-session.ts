/**
 * One client of a state node: its requests, its place in the feed of each group, and what waits to be told it.
 *
 * Invariants: a reply leaves only when the feed that this client follows has told it everything that the reply
 * shows; what waits is bounded, because a client that does not read is not read from either, and its place in the
 * feed costs nothing. A client that is too far behind gets a gap, never a hole that it is not told of.
 * Source: docs/spec.md LINK4 to LINK10.
 */
import type { GroupId } from '../../../protocol/ids.ts'
import type { CancelTimer, Clock } from '../../../runtime/clock.ts'
import type { Connection, ConnectionHandlers } from '../../../wire/connection.ts'
import { TransportError } from '../../../wire/errors.ts'
import { frameKinds } from '../../../wire/kinds.ts'
import { malformed } from '../../../wire/tuples.ts'
import { decodeRequest, encodeGap, type Request } from '../wire.ts'
import type { FeedRing } from './feed-ring.ts'

export interface LinkSessionOwner {
  readonly clock: Clock
  ring(groupId: GroupId): FeedRing | undefined
  /** Answers by `session.reply`, once, now or later. */
  request(session: LinkSession, request: Request): void
  ended(session: LinkSession, cause: TransportError): void
}

/** Requests of one client that are being answered; beyond, nothing more is read from it. */
export const requestsInFlightMax = 1_024
/** A client that makes no room for this long is cut off: it hangs, or is gone. */
export const stalledMsMax = 10_000

/**
 * Why a session ends whose request threw this. It concerns one client: a replica that has failed reports that by
 * itself.
 */
export function faultOf(thrown: unknown): TransportError {
  if (thrown instanceof TransportError) return thrown
  const why = thrown instanceof Error ? thrown.message : String(thrown)
  return new TransportError('answer_failed', `a request could not be answered: ${why}`, { cause: thrown })
}

interface Waiting {
  readonly body: Uint8Array
  readonly sent: (() => void) | undefined
}

export class LinkSession implements ConnectionHandlers {
  readonly #connection: Connection
  readonly #owner: LinkSessionOwner
  /** Where this client stands in the feed of each group that it follows. */
  readonly #places = new Map<GroupId, number>()
  /** Replies that wait for room, or for the feed before them. */
  readonly #replies: Waiting[] = []
  #inFlight = 0
  /** There is no room; set while that lasts. */
  #cancelStall: CancelTimer | undefined

  constructor(connection: Connection, owner: LinkSessionOwner) {
    this.#connection = connection
    this.#owner = owner
  }

  get isOpen(): boolean {
    return this.#connection.isOpen
  }

  get requestsInFlight(): number {
    return this.#inFlight
  }

  get waitingBytes(): number {
    return this.#connection.waitingBytes
  }

  get remote(): string {
    return this.#connection.remote
  }

  frame(kind: number, body: Uint8Array): void {
    if (kind !== frameKinds.linkRequest) throw malformed(`frame kind ${kind} from a link client`)
    this.#inFlight++
    if (this.#inFlight >= requestsInFlightMax) this.#connection.pause()
    try {
      this.#owner.request(this, decodeRequest(body))
    } catch (thrown) {
      this.fail(faultOf(thrown))
    }
  }

  writable(): void {
    this.#cancelStall?.()
    this.#cancelStall = undefined
    this.#pump()
  }

  closed(cause: TransportError): void {
    this.#cancelStall?.()
    this.#places.clear()
    this.#replies.length = 0
    this.#owner.ended(this, cause)
  }

  /** Answers, and tells this client of the group behind `after` from then on. */
  follow(groupId: GroupId, after: number, body: Uint8Array): void {
    this.reply(body, () => this.#places.set(groupId, after))
  }

  unfollow(groupId: GroupId): void {
    this.#places.delete(groupId)
  }

  reply(body: Uint8Array, sent?: () => void): void {
    if (!this.isOpen) return
    this.#replies.push({ body, sent })
    this.#pump()
  }

  /** Tells something that is neither feed nor reply; `false`: there is no room. */
  tell(kind: typeof frameKinds.linkWelcome | typeof frameKinds.linkLeader, body: Uint8Array): boolean {
    return this.#connection.send(kind, [body])
  }

  close(): void {
    this.#connection.close()
  }

  /** Ends at once: it broke the protocol, or cannot be answered. */
  fail(cause: TransportError): void {
    this.#connection.fail(cause)
  }

  /** The group has something to tell. */
  pumpGroup(groupId: GroupId): void {
    if (this.#hasRoom()) this.#pumpFeed(groupId)
  }

  /**
   * Sends what can be sent: first the feed, then the replies. While there is room, no feed is behind: what it has
   * to tell is sent as it happens.
   */
  #pump(): void {
    if (!this.#hasRoom() || !this.#pumpFeeds()) return
    for (let next = this.#replies[0]; next !== undefined; next = this.#replies[0]) {
      if (!this.#send(frameKinds.linkReply, next.body)) return
      this.#replies.shift()
      this.#inFlight--
      if (this.#inFlight === requestsInFlightMax >> 1) this.#connection.resume()
      next.sent?.()
      if (next.sent !== undefined && !this.#pumpFeeds()) return
    }
  }

  #hasRoom(): boolean {
    return this.#cancelStall === undefined && this.isOpen
  }

  /** Whether this client has been told all that there is. */
  #pumpFeeds(): boolean {
    for (const groupId of this.#places.keys()) {
      if (!this.#pumpFeed(groupId)) return false
    }
    return true
  }

  #pumpFeed(groupId: GroupId): boolean {
    const ring = this.#owner.ring(groupId)
    let place = this.#places.get(groupId)
    if (ring === undefined || place === undefined) return true
    if (place < ring.floor) {
      if (!this.#send(frameKinds.linkGap, encodeGap(groupId, ring.floor))) return false
      place = ring.floor
      this.#places.set(groupId, place)
    }
    for (let next = ring.after(place); next !== undefined; next = ring.after(place)) {
      if (!this.#send(frameKinds.linkFeed, next.body)) return false
      place = next.index
      this.#places.set(groupId, place)
    }
    return true
  }

  #send(kind: Parameters<Connection['send']>[0], body: Uint8Array): boolean {
    if (this.#connection.send(kind, [body])) return true
    this.#cancelStall ??= this.#owner.clock.setTimer(stalledMsMax, () => {
      const message = `${this.remote} took nothing for ${stalledMsMax} ms`
      this.#connection.fail(new TransportError('silent', message))
    })
    return false
  }
}
