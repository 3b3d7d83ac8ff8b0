/**
 * Sends requests that may go to another node when one fails.
 *
 * These are all requests but proposals: reads, read indexes, status, members and membership changes, which may be
 * repeated safely. Each is sent until it is answered or its time is up. Invariant: every request ends once; the open
 * requests are bounded; no request but the first of a link ends more than two connections. Source: docs/spec.md LINK9,
 * LINK10, LINK12, LINK13, MEMBER4.
 */
import { Backoff } from '../../../runtime/backoff.ts'
import type { CancelTimer } from '../../../runtime/clock.ts'
import { TransportError } from '../../../wire/errors.ts'
import type { Timing } from '../../../wire/timing.ts'
import type { Fields } from '../../../wire/tuples.ts'
import { ClusterError } from '../../cluster.ts'
import type { Failure, ReplyBody } from '../wire.ts'
import type { NodeLink } from './node-link.ts'

export interface ReadRequest<Answer> {
  /** The node to send to now, or `undefined` while there is none. */
  target(): NodeLink | undefined
  encode(id: number): Uint8Array
  /** Throws `malformed`. */
  decode(fields: Fields): Answer
  /** The node could not answer. */
  failed?(node: NodeLink, failure: Failure): void
}

export interface ReadRequestLimits {
  readonly readTimeoutMs: number
  readonly readsMax: number
  /** A request is given up when this many connections ended while it waited. Default 2. */
  readonly connectionsLostMax?: number
}

interface Open {
  readonly request: ReadRequest<unknown>
  readonly deadlineMs: number
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: ClusterError) => void
  isSent: boolean
  /** Connections that ended instead of an answer, perhaps because of this request. */
  connectionsLost: number
}

const sweepMs = 50
/** Before requests that a node could not answer are sent again. */
const pauses = { baseMs: 20, maxMs: 500 }
const defaultConnectionsLostMax = 2

export class ReadRequests {
  readonly #timing: Timing
  readonly #limits: ReadRequestLimits
  /** In order of deadline. */
  readonly #open = new Set<Open>()
  readonly #pause: Backoff
  #cancelSweep: CancelTimer | undefined
  #cancelAgain: CancelTimer | undefined
  #closed = false

  constructor(timing: Timing, limits: ReadRequestLimits) {
    this.#timing = timing
    this.#limits = limits
    this.#pause = new Backoff(pauses, timing.random)
  }

  get count(): number {
    return this.#open.size
  }

  /** Rejects with ClusterError: `unavailable`, `overloaded`, `stopped`. */
  request<Answer>(request: ReadRequest<Answer>): Promise<Answer> {
    if (this.#closed) return Promise.reject(new ClusterError('stopped', 'this link is closed'))
    if (this.#open.size >= this.#limits.readsMax) {
      return Promise.reject(new ClusterError('overloaded', 'too many reads are waiting already'))
    }
    return new Promise((resolve, reject) => {
      const open: Open = {
        request,
        deadlineMs: this.#timing.clock.monotonicMs() + this.#limits.readTimeoutMs,
        resolve: resolve as (answer: unknown) => void,
        reject,
        isSent: false,
        connectionsLost: 0,
      }
      this.#open.add(open)
      this.#send(open)
      this.#sweepLater()
    })
  }

  /** A node became available: sends the waiting requests. */
  flush(): void {
    for (const open of this.#open) {
      if (!open.isSent) this.#send(open)
    }
  }

  close(): void {
    this.#closed = true
    this.#cancelSweep?.()
    this.#cancelAgain?.()
    for (const open of this.#open) open.reject(new ClusterError('stopped', 'this link is closed'))
    this.#open.clear()
  }

  #send(open: Open): void {
    const node = open.request.target()
    if (node === undefined) return
    open.isSent = node.request(
      (id) => open.request.encode(id),
      (outcome) => this.#answered(open, node, outcome),
    )
  }

  #answered(open: Open, node: NodeLink, outcome: ReplyBody | TransportError): void {
    if (!this.#open.has(open)) return
    if (!(outcome instanceof TransportError) && outcome.failure === undefined) {
      const answer = open.request.decode(outcome.fields)
      this.#open.delete(open)
      this.#pause.reset()
      open.resolve(answer)
      return
    }
    open.isSent = false
    if (outcome instanceof TransportError) this.#lost(open, outcome)
    else this.#refused(open, node, outcome.failure)
    if (this.#open.has(open)) this.#flushLater()
  }

  #lost(open: Open, cause: TransportError): void {
    open.connectionsLost++
    const { connectionsLostMax = defaultConnectionsLostMax } = this.#limits
    if (open.connectionsLost < connectionsLostMax) return
    const text = `${open.connectionsLost} connections ended instead of an answer: ${cause.message}`
    this.#reject(open, new ClusterError('unavailable', text, { cause }))
  }

  #refused(open: Open, node: NodeLink, failure: Failure): void {
    if (failure === 'overloaded') {
      this.#reject(open, new ClusterError('overloaded', 'the state node cannot answer that now'))
    } else open.request.failed?.(node, failure)
  }

  #reject(open: Open, error: ClusterError): void {
    this.#open.delete(open)
    open.reject(error)
  }

  #flushLater(): void {
    this.#cancelAgain ??= this.#timing.clock.setTimer(this.#pause.nextMs(), () => {
      this.#cancelAgain = undefined
      this.flush()
    })
  }

  #sweepLater(): void {
    if (this.#cancelSweep !== undefined) return
    this.#cancelSweep = this.#timing.clock.setTimer(sweepMs, () => {
      this.#cancelSweep = undefined
      const nowMs = this.#timing.clock.monotonicMs()
      for (const open of this.#open) {
        if (open.deadlineMs > nowMs) break
        this.#reject(open, new ClusterError('unavailable', 'no state node answered in time'))
      }
      if (this.#open.size > 0) this.#sweepLater()
    })
  }
}
