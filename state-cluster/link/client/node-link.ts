/**
 * A link client's connection to one state node: asks and is answered, hears what the node tells by itself, and
 * comes back after an end. Invariant: each ask that was taken ends once, with the node's reply or with why there
 * is none; the owner learns of an end before the asks that it ends do. Source: docs/spec.md LINK1 to LINK4.
 */
import type { GroupId } from '../../../protocol/ids.ts'
import type { BackoffLimits } from '../../../runtime/backoff.ts'
import type { Connection, ConnectionHandlers, ConnectionLimits } from '../../../wire/connection.ts'
import { Dialer } from '../../../wire/dialer.ts'
import { TransportError } from '../../../wire/errors.ts'
import { type Hello, judgeHello, transportVersion, transportVersionMin } from '../../../wire/handshake.ts'
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
  /** Of the cluster, once it is known; empty before. */
  readonly clusterId: string
  opened(node: NodeLink, welcome: Welcome, theirs: Hello): void
  leader(node: NodeLink, groupId: GroupId, view: LeaderView): void
  feed(node: NodeLink, batch: FeedBatch): void
  gap(node: NodeLink, gap: GroupIndex): void
  /** There is room again for what was not taken. */
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
}

type Answered = (outcome: ReplyBody | TransportError) => void

export class NodeLink {
  readonly address: Address
  /** 0 until the node has said it. */
  nodeId = 0
  readonly #owner: NodeLinkOwner
  readonly #awaited = new Map<number, Answered>()
  readonly #dialer: Dialer
  #connection: Connection | undefined
  #isWelcome = false
  #lastAsk = 0

  constructor(address: Address, options: NodeLinkOptions, owner: NodeLinkOwner) {
    this.address = address
    this.#owner = owner
    const hello = (): Hello => ({
      versionMin: transportVersionMin,
      version: transportVersion,
      role: 'link',
      clusterId: owner.clusterId,
      nodeId: 0,
      instance: options.instance,
      settingsHash: '',
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

  /** Connected, and welcome. */
  get isOpen(): boolean {
    return this.#isWelcome
  }

  /** `false`: not taken, because the node is not connected or has no room; `answered` is then not called. */
  ask(encode: (id: number) => Uint8Array, answered: Answered): boolean {
    if (!this.#isWelcome || this.#connection === undefined) return false
    const id = this.#lastAsk + 1
    if (!this.#connection.send(frameKinds.linkRequest, [encode(id)])) return false
    this.#lastAsk = id
    this.#awaited.set(id, answered)
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
        } else if (this.#isWelcome) this.#hear(kind, body)
        else throw malformed('no welcome at the beginning')
      },
      writable: () => this.#owner.writable(this),
      closed: (cause) => this.#ended(cause),
    }
  }

  #hear(kind: number, body: Uint8Array): void {
    switch (kind) {
      case frameKinds.linkReply:
        this.#answer(decodeReplyBody(body))
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

  #answer(reply: ReplyBody): void {
    const answered = this.#awaited.get(reply.id)
    if (answered === undefined) throw malformed(`a reply to ask ${reply.id}, which waits for none`)
    this.#awaited.delete(reply.id)
    try {
      answered(reply)
    } catch (thrown) {
      // What cannot be read was not answered; the connection ends, and the ask goes elsewhere.
      if (thrown instanceof TransportError) this.#awaited.set(reply.id, answered)
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
    for (const answered of unanswered) answered(cause)
    if (cause.code !== 'closed' && cause.code !== 'stopped') this.#owner.fault(this, cause)
  }
}
