/**
 * The connection of a link client to one state node.
 *
 * It sends requests, receives replies and pushed frames, and reconnects after an end. The requests are left to its
 * users. Invariant: each request that was taken ends once, with the node's reply or with the cause of its loss. The
 * owner is informed of the end of a connection before the requests that it ends. Source: docs/spec.md LINK1 to LINK4.
 */
import type { GroupId } from '../../../protocol/ids.ts'
import type { BackoffLimits } from '../../../runtime/backoff.ts'
import type { Connection, ConnectionHandlers, ConnectionLimits } from '../../../wire/connection.ts'
import { Dialer } from '../../../wire/dialer.ts'
import { TransportError } from '../../../wire/errors.ts'
import { type Hello, judgeHello } from '../../../wire/handshake.ts'
import { frameKinds } from '../../../wire/kinds.ts'
import type { Address, Dial } from '../../../wire/stream.ts'
import type { Timing } from '../../../wire/timing.ts'
import { malformed } from '../../../wire/tuples.ts'
import type { FeedBatch } from '../../cluster.ts'
import type { LeaderView } from '../../replica/feed.ts'
import {
  decodeFeed,
  decodeGap,
  decodeLeader,
  decodeReplyBody,
  decodeWelcome,
  type GroupIndex,
  type ReplyBody,
  type Welcome,
} from '../wire.ts'

export interface NodeLinkOwner {
  /** Empty until it is known. */
  readonly clusterId: string
  opened(node: NodeLink, welcome: Welcome, theirs: Hello): void
  leader(node: NodeLink, groupId: GroupId, view: LeaderView): void
  feed(node: NodeLink, batch: FeedBatch): void
  gap(node: NodeLink, gap: GroupIndex): void
  /** There is room again for requests. */
  writable(node: NodeLink): void
  closed(node: NodeLink): void
  fault(node: NodeLink, cause: TransportError): void
}

export interface NodeLinkOptions {
  readonly dial: Dial
  readonly timing: Timing
  readonly limits: ConnectionLimits
  readonly backoff: BackoffLimits
  readonly connectTimeoutMs: number
  /** Of this client process, for the node's log. */
  readonly instance: string
  /** `server:NAME`, `monitor:NAME` or `tool:NAME`. */
  readonly principal: string
}

type OnReply = (outcome: ReplyBody | TransportError) => void

export class NodeLink {
  readonly address: Address
  /** 0 until the handshake. */
  nodeId = 0
  readonly #owner: NodeLinkOwner
  readonly #awaited = new Map<number, OnReply>()
  readonly #dialer: Dialer
  #connection: Connection | undefined
  #isWelcome = false
  #lastId = 0

  constructor(address: Address, options: NodeLinkOptions, owner: NodeLinkOwner) {
    this.address = address
    this.#owner = owner
    const hello = (): Hello => ({
      role: 'link',
      clusterId: owner.clusterId,
      nodeId: 0,
      instance: options.instance,
      settingsHash: '',
      principal: options.principal,
    })
    this.#dialer = new Dialer({
      address,
      dial: options.dial,
      timing: options.timing,
      limits: options.limits,
      backoff: options.backoff,
      connectTimeoutMs: options.connectTimeoutMs,
      hello,
      judge: (theirs) => judgeHello(hello(), theirs, { roles: ['node'] }),
      opened: (connection, theirs) => this.#opened(connection, theirs),
      failed: (cause) => owner.fault(this, cause),
    })
  }

  /** Connected, and the welcome has arrived. */
  get isOpen(): boolean {
    return this.#isWelcome
  }

  /** Sends a request. False: the node is not connected or has no room, and `onReply` will not be called. */
  request(encode: (id: number) => Uint8Array, onReply: OnReply): boolean {
    if (!this.#isWelcome || this.#connection === undefined) return false
    const id = this.#lastId + 1
    if (!this.#connection.send(frameKinds.linkRequest, [encode(id)])) return false
    this.#lastId = id
    this.#awaited.set(id, onReply)
    return true
  }

  close(): void {
    this.#dialer.close()
  }

  #opened(connection: Connection, theirs: Hello): ConnectionHandlers {
    this.#connection = connection
    this.nodeId = theirs.nodeId
    return {
      frame: (kind, body) => {
        if (kind === frameKinds.linkWelcome && !this.#isWelcome) {
          const welcome = decodeWelcome(body)
          this.#isWelcome = true
          this.#owner.opened(this, welcome, theirs)
        } else if (this.#isWelcome) this.#received(kind, body)
        else throw malformed('the first frame is no welcome')
      },
      writable: () => this.#owner.writable(this),
      closed: (cause) => this.#ended(cause),
    }
  }

  #received(kind: number, body: Uint8Array): void {
    switch (kind) {
      case frameKinds.linkReply:
        this.#replied(decodeReplyBody(body))
        return
      case frameKinds.linkFeed:
        this.#owner.feed(this, decodeFeed(body))
        return
      case frameKinds.linkGap:
        this.#owner.gap(this, decodeGap(body))
        return
      case frameKinds.linkLeader: {
        const { groupId, view } = decodeLeader(body)
        this.#owner.leader(this, groupId, view)
        return
      }
      default:
        throw malformed(`frame kind ${kind} from a state node`)
    }
  }

  #replied(reply: ReplyBody): void {
    const onReply = this.#awaited.get(reply.id)
    if (onReply === undefined) throw malformed(`a reply to request ${reply.id}, which waits for none`)
    this.#awaited.delete(reply.id)
    try {
      onReply(reply)
    } catch (thrown) {
      // A reply that cannot be decoded is none: the connection ends, and so does the request.
      if (thrown instanceof TransportError) this.#awaited.set(reply.id, onReply)
      throw thrown
    }
  }

  #ended(cause: TransportError): void {
    const wasOpen = this.#isWelcome
    this.#isWelcome = false
    this.#connection = undefined
    if (wasOpen) this.#owner.closed(this)
    const unanswered = [...this.#awaited.values()]
    this.#awaited.clear()
    for (const onReply of unanswered) onReply(cause)
    if (cause.code !== 'closed' && cause.code !== 'stopped') this.#owner.fault(this, cause)
  }
}
