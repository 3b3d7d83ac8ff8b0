/**
 * Read requests that wait for a quorum to confirm that this node still leads.
 *
 * Requests are numbered from 1 within a term, in the order of arrival. A heartbeat carries the number of the
 * newest request; the answer acknowledges that request and all before it. Invariant: request n is
 * confirmed once a quorum has answered a heartbeat that was sent after n came in. So the state is one number
 * per node, whatever the number of requests. What waits is bounded by what callers request within a round trip, or
 * within an election timeout when the quorum is gone. Source: Raft dissertation §6.4.
 */
import { fail } from './assert.ts'
import type { ReadOnlyOption } from './config.ts'
import type { AckedIndexer, JointConfig } from './quorum.ts'
import { EMPTY_BYTES, type Message } from './types.ts'

export interface ReadIndexRequest {
  /** The MsgReadIndex; its sender gets the answer. */
  readonly request: Message
  /** The commit index when it came in. */
  readonly index: number
}

const CONTEXT_BYTES = 8

export class ReadOnly implements AckedIndexer {
  readonly option: ReadOnlyOption
  readonly #acks = new Map<number, number>()
  #unconfirmed: ReadIndexRequest[] = []
  #confirmedCount = 0

  constructor(option: ReadOnlyOption) {
    this.option = option
  }

  addRequest(index: number, request: Message): void {
    this.#unconfirmed.push({ request, index })
  }

  isWaiting(): boolean {
    return this.#unconfirmed.length > 0
  }

  /** What a heartbeat carries to confirm all waiting requests; empty when none waits. */
  heartbeatCtx(): Uint8Array {
    const waiting = this.#unconfirmed.length
    return waiting === 0 ? EMPTY_BYTES : encodePosition(this.#confirmedCount + waiting)
  }

  /** `from` has answered a heartbeat that carried `context`. */
  recvAck(from: number, context: Uint8Array): void {
    if (context.length === 0) return
    const position = decodePosition(context)
    if (position > this.ackedIndex(from)) this.#acks.set(from, position)
  }

  ackedIndex(id: number): number {
    return this.#acks.get(id) ?? -1
  }

  /** Takes out the requests that a quorum of `voters` has confirmed, oldest first. */
  maybeAdvance(voters: JointConfig): readonly ReadIndexRequest[] {
    const count = Math.min(voters.committedIndex(this) - this.#confirmedCount, this.#unconfirmed.length)
    if (count <= 0) return []
    this.#confirmedCount += count
    return this.#unconfirmed.splice(0, count)
  }
}

function encodePosition(position: number): Uint8Array {
  const bytes = new Uint8Array(CONTEXT_BYTES)
  let rest = position
  for (let i = 0; rest > 0; i++) {
    bytes[i] = rest % 256
    rest = Math.floor(rest / 256)
  }
  return bytes
}

function decodePosition(bytes: Uint8Array): number {
  let position = 0
  for (let i = bytes.length - 1; i >= 0; i--) position = position * 256 + (bytes[i] as number)
  if (bytes.length !== CONTEXT_BYTES || !Number.isSafeInteger(position)) {
    fail('a heartbeat response repeats the context of its heartbeat', { length: bytes.length })
  }
  return position
}
