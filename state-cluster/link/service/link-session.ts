/**
 * One client of a state node: its requests, feeds and unsent replies.
 *
 * Answering is left to service.ts. Invariant: a reply is sent only after the feeds that this client follows have sent
 * everything that it shows. The waiting bytes are bounded: a client that does not read is not read from, and its
 * position in a feed costs nothing. A client that is too far behind gets a gap. Source: docs/spec.md LINK4 to LINK10.
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

/** Requests of one client in progress; at this bound, reading from it is paused. */
export const requestsInFlightMax = 1_024
/** A client that makes no room for this long is disconnected. */
export const stalledMsMax = 10_000

/**
 * The cause with which a session ends after an error of its request. Only that client is concerned: a replica that
 * failed reports that itself.
 */
export function faultOf(thrown: unknown): TransportError {
  if (thrown instanceof TransportError) return thrown
  const reason = thrown instanceof Error ? thrown.message : String(thrown)
  return new TransportError('answer_failed', `a request could not be answered: ${reason}`, { cause: thrown })
}

interface Waiting {
  readonly body: Uint8Array
  readonly sent: (() => void) | undefined
}

export class LinkSession implements ConnectionHandlers {
  readonly #connection: Connection
  readonly #owner: LinkSessionOwner
  /** Who asks, as the handshake found. */
  readonly principal: string
  /** The last index sent, for each feed that this client follows. */
  readonly #positions = new Map<GroupId, number>()
  /** Replies that wait for room, or for earlier batches of the feeds. */
  readonly #replies: Waiting[] = []
  #inFlight = 0
  /** Set while the client makes no room. */
  #cancelStall: CancelTimer | undefined

  constructor(connection: Connection, principal: string, owner: LinkSessionOwner) {
    this.#connection = connection
    this.principal = principal
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
    this.#positions.clear()
    this.#replies.length = 0
    this.#owner.ended(this, cause)
  }

  /** Replies, and from then on sends the batches of the group after the index `after`. */
  follow(groupId: GroupId, after: number, body: Uint8Array): void {
    this.reply(body, () => this.#positions.set(groupId, after))
  }

  unfollow(groupId: GroupId): void {
    this.#positions.delete(groupId)
  }

  reply(body: Uint8Array, sent?: () => void): void {
    if (!this.isOpen) return
    this.#replies.push({ body, sent })
    this.#pump()
  }

  /** Sends a frame that is neither feed nor reply. False: there is no room. */
  push(kind: typeof frameKinds.linkWelcome | typeof frameKinds.linkLeader, body: Uint8Array): boolean {
    return this.#connection.send(kind, [body])
  }

  close(): void {
    this.#connection.close()
  }

  /** Disconnects a client that broke the protocol or cannot be answered. */
  fail(cause: TransportError): void {
    this.#connection.fail(cause)
  }

  /** The group has new batches. */
  pumpGroup(groupId: GroupId): void {
    if (this.#hasRoom()) this.#pumpFeed(groupId)
  }

  /**
   * Sends first the feeds, then the replies, as far as there is room. While there is room, no feed is behind, because
   * every batch is sent as it is applied.
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

  /** Whether all feeds of this client have been sent to their end. */
  #pumpFeeds(): boolean {
    for (const groupId of this.#positions.keys()) {
      if (!this.#pumpFeed(groupId)) return false
    }
    return true
  }

  #pumpFeed(groupId: GroupId): boolean {
    const ring = this.#owner.ring(groupId)
    let position = this.#positions.get(groupId)
    if (ring === undefined || position === undefined) return true
    if (position < ring.floor) {
      if (!this.#send(frameKinds.linkGap, encodeGap(groupId, ring.floor))) return false
      position = ring.floor
      this.#positions.set(groupId, position)
    }
    for (let next = ring.after(position); next !== undefined; next = ring.after(position)) {
      if (!this.#send(frameKinds.linkFeed, next.body)) return false
      position = next.index
      this.#positions.set(groupId, position)
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
