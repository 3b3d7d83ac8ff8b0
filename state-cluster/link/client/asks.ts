/**
 * Questions that change nothing (reads, read index, status): asked of one node, and of another one when that fails,
 * until there is an answer or time is up. Invariant: every question ends once; how many are open is bounded.
 * Source: docs/spec.md LINK9, LINK10.
 */
import type { CancelTimer } from '../../../runtime/clock.ts'
import { TransportError } from '../../../wire/errors.ts'
import type { Timing } from '../../../wire/timing.ts'
import type { Fields } from '../../../wire/tuples.ts'
import { ClusterError } from '../../cluster.ts'
import type { Failure, ReplyBody } from '../wire.ts'
import type { NodeLink } from './node-link.ts'

export interface Question<Answer> {
  /** Whom to ask now, or `undefined` while there is nobody. */
  target(): NodeLink | undefined
  encode(id: number): Uint8Array
  /** Throws `malformed`. */
  decode(fields: Fields): Answer
  /** The node could not answer. */
  failed?(node: NodeLink, failure: Failure): void
}

export interface AskLimits {
  readonly askTimeoutMs: number
  readonly asksMax: number
}

interface Open {
  readonly question: Question<unknown>
  readonly deadlineMs: number
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: ClusterError) => void
  isAsked: boolean
}

const sweepMs = 50
const againMs = 20

export class Asks {
  readonly #timing: Timing
  readonly #limits: AskLimits
  /** In order of deadline. */
  readonly #open = new Set<Open>()
  #cancelSweep: CancelTimer | undefined
  #cancelAgain: CancelTimer | undefined
  #closed = false

  constructor(timing: Timing, limits: AskLimits) {
    this.#timing = timing
    this.#limits = limits
  }

  get count(): number {
    return this.#open.size
  }

  /** Rejects with ClusterError: `unavailable`, `overloaded`, `stopped`. */
  ask<Answer>(question: Question<Answer>): Promise<Answer> {
    if (this.#closed) return Promise.reject(new ClusterError('stopped', 'this link is closed'))
    if (this.#open.size >= this.#limits.asksMax) {
      return Promise.reject(new ClusterError('overloaded', 'too many reads are waiting already'))
    }
    return new Promise((resolve, reject) => {
      const open: Open = {
        question,
        deadlineMs: this.#timing.clock.monotonicMs() + this.#limits.askTimeoutMs,
        resolve: resolve as (answer: unknown) => void,
        reject,
        isAsked: false,
      }
      this.#open.add(open)
      this.#send(open)
      this.#sweepLater()
    })
  }

  /** Somebody can be asked who could not be before. */
  flush(): void {
    for (const open of this.#open) {
      if (!open.isAsked) this.#send(open)
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
    const node = open.question.target()
    if (node === undefined) return
    open.isAsked = node.ask(
      (id) => open.question.encode(id),
      (outcome) => this.#answered(open, node, outcome),
    )
  }

  #answered(open: Open, node: NodeLink, outcome: ReplyBody | TransportError): void {
    if (!this.#open.has(open)) return
    if (!(outcome instanceof TransportError) && outcome.failure === undefined) {
      const answer = open.question.decode(outcome.fields)
      this.#open.delete(open)
      open.resolve(answer)
      return
    }
    open.isAsked = false
    const failure = outcome instanceof TransportError ? undefined : outcome.failure
    if (failure === 'overloaded') {
      this.#open.delete(open)
      open.reject(new ClusterError('overloaded', 'the state node cannot answer that now'))
      return
    }
    if (failure !== undefined) open.question.failed?.(node, failure)
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
