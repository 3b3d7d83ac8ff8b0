/**
 * Requests that go to another node when the first fails: all but proposals.
 * These are reads, read indexes, status, members, and changes of members, which find done what is done. Each is
 * sent until there is an answer or its time is up. Invariant: every request ends once; how many are open is bounded.
 * Source: docs/spec.md LINK9, LINK10, MEMBER4.
 */
import type { CancelTimer } from '../../../runtime/clock.ts'
import { TransportError } from '../../../wire/errors.ts'
import type { Timing } from '../../../wire/timing.ts'
import type { Fields } from '../../../wire/tuples.ts'
import { ClusterError } from '../../cluster.ts'
import type { Failure, ReplyBody } from '../wire.ts'
import type { NodeLink } from './node-link.ts'

export interface ReadRequest<Answer> {
  /** Whom to ask now, or `undefined` while there is nobody. */
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
}

interface Open {
  readonly request: ReadRequest<unknown>
  readonly deadlineMs: number
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: ClusterError) => void
  isSent: boolean
}

const sweepMs = 50
const againMs = 20

export class ReadRequests {
  readonly #timing: Timing
  readonly #limits: ReadRequestLimits
  /** In order of deadline. */
  readonly #open = new Set<Open>()
  #cancelSweep: CancelTimer | undefined
  #cancelAgain: CancelTimer | undefined
  #closed = false

  constructor(timing: Timing, limits: ReadRequestLimits) {
    this.#timing = timing
    this.#limits = limits
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
      }
      this.#open.add(open)
      this.#send(open)
      this.#sweepLater()
    })
  }

  /** Somebody can be asked who could not be before. */
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
    open.isSent = node.ask(
      (id) => open.request.encode(id),
      (outcome) => this.#answered(open, node, outcome),
    )
  }

  #answered(open: Open, node: NodeLink, outcome: ReplyBody | TransportError): void {
    if (!this.#open.has(open)) return
    if (!(outcome instanceof TransportError) && outcome.failure === undefined) {
      const answer = open.request.decode(outcome.fields)
      this.#open.delete(open)
      open.resolve(answer)
      return
    }
    open.isSent = false
    const failure = outcome instanceof TransportError ? undefined : outcome.failure
    if (failure === 'overloaded') {
      this.#open.delete(open)
      open.reject(new ClusterError('overloaded', 'the state node cannot answer that now'))
      return
    }
    if (failure !== undefined) open.request.failed?.(node, failure)
    this.#cancelAgain ??= this.#timing.clock.setTimer(againMs, () => {
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
        this.#open.delete(open)
        open.reject(new ClusterError('unavailable', 'no state node answered in time'))
      }
      if (this.#open.size > 0) this.#sweepLater()
    })
  }
}
